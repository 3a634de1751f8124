/** What the kernel's events about entries mean; all else is seen with the kernel itself. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Neighbour, NeighbourFlag, NeighbourState } from "netlink-ts";
import { isRepetition } from "../../src/overlay/netlink-words.ts";

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
