import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { PathAttributes } from "../../../src/bgp/message/types.ts";
import { LAST_RESORT } from "../../../src/bgp/rib/next-hop-table.ts";
import type { LostReason } from "../../../src/bgp/types.ts";
import { prefix } from "../../../src/ip/prefix.ts";
import { address, type LabPeerOptions, LOCAL_AS, RibLab, route } from "../../support/rib-lab.ts";

const P = "203.0.113.0/24";

interface Contender {
  readonly peer?: LabPeerOptions;
  readonly attributes: PathAttributes;
}

/** Announces both; gives why the second lost against the first, in both orders of arrival. */
function duel(winner: Contender, loser: Contender): LostReason | undefined {
  const reasons = [0, 1].map((order) => {
    const lab = new RibLab();
    lab.rib.setNextHopMetric((nextHop) => (nextHop === "192.0.2.9" ? 10 : 5));
    const a = lab.peer("10.0.0.2", winner.peer).up();
    const b = lab.peer("10.0.0.3", loser.peer).up();
    if (order === 0) a.announce([P], winner.attributes);
    b.announce([P], loser.attributes);
    if (order === 1) a.announce([P], winner.attributes);
    const paths = [...lab.rib.paths({ view: "loc" })];
    assert.equal(paths.length, 2);
    assert.equal(paths[0]!.peer?.address, "10.0.0.2");
    assert.equal(paths[0]!.best, true);
    assert.equal(paths[0]!.lost, undefined);
    return paths[1]!.lost;
  });
  assert.equal(reasons[0], reasons[1]);
  return reasons[0];
}

const external = (remoteAs: number, more: LabPeerOptions = {}) => ({ remoteAs, ...more });
const STALE = 0xffff0006;

const DUELS: readonly [LostReason, Contender, Contender][] = [
  [
    "long-lived stale",
    { attributes: route() },
    { attributes: route({ localPref: 500, communities: [STALE] }) },
  ],
  [
    "lower LOCAL_PREF",
    { attributes: route({ path: [1, 2, 3] }) },
    { attributes: route({ localPref: 99 }) },
  ],
  [
    "longer AS_PATH",
    { attributes: route({ path: [1], origin: 2 }) },
    { attributes: route({ path: [2, 3] }) },
  ],
  [
    "higher ORIGIN",
    { attributes: route({ path: [1], med: 9 }) },
    { attributes: route({ path: [1], origin: 1, med: 0 }) },
  ],
  [
    "higher MED",
    { attributes: route({ path: [1], med: 0 }) },
    { attributes: route({ path: [1], med: 1 }), peer: external(1) },
  ],
  [
    "internal",
    { attributes: route({ path: [1], med: 9, nextHop: address("192.0.2.9") }), peer: external(1) },
    { attributes: route({ path: [2] }) },
  ],
  [
    "higher IGP cost",
    { attributes: route({ originatorId: 900 }) },
    { attributes: route({ nextHop: address("192.0.2.9"), originatorId: 1 }) },
  ],
  [
    "higher router id",
    { attributes: route({ clusterList: [1, 2] }), peer: { remoteRouterId: 5 } },
    { attributes: route(), peer: { remoteRouterId: 6 } },
  ],
  [
    "higher router id",
    { attributes: route({ originatorId: 4 }), peer: { remoteRouterId: 50 } },
    { attributes: route(), peer: { remoteRouterId: 6 } },
  ],
  [
    "longer CLUSTER_LIST",
    { attributes: route({ originatorId: 7, clusterList: [1] }) },
    { attributes: route({ originatorId: 7, clusterList: [1, 2] }) },
  ],
  [
    "higher address",
    { attributes: route(), peer: { remoteRouterId: 5 } },
    { attributes: route(), peer: { remoteRouterId: 5 } },
  ],
  [
    "AS loop",
    { attributes: route({ path: [1, 2, 3, 4] }) },
    { attributes: route({ path: [64512] }) },
  ],
  ["reflection loop", { attributes: route() }, { attributes: route({ originatorId: 0x0a000001 }) }],
  [
    "reflection loop",
    { attributes: route() },
    { attributes: route({ clusterList: [0x0a000001] }) },
  ],
  [
    "import policy",
    { attributes: route({ path: [1, 2, 3, 4] }) },
    { attributes: route({ path: [9] }), peer: external(9, { importPolicy: undefined }) },
  ],
];

for (const [reason, winner, loser] of DUELS) {
  test(`a path loses by "${reason}", in whichever order they came`, () => {
    assert.equal(duel(winner, loser), reason);
  });
}

test("an AS loop is one by the speaker's AS and by the one that the peer is shown", () => {
  const lab = new RibLab();
  const a = lab.peer("10.0.0.2", { remoteAs: 65001, localAs: 64999 }).up();
  a.announce(["10.1.0.0/16"], route({ path: [65001, 64999] }));
  a.announce(["10.2.0.0/16"], route({ path: [65001, 64512] }));
  a.announce(["10.3.0.0/16"], route({ path: [65001, 64998] }));
  assert.deepEqual(
    [...lab.rib.paths({ view: "loc" })].map((path) => path.lost),
    ["AS loop", "AS loop", undefined],
  );
});

test("an own route wins over a learned one of equal LOCAL_PREF, and loses to a higher one", () => {
  const lab = new RibLab();
  const a = lab.peer("10.0.0.2").up();
  const own = { prefix: prefix(P), nextHop: address("10.0.0.1"), communities: [], med: undefined };
  lab.rib.originate([own]);
  a.announce([P], route());
  const [best, other] = [...lab.rib.paths({ view: "loc" })];
  assert.equal(best!.peer, undefined);
  assert.equal(other!.lost, "local origin");
  assert.deepEqual(lab.rib.lookupBest(prefix(P)), { prefix: P, nextHops: [], stale: false });
  a.announce([P], route({ localPref: 101 }));
  assert.deepEqual(lab.rib.lookupBest(prefix(P))?.nextHops, ["192.0.2.1"]);
});

test("paths of one ADD-PATH peer: the lower identifier wins at the very end", () => {
  const lab = new RibLab();
  const a = lab.peer("10.0.0.2", { session: { addPathReceive: [4] } }).up();
  a.announce([`${P}#8`, `${P}#3`], route());
  const paths = [...lab.rib.paths({ view: "loc" })];
  assert.deepEqual(
    paths.map((path) => [path.pathId, path.lost]),
    [
      [3, undefined],
      [8, "higher path id"],
    ],
  );
});

test("MED eliminates within its AS before the next step, whatever the order of arrival", () => {
  // A beats B by MED; B beats C by router id; C beats A by router id: a circle in pairs.
  const contenders: readonly Contender[] = [
    { attributes: route({ path: [1], med: 1 }), peer: external(1, { remoteRouterId: 30 }) },
    { attributes: route({ path: [1], med: 2 }), peer: external(1, { remoteRouterId: 10 }) },
    { attributes: route({ path: [2], med: 0 }), peer: external(2, { remoteRouterId: 20 }) },
  ];
  for (const order of permutations([0, 1, 2])) {
    const lab = new RibLab();
    const peers = contenders.map(({ peer }, i) => lab.peer(`10.0.0.${i + 2}`, peer).up());
    for (const i of order) peers[i]!.announce([P], contenders[i]!.attributes);
    assert.deepEqual(
      [...lab.rib.paths({ view: "loc" })].map((p) => [p.peer?.address, p.lost]),
      [
        ["10.0.0.4", undefined],
        ["10.0.0.2", "higher router id"],
        ["10.0.0.3", "higher MED"],
      ],
    );
    // Without A, B is back and wins.
    peers[0]!.withdraw([P]);
    assert.equal([...lab.rib.paths({ view: "loc" })][0]!.peer?.address, "10.0.0.3");
  }
});

test("any set of paths: the best is the same in any order of arrival", () => {
  const path = fc.record({
    as: fc.constantFrom(1, 2),
    med: fc.nat(2),
    localPref: fc.constantFrom(100, 200),
    internal: fc.boolean(),
    routerId: fc.integer({ min: 1, max: 6 }),
  });
  fc.assert(
    fc.property(
      fc.array(path, { minLength: 2, maxLength: 7 }).chain((paths) =>
        fc.record({
          paths: fc.constant(paths),
          order: fc.shuffledSubarray([...paths.keys()], { minLength: paths.length }),
        }),
      ),
      ({ paths, order }) => {
        const winners = [[...paths.keys()], order].map((indices) => {
          const lab = new RibLab();
          const peers = paths.map((p, i) => {
            const remoteRouterId = p.routerId;
            const options = p.internal ? { remoteRouterId } : { remoteAs: p.as, remoteRouterId };
            return lab.peer(`10.0.0.${i + 2}`, options).up();
          });
          for (const i of indices) {
            const { as, med, localPref } = paths[i]!;
            peers[i]!.announce([P], route({ path: [as], med, localPref }));
          }
          return [...lab.rib.paths({ view: "loc" })][0]!.peer?.address;
        });
        assert.equal(winners[0], winners[1]);
      },
    ),
    { numRuns: 150 },
  );
});

test("multipath: equal up to the IGP cost, at most as many as allowed, best first", () => {
  const lab = new RibLab({ maximumPaths: 2, consumer: true });
  const peers = [5, 3, 4].map((id) => lab.peer(`10.0.0.${id}`, { remoteRouterId: id }).up());
  for (const [i, peer] of peers.entries()) {
    peer.announce([P], route({ nextHop: address(`192.0.2.${i + 1}`) }));
  }
  assert.deepEqual(lab.rib.takeBestChanges(10), [
    { prefix: P, nextHops: ["192.0.2.2", "192.0.2.3"], stale: false },
  ]);
  assert.deepEqual(
    [...lab.rib.paths({ view: "loc" })].map((p) => [p.best, p.multipath, p.lost]),
    [
      [true, false, undefined],
      [false, true, "higher router id"],
      [false, false, "higher router id"],
    ],
  );
  // One of those used goes: another takes its place, and the consumer hears of it.
  peers[2]!.withdraw([P]);
  assert.equal(lab.bestDirty, 2);
  assert.deepEqual(lab.rib.takeBestChanges(10)[0]!.nextHops, ["192.0.2.2", "192.0.2.1"]);
  lab.rib.setGlobals({ localAs: 64512, routerId: 1, clusterId: 1, maximumPaths: 1 });
  assert.deepEqual(lab.rib.takeBestChanges(10)[0]!.nextHops, ["192.0.2.2"]);
});

test("multipath: neither what is farther nor an internal path beside an external one", () => {
  const lab = new RibLab({ maximumPaths: 8, consumer: true });
  lab.rib.setNextHopMetric((nextHop) => (nextHop === "192.0.2.9" ? 10 : 5));
  const from = (id: number, nextHop: string, remoteAs = LOCAL_AS) => {
    const peer = lab.peer(`10.0.0.${id}`, { remoteRouterId: id, remoteAs }).up();
    peer.announce([P], route({ nextHop: address(nextHop), path: [65001] }));
  };
  const used = () => lab.rib.takeBestChanges(10)[0]?.nextHops;
  from(2, "192.0.2.9");
  assert.deepEqual(used(), ["192.0.2.9"]);
  from(3, "192.0.2.3");
  from(4, "192.0.2.4");
  assert.deepEqual(used(), ["192.0.2.3", "192.0.2.4"]);
  from(5, "192.0.2.5", 65001);
  assert.deepEqual(used(), ["192.0.2.5"]);
});

test("next hops: unreachable ones are not used, and costs may change", () => {
  const lab = new RibLab({ consumer: true });
  const a = lab.peer("10.0.0.2").up();
  const b = lab.peer("10.0.0.3").up();
  let costs = new Map<string, number>([["192.0.2.1", 5]]);
  lab.rib.setNextHopMetric((nextHop) => costs.get(nextHop));
  a.announce([P], route());
  b.announce([P], route({ nextHop: address("192.0.2.2") }));
  const look = () => [...lab.rib.paths({ view: "loc" })].map((p) => [p.nextHop, p.valid, p.lost]);
  assert.deepEqual(look(), [
    ["192.0.2.1", true, undefined],
    ["192.0.2.2", false, "next hop unreachable"],
  ]);
  costs = new Map([
    ["192.0.2.1", 5],
    ["192.0.2.2", 1],
  ]);
  lab.rib.nextHopsChanged();
  assert.deepEqual(look(), [
    ["192.0.2.2", true, undefined],
    ["192.0.2.1", true, "higher IGP cost"],
  ]);
  // Of some alone: the others are not asked for, and one that is not in use is none.
  const asked: string[] = [];
  lab.rib.setNextHopMetric((nextHop) => {
    asked.push(nextHop);
    return 7;
  });
  asked.length = 0;
  lab.rib.nextHopsChanged([address("192.0.2.2"), address("192.0.2.77")]);
  assert.deepEqual(asked, ["192.0.2.2"]);
  costs = new Map();
  lab.rib.setNextHopMetric((nextHop) => costs.get(nextHop));
  assert.equal(lab.rib.lookupBest(prefix(P)), undefined);
  assert.deepEqual(lab.rib.takeBestChanges(10), [{ prefix: P, nextHops: [], stale: false }]);
});

test("next hops of the last resort: any other is better, and alone they are used", () => {
  const lab = new RibLab({ consumer: true });
  const a = lab.peer("10.0.0.2").up();
  const b = lab.peer("10.0.0.3").up();
  const gone = new Set<string>();
  lab.rib.setNextHopMetric((nextHop) => (gone.has(nextHop) ? LAST_RESORT : 0));
  a.announce([P], route({ localPref: 200 }));
  b.announce([P], route({ nextHop: address("192.0.2.2"), communities: [STALE] }));
  const changed = (...hops: string[]) => {
    gone.clear();
    for (const hop of hops) gone.add(hop);
    lab.rib.nextHopsChanged();
    return lab.rib.takeBestChanges(10).map(({ nextHops }) => nextHops);
  };
  const look = () => [...lab.rib.paths({ view: "loc" })].map((p) => [p.nextHop, p.valid, p.lost]);
  assert.deepEqual(changed(), [["192.0.2.1"]]);
  assert.deepEqual(changed("192.0.2.1"), [["192.0.2.2"]]);
  assert.deepEqual(look(), [
    ["192.0.2.2", true, undefined],
    ["192.0.2.1", true, "next hop unreachable"],
  ]);
  // Both: as if none were, and what is installed is not taken away.
  assert.deepEqual(changed("192.0.2.1", "192.0.2.2"), [["192.0.2.1"]]);
  assert.deepEqual(changed("192.0.2.2"), []);
  b.announce([P], route({ nextHop: address("192.0.2.2"), localPref: 300 }));
  assert.deepEqual(changed("192.0.2.2"), []);
  assert.deepEqual(changed(), [["192.0.2.2"]]);
});

test("next hops of the last resort take no part in multipath", () => {
  const lab = new RibLab({ consumer: true, maximumPaths: 4 });
  const hops = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
  let gone = "192.0.2.2";
  lab.rib.setNextHopMetric((nextHop) => (nextHop === gone ? LAST_RESORT : 0));
  hops.forEach((hop, i) => {
    const peer = lab.peer(`10.0.0.${i + 2}`).up();
    peer.announce([P], route({ nextHop: address(hop) }));
  });
  assert.deepEqual(lab.rib.lookupBest(prefix(P))!.nextHops, ["192.0.2.1", "192.0.2.3"]);
  gone = "";
  lab.rib.nextHopsChanged();
  assert.deepEqual(lab.rib.lookupBest(prefix(P))!.nextHops, hops);
});

function permutations(items: readonly number[]): number[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item) =>
    permutations(items.filter((other) => other !== item)).map((rest) => [item, ...rest]),
  );
}
