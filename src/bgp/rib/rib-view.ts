/**
 * What `podrouter rib` and users of the library see of the RIB: objects and text, made on demand
 * and lazily. Why a path lost is worked out here, by running the decision again.
 */
import { addressFromWord, FAMILIES, type IpAddress } from "../../ip/address.ts";
import { NO_NEXT_HOPS } from "../../ip/next-hop-batch.ts";
import type { Prefix } from "../../ip/prefix.ts";
import { formatPrefix } from "../../ip/prefix-batch.ts";
import { Origin, type PathAttributes, type RouteFamily } from "../message/types.ts";
import type { BestRoute, FamilyCounters, LostReason, RibPath } from "../types.ts";
import type { Advertised } from "./adj-rib-out.ts";
import type { AttributeStore } from "./attribute-store.ts";
import { exportedAttributes } from "./export-rules.ts";
import type { FamilyRib } from "./family-rib.ts";
import type { NextHopTable } from "./next-hop-table.ts";
import { NO_PATH, type PathId } from "./path-store.ts";
import { formatAsPath, formatCommunity } from "./path-text.ts";
import { LOCAL_PEER, type PeerId, type PeerTable } from "./peer-table.ts";
import { NO_ROW, type PrefixTable, type RowId } from "./prefix-table.ts";
import type { PeerState } from "./rib-peer.ts";
import { type PrefixQuery, selectRows } from "./row-select.ts";
import type { UpdateGroup } from "./update-group.ts";

/** Which paths to list, and of which table. */
export interface PathQuery extends PrefixQuery {
  /**
   * "loc": all paths after import; "in": as received; "out": as `peer` was told them. With "loc"
   * and "in", `peer` leaves only the paths that came from it.
   */
  readonly view: "loc" | "in" | "out";
  readonly peer?: IpAddress | undefined;
  /** Most prefixes to list; all unless told. */
  readonly limit?: number | undefined;
}

/** What of the RIB the views read. */
export interface ViewInputs {
  readonly ribs: { readonly 4: FamilyRib; readonly 6: FamilyRib };
  readonly store: AttributeStore;
  readonly nextHops: NextHopTable;
  readonly peers: PeerTable<PeerState>;
  maximumPaths(): number;
  findPeer(address: IpAddress): PeerState | undefined;
}

const ORIGIN_NAMES = { [Origin.igp]: "igp", [Origin.egp]: "egp" } as const;

/**
 * Paths in listing order, the best of a prefix first. To be read before the RIB changes again: a
 * prefix that goes in between is left out, and so is one that comes in its place. What is read of
 * one prefix is of one moment all the same, for somebody may look at a page for minutes, and
 * numbers of paths serve others meanwhile.
 */
export function* listPaths(inputs: ViewInputs, query: PathQuery): Generator<RibPath> {
  const peer = query.peer === undefined ? undefined : inputs.findPeer(query.peer);
  if (peer === undefined && (query.peer !== undefined || query.view === "out")) return;
  let left = query.limit ?? Number.POSITIVE_INFINITY;
  for (const family of FAMILIES) {
    if (query.family !== undefined && query.family !== family) continue;
    const rib = inputs.ribs[family];
    const rows = selectRows(rib.table, query, left, (row) => {
      if (query.view === "out") return isAdvertised(peer!, family, row);
      return pathsOf(rib, row, peer?.id).length > 0;
    });
    left -= rows.length;
    const prints = Uint32Array.from(rows, (row) => rib.table.fingerprint(row));
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      if (!rib.table.isUsed(row) || rib.table.fingerprint(row) >>> 0 !== prints[i]) continue;
      // Its number may be another peer's now.
      if (query.peer !== undefined && inputs.findPeer(query.peer) !== peer) return;
      if (query.view === "out") yield* advertisedPaths(inputs, peer!, rib, row);
      else yield* rowPaths(inputs, rib, row, peer?.id, query.view === "in");
    }
  }
}

/** What the kernel should have for the row's prefix, `known` where the caller has its text. */
export function bestRoute(
  inputs: ViewInputs,
  rib: FamilyRib,
  row: RowId,
  known?: Prefix,
): BestRoute {
  const best = rib.table.best(row);
  return {
    prefix: known ?? prefixOf(rib.table, row),
    nextHops: bestNextHops(inputs, rib, row),
    stale: best !== NO_PATH && isStale(rib, best),
  };
}

/** All best routes, in no order; to be read before the RIB changes again. */
export function* listBest(inputs: ViewInputs): Generator<BestRoute> {
  for (const family of FAMILIES) {
    const rib = inputs.ribs[family];
    for (let row = 1; row < rib.table.rowLimit; row++) {
      if (!rib.table.isUsed(row) || rib.table.best(row) === NO_PATH) continue;
      yield bestRoute(inputs, rib, row);
    }
  }
}

/** Ways of the row's best route; none when there is no route, or it is our own. */
export function bestNextHops(inputs: ViewInputs, rib: FamilyRib, row: RowId): readonly IpAddress[] {
  const { paths, decision, table } = rib;
  const best = table.best(row);
  if (best === NO_PATH || paths.peer(best) === LOCAL_PEER) return NO_NEXT_HOPS;
  const maximumPaths = inputs.maximumPaths();
  if (maximumPaths <= 1)
    return inputs.nextHops.alone(inputs.store.nextHop(paths.attributesOf(best)));
  const nextHops: IpAddress[] = [];
  for (const path of decision.multipath(row, maximumPaths)) {
    const nextHop = inputs.nextHops.address(inputs.store.nextHop(paths.attributesOf(path)));
    if (nextHop !== undefined && !nextHops.includes(nextHop)) nextHops.push(nextHop);
  }
  return nextHops;
}

function prefixOf(table: PrefixTable, row: RowId): Prefix {
  const w0 = table.word(row, 0);
  const length = table.length(row);
  if (table.family === 4) return formatPrefix(4, w0, 0, 0, 0, length);
  return formatPrefix(6, w0, table.word(row, 1), table.word(row, 2), table.word(row, 3), length);
}

function pathsOf(rib: FamilyRib, row: RowId, peer: PeerId | undefined): PathId[] {
  const result: PathId[] = [];
  const { paths } = rib;
  for (let path = rib.table.head(row); path !== NO_PATH; path = paths.next(path)) {
    if (peer === undefined || paths.peer(path) === peer) result.push(path);
  }
  return result;
}

function rowPaths(
  inputs: ViewInputs,
  rib: FamilyRib,
  row: RowId,
  peer: PeerId | undefined,
  asReceived: boolean,
): RibPath[] {
  const { paths, decision } = rib;
  const prefix = prefixOf(rib.table, row);
  const best = rib.table.best(row);
  const lost = decision.explain(row);
  const together = decision.multipath(row, inputs.maximumPaths());
  const order = (path: PathId) => {
    const place = together.indexOf(path);
    return place >= 0 ? place : together.length;
  };
  const listed = pathsOf(rib, row, peer);
  listed.sort((a, b) => order(a) - order(b) || paths.peer(a) - paths.peer(b) || a - b);
  return listed.map((path) => {
    const id = asReceived ? paths.receivedAttributes(path) : paths.attributesOf(path);
    return describe(inputs, inputs.store.get(id), {
      prefix,
      family: rib.family,
      best: path === best,
      multipath: path !== best && together.includes(path),
      valid: decision.isEligible(path),
      stale: isStale(rib, path),
      lost: path === best ? undefined : lost.get(path),
      source: paths.peer(path),
      pathId: paths.pathId(path),
      since: paths.sinceSeconds(path) * 1000,
    });
  });
}

/** Counts for each negotiated family, or each with stale paths while the peer is down. */
export function familyCounters(
  { ribs }: ViewInputs,
  { id, up, seats }: PeerState,
): FamilyCounters[] {
  const families = up ? seats.map((seat) => seat.family) : FAMILIES;
  return families.map((family) => {
    const into = ribs[family].adjRibIn(id);
    const seat = seats.find((candidate) => candidate.family === family);
    const out = seat?.group.out;
    const oversized = out?.oversized.sizeFor(id) ?? 0;
    return {
      family,
      received: into.received,
      accepted: into.accepted,
      advertised: out === undefined ? 0 : out.size - out.sizeFrom(id) - oversized,
      oversized,
      stale: into.staleReason === "restart" ? into.stale : 0,
      endOfRibReceived: into.endOfRibReceived,
      endOfRibSent: seat?.member.endOfRibSent ?? false,
    };
  });
}

/** Routes of one family that one peer is not told, for their size. */
export interface Oversized {
  readonly id: PeerId;
  readonly count: number;
  /** One of them. */
  readonly example: Prefix;
}

/** One for each member of these groups that is concerned. */
export function listOversized(
  inputs: ViewInputs,
  groups: readonly Pick<UpdateGroup, "members" | "out" | "options">[],
): Oversized[] {
  return groups.flatMap(({ members, out: { oversized }, options: { family } }) =>
    [...members.keys()].flatMap((id) => {
      const row = oversized.exampleFor(id);
      if (row === NO_ROW) return [];
      const example = prefixOf(inputs.ribs[family].table, row);
      return [{ id, count: oversized.sizeFor(id), example }];
    }),
  );
}

function isAdvertised(peer: PeerState, family: RouteFamily, row: RowId): boolean {
  const seat = peer.seats.find((candidate) => candidate.family === family);
  if (seat === undefined) return false;
  return seat.group.out.list(row).some((entry) => entry.source !== peer.id);
}

function advertisedPaths(
  inputs: ViewInputs,
  peer: PeerState,
  rib: FamilyRib,
  row: RowId,
): RibPath[] {
  const seat = peer.seats.find((candidate) => candidate.family === rib.family);
  if (seat === undefined) return [];
  const prefix = prefixOf(rib.table, row);
  return seat.group.out.list(row).flatMap((entry) => {
    if (entry.source === peer.id) return [];
    const { peers, store } = inputs;
    const source = { kind: peers.kind(entry.source), routerId: peers.routerId(entry.source) };
    const values = store.get(entry.attributes);
    const exported = exportedAttributes(seat.group.options, source, values, entry.outcome);
    if (exported === undefined) return [];
    const path = advertisedPath(rib, row, entry);
    return describe(inputs, exported, {
      prefix,
      family: rib.family,
      best: rib.table.best(row) === path,
      multipath: false,
      valid: true,
      stale: path !== undefined && isStale(rib, path),
      lost: undefined,
      source: entry.source,
      pathId: entry.pathId,
      since: path === undefined ? 0 : rib.paths.sinceSeconds(path) * 1000,
    });
  });
}

/** The path that was advertised; undefined when it has gone, and the group has not looked since. */
function advertisedPath(rib: FamilyRib, row: RowId, entry: Advertised): PathId | undefined {
  const { paths, table } = rib;
  const candidates = pathsOf(rib, row, entry.source);
  const { receivedId } = entry;
  if (receivedId !== undefined) return candidates.find((one) => paths.pathId(one) === receivedId);
  return candidates.find((one) => one === table.best(row)) ?? candidates[0];
}

interface PathFacts {
  readonly prefix: Prefix;
  readonly family: RouteFamily;
  readonly best: boolean;
  readonly multipath: boolean;
  readonly valid: boolean;
  readonly stale: boolean;
  readonly lost: LostReason | undefined;
  readonly source: PeerId;
  readonly pathId: number;
  readonly since: number;
}

function describe(inputs: ViewInputs, attributes: PathAttributes, facts: PathFacts): RibPath {
  const { source, ...rest } = facts;
  const peer = source === LOCAL_PEER ? undefined : inputs.peers.find(source);
  const { aggregator, originatorId } = attributes;
  return {
    ...rest,
    peer: peer === undefined ? undefined : { name: peer.config.name, address: peer.address },
    nextHop: attributes.nextHop,
    asPath: formatAsPath(attributes.asPath),
    origin: originName(attributes.origin),
    localPref: attributes.localPref,
    med: attributes.med,
    communities: attributes.communities.map(formatCommunity),
    extendedCommunities: attributes.extendedCommunities,
    largeCommunities: attributes.largeCommunities,
    atomicAggregate: attributes.atomicAggregate,
    aggregator:
      aggregator === undefined
        ? undefined
        : { as: aggregator.as, address: addressFromWord(aggregator.address) },
    originatorId: originatorId === undefined ? undefined : addressFromWord(originatorId),
    clusterList: attributes.clusterList.map(addressFromWord),
    attributesOpaque: attributes.opaque.map(({ type, flags, value }) => ({
      type,
      flags,
      hex: Buffer.from(value).toString("hex"),
    })),
  };
}

function originName(origin: Origin): RibPath["origin"] {
  return origin === Origin.incomplete ? "incomplete" : ORIGIN_NAMES[origin];
}

/** Stale by a restart of its peer; a route refresh under way does not show. */
function isStale(rib: FamilyRib, path: PathId): boolean {
  const into = rib.adjRibIn(rib.paths.peer(path));
  if (into.staleReason !== "restart") return rib.paths.isLongLived(path);
  return rib.paths.epoch(path) !== into.epoch || rib.paths.isLongLived(path);
}
