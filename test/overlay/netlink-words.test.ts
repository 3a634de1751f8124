/** What the kernel's words mean where no kernel of the tests says all of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type IpTunnel,
  type LinkInfo,
  type Neighbour,
  NeighbourFlag,
  NeighbourState,
} from "netlink-ts";
import { isRepetition, linkOf } from "../../src/overlay/netlink-words.ts";

const TOLD: Neighbour = {
  ...{ family: "bridge", interfaceIndex: 5, type: 1, linkAddress: "0e:58:0a:01:00:01" },
  ...{ state: NeighbourState.PERMANENT, flags: NeighbourFlag.SELF, destination: "10.1.0.1" },
};

test("a forwarding entry told again without its remote end says nothing new", () => {
  const { destination: _, ...nowhere } = TOLD;
  assert.equal(isRepetition({ ...nowhere, type: 0 }), true);
  assert.equal(isRepetition(TOLD), false);
  // One by a next hop group, from the device itself.
  assert.equal(isRepetition(nowhere), false);
  assert.equal(isRepetition({ ...TOLD, type: 0 }), false);
  assert.equal(isRepetition({ ...nowhere, family: 4, type: 0 }), false);
});

test("a setting of somebody's is told, of what decides whether packets get through", () => {
  const tuned = (info: LinkInfo) => {
    const common = { index: 5, name: "tun", type: 768, flags: 0, change: 0 };
    return linkOf({ ...common, info }).tuned;
  };
  const vxlan = { id: 77, ttl: 0, df: 0, learning: false, port: 4789 };
  assert.equal(tuned({ kind: "vxlan", vxlan }), false);
  // Linux before 5.0 has no df.
  assert.equal(tuned({ kind: "vxlan", vxlan: { ttl: 0, learning: false } }), false);
  for (const odd of [{ ttl: 1 }, { df: 1 }, { df: 2 }, { learning: true }]) {
    assert.equal(tuned({ kind: "vxlan", vxlan: { ...vxlan, ...odd } }), true);
  }
  for (const kind of ["ipip", "ip6tnl"]) {
    assert.equal(tuned({ kind, ipTunnel: { ttl: 64 } }), false);
    assert.equal(tuned({ kind, ipTunnel: { ttl: 1 } }), true);
    // As the inner packet's.
    assert.equal(tuned({ kind, ipTunnel: { ttl: 0 } }), true);
  }
  assert.equal(tuned({ kind: "veth" }), false);
});

test("a tunnel is fit when it carries what ours do, and in nothing else", () => {
  const unfit = (kind: string, ipTunnel: IpTunnel) => {
    const common = { index: 5, name: "tun", type: 768, flags: 0, change: 0 };
    return linkOf({ ...common, info: { kind, ipTunnel } }).unfit;
  };
  for (const [kind, own, other] of [
    ["ipip", 4, 137],
    ["ip6tnl", 41, 4],
  ] as const) {
    assert.equal(unfit(kind, {}), false);
    assert.equal(unfit(kind, { protocol: own, encapsulation: 0 }), false);
    assert.equal(unfit(kind, { protocol: 0 }), false);
    assert.equal(unfit(kind, { protocol: other }), true);
    // GUE.
    assert.equal(unfit(kind, { protocol: own, encapsulation: 2 }), true);
  }
});
