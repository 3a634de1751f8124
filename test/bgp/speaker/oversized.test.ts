/** A route that is too large for the messages of one peer, beside one that takes long messages. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { prefix } from "../../../src/ip/prefix.ts";
import { World } from "../../support/speakers.ts";

test("what has no room in a peer's messages is said of that peer, while it is so", () => {
  const world = new World();
  const us = world.node("192.0.2.1");
  const wide = world.node("192.0.2.2");
  const narrow = world.node("192.0.2.3");
  const extended = { extendedMessage: true };
  us.peers([wide, narrow], extended);
  wide.peers([us], extended);
  narrow.peers([us], { extendedMessage: false });
  const communities = Array.from({ length: 1100 }, (_, i) => 0x1_0000 + i);
  const originate = (...large: string[]) => {
    const more = { nextHop: undefined, med: undefined };
    us.speaker.originate([
      { prefix: prefix("10.9.0.0/24"), communities: [], ...more },
      ...large.map((text) => ({ prefix: prefix(text), communities, ...more })),
    ]);
    world.advance(1000);
  };
  for (const node of [us, wide, narrow]) node.speaker.start();
  world.until(() => us.isUp(wide) && us.isUp(narrow), "sessions");
  originate("10.1.0.0/24", "10.2.0.0/24");
  assert.equal(wide.routes().length, 3);
  assert.equal(narrow.routes().length, 1);
  const said = { name: us.status(narrow).name, address: narrow.address, messageBytesMax: 4096 };
  const example = prefix("10.1.0.0/24");
  assert.deepEqual(us.speaker.troubles().oversized, [{ ...said, count: 2, example }]);
  const counted = () =>
    [wide, narrow].map((node) => us.status(node).families.map((f) => [f.advertised, f.oversized]));
  assert.deepEqual(counted(), [[[3, 0]], [[1, 2]]]);
  originate();
  assert.deepEqual(us.speaker.troubles().oversized, []);
  originate("10.1.0.0/24");
  assert.deepEqual(us.speaker.troubles().oversized, [{ ...said, count: 1, example }]);
  // With long messages on both sides there is room.
  narrow.peers([us], extended);
  world.until(() => narrow.routes().length === 2, "the large route");
  assert.deepEqual(us.speaker.troubles().oversized, []);
  assert.deepEqual(counted(), [[[2, 0]], [[2, 0]]]);
});
