/** What is somebody else's: used where it does what ours would do, left and named otherwise. Pure. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { prefix } from "../../src/ip/prefix.ts";
import { desiredOverlay } from "../../src/overlay/desired.ts";
import { HostState } from "../../src/overlay/host-state.ts";
import { planOverlay } from "../../src/overlay/plan.ts";
import { FakeOverlay, FOREIGN_VXLAN, ip, NIC } from "./fake-overlay.ts";
import { IPIP, settle, VXLAN, wanted } from "./plan-lab.ts";

test("a foreign device with our name, or with our VNI and port, is left and named", async () => {
  for (const [link, said] of [
    [{ ...FOREIGN_VXLAN, name: "podrouter-vx4", vni: 1 }, /podrouter-vx4 is somebody else's vxlan/],
    [{ ...FOREIGN_VXLAN }, /flannel\.1 of somebody else has VNI 77 and UDP port 4789/],
    [{ ...NIC, index: 9, name: "podrouter-vx4" }, /podrouter-vx4 is somebody else's device/],
  ] as const) {
    const kernel = new FakeOverlay();
    kernel.addLink(link);
    const want = wanted("192.168.51.50", "192.168.51.51");
    assert.deepEqual(await settle(kernel, VXLAN, want), []);
    const { problems } = desiredOverlay(VXLAN, want, new HostState(await kernel.read()));
    assert.equal(problems.length, 1);
    assert.match(problems[0]?.message ?? "", said);
  }
  for (const link of [
    { ...FOREIGN_VXLAN, vni: 78 },
    { ...FOREIGN_VXLAN, port: 8472 },
    { ...FOREIGN_VXLAN, local: ip("fd00::1") },
  ]) {
    const kernel = new FakeOverlay();
    kernel.addLink(link);
    await settle(kernel, VXLAN, wanted("192.168.51.50"));
    assert.ok(kernel.link("podrouter-vx4"));
  }
});

test("kube-router's tunnel with the same ends is used, and neither changed nor removed", async () => {
  const kernel = new FakeOverlay();
  const ends = { local: ip("192.168.50.50"), remote: ip("192.168.51.50") };
  kernel.addLink({ ...NIC, index: 7, name: "tun-5a1c0f3e2b4", kind: "ipip", mtu: 1480, ...ends });
  const to = prefix("192.168.51.50/32");
  kernel.put({ kind: "route", prefix: to, link: 7, gateway: undefined }, true);
  const words = await settle(kernel, IPIP, wanted("192.168.51.50", "192.168.51.51"));
  assert.ok(!words.some((line) => line.includes("tun-5a1c0f3e2b4") || line.includes("c0a83332")));
  await settle(kernel, IPIP, wanted());
  assert.ok(kernel.link("tun-5a1c0f3e2b4"));
  assert.equal(kernel.link("tun-c0a83333"), undefined);
  assert.deepEqual([...kernel.items.keys()], ["route 192.168.51.50/32"]);
});

test("a tunnel with the same ends that carries other packets is left, and named", async () => {
  const kernel = new FakeOverlay();
  const ends = { local: ip("192.168.50.50"), remote: ip("192.168.51.50") };
  const theirs = { ...NIC, index: 7, name: "tun-5a1c0f3e2b4", kind: "ipip", unfit: true, ...ends };
  kernel.addLink(theirs);
  assert.deepEqual(await settle(kernel, IPIP, wanted("192.168.51.50")), []);
  const host = new HostState(await kernel.read());
  const { problems } = desiredOverlay(IPIP, wanted("192.168.51.50"), host);
  assert.equal(problems.length, 1);
  assert.match(
    problems[0]?.message ?? "",
    /tun-5a1c0f3e2b4 of somebody else .* not plain IP in IP/,
  );
  // One of ours that somebody has turned into such is made anew.
  kernel.addLink({ ...theirs, name: "tun-c0a83332" });
  assert.deepEqual((await settle(kernel, IPIP, wanted("192.168.51.50"))).slice(0, 2), [
    "link delete tun-c0a83332",
    "link add tun-c0a83332 mtu 1480 type ipip local 192.168.50.50 remote 192.168.51.50",
  ]);
});

test("a foreign route in table 77 stays and is named", async () => {
  const kernel = new FakeOverlay();
  const to = prefix("192.168.51.50/32");
  kernel.put({ kind: "route", prefix: to, link: 2, gateway: undefined }, true);
  await settle(kernel, VXLAN, wanted("192.168.51.50"));
  assert.equal(kernel.items.get(`route ${to}`)?.foreign, true);
  const host = new HostState(await kernel.read());
  const desired = desiredOverlay(VXLAN, wanted("192.168.51.50"), host);
  const { problems } = planOverlay(desired, wanted("192.168.51.50"), host, true);
  assert.match(problems[0]?.message ?? "", /table 77 has a route for 192\.168\.51\.50\/32/);
});
