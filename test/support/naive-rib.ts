/**
 * The RIB written the slow and obvious way: objects, maps, and everything computed anew from what
 * the peers said. The oracle for src/bgp/rib: same inputs, equal best paths and equal views of the
 * receivers. It shares no code with it but the vocabulary.
 */
import type { PathAttributes, RouteFamily } from "../../src/bgp/message/types.ts";
import type { RibPeer } from "../../src/bgp/rib/rib-peer.ts";
import type { OriginatedRoute } from "../../src/bgp/types.ts";
import { familyOf, type IpAddress } from "../../src/ip/address.ts";
import { type Prefix, prefix, prefixFamily } from "../../src/ip/prefix.ts";
import { type Candidate, decide, LLGR_STALE } from "./naive-decision.ts";
import { applyPolicy, put } from "./naive-policy.ts";
import { fits } from "./naive-size.ts";
import { address } from "./rib-lab.ts";

const GRACEFUL_SHUTDOWN = 0xffff0000;
const NO_LLGR = 0xffff0007;
const NO_EXPORT = 0xffffff01;
const NO_ADVERTISE = 0xffffff02;
const NO_EXPORT_SUBCONFED = 0xffffff03;

/** One of each family. */
const ADDRESSES = [address("192.0.2.99"), address("2001:db8::99")];

export interface NaiveGlobals {
  readonly localAs: number;
  readonly routerId: number;
  readonly clusterId: number;
  readonly maximumPaths: number;
}

interface NaivePath {
  readonly prefix: Prefix;
  readonly pathId: number;
  readonly received: PathAttributes;
  /** Sessions and route refreshes since it was heard; stale unless 0. */
  age: number;
  longLived: boolean;
}

interface NaivePeer {
  config: RibPeer;
  up: boolean;
  /** Route refreshes that have begun and not ended. */
  readonly refreshes: Map<RouteFamily, number>;
  /** Families whose paths were made old last by a restart, not by a route refresh. */
  readonly restarted: Set<RouteFamily>;
  readonly paths: Map<string, NaivePath>;
}

export interface NaiveCounts {
  readonly received: number;
  readonly accepted: number;
  readonly stale: number;
}

export class NaiveRib {
  globals: NaiveGlobals;
  readonly peers = new Map<IpAddress, NaivePeer>();
  originated: readonly OriginatedRoute[] = [];
  cost: (nextHop: IpAddress) => number | undefined = () => 0;

  constructor(globals: NaiveGlobals) {
    this.globals = globals;
  }

  peerUp(config: RibPeer): void {
    const known = this.peers.get(config.address);
    if (known === undefined) {
      const empty = { refreshes: new Map(), restarted: new Set<RouteFamily>(), paths: new Map() };
      this.peers.set(config.address, { config, up: true, ...empty });
      return;
    }
    const { config: before } = known;
    const other =
      before.internal !== config.internal ||
      before.routeReflectorClient !== config.routeReflectorClient ||
      before.remoteAs !== config.remoteAs;
    known.config = config;
    known.up = true;
    for (const [key, path] of known.paths) {
      if (other || !config.negotiated.families.includes(prefixFamily(path.prefix))) {
        known.paths.delete(key);
      }
    }
  }

  peerDown(address: IpAddress, retain: readonly RouteFamily[]): void {
    const peer = this.peers.get(address)!;
    peer.up = false;
    for (const [key, path] of peer.paths) {
      const family = prefixFamily(path.prefix);
      path.age++;
      // What refreshes had not confirmed yet is no staler than the rest.
      const young = path.age <= 1 + (peer.refreshes.get(family) ?? 0);
      if (!retain.includes(family) || !(young || path.longLived)) peer.paths.delete(key);
    }
    peer.refreshes.clear();
    for (const family of [4, 6] as const) peer.restarted.add(family);
    if (peer.paths.size === 0) this.peers.delete(address);
  }

  announce(address: IpAddress, keys: readonly string[], attributes: PathAttributes): void {
    const peer = this.peers.get(address)!;
    for (const key of keys) {
      const [text, id] = key.split("#");
      const path = { prefix: prefix(text!), pathId: Number(id ?? 0), received: attributes };
      if (isBeyondLimit(peer, key, prefixFamily(path.prefix))) continue;
      peer.paths.set(key, { ...path, age: 0, longLived: false });
    }
  }

  withdraw(address: IpAddress, keys: readonly string[]): void {
    for (const key of keys) this.peers.get(address)!.paths.delete(key);
  }

  beginRefresh(address: IpAddress, family: RouteFamily): void {
    const peer = this.peers.get(address)!;
    peer.refreshes.set(family, 1 + (peer.refreshes.get(family) ?? 0));
    peer.restarted.delete(family);
    for (const path of peer.paths.values()) if (prefixFamily(path.prefix) === family) path.age++;
  }

  sweep(address: IpAddress, family: RouteFamily): void {
    const peer = this.peers.get(address);
    if (peer === undefined) return;
    peer.refreshes.delete(family);
    for (const [key, path] of peer.paths) {
      if (path.age > 0 && prefixFamily(path.prefix) === family) peer.paths.delete(key);
    }
    if (!peer.up && peer.paths.size === 0) this.peers.delete(address);
  }

  markLongLived(address: IpAddress, family: RouteFamily): void {
    for (const path of this.peers.get(address)?.paths.values() ?? []) {
      if (path.age > 0 && prefixFamily(path.prefix) === family) path.longLived = true;
    }
    this.dropUnkept();
  }

  get hasLongLived(): boolean {
    const paths = [...this.peers.values()].flatMap((peer) => [...peer.paths.values()]);
    return paths.some(({ longLived }) => longLived);
  }

  /** RFC 9494 §4.2: NO_LLGR as the peer sent it, or as the import policy has it. */
  dropUnkept(): void {
    for (const [address, { config, paths, up }] of this.peers) {
      for (const [key, path] of paths) {
        const imported = this.imported(config, path)?.communities ?? [];
        const all = [...path.received.communities, ...imported];
        if (path.longLived && all.includes(NO_LLGR)) paths.delete(key);
      }
      if (!up && paths.size === 0) this.peers.delete(address);
    }
  }

  /** Paths of a peer: those received, those that import let through, those of a session before. */
  counts(address: IpAddress, family: RouteFamily): NaiveCounts {
    const { config, paths, restarted } = this.peers.get(address)!;
    const own = [...paths.values()].filter((path) => prefixFamily(path.prefix) === family);
    const accepted = own.filter((path) => this.imported(config, path) !== undefined);
    const stale = restarted.has(family) ? own.filter(({ age }) => age > 0) : [];
    return { received: own.length, accepted: accepted.length, stale: stale.length };
  }

  /** All prefixes that anybody has a path of. */
  prefixes(): Set<Prefix> {
    const all = new Set<Prefix>(this.originated.map((r) => r.prefix));
    for (const peer of this.peers.values()) {
      for (const path of peer.paths.values()) all.add(path.prefix);
    }
    return all;
  }

  /** Usable paths of a prefix. */
  candidates(of: Prefix): Candidate[] {
    const result: Candidate[] = [];
    for (const own of this.originated) {
      if (own.prefix === of) result.push(localCandidate(own));
    }
    for (const peer of this.peers.values()) {
      for (const path of peer.paths.values()) {
        if (path.prefix !== of) continue;
        const attributes = this.imported(peer.config, path);
        if (attributes === undefined) continue;
        if (attributes.nextHop !== undefined && this.cost(attributes.nextHop) === undefined) {
          continue;
        }
        const { longLived, pathId } = path;
        result.push({ from: peer.config, pathId, attributes, longLived });
      }
    }
    return result;
  }

  private imported(peer: RibPeer, path: NaivePath): PathAttributes | undefined {
    let a = path.received;
    const asns = [this.globals.localAs, peer.localAs];
    if (a.asPath.some((s) => s.asns.some((as) => asns.includes(as)))) return undefined;
    if (peer.internal) {
      if (a.originatorId === this.globals.routerId) return undefined;
      if (a.clusterList.includes(this.globals.clusterId)) return undefined;
    } else {
      a = { ...a, localPref: undefined, originatorId: undefined, clusterList: [] };
    }
    if (peer.importPolicy === undefined) {
      if (!peer.internal) return undefined;
    } else {
      const judged = applyPolicy(peer.importPolicy, path.prefix, a, false);
      if (judged === undefined) return undefined;
      a = judged.attributes;
      const own = ownNextHop(peer, prefixFamily(path.prefix));
      if (judged.nextHopSelf && own !== undefined) a = { ...a, nextHop: own };
    }
    if (!peer.internal && a.communities.includes(GRACEFUL_SHUTDOWN)) a = { ...a, localPref: 0 };
    if (path.longLived && !a.communities.includes(LLGR_STALE)) {
      a = { ...a, communities: [...a.communities, LLGR_STALE] };
    }
    return a;
  }

  best(of: Prefix): Candidate | undefined {
    return this.decided(of)[0];
  }

  /** Where traffic goes: the next hops of the best path and of those equal to it. */
  ways(of: Prefix): IpAddress[] {
    const used = this.decided(of).slice(0, this.globals.maximumPaths);
    if (used[0]?.from === undefined) return [];
    return [...new Set(used.map(({ attributes }) => attributes.nextHop!))];
  }

  private decided(of: Prefix): Candidate[] {
    return decide(this.candidates(of), (nextHop) => this.cost(nextHop)!);
  }

  /** Best path of each prefix. */
  locRib(): Map<Prefix, Candidate> {
    const result = new Map<Prefix, Candidate>();
    for (const of of this.prefixes()) {
      const best = this.best(of);
      if (best !== undefined) result.set(of, best);
    }
    return result;
  }

  /** What the peer is to hold: attributes by prefix; several with ADD-PATH, in any order. */
  view(target: RibPeer): Map<Prefix, PathAttributes[]> {
    return this.exports(target, (of, attributes) => fits(target, of, attributes));
  }

  /** How many routes of the family it would hold too, had its messages room for them. */
  oversized(target: RibPeer, family: RouteFamily): number {
    const kept = this.exports(target, (of, attributes) => !fits(target, of, attributes));
    return countOf(kept, family);
  }

  /** Families that it would hold more routes of, had we an address of each family towards it. */
  withoutNextHop(target: RibPeer): RouteFamily[] {
    const now = this.exports(target, () => true);
    const then = this.exports({ ...target, nextHops: ADDRESSES }, () => true);
    return target.negotiated.families.filter((of) => countOf(then, of) > countOf(now, of));
  }

  private exports(
    target: RibPeer,
    which: (of: Prefix, attributes: PathAttributes) => boolean,
  ): Map<Prefix, PathAttributes[]> {
    const result = new Map<Prefix, PathAttributes[]>();
    for (const of of this.prefixes()) {
      const family = prefixFamily(of);
      if (!target.negotiated.families.includes(family)) continue;
      const best = this.best(of);
      const all = target.negotiated.addPathSend.includes(family)
        ? this.candidates(of)
        : best === undefined
          ? []
          : [best];
      const told = all
        .map((candidate) => this.exported(target, of, candidate))
        .filter((attributes) => attributes !== undefined)
        .filter((attributes) => which(of, attributes));
      if (told.length > 0) result.set(of, told);
    }
    return result;
  }

  private exported(target: RibPeer, of: Prefix, path: Candidate): PathAttributes | undefined {
    const { from } = path;
    let a = path.attributes;
    if (from?.address === target.address) return undefined;
    const clients = from?.routeReflectorClient === true || target.routeReflectorClient;
    if (from?.internal === true && target.internal && !clients) return undefined;
    if (a.communities.includes(NO_ADVERTISE)) return undefined;
    const confined =
      a.communities.includes(NO_EXPORT) || a.communities.includes(NO_EXPORT_SUBCONFED);
    if (!target.internal && confined) return undefined;
    const stale = path.longLived || a.communities.includes(LLGR_STALE);
    if (stale && target.negotiated.longLivedGracefulRestart === undefined) return undefined;
    let medSet = from === undefined;
    let policySelf = false;
    if (target.exportPolicy === undefined) {
      if (!target.internal) return undefined;
    } else {
      const judged = applyPolicy(target.exportPolicy, of, a, from === undefined);
      if (judged === undefined) return undefined;
      ({ attributes: a } = judged);
      policySelf = judged.nextHopSelf;
      medSet = medSet || judged.medSet;
    }
    const nextHop = this.nextHopFor(target, of, path, policySelf);
    if (nextHop === undefined) return undefined;
    a = { ...a, nextHop, linkLocalNextHop: undefined };
    if (!target.internal) {
      // RFC 4360 §6: bit 0x40 of the type, for those that stay within the AS.
      const extendedCommunities = a.extendedCommunities.filter((text) => !/^[4-7c-f]/.test(text));
      a = { ...a, localPref: undefined, originatorId: undefined, clusterList: [] };
      a = { ...a, extendedCommunities };
      return { ...a, med: medSet ? a.med : undefined, asPath: put(a.asPath, target.localAs, 1) };
    }
    a = { ...a, localPref: a.localPref ?? 100 };
    if (from?.internal !== true) return a;
    return {
      ...a,
      originatorId: a.originatorId ?? from.remoteRouterId,
      clusterList: [this.globals.clusterId, ...a.clusterList],
    };
  }

  private nextHopFor(
    target: RibPeer,
    of: Prefix,
    path: Candidate,
    policySelf: boolean,
  ): IpAddress | undefined {
    const { from } = path;
    const own = ownNextHop(target, prefixFamily(of));
    const reflected = from?.internal === true;
    let nextHop = path.attributes.nextHop;
    if (
      policySelf ||
      (target.nextHopSelf && !reflected) ||
      (from === undefined ? nextHop === undefined : !target.internal)
    ) {
      nextHop = own ?? (from === undefined ? nextHop : undefined);
    }
    if (nextHop === undefined) return undefined;
    const unchanged = from !== undefined && nextHop === path.attributes.nextHop;
    if (unchanged && nextHop.startsWith("fe80:")) return undefined;
    if (familyOf(nextHop) === prefixFamily(of)) return nextHop;
    return familyOf(nextHop) === 6 && target.negotiated.extendedNextHop ? nextHop : undefined;
  }
}

function countOf(routes: Map<Prefix, PathAttributes[]>, family: RouteFamily): number {
  const counts = [...routes].map(([of, all]) => (prefixFamily(of) === family ? all.length : 0));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** What is left of an earlier session does not count, and counts as new when it comes again. */
function isBeyondLimit(peer: NaivePeer, key: string, family: RouteFamily): boolean {
  const isLeft = (path: NaivePath) => peer.restarted.has(family) && path.age > 0;
  const known = peer.paths.get(key);
  if (known !== undefined && !isLeft(known)) return false;
  const counted = [...peer.paths.values()].filter(
    (path) => prefixFamily(path.prefix) === family && !isLeft(path),
  );
  return counted.length >= (peer.config.maximumPrefixes?.limit ?? Number.POSITIVE_INFINITY);
}

function localCandidate(own: OriginatedRoute): Candidate {
  const attributes: PathAttributes = {
    origin: 0,
    asPath: [],
    nextHop: own.nextHop,
    linkLocalNextHop: undefined,
    med: own.med,
    localPref: undefined,
    atomicAggregate: false,
    aggregator: undefined,
    communities: own.communities,
    extendedCommunities: [],
    largeCommunities: [],
    originatorId: undefined,
    clusterList: [],
    opaque: [],
  };
  return { from: undefined, pathId: 0, attributes, longLived: false };
}

function ownNextHop(peer: RibPeer, family: RouteFamily): IpAddress | undefined {
  const same = peer.nextHops.find((a) => familyOf(a) === family);
  if (same !== undefined) return same;
  return family === 4 && peer.negotiated.extendedNextHop
    ? peer.nextHops.find((a) => familyOf(a) === 6)
    : undefined;
}
