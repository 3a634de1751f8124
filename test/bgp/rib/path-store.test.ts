/** The store of paths by itself: what was put in comes out, and what has gone leaves its place. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AdjRibIn } from "../../../src/bgp/rib/adj-rib-in.ts";
import { AttributeStore } from "../../../src/bgp/rib/attribute-store.ts";
import { NextHopTable } from "../../../src/bgp/rib/next-hop-table.ts";
import { NO_PATH, PathStore, Verdict } from "../../../src/bgp/rib/path-store.ts";
import { PrefixTable } from "../../../src/bgp/rib/prefix-table.ts";
import { PrefixBatch } from "../../../src/ip/prefix-batch.ts";
import { RibLab, route } from "../../support/rib-lab.ts";

function lab() {
  const attributes = new AttributeStore(new NextHopTable(), 1);
  const table = new PrefixTable(4, 1);
  const paths = new PathStore(table, attributes);
  const batch = new PrefixBatch(1);
  const row = (number: number) => {
    batch.reset(4);
    batch.push4((number << 8) >>> 0, 24);
    return table.insert(batch, 0);
  };
  return { attributes, table, paths, row };
}

/** In three peers, of which two share a mark; more than the first columns hold, twice over. */
const PEERS = [1, 2, 33];
const PATHS = 3_000;

test("all of a path is kept while the columns grow, and its number serves again", () => {
  const { attributes, table, paths, row } = lab();
  const set = attributes.intern(route());
  const ribs = PEERS.map((peer) => new AdjRibIn(peer, 4));
  const place = (n: number) => ({ rib: ribs[n % 3]!, at: row(1 + ((n / 3) | 0)), id: n % 7 });
  const fill = () => {
    const made: number[] = [];
    for (let n = 0; n < PATHS; n++) {
      const { rib, at, id } = place(n);
      rib.epoch = n & 255;
      const path = paths.add(at, rib, id, n);
      paths.setAttributes(path, set, set, n % 2 === 0 ? Verdict.accepted : Verdict.policy);
      if (n % 5 === 0) paths.setLongLived(path);
      made.push(path);
    }
    return made;
  };
  const made = fill();
  const numbers = made.toSorted((a, b) => a - b);
  assert.deepEqual([new Set(made).size, numbers.at(-1)], [PATHS, PATHS]);
  for (const [n, path] of made.entries()) {
    const { rib, at, id } = place(n);
    assert.equal(paths.find(at, rib.peer, id), path);
    assert.deepEqual(
      [paths.row(path), paths.peer(path), paths.pathId(path), paths.epoch(path)],
      [at, rib.peer, id, n & 255],
    );
    const verdict = n % 2 === 0 ? Verdict.accepted : Verdict.policy;
    assert.deepEqual([paths.verdict(path), paths.isLongLived(path)], [verdict, n % 5 === 0]);
    assert.deepEqual([paths.receivedAttributes(path), paths.attributesOf(path)], [set, set]);
    assert.equal(paths.sinceSeconds(path), n);
  }
  for (const [k, rib] of ribs.entries()) {
    const listed: number[] = [];
    for (let path = rib.first; path !== NO_PATH; path = paths.nextOfPeer(path)) listed.push(path);
    assert.deepEqual(
      listed.reverse(),
      made.filter((_, n) => n % 3 === k),
    );
  }
  for (const [n, path] of made.entries()) paths.remove(path, place(n).rib);
  assert.ok(made.every((_, n) => table.marksOf(place(n).at) === 0));
  assert.deepEqual([paths.size, ribs.map(({ first }) => first)], [0, [NO_PATH, NO_PATH, NO_PATH]]);
  assert.deepEqual(
    fill().sort((a, b) => a - b),
    numbers,
    "no number more",
  );
});

test("a path is as old as its last change, and not as its last word", () => {
  const lab = new RibLab();
  const a = lab.peer("10.0.0.2").up();
  const since = () => [...lab.rib.paths({ view: "loc" })].map((path) => path.since);
  a.announce(["10.1.0.0/16"], route());
  const [first] = since() as [number];
  lab.now += 60_000;
  a.announce(["10.1.0.0/16"], route());
  assert.deepEqual(since(), [first]);
  a.announce(["10.1.0.0/16"], route({ path: [65001] }));
  assert.deepEqual(since(), [first + 60_000]);
});
