/** What the kernel's words mean where no kernel of the tests says all of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type IpTunnel, type Neighbour, NeighbourFlag, NeighbourState } from "netlink-ts";
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
