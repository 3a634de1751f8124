/** What can happen to a RIB, drawn at random: peers of all kinds, routes, policies, operations. */
import fc from "fast-check";
import type {
  NegotiatedSession,
  PathAttributes,
  RouteFamily,
} from "../../../src/bgp/message/types.ts";
import { LAST_RESORT } from "../../../src/bgp/rib/next-hop-table.ts";
import type { Policy } from "../../../src/bgp/rib/policy-types.ts";
import type { PrefixLimit } from "../../../src/bgp/rib/rib-peer.ts";
import type { OriginatedRoute } from "../../../src/bgp/types.ts";
import type { IpAddress } from "../../../src/ip/address.ts";
import { prefix } from "../../../src/ip/prefix.ts";
import {
  ACCEPT_ALL,
  address,
  type LabPeerOptions,
  LOCAL_AS,
  ROUTER_ID,
  route,
} from "../../support/rib-lab.ts";

const LLGR = { kind: "longLivedGracefulRestart", families: [] } as const;

/** Octets of a message that not all sets of attributes leave room in. */
const SMALL = 76;

/** Every kind of peer that is told differently. */
export const PEERS: readonly [string, LabPeerOptions][] = [
  ["10.0.0.2", { session: { families: [4, 6] } }],
  ["10.0.0.3", { session: { families: [4, 6], sendBytesMax: SMALL } }],
  ["10.0.0.4", { nextHopSelf: true, session: { families: [4, 6], extendedNextHop: true } }],
  ["10.0.0.5", { routeReflectorClient: true, session: { families: [4, 6] } }],
  ["10.0.0.6", { routeReflectorClient: true, remoteRouterId: 9, session: { sendBytesMax: SMALL } }],
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
  [
    "10.0.0.11",
    { remoteAs: 65003, session: { families: [4, 6], addPathSend: [4, 6], sendBytesMax: SMALL } },
  ],
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

export const NEXT_HOPS = [
  "192.0.2.1",
  "192.0.2.2",
  "192.0.2.3",
  "2001:db8::50",
  "fe80::1",
] as const;

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
        set: { nextHopSelf: true, addLargeCommunities: ["4:5:6"], addCommunities: [0xffff0007] },
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

const parts = {
  path: fc.array(pick([65001, 65002, 65005, LOCAL_AS]), { maxLength: 3 }),
  origin: pick([0, 1, 2] as const),
  nextHop: pick(NEXT_HOPS),
  med: pick([undefined, 0, 10, 20]),
  localPref: pick([undefined, 50, 200]),
  atomicAggregate: fc.boolean(),
  aggregator: pick([undefined, { as: 65005, address: 7 }]),
  communities: fc.uniqueArray(
    pick([
      0x1_0001, 0x2_0002, 0xffff0000, 0xffff0006, 0xffff0007, 0xffffff01, 0xffffff02, 0xffffff03,
    ]),
    { maxLength: 2 },
  ),
  // One that stays within the AS, and one that does not.
  extendedCommunities: fc.subarray(["0002fde800000001", "4004fde800000001"]),
  largeCommunities: pick([[], ["1:2:3"]]),
  originatorId: pick([undefined, 7, ROUTER_ID]),
  clusterList: pick([[], [1], [1, 2], [ROUTER_ID]]),
};

type Parts = {
  [K in keyof typeof parts]?: (typeof parts)[K] extends fc.Arbitrary<infer T> ? T : 0;
};

function attributesOf({ path = [], nextHop = NEXT_HOPS[0], ...rest }: Parts): PathAttributes {
  // The own AS and reflection loops come seldom enough to leave something to decide.
  const asns = path.length > 2 ? path : path.filter((as) => as !== LOCAL_AS);
  return route({ ...rest, path: asns, nextHop: address(nextHop) });
}

/** Some alike, some nearly: so that paths are often told apart by less, and by the last steps. */
const attributes = fc.oneof(
  fc.record(parts).map(attributesOf),
  fc.constant(attributesOf({})),
  fc
    .record(
      { nextHop: parts.nextHop, originatorId: pick([7]), clusterList: parts.clusterList },
      { requiredKeys: [] },
    )
    .map(attributesOf),
);

const originated: fc.Arbitrary<OriginatedRoute[]> = fc
  .uniqueArray(pick(PREFIXES), { maxLength: 3 })
  .chain((prefixes) =>
    fc.tuple(
      ...prefixes.map((text) =>
        fc.record({
          prefix: fc.constant(prefix(text)),
          nextHop: pick([undefined, address(text.includes(":") ? "2001:db8::50" : "192.0.2.50")]),
          communities: pick([[], [0xffffff01]]),
          med: pick([undefined, 30]),
        }),
      ),
    ),
  );

export type Operation =
  | {
      readonly kind: "up";
      readonly peer: number;
      readonly routerId: number | undefined;
      /** What is negotiated otherwise from now on. */
      readonly session: Partial<NegotiatedSession>;
      readonly nextHops: readonly IpAddress[] | undefined;
    }
  | { readonly kind: "endOfRib" | "beginRefresh" | "endRefresh"; readonly peer: number }
  | { readonly kind: "down"; readonly peer: number; readonly retain: readonly RouteFamily[] }
  | {
      readonly kind: "announce";
      readonly peer: number;
      readonly keys: readonly string[];
      readonly attributes: PathAttributes;
    }
  | {
      readonly kind: "withdraw";
      readonly peer: number;
      readonly keys: readonly string[];
      readonly malformed: boolean;
    }
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
      readonly nextHopSelf: boolean;
      readonly maximumPrefixes: PrefixLimit | undefined;
    }
  | { readonly kind: "originate"; readonly routes: readonly OriginatedRoute[] }
  | { readonly kind: "costs"; readonly costs: readonly (number | undefined)[] }
  | {
      readonly kind: "globals";
      readonly localAs: number;
      readonly routerId: number;
      readonly clusterId: number;
      readonly maximumPaths: number;
    }
  | { readonly kind: "work" | "take"; readonly budget: number };

const limit = (prefixes: number): PrefixLimit => ({ limit: prefixes, warningPercent: 75 });

/** What may be negotiated otherwise in the next session of a peer. */
const SESSIONS: readonly Partial<NegotiatedSession>[] = [
  { families: [4] },
  { families: [6] },
  { families: [4, 6] },
  { families: [6, 4] },
  { sendBytesMax: SMALL },
  { sendBytesMax: 4096 },
  { addPathSend: [4] },
  { addPathSend: [] },
  { addPathReceive: [4] },
  { addPathReceive: [] },
  { extendedNextHop: true },
  { longLivedGracefulRestart: LLGR },
  { longLivedGracefulRestart: undefined },
];

/** Our own addresses towards a peer. */
const OWN = [address("10.0.0.1"), address("2001:db8::1")];

const COSTS = [undefined, 0, 1, 2, LAST_RESORT];

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("up" as const),
      peer: peerIndex,
      // Another one than in the session before, now and then.
      routerId: pick([undefined, undefined, undefined, 9, 77]),
      session: fc.oneof({ weight: 3, arbitrary: fc.constant({}) }, pick(SESSIONS)),
      nextHops: pick([undefined, undefined, undefined, [], [address("10.0.0.1")], OWN]),
    }),
  },
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
    arbitrary: fc.record({
      kind: fc.constant("withdraw" as const),
      peer: peerIndex,
      keys,
      /** Announced, with attributes that nobody can use (RFC 7606 §2). */
      malformed: pick([false, false, false, true]),
    }),
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
      nextHopSelf: fc.boolean(),
      maximumPrefixes: pick([undefined, undefined, limit(1), limit(3)]),
    }),
  },
  fc.record({ kind: fc.constant("originate" as const), routes: originated }),
  fc.record({
    kind: fc.constant("costs" as const),
    costs: fc.tuple(...NEXT_HOPS.map(() => pick<number | undefined>(COSTS))),
  }),
  fc.record({
    kind: fc.constant("globals" as const),
    localAs: pick([LOCAL_AS, LOCAL_AS, 65005]),
    routerId: pick([ROUTER_ID, ROUTER_ID, 7]),
    clusterId: pick([ROUTER_ID, 1, 2]),
    maximumPaths: pick([1, 2, 3]),
  }),
  fc.record({ kind: pick(["work", "take"] as const), budget: fc.nat(3) }),
);

const AS_BEFORE = { routerId: undefined, session: {}, nextHops: undefined } as const;

/** Who is up at first: a history in which few ever are tells little. */
const peersUp: fc.Arbitrary<Operation[]> = fc
  .subarray([...PEERS.keys()])
  .map((peers) => peers.map((peer) => ({ kind: "up", peer, ...AS_BEFORE })));

/** What happens to a RIB from its beginning. */
export function history(maxLength: number): fc.Arbitrary<readonly Operation[]> {
  const rest = fc.array(operation, { maxLength, size: "max" });
  return fc.tuple(peersUp, rest).map(([first, then]) => [...first, ...then]);
}
