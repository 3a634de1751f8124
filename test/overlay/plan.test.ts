/** From Nodes and kernel to operations: names, subnets, ends, what is never touched. Pure. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { IpAddress } from "../../src/ip/address.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { desiredOverlay } from "../../src/overlay/desired.ts";
import { HostState } from "../../src/overlay/host-state.ts";
import {
  isOurDevice,
  overheadBytes,
  tunnelName,
  vtepGateway,
  vtepMac,
} from "../../src/overlay/names.ts";
import { planOverlay } from "../../src/overlay/plan.ts";
import { DEVICE_ALIAS, type HostDump, type HostLink, itemKey } from "../../src/overlay/types.ts";
import { Topology } from "../../src/routes/topology.ts";
import { threadCpuMs } from "../support/yardstick.ts";
import { FakeOverlay, FOREIGN_VXLAN, ip, NIC } from "./fake-overlay.ts";
import { IPIP, settle, VXLAN, wanted } from "./plan-lab.ts";

test("VXLAN: one device, and three entries a node in another subnet", async () => {
  const kernel = new FakeOverlay();
  const words = await settle(kernel, VXLAN, wanted("192.168.50.51", "192.168.51.50"));
  assert.deepEqual(words, [
    "link add podrouter-vx4 mtu 1450 type vxlan local 192.168.50.50 id 77 dstport 4789 nolearning",
    'link set podrouter-vx4 alias "podrouter overlay"',
    "fdb add 0e:58:c0:a8:33:32 dev if100 dst 192.168.51.50",
    "neigh add 192.168.51.50 lladdr 0e:58:c0:a8:33:32 dev if100",
    "route add 192.168.51.50/32 via 192.168.51.50 dev if100 table 77 proto 17",
    "rule add from 10.233.64.0/24 lookup 77",
  ]);
  assert.equal(kernel.link("podrouter-vx4")?.mac, "0e:58:c0:a8:32:32");
});

test("IP in IP: a device a node, named by its address", async () => {
  const kernel = new FakeOverlay();
  const words = await settle(kernel, IPIP, wanted("192.168.50.51", "10.0.2.10"));
  assert.deepEqual(words, [
    "link add tun-0a00020a mtu 1480 type ipip local 192.168.50.50 remote 10.0.2.10",
    'link set tun-0a00020a alias "podrouter overlay"',
    "route add 10.0.2.10/32 dev if100 table 77 proto 17",
    "rule add from 10.233.64.0/24 lookup 77",
  ]);
});

test("full: nodes of the own subnet as well, but not ourselves", async () => {
  const kernel = new FakeOverlay();
  const want = wanted("192.168.50.50", "192.168.50.51", "192.168.51.50");
  await settle(kernel, { ...VXLAN, type: "full" }, want);
  assert.deepEqual(
    kernel.itemsOf("forwarding").map(({ remote }) => remote),
    ["192.168.50.51", "192.168.51.50"],
  );
});

test("dual stack: a device a family, the outer family that of the node's address", async () => {
  const kernel = new FakeOverlay(["192.168.50.50/24", "fd00:50::50/64"]);
  await settle(kernel, VXLAN, {
    own: { 4: ip("192.168.50.50"), 6: ip("fd00:50::50") },
    ownPodCidrs: [prefix("10.233.64.0/24"), prefix("fd00:10:64::/64")],
    remotes: [{ 4: ip("192.168.51.50"), 6: ip("fd00:51::50") }],
  });
  assert.equal(kernel.link("podrouter-vx4")?.mtu, 1450);
  assert.equal(kernel.link("podrouter-vx6")?.mtu, 1430);
  assert.equal(kernel.itemsOf("rule").length, 2);
  const route = kernel.itemsOf("route").find((one) => one.prefix === "fd00:51::50/128");
  assert.match(route?.gateway ?? "", /^fe80::/);
});

test("nothing is made where nothing is needed, and nothing without an own address", async () => {
  assert.deepEqual(await settle(new FakeOverlay(), VXLAN, wanted("192.168.50.51")), []);
  const kernel = new FakeOverlay(["192.168.99.1/24"]);
  assert.deepEqual(await settle(kernel, VXLAN, wanted("192.168.51.50")), []);
  const host = new HostState(await kernel.read());
  const { problems } = desiredOverlay(VXLAN, wanted("192.168.51.50"), host);
  assert.match(problems[0]?.message ?? "", /no interface of this machine has .* 192\.168\.50\.50/);
});

test("an own address in a VRF is none that tunnels start from", async () => {
  const dump = await new FakeOverlay().read();
  const begun = (links: readonly HostLink[]) => {
    const host = new HostState({ ...dump, links });
    return desiredOverlay(VXLAN, wanted("192.168.51.50"), host);
  };
  assert.equal(begun(dump.links).devices.size, 1);
  const { devices, problems } = begun(dump.links.map((link) => ({ ...link, vrf: true })));
  assert.deepEqual([devices.size, problems[0]?.name], [0, "overlay-address 192.168.50.50"]);
});

test("addresses of services, as IPVS has thousands of, change nothing and cost little", async () => {
  const dump = await new FakeOverlay().read();
  const nodes = Array.from({ length: 1000 }, (_, i) => `192.168.${51 + (i >> 8)}.${i & 255}`);
  const services = Array.from({ length: 5000 }, (_, i) => {
    const text = `10.96.${i >> 8}.${i & 255}`;
    return { link: 7, address: ip(text), subnet: prefix(`${text}/32`) };
  });
  const best = (addresses: HostDump["addresses"]) => {
    const host = new HostState({ ...dump, addresses });
    const plan = () => {
      assert.equal(desiredOverlay(VXLAN, wanted(...nodes, "10.96.0.7"), host).targets.length, 1001);
    };
    return Math.min(...Array.from({ length: 5 }, () => threadCpuMs(plan)));
  };
  const without = best(dump.addresses);
  // One of a Node's is our own as well, and no tunnel leads to ourselves.
  const far = wanted(...nodes, "10.96.0.7");
  const addresses = [...services, ...dump.addresses];
  const { targets } = desiredOverlay(VXLAN, far, new HostState({ ...dump, addresses }));
  assert.deepEqual(
    [targets.length, targets.some(({ node }) => node === "10.96.0.7")],
    [1000, false],
  );
  const others = addresses.filter(({ address }) => address !== "10.96.0.7");
  const tookWith = best(others);
  assert.ok(tookWith < 30 * without + 20, `${tookWith} ms, and ${without} ms without`);
});

test("a node that is gone loses its entries at once, others only when the routes left", async () => {
  const kernel = new FakeOverlay();
  await settle(kernel, VXLAN, wanted("192.168.51.50", "192.168.51.51"));
  const gone = await settle(kernel, VXLAN, wanted("192.168.51.51"), false);
  assert.deepEqual(gone, [
    "route delete 192.168.51.50/32 via 192.168.51.50 dev if100 table 77 proto 17",
    "neigh delete 192.168.51.50 lladdr 0e:58:c0:a8:33:32 dev if100",
    "fdb delete 0e:58:c0:a8:33:32 dev if100 dst 192.168.51.50",
  ]);
  // The node's subnet is ours now.
  kernel.addresses = new FakeOverlay(["192.168.50.50/24", "192.168.51.1/24"]).addresses;
  assert.deepEqual(await settle(kernel, VXLAN, wanted("192.168.51.51"), false), []);
  assert.deepEqual(await settle(kernel, VXLAN, wanted("192.168.51.51")), [
    "rule delete from 10.233.64.0/24 lookup 77",
    "link delete podrouter-vx4",
  ]);
  assert.equal(kernel.items.size, 0);
});

test("as long as Nodes may be missing, what leads to unknown ones stays, and is waited for", async () => {
  for (const settings of [VXLAN, IPIP]) {
    const kernel = new FakeOverlay();
    await settle(kernel, settings, wanted("192.168.51.50", "192.168.51.51"));
    const some = { ...wanted("192.168.51.51"), complete: false };
    assert.deepEqual(await settle(kernel, settings, some, false), []);
    const host = new HostState(await kernel.read());
    const { waiting } = planOverlay(desiredOverlay(settings, some, host), some, host, false);
    assert.equal(waiting, true);
    const all = await settle(kernel, settings, { ...some, complete: true }, false);
    assert.ok(all.length > 0);
  }
});

test("other flags: the new tunnel first, the old one when the routes have left it", async () => {
  const kernel = new FakeOverlay();
  await settle(kernel, VXLAN, wanted("192.168.51.50"));
  const before = await settle(kernel, IPIP, wanted("192.168.51.50"), false);
  assert.ok(before.includes("route replace 192.168.51.50/32 dev if101 table 77 proto 17"));
  assert.ok(kernel.link("podrouter-vx4"));
  assert.deepEqual(await settle(kernel, IPIP, wanted("192.168.51.50")), [
    "link delete podrouter-vx4",
  ]);
  const vni = await settle(kernel, { ...VXLAN, vni: 78 }, wanted("192.168.51.50"));
  assert.match(vni[0] ?? "", /^link add podrouter-vx4 .* id 78/);
  const again = await settle(kernel, { ...VXLAN, vni: 79 }, wanted("192.168.51.50"));
  assert.deepEqual(again.slice(0, 1), ["link delete podrouter-vx4"]);
  assert.match(again[1] ?? "", /^link add podrouter-vx4 .* id 79/);
});

test("two IPv6 nodes with one short name: the second is refused and named", async () => {
  // Found by search: their SHA-256 begin with the same ten digits.
  const [first, second] = [ip("fd00:51::5:5ac2"), ip("fd00:51::9:bfaa")];
  const want = {
    own: { 4: undefined, 6: ip("fd00:50::50") },
    ownPodCidrs: [prefix("fd00:10:64::/64")],
    remotes: [first, second, first].map((node) => ({ 4: undefined, 6: node })),
  };
  for (const settings of [VXLAN, IPIP]) {
    const kernel = new FakeOverlay(["fd00:50::50/64"]);
    await settle(kernel, settings, want);
    const { targets, problems } = desiredOverlay(
      settings,
      want,
      new HostState(await kernel.read()),
    );
    assert.deepEqual(
      targets.map((target) => target.node),
      [first],
    );
    assert.equal(problems.length, 1);
    assert.match(problems[0]?.message ?? "", /have the same short name for their tunnels/);
  }
});

test("which devices are ours", () => {
  const made: HostLink = { ...FOREIGN_VXLAN, name: "podrouter-vx4", mac: "0e:58:c0:a8:32:32" };
  const tunnel = { ...NIC, kind: "ipip", local: ip("10.0.1.10"), remote: ip("10.0.2.10") };
  for (const [link, ours] of [
    [made, true],
    [{ ...made, mac: "0e:58:c0:a8:32:33" }, false],
    [{ ...made, mac: undefined, alias: DEVICE_ALIAS }, true],
    [{ ...made, name: "vx", alias: DEVICE_ALIAS }, false],
    [{ ...made, kind: "bridge", alias: DEVICE_ALIAS }, false],
    [{ ...tunnel, name: "tun-0a00020a" }, true],
    [{ ...tunnel, name: "tun-0a00020b" }, false],
    [{ ...tunnel, name: "tun-0a00020b", alias: DEVICE_ALIAS }, true],
    // kube-router's form.
    [{ ...tunnel, name: "tun-5a1c0f3e2b4", alias: undefined }, false],
    [{ ...tunnel, name: "tun0", kind: "tun" }, false],
  ] as const) {
    assert.equal(isOurDevice(link), ours, JSON.stringify(link));
  }
});

test("names fit, differ for different IPv4 nodes, and overheads are those of the headers", () => {
  assert.notEqual(tunnelName(ip("21.3.0.4")), tunnelName(ip("2.13.0.4")));
  assert.equal(vtepGateway(ip("10.0.2.10")), "10.0.2.10");
  assert.match(vtepGateway(ip("fd00:51::50")), /^fe80::[0-9a-f:]+$/);
  fc.assert(
    fc.property(fc.ipV4(), fc.ipV4(), fc.ipV6(), (a, b, c) => {
      const same = ip(a) === ip(b);
      assert.equal(tunnelName(ip(a)) === tunnelName(ip(b)), same);
      assert.equal(vtepMac(ip(a)) === vtepMac(ip(b)), same);
      for (const one of [a, c]) {
        assert.ok(tunnelName(ip(one)).length <= 15);
        // Locally administered, and of one station.
        assert.match(vtepMac(ip(one)), /^0e(?::[0-9a-f]{2}){5}$/);
      }
    }),
  );
  assert.deepEqual([overheadBytes("vxlan", 4), overheadBytes("vxlan", 6)], [50, 70]);
  assert.deepEqual([overheadBytes("ipip", 4), overheadBytes("ipip", 6)], [20, 40]);
});

/** Addresses in a few subnets, so that some are local and some are not. */
const node = fc
  .tuple(fc.integer({ min: 48, max: 53 }), fc.integer({ min: 1, max: 20 }))
  .map(([subnet, host]) => `192.168.${subnet}.${host}`);

test("what is tunnelled is what the routes find in no subnet", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(node), fc.uniqueArray(node), async (remotes, others) => {
      const kernel = new FakeOverlay(["192.168.50.50/24", ...others.map((one) => `${one}/24`)]);
      const dump = await kernel.read();
      // In a VRF: with a subnet that no other has, and with one of a Node.
      const vrf = { ...NIC, index: 7, name: "eth7", vrf: true };
      const subnets = ["192.168.52.9", "192.168.53.9"].map((text) => {
        return { link: 7, address: ip(text), subnet: prefix(text.replace(/9$/, "0/24")) };
      });
      const links = [...dump.links, vrf];
      const addresses = [...subnets, ...dump.addresses];
      const topology = new Topology(links, addresses);
      const host = new HostState({ ...dump, links, addresses });
      const { targets } = desiredOverlay(VXLAN, wanted(...remotes), host);
      const tunnelled = new Set<IpAddress>(targets.map((target) => target.node));
      for (const remote of remotes) {
        const way = topology.resolve(4, ip(remote));
        const own = others.includes(remote);
        const lost = !way.ok && way.why.reason === "no-subnet";
        if (!own) assert.equal(tunnelled.has(ip(remote)), lost, remote);
      }
    }),
  );
});

test("from any state to any other: exactly what is wanted is there, nothing foreign moved", async () => {
  const settings = fc.record({
    type: fc.constantFrom("subnet" as const, "full" as const),
    encap: fc.constantFrom("vxlan" as const, "ipip" as const),
    vni: fc.integer({ min: 77, max: 78 }),
    port: fc.constant(4789),
  });
  const stage = fc.tuple(settings, fc.uniqueArray(node, { maxLength: 8 }));
  await fc.assert(
    fc.asyncProperty(fc.array(stage, { minLength: 1, maxLength: 4 }), async (stages) => {
      const kernel = new FakeOverlay();
      kernel.addLink({ ...FOREIGN_VXLAN, vni: 5 });
      kernel.put(
        { kind: "route", prefix: prefix("192.0.2.0/24"), link: 2, gateway: undefined },
        true,
      );
      for (const [flags, remotes] of stages) {
        const want = wanted(...remotes.filter((one) => one !== "192.168.50.50"));
        await settle(kernel, flags, want);
        assert.deepEqual(await settle(kernel, flags, want), []);
        const host = new HostState(await kernel.read());
        const { targets, devices } = desiredOverlay(flags, want, host);
        const ours = [...kernel.links.values()].filter(isOurDevice).map(({ name }) => name);
        assert.deepEqual(ours.sort(), [...devices.keys()].sort());
        const routes = kernel.itemsOf("route").filter(({ prefix: to }) => to !== "192.0.2.0/24");
        assert.equal(routes.length, targets.length);
        assert.equal(kernel.itemsOf("rule").length, targets.length > 0 ? 1 : 0);
        const each = flags.encap === "vxlan" ? targets.length : 0;
        assert.equal(kernel.itemsOf("forwarding").length, each);
        assert.equal(kernel.itemsOf("neighbour").length, each);
        assert.ok(kernel.link("flannel.1"));
        const foreign = { kind: "route", prefix: prefix("192.0.2.0/24"), link: 2 } as const;
        assert.equal(kernel.items.get(itemKey({ ...foreign, gateway: undefined }))?.foreign, true);
      }
    }),
    { numRuns: 60 },
  );
});
