/** A peer that begins anew again and again: what it told long ago never looks fresh. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RibLab } from "../../support/rib-lab.ts";
import { recount } from "../../support/rib-recount.ts";

const [OLD, NEW] = ["10.1.0.0/16", "10.2.0.0/16"] as const;

test("however many route refreshes begin, the end of one takes what was not sent again", () => {
  for (const begun of [1, 199, 200, 201, 255, 256, 257, 600]) {
    const lab = new RibLab();
    const a = lab.peer("10.0.0.2").up();
    a.announce([OLD, NEW]);
    for (let i = 0; i < begun; i++) {
      lab.rib.beginRefresh(a.id, 4);
      recount(lab.rib);
    }
    a.announce([NEW]);
    lab.rib.endRefresh(a.id, 4);
    lab.settle();
    recount(lab.rib);
    const left = [...lab.rib.paths({ view: "loc" })].map(({ prefix }) => prefix);
    assert.deepEqual(left, [NEW], `${begun} begun`);
  }
});

const LOSSES = [1, 127, 128, 129, 199, 200, 201, 249, 250, 255, 256, 257, 600];

test("however often a peer is lost, its long-lived stale paths go at the end of their time", () => {
  for (const [losses, refreshes] of LOSSES.flatMap((n) => [0, 1, 2].map((m) => [n, m] as const))) {
    const lab = new RibLab({ workAtOnce: 0 });
    const a = lab.peer("10.0.0.2").up();
    a.announce([OLD]);
    a.down([4]);
    lab.rib.markLongLived(a.id, 4);
    lab.settle();
    for (let i = 1; i < losses; i++) {
      a.up();
      for (let begun = 0; begun < refreshes; begun++) lab.rib.beginRefresh(a.id, 4);
      a.announce([NEW]);
      a.down([4]);
      recount(lab.rib);
    }
    a.up();
    a.announce([NEW]);
    lab.rib.sweepStale(a.id, 4);
    lab.settle();
    const left = [...lab.rib.paths({ view: "loc" })].map(({ prefix }) => prefix);
    assert.deepEqual(left, [NEW], `${losses} losses`);
    a.down([4]);
    lab.rib.sweepStale(a.id, 4);
    lab.settle();
    assert.deepEqual(lab.rib.sizes(), { prefixes: 0, paths: 0, attributeSets: 0 });
  }
});
