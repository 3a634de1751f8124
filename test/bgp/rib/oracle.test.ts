/**
 * Property: whatever happens, the RIB's best paths and what each receiver holds after decoding all
 * that it was sent are what the naive RIB works out from scratch.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { PathAttributes, RouteFamily } from "../../../src/bgp/message/types.ts";
import type { Policy } from "../../../src/bgp/rib/policy-types.ts";
import type { OriginatedRoute } from "../../../src/bgp/types.ts";
import { prefix, prefixFamily } from "../../../src/ip/prefix.ts";
import { NaiveRib } from "../../support/naive-rib.ts";
import {
  ACCEPT_ALL,
  address,
  describe,
  type LabPeer,
  type LabPeerOptions,
  LOCAL_AS,
  RibLab,
  ROUTER_ID,
  route,
} from "../../support/rib-lab.ts";

const LLGR = { kind: "longLivedGracefulRestart", families: [] } as const;

/** Every kind of peer that is told differently. */
const PEERS: readonly [string, LabPeerOptions][] = [
  ["10.0.0.2", { session: { families: [4, 6] } }],
  ["10.0.0.3", { session: { families: [4, 6] } }],
  ["10.0.0.4", { nextHopSelf: true, session: { families: [4, 6], extendedNextHop: true } }],
  ["10.0.0.5", { routeReflectorClient: true, session: { families: [4, 6] } }],
  ["10.0.0.6", { routeReflectorClient: true, remoteRouterId: 9 }],
  ["10.0.0.7", { remoteAs: 65001, session: { families: [4, 6] } }],
  ["10.0.0.8", { remoteAs: 65001, remoteRouterId: 9, session: { families: [4, 6] } }],
  ["10.0.0.9", { remoteAs: 65002, session: { longLivedGracefulRestart: LLGR } }],
  [
    "10.0.0.10",
    {
      routeReflectorClient: true,
      session: { families: [4, 6], addPathSend: [4], addPathReceive: [4] },
    },
  ],
  ["10.0.0.11", { remoteAs: 65003, session: { families: [4, 6], addPathSend: [4, 6] } }],
  ["2001:db8::2", { remoteAs: 65002, session: { families: [6], longLivedGracefulRestart: LLGR } }],
];

const PREFIXES = [
  "0.0.0.0/0",
  "10.0.0.0/8",
  "10.1.0.0/16",
  "10.1.2.0/24",
  "192.168.0.0/24",
  "203.0.113.7/32",
  "2001:db8::/32",
  "2001:db8:1::/48",
  "2001:db8:1:2::/64",
];
const KEYS = [...PREFIXES, "10.0.0.0/8#7", "10.1.2.0/24#7", "10.1.2.0/24#8"];

const NEXT_HOPS = ["192.0.2.1", "192.0.2.2", "192.0.2.3"] as const;

const POLICIES: readonly (Policy | undefined)[] = [
  undefined,
  ACCEPT_ALL,
  { name: "none", statements: [], defaultResult: "reject" },
  {
    name: "by prefix",
    defaultResult: "accept",
    statements: [
      {
        name: "tens",
        match: { prefixes: [{ prefix: prefix("10.0.0.0/8"), ge: 16, le: 24 }] },
        set: { localPref: 200, med: 5, addCommunities: [0x1_0001] },
        result: "next",
      },
      {
        name: "marked",
        match: { communities: [0x1_0001], asPathLengthMax: 3 },
        set: { prepend: { as: 65010, count: 2 }, removeCommunities: [0x2_0002] },
        result: "accept",
      },
      {
        name: "six",
        match: { prefixes: [{ prefix: prefix("2001:db8::/32"), ge: 33, le: 128 }] },
        set: {},
        result: "reject",
      },
    ],
  },
  {
    name: "by attributes",
    defaultResult: "reject",
    statements: [
      { name: "own", match: { originated: true }, set: { med: 77 }, result: "accept" },
      { name: "long", match: { asPathLengthMin: 3 }, set: {}, result: "reject" },
      {
        name: "large",
        match: { largeCommunities: ["1:2:3"] },
        set: { nextHopSelf: true, addLargeCommunities: ["4:5:6"] },
        result: "accept",
      },
      { name: "rest", match: {}, set: { localPref: 50 }, result: "accept" },
    ],
  },
];

const pick = <T>(values: readonly T[]) => fc.constantFrom(...values);
const peerIndex = fc.nat(PEERS.length - 1);
const family = pick<RouteFamily>([4, 6]);
const keys = fc.uniqueArray(pick(KEYS), { minLength: 1, maxLength: 5 });

const attributes: fc.Arbitrary<PathAttributes> = fc
  .record({
    path: fc.array(pick([65001, 65002, 65005, LOCAL_AS]), { maxLength: 3 }),
    origin: pick([0, 1, 2] as const),
    nextHop: pick(NEXT_HOPS),
    med: pick([undefined, 0, 10, 20]),
    localPref: pick([undefined, 50, 200]),
    communities: fc.uniqueArray(
      pick([
        0x1_0001, 0x2_0002, 0xffff0000, 0xffff0006, 0xffff0007, 0xffffff01, 0xffffff02, 0xffffff03,
      ]),
      { maxLength: 2 },
    ),
    largeCommunities: pick([[], ["1:2:3"]]),
    originatorId: pick([undefined, 7, ROUTER_ID]),
    clusterList: pick([[], [1], [1, 2], [ROUTER_ID]]),
  })
  .map(({ path, nextHop, ...rest }) => {
    // The own AS and reflection loops come seldom enough to leave something to decide.
    const asns = path.length > 2 ? path : path.filter((as) => as !== LOCAL_AS);
    return route({ ...rest, path: asns, nextHop: address(nextHop) });
  });

const originated: fc.Arbitrary<OriginatedRoute[]> = fc
  .uniqueArray(pick(PREFIXES), { maxLength: 3 })
  .chain((prefixes) =>
    fc.tuple(
      ...prefixes.map((text) =>
        fc.record({
          prefix: fc.constant(prefix(text)),
          nextHop: fc.constant(address(text.includes(":") ? "2001:db8::50" : "192.0.2.50")),
          communities: pick([[], [0xffffff01]]),
          med: pick([undefined, 30]),
        }),
      ),
    ),
  );

const BOTH: readonly RouteFamily[] = [4, 6];

type Operation =
  | { readonly kind: "up" | "endOfRib" | "beginRefresh" | "endRefresh"; readonly peer: number }
  | { readonly kind: "down"; readonly peer: number; readonly retain: readonly RouteFamily[] }
  | {
      readonly kind: "announce";
      readonly peer: number;
      readonly keys: readonly string[];
      readonly attributes: PathAttributes;
    }
  | { readonly kind: "withdraw"; readonly peer: number; readonly keys: readonly string[] }
  | { readonly kind: "drain"; readonly peer: number; readonly bytes: number }
  | { readonly kind: "hold"; readonly peer: number; readonly held: boolean }
  | { readonly kind: "refreshOut"; readonly peer: number; readonly family: RouteFamily }
  | { readonly kind: "longLived"; readonly peer: number; readonly family: RouteFamily }
  | {
      readonly kind: "policies";
      readonly peer: number;
      readonly importPolicy: Policy | undefined;
      readonly exportPolicy: Policy | undefined;
      readonly client: boolean;
    }
  | { readonly kind: "originate"; readonly routes: readonly OriginatedRoute[] }
  | { readonly kind: "costs"; readonly costs: readonly (number | undefined)[] }
  | { readonly kind: "cluster"; readonly id: number }
  | { readonly kind: "work" | "take"; readonly budget: number };

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("up" as const), peer: peerIndex }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("down" as const),
      peer: peerIndex,
      retain: pick([[], [4 as const], [4 as const, 6 as const]]),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant("announce" as const),
      peer: peerIndex,
      keys,
      attributes,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("withdraw" as const), peer: peerIndex, keys }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("drain" as const),
      peer: peerIndex,
      bytes: pick([1, 50, 200, 65536]),
    }),
  },
  fc.record({ kind: fc.constant("hold" as const), peer: peerIndex, held: fc.boolean() }),
  fc.record({ kind: fc.constant("refreshOut" as const), peer: peerIndex, family }),
  fc.record({ kind: fc.constant("longLived" as const), peer: peerIndex, family }),
  fc.record({
    kind: pick(["endOfRib", "beginRefresh", "endRefresh"] as const),
    peer: peerIndex,
  }),
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("policies" as const),
      peer: peerIndex,
      importPolicy: pick(POLICIES),
      exportPolicy: pick(POLICIES),
      client: fc.boolean(),
    }),
  },
  fc.record({ kind: fc.constant("originate" as const), routes: originated }),
  fc.record({
    kind: fc.constant("costs" as const),
    costs: fc.tuple(...NEXT_HOPS.map(() => pick<number | undefined>([undefined, 0, 1, 2]))),
  }),
  fc.record({ kind: fc.constant("cluster" as const), id: pick([ROUTER_ID, 1, 2]) }),
  fc.record({ kind: pick(["work", "take"] as const), budget: fc.nat(3) }),
);

/** The RIB under test and the naive one, fed alike. */
class Pair {
  readonly lab: RibLab;
  readonly naive: NaiveRib;
  readonly peers: LabPeer[];
  /** What a kernel would hold that follows the changes of best routes. */
  readonly kernel = new Map<string, string>();

  constructor() {
    const groupLimits = { chunkRowsMax: 3, chunkBucketsMax: 2, sharedBytesMax: 100 };
    this.lab = new RibLab({ groupLimits, workAtOnce: 2, consumer: true });
    this.naive = new NaiveRib({ localAs: LOCAL_AS, routerId: ROUTER_ID, clusterId: ROUTER_ID });
    this.peers = PEERS.map(([text, options]) => this.lab.peer(text, options));
  }

  run(operation: Operation): void {
    if (!("peer" in operation)) this.runGlobal(operation);
    else {
      const peer = this.peers[operation.peer]!;
      if (operation.kind === "up") {
        if (!peer.isUp) {
          peer.up();
          this.naive.peerUp(peer.config);
        }
      } else if (peer.isUp) this.runOnPeer(operation, peer);
      else if (peer.id >= 0 && this.naive.peers.has(peer.config.address)) {
        this.runOnDownPeer(operation, peer);
      }
    }
  }

  private runGlobal(operation: Exclude<Operation, { readonly peer: number }>): void {
    const { rib } = this.lab;
    switch (operation.kind) {
      case "originate":
        rib.originate(operation.routes);
        this.naive.originated = operation.routes;
        return;
      case "costs": {
        const cost = (nextHop: string) => {
          const index = (NEXT_HOPS as readonly string[]).indexOf(nextHop);
          return index < 0 ? 0 : operation.costs[index];
        };
        rib.setNextHopMetric(cost);
        this.naive.cost = cost;
        return;
      }
      case "cluster": {
        const globals = { localAs: LOCAL_AS, routerId: ROUTER_ID, clusterId: operation.id };
        rib.setGlobals({ ...globals, maximumPaths: 1 });
        this.naive.globals = globals;
        return;
      }
      case "take":
        this.takeBest(operation.budget);
        return;
      case "work":
        rib.work(operation.budget);
    }
  }

  private runOnPeer(operation: Operation, peer: LabPeer): void {
    const { rib } = this.lab;
    const { address: of } = peer.config;
    switch (operation.kind) {
      case "down":
        peer.isUp = false;
        rib.peerDown(peer.id, { retainStale: operation.retain });
        this.naive.peerDown(of, operation.retain);
        return;
      case "announce": {
        const usable = usableKeys(peer, operation.keys);
        peer.announce(usable, operation.attributes);
        this.naive.announce(of, usable, operation.attributes);
        return;
      }
      case "withdraw": {
        const usable = usableKeys(peer, operation.keys);
        peer.withdraw(usable);
        this.naive.withdraw(of, usable);
        return;
      }
      case "drain":
        peer.receiveSome(operation.bytes);
        return;
      case "hold":
        rib.holdOutput(peer.id, operation.held);
        return;
      case "refreshOut":
        rib.refreshOut(peer.id, operation.family, { enhanced: false });
        return;
      case "beginRefresh":
        rib.beginRefresh(peer.id, 4);
        this.naive.beginRefresh(of, 4);
        return;
      case "endRefresh":
        rib.endRefresh(peer.id, 4);
        this.naive.sweep(of, 4);
        return;
      case "endOfRib":
        rib.endOfRib(peer.id, 4);
        this.naive.sweep(of, 4);
        return;
      case "policies": {
        const { importPolicy, exportPolicy, client } = operation;
        const changes = { importPolicy, exportPolicy, routeReflectorClient: client };
        peer.config = { ...peer.config, ...changes };
        rib.setPeerPolicies(peer.id, changes);
        this.naive.peers.get(of)!.config = peer.config;
      }
    }
  }

  private runOnDownPeer(operation: Operation, peer: LabPeer): void {
    const { address: of } = peer.config;
    if (operation.kind === "longLived") {
      // Tasks of a long table come in slices, each with what has changed until then.
      this.lab.settle();
      this.lab.rib.markLongLived(peer.id, operation.family);
      this.lab.settle();
      this.naive.markLongLived(of, operation.family);
    } else if (operation.kind === "endOfRib") {
      this.lab.rib.sweepStale(peer.id, 4);
      this.naive.sweep(of, 4);
    }
  }

  compare(): void {
    this.lab.settle();
    const expected = [...this.naive.locRib()]
      .map(
        ([of, best]) => `${of} ${best.from?.address} ${best.pathId} ${describe(best.attributes)}`,
      )
      .sort();
    const actual = [...this.lab.rib.paths({ view: "loc" })]
      .filter((path) => path.best)
      .map((path) => `${path.prefix} ${path.peer?.address} ${path.pathId}`);
    assert.deepEqual(
      actual.sort(),
      expected.map((line) => line.split(" ").slice(0, 3).join(" ")).sort(),
    );
    this.compareKernel();
    for (const peer of this.peers) {
      if (!peer.isUp) continue;
      this.lab.rib.holdOutput(peer.id, false);
      peer.receive();
      assert.deepEqual(peer.heldByPrefix(), this.expectedView(peer), peer.config.name);
    }
  }

  private takeBest(max: number): number {
    const routes = this.lab.rib.takeBestChanges(max);
    for (const { prefix: of, nextHops } of routes) {
      if (nextHops.length === 0) this.kernel.delete(of);
      else this.kernel.set(of, nextHops.join(" "));
    }
    return routes.length;
  }

  private compareKernel(): void {
    while (this.takeBest(2) > 0) {}
    const expected = [...this.naive.locRib()]
      .filter(([, best]) => best.from !== undefined)
      .map(([of, best]): [string, string] => [of, best.attributes.nextHop ?? ""]);
    assert.deepEqual([...this.kernel].sort(), expected.sort());
  }

  /** Takes everything down: no row, no path, no attribute set may be left behind. */
  end(): void {
    const { rib } = this.lab;
    rib.originate([]);
    this.naive.originated = [];
    for (const peer of this.peers) {
      if (peer.isUp) peer.down();
      else if (peer.id >= 0 && this.naive.peers.has(peer.config.address)) {
        for (const of of BOTH) rib.sweepStale(peer.id, of);
        this.lab.settle();
      }
    }
    this.naive.peers.clear();
    this.compareKernel();
    assert.deepEqual(rib.sizes(), { prefixes: 0, paths: 0, attributeSets: 0 });
  }

  private expectedView(peer: LabPeer): string[] {
    return [...this.naive.view(peer.config)]
      .flatMap(([of, told]) => told.map((attributes) => `${of} ${describe(attributes)}`))
      .sort();
  }
}

/** Path identifiers only from peers that send them; no families that were not negotiated. */
function usableKeys(peer: LabPeer, all: readonly string[]): string[] {
  const { families, addPathReceive } = peer.config.negotiated;
  return all.filter((key) => {
    const [text, id] = key.split("#");
    const of = prefixFamily(prefix(text!));
    return families.includes(of) && (id === undefined || addPathReceive.includes(of));
  });
}

function runAll(operations: readonly Operation[], compareEach: boolean): void {
  const pair = new Pair();
  for (const operation of operations) {
    pair.run(operation);
    if (compareEach) pair.compare();
  }
  pair.compare();
  pair.end();
}

const RUNS = Number(process.env["RIB_ORACLE_RUNS"] ?? 400);
const SEED =
  process.env["RIB_ORACLE_SEED"] === undefined
    ? {}
    : { seed: Number(process.env["RIB_ORACLE_SEED"]), path: process.env["RIB_ORACLE_PATH"] ?? "" };

test("the RIB and its receivers agree with the naive RIB after any history", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 80, size: "max" }), (operations) =>
      runAll(operations, false),
    ),
    { numRuns: RUNS, ...SEED },
  );
});

test("… and after each step of it", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 40, size: "max" }), (operations) =>
      runAll(operations, true),
    ),
    { numRuns: Math.ceil(RUNS / 4), ...SEED },
  );
});
