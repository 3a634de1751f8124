/**
 * The routing information base: what the speaker's sessions feed with decoded UPDATEs and read
 * encoded UPDATEs from. Synchronous and free of I/O and clocks; says by callbacks when there is
 * something to fetch, and never calls back twice before it was fetched.
 *
 * Vocabulary: RFC 4271 §3.2. `FamilyRib` has Adj-RIB-In, decision and Loc-RIB of a family,
 * `UpdateGroup` the Adj-RIB-Out of peers that are told the same; `RibState` holds them together.
 */
import { FAMILIES, type IpAddress } from "../../ip/address.ts";
import { type Prefix, prefixFamily } from "../../ip/prefix.ts";
import { PrefixBatch, pushPrefix } from "../../ip/prefix-batch.ts";
import { assert } from "../../runtime/assert.ts";
import type { PathAttributes, RouteFamily } from "../message/types.ts";
import type { DecodedUpdate } from "../message/update.ts";
import type { BestRoute, FamilyCounters, OriginatedRoute, RibPath } from "../types.ts";
import { PathTask } from "./adj-rib-in.ts";
import { EPOCHS_MAX } from "./limits.ts";
import { NextHopReader } from "./next-hop-reader.ts";
import type { NextHopMetric } from "./next-hop-table.ts";
import { localAttributes } from "./originate.ts";
import { hasOutput, readOutput } from "./output-reader.ts";
import { LOCAL_PEER, type PeerId } from "./peer-table.ts";
import {
  type PrefixLimitState,
  prefixLimit,
  takeLimitState,
  takeNewLimitState,
  WITHIN_LIMIT,
} from "./prefix-limit-state.ts";
import { kindOf, type PeerState, type RibPeer, type RibPeerPolicies } from "./rib-peer.ts";
import { type RibGlobals, type RibOptions, RibState } from "./rib-state.ts";
import {
  bestRoute,
  familyCounters,
  listBest,
  listOversized,
  listPaths,
  type Oversized,
  type PathQuery,
} from "./rib-view.ts";

export class Rib {
  /** Best routes in columns. */
  readonly nextHops: NextHopReader;
  private readonly state: RibState;
  private readonly ribs: RibState["ribs"];
  private readonly single = new PrefixBatch(1);

  constructor(options: RibOptions) {
    this.state = new RibState(options);
    this.ribs = this.state.ribs;
    this.nextHops = new NextHopReader(this.state);
  }

  /** Changes settings while running; what they decide is decided again. */
  setGlobals(globals: RibGlobals): void {
    const { state } = this;
    const before = state.globals;
    state.globals = globals;
    if (globals.maximumPaths !== before.maximumPaths) {
      for (const family of FAMILIES) this.ribs[family].bestMayDiffer();
    }
    const identity =
      globals.localAs !== before.localAs ||
      globals.routerId !== before.routerId ||
      globals.clusterId !== before.clusterId;
    if (identity) {
      for (const peer of state.peers.all()) {
        if (state.registry.describe(peer, globals)) state.walkPaths(peer, PathTask.reimport);
        state.reseat(peer);
      }
    }
    state.flush();
  }

  /**
   * A session is Established. Gives the peer's number, the same as before where stale paths of an
   * earlier session are left; these stay until they are heard again or swept.
   */
  peerUp(config: RibPeer): PeerId {
    const { state } = this;
    const peer = state.registry.take(config, state.globals);
    assert(!peer.up, "peer is up already");
    const other =
      kindOf(peer.config) !== kindOf(config) || peer.config.remoteAs !== config.remoteAs;
    if (peer.config !== config) {
      const renamed = peer.config.remoteRouterId !== config.remoteRouterId;
      peer.config = config;
      // Towards another address or AS of ours what is kept may be another path.
      if (state.registry.describe(peer, state.globals)) state.walkPaths(peer, PathTask.reimport);
      // Both tell between paths, and the identifier stands in what is reflected.
      if (renamed || other) state.walkPaths(peer, PathTask.rerank);
    }
    peer.up = true;
    peer.held = false;
    peer.unsent = [];
    peer.notified = false;
    const { families } = config.negotiated;
    for (const family of FAMILIES) {
      const into = this.ribs[family].adjRibIn(peer.id);
      into.endOfRibReceived = false;
      into.refused = false;
      into.crowded = false;
      if (other || !families.includes(family)) this.ribs[family].sweepStale(into);
    }
    this.state.seat(peer);
    this.state.flush();
    this.state.notify(peer);
    return peer.id;
  }

  /**
   * The session is gone. Paths of the families in `retainStale` stay, marked stale (those that
   * were stale before go, RFC 4724 §4.2); all others are withdrawn. `goesOn`: the peer has not
   * restarted, it is on another connection, so what was stale before stays, too.
   */
  peerDown(
    id: PeerId,
    options: { readonly retainStale: readonly RouteFamily[]; readonly goesOn?: boolean },
  ): void {
    const peer = this.state.registry.upPeer(id);
    peer.up = false;
    this.state.leave(peer);
    for (const family of FAMILIES) {
      const into = this.ribs[family].adjRibIn(id);
      // What route refreshes under way had not confirmed yet is no staler than the rest.
      const kept = options.goesOn === true ? EPOCHS_MAX : 1 + into.openRefreshes;
      into.age("restart");
      // A long-lived stale path has its own timer (RFC 9494 §4.2), and outlives as many losses as
      // can be told apart.
      if (options.retainStale.includes(family)) this.ribs[family].sweep(into, kept, EPOCHS_MAX);
      else this.ribs[family].sweepStale(into);
      if (into.isWorn) this.ribs[family].finishWalk(into);
    }
    this.state.flush();
  }

  /** Takes one UPDATE of the peer. */
  update(id: PeerId, update: DecodedUpdate): PrefixLimitState {
    const peer = this.state.registry.upPeer(id);
    this.withdraw(id, update.withdrawn);
    this.withdraw(id, update.mpUnreach);
    if (update.treatment === "withdraw") {
      this.withdraw(id, update.announced);
      this.withdraw(id, update.mpReach);
    } else {
      this.announce(peer, update.announced, update.attributes);
      this.announce(peer, update.mpReach, update.mpAttributes);
    }
    this.state.flush();
    return takeLimitState(this.ribs, peer);
  }

  /** The peer's End-of-RIB: its stale paths of the family go, but for those of an open refresh. */
  endOfRib(id: PeerId, family: RouteFamily): void {
    const into = this.ribs[family].adjRibIn(id);
    into.endOfRibReceived = true;
    if (into.openRefreshes === 0) this.sweepStale(id, family);
  }

  /** Withdraws the stale paths of a peer, which need not be up; it may be forgotten by now. */
  sweepStale(id: PeerId, family: RouteFamily): void {
    if (this.state.peers.find(id) === undefined) return;
    this.ribs[family].sweepStale(this.ribs[family].adjRibIn(id));
    this.state.flush();
  }

  /** The restart time is over: what is stale becomes long-lived stale, RFC 9494 §4.2. */
  markLongLived(id: PeerId, family: RouteFamily): void {
    if (this.state.peers.find(id) === undefined) return;
    const rib = this.ribs[family];
    const into = rib.adjRibIn(id);
    if (into.stale > 0) rib.startWalk(into, PathTask.longLive);
    this.state.flush();
  }

  /** The peer begins to send everything again, RFC 7313 §4. */
  beginRefresh(id: PeerId, family: RouteFamily): void {
    this.ribs[family].adjRibIn(id).age("refresh");
  }

  /** The peer has sent everything again: what it did not send goes. */
  endRefresh(id: PeerId, family: RouteFamily): void {
    this.sweepStale(id, family);
  }

  /** Tells the peer everything again; with `enhanced` between BoRR and EoRR. */
  refreshOut(id: PeerId, family: RouteFamily, options: { readonly enhanced: boolean }): void {
    const peer = this.state.registry.upPeer(id);
    const seat = peer.seats.find((candidate) => candidate.family === family);
    if (seat === undefined) return;
    seat.member.refresh = "wanted";
    seat.member.enhancedRefresh = options.enhanced;
    this.state.notify(peer);
  }

  /**
   * Changes policies of a peer that is up, or away and its paths kept: these are imported and
   * exported anew. `exceeded`: it has sent more already than a limit that is lower now.
   */
  setPeerPolicies(id: PeerId, changes: Partial<RibPeerPolicies>): PrefixLimitState {
    const { state } = this;
    const peer = state.peers.get(id);
    const before = peer.config;
    const config = { ...before, ...changes };
    peer.config = config;
    if (state.registry.describe(peer, state.globals)) state.walkPaths(peer, PathTask.reimport);
    if (kindOf(config) !== kindOf(before)) state.walkPaths(peer, PathTask.rerank);
    state.reseat(peer);
    state.flush();
    // With the last path of a peer that is away, which the policy may have ended, it is forgotten.
    if (state.peers.find(id) === undefined) return WITHIN_LIMIT;
    return takeNewLimitState(this.ribs, peer);
  }

  /** Originates exactly these routes: withdraws and announces the difference. */
  originate(routes: readonly OriginatedRoute[]): void {
    for (const family of FAMILIES) this.ribs[family].adjRibIn(LOCAL_PEER).age("refresh");
    for (const route of routes) {
      const family = prefixFamily(route.prefix);
      if (route.nextHop === undefined) this.state.addressOwn(family);
      this.single.reset(family);
      pushPrefix(this.single, route.prefix);
      const attributes = localAttributes(route);
      this.ribs[family].announce(LOCAL_PEER, this.single, attributes, Number.POSITIVE_INFINITY);
    }
    for (const family of FAMILIES) {
      const into = this.ribs[family].adjRibIn(LOCAL_PEER);
      this.ribs[family].sweepStale(into);
      this.ribs[family].finishWalk(into);
    }
    this.state.flush();
  }

  /** Keeps the peer's output back, End-of-RIB included, until it is released. */
  holdOutput(id: PeerId, held: boolean): void {
    const peer = this.state.registry.upPeer(id);
    peer.held = held;
    if (held) peer.notified = false;
    this.state.notify(peer);
  }

  /** Whether `drainOutput` has something to do or to give. */
  hasOutput(id: PeerId): boolean {
    const peer = this.state.peers.find(id);
    return peer !== undefined && hasOutput(peer);
  }

  /**
   * Whole messages for the peer, in arrays of 64 KiB at most: `maxBytes` octets at most, or one
   * array. One call does a few ms of work at most, so it may give none though there is more to
   * come: go on while `hasOutput`, in another turn of the event loop. The arrays are shared with
   * other peers: never write into them.
   */
  drainOutput(id: PeerId, maxBytes: number): Uint8Array[] {
    const peer = this.state.registry.upPeer(id);
    const out = readOutput(peer, maxBytes);
    peer.notified = hasOutput(peer);
    return out;
  }

  /** Does up to `budget` units of postponed work, about 0.3 µs to 1 µs each; true = more left. */
  work(budget: number): boolean {
    return this.state.work(budget);
  }

  /** Whether `onBestDirty` was called and the changes were not taken since. */
  get bestAreDirty(): boolean {
    return this.state.bestAreDirty;
  }

  /** From now on keeps a list of changed best routes, for `takeBestChanges` or `nextHops`. */
  listBestChanges(): void {
    // Which ones have changed since `onBestDirty` is not known.
    const all = this.state.bestAreDirty;
    for (const family of FAMILIES) this.ribs[family].listChanges(all);
    this.state.flush();
  }

  /** Best routes that changed since they were taken last, at most `max`; [] = that was all. */
  takeBestChanges(max: number): BestRoute[] {
    const result: BestRoute[] = [];
    for (const family of FAMILIES) {
      const rib = this.ribs[family];
      while (result.length < max) {
        const row = rib.changes?.take() ?? 0;
        if (row === 0) break;
        result.push(bestRoute(this.state, rib, row));
        rib.table.unhold(row);
      }
    }
    const left = FAMILIES.some((family) => (this.ribs[family].changes?.length ?? 0) > 0);
    this.state.bestTaken(left);
    return result;
  }

  /** The best route of exactly this prefix; undefined when there is none. */
  lookupBest(prefix: Prefix): BestRoute | undefined {
    const rib = this.ribs[prefixFamily(prefix)];
    this.single.reset(rib.family);
    pushPrefix(this.single, prefix);
    const row = rib.table.find(this.single, 0);
    if (row === 0 || rib.table.best(row) === 0) return undefined;
    return bestRoute(this.state, rib, row, prefix);
  }

  /** All best routes, in no order; to be read before the RIB changes again. */
  best(): Iterable<BestRoute> {
    return listBest(this.state);
  }

  /** Paths that match, sorted by prefix, the best of each first; see `PathQuery`. */
  paths(query: PathQuery): Iterable<RibPath> {
    return listPaths(this.state, query);
  }

  /** Counts for each negotiated family, or each with stale paths while the peer is down. */
  counters(id: PeerId): FamilyCounters[] {
    const peer = this.state.peers.find(id);
    return peer === undefined ? [] : familyCounters(this.state, peer);
  }

  /** Where the cost of next hops comes from; zero for all until told. */
  setNextHopMetric(metric: NextHopMetric): void {
    this.state.nextHops.setMetric(metric);
    this.nextHopsChanged();
  }

  /**
   * Costs of these next hops, or of any, may have changed: they are asked for again, and best paths
   * chosen where one did.
   */
  nextHopsChanged(nextHops?: Iterable<IpAddress>): void {
    if (!this.state.nextHops.refresh(nextHops)) return;
    for (const family of FAMILIES) this.ribs[family].startReselect();
    this.state.flush();
  }

  /** Peers that routes of a family are kept from, for want of an address of ours as next hop. */
  withoutNextHop(): readonly { readonly id: PeerId; readonly family: RouteFamily }[] {
    return this.state.groups.withoutNextHop();
  }

  /** Peers that some routes are kept from: no message to them has room for the attributes. */
  oversized(): readonly Oversized[] {
    return listOversized(this.state, this.state.groups.withOversized());
  }

  /** Sizes of the tables, for metrics. */
  sizes(): { readonly prefixes: number; readonly paths: number; readonly attributeSets: number } {
    const { 4: ipv4, 6: ipv6 } = this.ribs;
    return {
      prefixes: ipv4.table.size + ipv6.table.size,
      paths: ipv4.paths.size + ipv6.paths.size,
      attributeSets: this.state.store.size,
    };
  }

  private announce(
    peer: PeerState,
    batch: PrefixBatch,
    attributes: PathAttributes | undefined,
  ): void {
    if (batch.count === 0 || attributes === undefined) return;
    this.ribs[batch.family].announce(peer.id, batch, attributes, prefixLimit(peer.config));
  }

  private withdraw(id: PeerId, batch: PrefixBatch): void {
    if (batch.count > 0) this.ribs[batch.family].withdraw(id, batch);
  }
}
