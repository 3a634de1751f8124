/** The keeper of the tunnels on a kernel in memory, with a clock that tests move. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { prefix } from "../../src/ip/prefix.ts";
import {
  OVERLAY_GAP_MS,
  OVERLAY_PERIOD_MS,
  OVERLAY_SETTLE_MS,
  RETRY,
} from "../../src/overlay/limits.ts";
import { FAR, lab, VXLAN, want, wanted } from "./controller-lab.ts";
import { FakeOverlay, FOREIGN_VXLAN, ip, NIC } from "./fake-overlay.ts";

test("a way is not ready before the first look, and ready when the tunnel is whole", async (t) => {
  const one = lab(t);
  one.overlay.want(wanted("192.168.51.50"));
  assert.deepEqual(one.overlay.way(FAR), { ready: false, why: "which is not made yet" });
  assert.equal(one.overlay.way(ip("192.168.52.1")), undefined);
  await one.clock.advanceAsync(1);
  assert.deepEqual(one.overlay.way(FAR), {
    ready: true,
    hop: { gateway: FAR, link: 100, weight: 1, onLink: true },
    source: "192.168.50.50",
  });
  assert.deepEqual(one.told, [[FAR], "all"]);
  assert.deepEqual(one.overlay.status(), {
    tunnels: { 4: 1, 6: 0 },
    missing: 0,
    looked: true,
    devices: ["podrouter-vx4"],
    repairs: 0,
    failed: 0,
  });
});

test("a Node more or less costs its own operations and no reading", async (t) => {
  const one = lab(t);
  const many = Array.from({ length: 1000 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
  await want(one, ...many);
  assert.equal(one.overlay.status().tunnels[4], 1000);
  const { reads } = one.kernel;
  one.kernel.log = [];
  await want(one, ...many, "10.9.9.9");
  assert.equal(one.kernel.log.length, 3);
  await want(one, ...many);
  assert.equal(one.kernel.log.length, 6);
  assert.equal(one.kernel.reads, reads);
  assert.equal(one.overlay.way(ip("10.9.9.9")), undefined);
  assert.deepEqual(one.told.at(-1), [ip("10.9.9.9")]);
});

test("what others change is put right, soon by events and in a minute without", async (t) => {
  const one = lab(t);
  await want(one, "192.168.51.50");
  one.kernel.items.delete("rule 10.233.64.0/24");
  one.kernel.listener?.onEvent({ kind: "table" });
  await one.clock.advanceAsync(OVERLAY_GAP_MS);
  assert.ok(one.kernel.items.has("rule 10.233.64.0/24"));
  assert.equal(one.overlay.status().repairs, 1);
  one.kernel.remove("podrouter-vx4");
  one.told.length = 0;
  one.kernel.listener?.onEvent({ kind: "link", change: "delete", link: { ...NIC, index: 100 } });
  await one.clock.advanceAsync(OVERLAY_GAP_MS);
  assert.equal(one.kernel.itemsOf("forwarding").length, 1);
  const way = one.overlay.way(FAR);
  assert.ok(way?.ready && way.hop.link === 101);
  assert.ok(one.told.includes("all"));
  one.kernel.items.delete("rule 10.233.64.0/24");
  await one.clock.advanceAsync(OVERLAY_PERIOD_MS);
  assert.ok(one.kernel.items.has("rule 10.233.64.0/24"));
});

test("what others change while the kernel is read is not taken for read", async (t) => {
  const one = lab(t);
  const key = "rule 10.233.64.0/24";
  const rule = { kind: "rule", from: prefix("10.233.64.0/24") } as const;
  const meddling = () => {
    one.kernel.duringRead = () => undefined;
    one.kernel.items.delete(key);
    one.kernel.listener?.onEvent({ kind: "table" });
  };
  // At the first look, of which nothing is known yet.
  one.kernel.put(rule);
  one.kernel.duringRead = meddling;
  await want(one, "192.168.51.50");
  await one.clock.advanceAsync(OVERLAY_GAP_MS + 1);
  assert.ok(one.kernel.items.has(key), "after the first look");
  // And at a later one.
  one.kernel.duringRead = meddling;
  one.kernel.listener?.onOverrun();
  await one.clock.advanceAsync(2 * OVERLAY_GAP_MS + 2);
  assert.ok(one.kernel.items.has(key), "after a later look");
});

test("the end of a pod that was there at the last look goes, and nothing is read for it", async (t) => {
  const kernel = new FakeOverlay();
  const pod = { ...NIC, index: 50, name: "veth1234", kind: "veth" };
  kernel.addLink(pod);
  const linkLocal = { link: 50, address: ip("fe80::1"), subnet: prefix("fe80::/64") };
  kernel.addresses = [...kernel.addresses, linkLocal];
  const one = lab(t, VXLAN, { kernel });
  await want(one, "192.168.51.50");
  const { reads } = one.kernel;
  one.kernel.listener?.onEvent({ kind: "link", change: "new", link: { ...pod, up: false } });
  one.kernel.listener?.onEvent({ kind: "link", change: "delete", link: pod });
  await one.clock.advanceAsync(OVERLAY_GAP_MS);
  assert.equal(one.kernel.reads, reads);
  // An interface that the node's addresses are on is another matter.
  one.kernel.listener?.onEvent({ kind: "link", change: "new", link: { ...NIC, mtu: 1400 } });
  await one.clock.advanceAsync(OVERLAY_GAP_MS);
  assert.equal(one.kernel.reads, reads + 1);
});

test("pods that come and go are not looked at; lost events are", async (t) => {
  const one = lab(t);
  await want(one, "192.168.51.50");
  const { reads } = one.kernel;
  one.kernel.listener?.onEvent({
    kind: "link",
    change: "new",
    link: { ...NIC, index: 50, name: "veth1" },
  });
  one.kernel.listener?.onEvent({ kind: "address", address: ip("fe80::1") });
  const item = one.kernel.itemsOf("forwarding")[0]!;
  const entry = { kind: "entry", link: 100, change: "new", item } as const;
  one.kernel.listener?.onEvent({ ...entry, link: 2, item: { ...item, link: 2 } });
  one.kernel.listener?.onEvent(entry);
  const vxlan = one.kernel.link("podrouter-vx4")!;
  one.kernel.listener?.onEvent({ kind: "link", change: "new", link: { ...vxlan } });
  await one.clock.advanceAsync(OVERLAY_GAP_MS * 2);
  assert.equal(one.kernel.reads, reads);
  one.kernel.listener?.onOverrun();
  await one.clock.advanceAsync(OVERLAY_GAP_MS);
  assert.equal(one.kernel.reads, reads + 1);
  one.kernel.listener?.onEvent({ ...entry, change: "delete" });
  await one.clock.advanceAsync(OVERLAY_GAP_MS);
  assert.equal(one.kernel.reads, reads + 2);
  one.kernel.listener?.onEvent({ ...entry, item: undefined });
  await one.clock.advanceAsync(OVERLAY_GAP_MS);
  assert.equal(one.kernel.reads, reads + 3);
  one.kernel.listener?.onEvent({ kind: "link", change: "new", link: { ...vxlan, mtu: 1300 } });
  await one.clock.advanceAsync(OVERLAY_GAP_MS);
  assert.equal(one.kernel.reads, reads + 4);
});

test("a node in a local subnet now: the routes are told first, then the tunnel goes", async (t) => {
  const one = lab(t);
  await want(one, "192.168.51.50");
  one.told.length = 0;
  one.kernel.addresses = new FakeOverlay(["192.168.50.50/24", "192.168.51.1/24"]).addresses;
  one.kernel.listener?.onEvent({ kind: "address", address: ip("192.168.51.1") });
  await one.clock.advanceAsync(OVERLAY_GAP_MS);
  assert.equal(one.overlay.way(FAR), undefined);
  assert.deepEqual(one.told, ["all"]);
  assert.ok(one.kernel.link("podrouter-vx4"));
  one.settled = false;
  await one.clock.advanceAsync(OVERLAY_SETTLE_MS * 3);
  assert.ok(one.kernel.link("podrouter-vx4"));
  one.settled = true;
  await one.clock.advanceAsync(OVERLAY_SETTLE_MS);
  assert.equal(one.kernel.link("podrouter-vx4"), undefined);
});

test("off: what an earlier run left goes once the routes have left it", async (t) => {
  const kernel = new FakeOverlay();
  const before = lab(t, VXLAN, { kernel });
  await want(before, "192.168.51.50");
  const one = lab(t, "off", { kernel });
  one.settled = false;
  await want(one, "192.168.51.50");
  assert.equal(one.overlay.way(FAR), undefined);
  await one.clock.advanceAsync(OVERLAY_SETTLE_MS * 3);
  assert.ok(kernel.link("podrouter-vx4"));
  one.settled = true;
  await one.clock.advanceAsync(OVERLAY_SETTLE_MS);
  assert.equal(kernel.link("podrouter-vx4"), undefined);
  assert.equal(kernel.items.size, 0);
  assert.equal(one.overlay.overheadBytes([4, 6]), 0);
});

test("what the kernel refuses is one condition, tried again, and no way", async (t) => {
  const one = lab(t);
  one.kernel.refuses = ({ kind }) => kind === "create-device";
  await want(one, "192.168.51.50");
  assert.deepEqual(
    one.overlay.conditions().map(({ name }) => name),
    ["overlay-refused create-device podrouter-vx4"],
  );
  assert.equal(one.overlay.way(FAR)?.ready, false);
  assert.equal(one.overlay.status().missing, 1);
  one.kernel.refuses = () => false;
  await one.clock.advanceAsync(RETRY.maxMs);
  assert.deepEqual(one.overlay.conditions(), []);
  assert.equal(one.overlay.way(FAR)?.ready, true);
});

test("what was done, though its answer was lost, is no condition", async (t) => {
  const one = lab(t);
  const lost = { ok: false, code: "ENOBUFS", message: "the answer was lost" } as const;
  let times = 1;
  one.kernel.answer = ({ kind }) => (kind === "create-device" && times-- > 0 ? lost : undefined);
  await want(one, "192.168.51.50");
  assert.equal(one.overlay.status().failed, 1);
  await one.clock.advanceAsync(RETRY.maxMs);
  assert.equal(one.overlay.way(FAR)?.ready, true);
  assert.deepEqual(one.overlay.conditions(), []);
  // The last of all that there is to do.
  times = 1;
  one.kernel.answer = ({ kind }) => (kind === "delete-device" && times-- > 0 ? lost : undefined);
  await want(one);
  await one.clock.advanceAsync(1);
  assert.equal(one.overlay.status().failed, 2);
  assert.deepEqual([...one.kernel.links.keys()], [NIC.index]);
  assert.deepEqual(one.overlay.conditions(), []);
});

test("without the right to change anything: one condition, and again later", async (t) => {
  const one = lab(t);
  one.kernel.broken = true;
  await want(one, "192.168.51.50");
  assert.match(one.overlay.conditions()[0]?.message ?? "", /CAP_NET_ADMIN missing/);
  one.kernel.broken = false;
  await one.clock.advanceAsync(RETRY.maxMs);
  assert.deepEqual(one.overlay.conditions(), []);
  assert.equal(one.overlay.way(FAR)?.ready, true);
});

test("a dry run says what it would do and does nothing", async (t) => {
  const one = lab(t, VXLAN, { dryRun: true });
  await want(one, "192.168.51.50");
  assert.match(one.overlay.planned()[0] ?? "", /^link add podrouter-vx4 mtu 1450 type vxlan/);
  assert.deepEqual(one.kernel.log, []);
  assert.equal(one.overlay.way(FAR)?.ready, false);
});

test("the overhead is that of the largest family, needed now or not", (t) => {
  const one = lab(t);
  assert.equal(one.overlay.overheadBytes([4]), 50);
  assert.equal(one.overlay.overheadBytes([4, 6]), 70);
  assert.equal(one.overlay.overheadBytes([]), 0);
  const ipip = lab(t, { ...VXLAN, encap: "ipip", type: "full" });
  assert.equal(ipip.overlay.overheadBytes([4]), 20);
  assert.ok(ipip.overlay.first);
});

test("full: a node that is not looked at yet is waited for, one without a tunnel is not", async (t) => {
  const one = lab(t, { ...VXLAN, type: "full" });
  await want(one, "192.168.50.51");
  one.overlay.want(wanted("192.168.50.51", "192.168.50.52"));
  assert.equal(one.overlay.way(ip("192.168.50.51"))?.ready, true);
  assert.equal(one.overlay.way(ip("192.168.50.52"))?.ready, false);
  await one.clock.advanceAsync(1);
  assert.equal(one.overlay.way(ip("192.168.50.52"))?.ready, true);
  // Without an own address on this machine no tunnel starts: the plain way is taken, and told.
  const bare = lab(t, { ...VXLAN, type: "full" }, { kernel: new FakeOverlay(["192.168.50.9/24"]) });
  bare.overlay.want(wanted("192.168.50.51"));
  assert.equal(bare.overlay.way(ip("192.168.50.51"))?.ready, false);
  await bare.clock.advanceAsync(1);
  assert.equal(bare.overlay.way(ip("192.168.50.51")), undefined);
  assert.deepEqual(bare.told, [[ip("192.168.50.51")]]);
});

test("full: the own address goes and comes back: routes that went directly are told", async (t) => {
  const one = lab(t, { ...VXLAN, type: "full" });
  const near = ip("192.168.50.51");
  await want(one, "192.168.50.51");
  const { addresses } = one.kernel;
  const event = { kind: "address", address: ip("192.168.50.50") } as const;
  one.kernel.addresses = new FakeOverlay(["192.168.50.9/24"]).addresses;
  one.kernel.listener?.onEvent(event);
  await one.clock.advanceAsync(OVERLAY_GAP_MS);
  assert.equal(one.overlay.way(near), undefined);
  one.told.length = 0;
  one.kernel.addresses = addresses;
  one.kernel.listener?.onEvent(event);
  await one.clock.advanceAsync(OVERLAY_GAP_MS);
  assert.equal(one.overlay.way(near)?.ready, true);
  // Those that wait for it are none: they have the direct way.
  assert.ok(one.told.includes("all"), JSON.stringify(one.told));
  one.told.length = 0;
  await want(one, "192.168.50.51", "192.168.50.52");
  assert.ok(!one.told.includes("all"), "a Node that comes costs no comparison of all");
});

test("full: a Node that comes while a pass is under way costs no comparison", async (t) => {
  const one = lab(t, { ...VXLAN, type: "full" });
  await want(one, "192.168.50.51");
  one.told.length = 0;
  const apply = one.kernel.apply.bind(one.kernel);
  one.kernel.apply = (operations) => {
    one.kernel.apply = apply;
    one.overlay.want(wanted("192.168.50.51", "192.168.50.52", "192.168.50.53"));
    return apply(operations);
  };
  await want(one, "192.168.50.51", "192.168.50.52");
  assert.equal(one.overlay.way(ip("192.168.50.53"))?.ready, true);
  assert.ok(!one.told.includes("all"), JSON.stringify(one.told));
});

test("a device that somebody puts his own in the place of: the routes are told", async (t) => {
  const one = lab(t);
  await want(one, "192.168.51.50");
  one.told.length = 0;
  one.kernel.remove("podrouter-vx4");
  const link = { ...FOREIGN_VXLAN, index: 50, name: "podrouter-vx4", vni: 5 };
  one.kernel.addLink(link);
  one.kernel.listener?.onEvent({ kind: "link", change: "new", link });
  await one.clock.advanceAsync(OVERLAY_GAP_MS);
  assert.equal(one.overlay.way(FAR)?.ready, false);
  assert.deepEqual(one.told, ["all"]);
  assert.equal(one.overlay.conditions().length, 1);
});

test("a tunnel of somebody else that we use: what happens to it is seen at once", async (t) => {
  const one = lab(t, { ...VXLAN, encap: "ipip" });
  const ends = { local: ip("192.168.50.50"), remote: FAR };
  const theirs = { ...NIC, index: 9, name: "stray", kind: "ipip", ...ends };
  one.kernel.addLink(theirs);
  await want(one, FAR);
  assert.equal(one.overlay.way(FAR)?.ready, true);
  const down = { ...theirs, up: false };
  one.kernel.addLink(down);
  one.kernel.listener?.onEvent({ kind: "link", change: "new", link: down });
  await one.clock.advanceAsync(OVERLAY_GAP_MS);
  assert.equal(one.overlay.way(FAR)?.ready, false);
  one.kernel.remove("stray");
  one.kernel.listener?.onEvent({ kind: "link", change: "delete", link: down });
  await one.clock.advanceAsync(OVERLAY_GAP_MS);
  assert.equal(one.kernel.link("tun-c0a83332")?.up, true);
  assert.equal(one.overlay.way(FAR)?.ready, true);
});
