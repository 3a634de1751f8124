/** Routes whose attributes leave no room in a peer's messages: kept from it, and said, while so. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PathAttributes } from "../../../src/bgp/message/types.ts";
import { type LabPeer, RibLab, route } from "../../support/rib-lab.ts";
import { recount } from "../../support/rib-recount.ts";

const [ONE, TWO, THREE] = ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"] as const;
const EXTENDED = { sendBytesMax: 65_535, receiveBytesMax: 65_535 };

/** Attributes beyond 4,096 octets. */
function large(changes: Partial<PathAttributes> = {}): PathAttributes {
  const communities = Array.from({ length: 1100 }, (_, i) => 0x1_0000 + i);
  return route({ path: [65001], communities, ...changes });
}

/** Advertised and too large, as counted for the peer; all is as it is now for all others too. */
function counts(peer: LabPeer): readonly [number, number] {
  const { rib } = peer.lab;
  recount(rib);
  const [family] = rib.counters(peer.id);
  const said = rib.oversized().filter(({ id }) => id === peer.id);
  assert.equal(said[0]?.count ?? 0, family!.oversized);
  return [family!.advertised, family!.oversized];
}

function lab() {
  const it = new RibLab();
  const source = it.peer("10.0.0.2", { remoteAs: 65001, session: EXTENDED }).up();
  const narrow = it.peer("10.0.0.3").up();
  const wide = it.peer("10.0.0.4", { session: EXTENDED }).up();
  const read = () => {
    for (const peer of [source, narrow, wide]) peer.receive();
  };
  return { it, source, narrow, wide, read };
}

test("who has room is told, who has not is not, and that is said as long as it is so", () => {
  const { it, source, narrow, wide, read } = lab();
  source.announce([ONE, TWO], large());
  source.announce([THREE], route({ path: [65001] }));
  read();
  assert.deepEqual(
    [counts(source), counts(narrow), counts(wide)],
    [
      [0, 0],
      [1, 2],
      [3, 0],
    ],
  );
  assert.deepEqual([...narrow.view.keys()], [THREE]);
  assert.deepEqual(it.rib.oversized(), [{ id: narrow.id, count: 2, example: ONE }]);
  const told = [...it.rib.paths({ view: "out", peer: narrow.config.address })];
  assert.deepEqual(
    told.map(({ prefix }) => prefix),
    [THREE],
    "a listing has what the peer was told",
  );
  source.announce([ONE], route({ path: [65001] }));
  read();
  assert.deepEqual(counts(narrow), [2, 1]);
  assert.deepEqual(it.rib.oversized(), [{ id: narrow.id, count: 1, example: TWO }]);
  source.withdraw([TWO]);
  read();
  assert.deepEqual(counts(narrow), [2, 0]);
  source.announce([THREE], large());
  read();
  assert.deepEqual(counts(narrow), [1, 1]);
  assert.deepEqual([...narrow.view.keys()], [ONE], "what it had before is withdrawn");
  source.down();
  read();
  assert.deepEqual(counts(narrow), [0, 0]);
  assert.deepEqual(it.rib.oversized(), []);
});

test("another prefix in the place of one that was too large is not", () => {
  const { source, narrow, read } = lab();
  source.announce([ONE], large());
  read();
  source.withdraw([ONE]);
  read();
  source.announce([TWO], route({ path: [65001] }));
  assert.deepEqual(counts(narrow), [0, 0]);
  read();
  assert.deepEqual(counts(narrow), [1, 0]);
});

test("a peer that is new, is told again or has another policy: each knows of its own", () => {
  const { it, source, narrow, read } = lab();
  source.announce([ONE, TWO], large());
  read();
  const late = it.peer("10.0.0.5").up();
  assert.deepEqual(counts(late), [0, 2]);
  late.receive();
  it.rib.refreshOut(narrow.id, 4, { enhanced: false });
  narrow.receive();
  assert.deepEqual(
    [counts(late), counts(narrow)],
    [
      [0, 2],
      [0, 2],
    ],
  );
  const removeCommunities = large().communities;
  const statements = [
    { name: "s", match: {}, set: { removeCommunities }, result: "accept" },
  ] as const;
  const exportPolicy = { name: "short", statements, defaultResult: "reject" } as const;
  it.rib.setPeerPolicies(late.id, { exportPolicy });
  late.receive();
  assert.deepEqual(
    [counts(late), counts(narrow)],
    [
      [2, 0],
      [0, 2],
    ],
  );
  assert.deepEqual([...late.view.keys()], [ONE, TWO]);
  it.rib.setPeerPolicies(late.id, { exportPolicy: undefined });
  late.receive();
  assert.deepEqual([counts(late), late.view.size], [[0, 2], 0]);
  late.down();
  narrow.down();
  assert.deepEqual(it.rib.oversized(), []);
  narrow.up().receive();
  assert.deepEqual(counts(narrow), [0, 2]);
});

test("of the paths of a prefix each is counted by itself with ADD-PATH", () => {
  const it = new RibLab();
  const addPath = { addPathSend: [4], addPathReceive: [4] } as const;
  const a = it.peer("10.0.0.2", { remoteAs: 65001, session: { ...EXTENDED, ...addPath } }).up();
  const b = it.peer("10.0.0.3", { remoteAs: 65002, session: { ...EXTENDED, ...addPath } }).up();
  const c = it.peer("10.0.0.4", { session: addPath }).up();
  const read = () => {
    for (const peer of [a, b, c]) peer.receive();
  };
  a.announce([`${ONE}#1`], large());
  a.announce([`${ONE}#2`], route({ path: [65001] }));
  b.announce([`${ONE}#1`], large({ asPath: [] }));
  read();
  assert.deepEqual(
    [counts(a), counts(b), counts(c)],
    [
      [1, 0],
      [2, 0],
      [1, 2],
    ],
  );
  assert.equal(c.view.size, 1);
  b.withdraw([`${ONE}#1`]);
  read();
  assert.deepEqual(
    [counts(a), counts(b), counts(c)],
    [
      [0, 0],
      [2, 0],
      [1, 1],
    ],
  );
  a.announce([`${ONE}#1`], route({ path: [65001], med: 7 }));
  read();
  assert.deepEqual([counts(c), c.view.size], [[2, 0], 2]);
});

test("an identifier that goes over from a path that is too large to another one is free of that", () => {
  const it = new RibLab();
  const addPath = { addPathSend: [4], addPathReceive: [4] } as const;
  const sources = Array.from({ length: 5 }, (_, i) =>
    it.peer(`10.0.0.${2 + i}`, { remoteAs: 65001, session: { ...EXTENDED, ...addPath } }).up(),
  );
  const c = it.peer("10.0.0.9", { session: addPath }).up();
  const ids = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, i) => `${ONE}#${from + i}`);
  for (const source of sources) source.announce(ids(1, 63), large());
  for (const source of sources) source.announce(ids(64, 64), route({ path: [65001] }));
  c.receive();
  const [all, tooLarge] = counts(c);
  assert.equal(all + tooLarge, 255);
  // What came last has identifiers; of 320 paths the first 65 have none.
  sources.at(-1)!.withdraw(ids(1, 63));
  for (const source of sources.slice(0, -1)) source.announce(ids(1, 63), route({ path: [65001] }));
  c.receive();
  assert.deepEqual(counts(c), [255, 0]);
  assert.equal(c.view.size, 255);
});
