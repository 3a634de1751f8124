/** Long-lived stale routes: RFC 9494. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { prefix } from "../../../src/ip/prefix.ts";
import { RibLab, route } from "../../support/rib-lab.ts";
import { recount } from "../../support/rib-recount.ts";

const LLGR = { kind: "longLivedGracefulRestart", families: [] } as const;

test("long-lived stale: last choice, marked, told only to peers that know, RFC 9494", () => {
  const lab = new RibLab();
  const a = lab.peer("10.0.0.2", { routeReflectorClient: true }).up();
  const b = lab.peer("10.0.0.3", { routeReflectorClient: true }).up();
  const knows = lab.peer("10.0.0.4", { session: { longLivedGracefulRestart: LLGR } }).up();
  const ignorant = lab.peer("10.0.0.5").up();
  a.announce(["10.1.0.0/16", "10.2.0.0/16"], route({ localPref: 500 }));
  a.announce(["10.3.0.0/16"], route({ communities: [0xffff0007] }));
  b.announce(["10.2.0.0/16"], route());
  for (const peer of [knows, ignorant]) peer.receive();
  assert.equal(knows.view.size, 3);
  a.down([4]);
  lab.rib.markLongLived(a.id, 4);
  lab.settle();
  for (const peer of [knows, ignorant]) peer.receive();
  assert.deepEqual([...knows.view.keys()].sort(), ["10.1.0.0/16", "10.2.0.0/16"]);
  assert.deepEqual([...knows.view.get("10.1.0.0/16")!.communities], [0xffff0006]);
  assert.deepEqual([...ignorant.view.keys()], ["10.2.0.0/16"]);
  assert.equal(ignorant.view.get("10.2.0.0/16")!.localPref, 100);
  const listed = [...lab.rib.paths({ view: "loc", prefix: prefix("10.2.0.0/16") })];
  assert.equal(listed[1]!.lost, "long-lived stale");
  assert.equal(listed[1]!.stale, true);
  // A second restart does not end the long-lived time; only a sweep does.
  a.up();
  a.down([4]);
  assert.equal(lab.rib.counters(a.id).find((c) => c.family === 4)!.received, 2);
  a.up();
  a.announce(["10.1.0.0/16"], route({ localPref: 500 }));
  lab.rib.setPeerPolicies(a.id, { importPolicy: undefined });
  lab.rib.endOfRib(a.id, 4);
  for (const peer of [knows, ignorant]) peer.receive();
  assert.deepEqual([...knows.view.get("10.1.0.0/16")!.communities], []);
  assert.deepEqual(knows.held(), ignorant.held());
});

/** An import policy that marks what has the community 1:1 with NO_LLGR. */
const importMarked = {
  name: "marks",
  defaultResult: "accept",
  statements: [
    {
      name: "some",
      match: { communities: [0x1_0001] },
      set: { addCommunities: [0xffff0007] },
      result: "accept",
    },
  ],
} as const;

test("what the import policy marks with NO_LLGR is not kept either, RFC 9494 §4.2", () => {
  const lab = new RibLab();
  const a = lab.peer("10.0.0.2", { importPolicy: importMarked }).up();
  a.announce(["10.1.0.0/16"], route({ communities: [0x1_0001] }));
  a.announce(["10.2.0.0/16"], route({ communities: [0x2_0002] }));
  a.down([4]);
  lab.rib.markLongLived(a.id, 4);
  lab.settle();
  const left = [...lab.rib.paths({ view: "loc" })].map((p) => [p.prefix, p.communities]);
  assert.deepEqual(left, [["10.2.0.0/16", ["2:2", "65535:6"]]]);
});

test("what the peer sent with NO_LLGR is not kept though the import policy takes it off", () => {
  const lab = new RibLab();
  const set = { removeCommunities: [0xffff0007] };
  const statements = [{ name: "s", match: {}, set, result: "accept" as const }];
  const importPolicy = { name: "p", statements, defaultResult: "reject" } as const;
  const a = lab.peer("10.0.0.2", { importPolicy }).up();
  a.announce(["10.1.0.0/16"], route({ communities: [0xffff0007] }));
  a.announce(["10.2.0.0/16"]);
  const communities = () => [...lab.rib.paths({ view: "loc" })].map((p) => p.communities);
  assert.deepEqual(communities(), [[], []]);
  a.down([4]);
  lab.rib.markLongLived(a.id, 4);
  lab.settle();
  assert.deepEqual(communities(), [["65535:6"]]);
});

test("a policy that comes to mark long-lived stale paths with NO_LLGR ends them", () => {
  const lab = new RibLab();
  const a = lab.peer("10.0.0.2").up();
  a.announce(["10.1.0.0/16"], route({ communities: [0x1_0001] }));
  a.announce(["10.2.0.0/16"], route({ communities: [0x2_0002] }));
  a.down([4]);
  lab.rib.markLongLived(a.id, 4);
  lab.settle();
  // Also where the walk has more to do to each path.
  lab.rib.setPeerPolicies(a.id, { importPolicy: importMarked, routeReflectorClient: true });
  lab.settle();
  const left = [...lab.rib.paths({ view: "loc" })].map((p) => [p.prefix, p.communities]);
  assert.deepEqual(left, [["10.2.0.0/16", ["2:2", "65535:6"]]]);
});

test("a peer that is away is forgotten with the last path that a policy so ends", () => {
  const lab = new RibLab();
  const a = lab.peer("10.0.0.2").up();
  a.announce(["10.1.0.0/16"], route({ communities: [0x1_0001] }));
  a.down([4]);
  lab.rib.markLongLived(a.id, 4);
  lab.settle();
  lab.rib.setPeerPolicies(a.id, { importPolicy: importMarked });
  recount(lab.rib);
  assert.deepEqual(lab.rib.sizes(), { prefixes: 0, paths: 0, attributeSets: 0 });
});

test("an import policy that changes leaves long-lived stale paths marked", () => {
  const lab = new RibLab();
  const a = lab.peer("10.0.0.2").up();
  a.announce(["10.1.0.0/16"]);
  a.down([4]);
  lab.rib.markLongLived(a.id, 4);
  lab.settle();
  a.up();
  const set = { localPref: 70 };
  const statements = [{ name: "s", match: {}, set, result: "accept" as const }];
  lab.rib.setPeerPolicies(a.id, {
    importPolicy: { name: "p", statements, defaultResult: "reject" },
  });
  lab.settle();
  const [path] = [...lab.rib.paths({ view: "loc" })];
  assert.deepEqual(path!.communities, ["65535:6"]);
  assert.equal(path!.localPref, 70);
  assert.equal(path!.stale, true);
});
