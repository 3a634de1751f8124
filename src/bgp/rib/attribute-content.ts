/**
 * Content of a set of path attributes: a hash, equality, and the facts that decision and export
 * rules ask for. Used once for a set of attributes, never once for a prefix.
 */
import {
  type AsPathSegment,
  type OpaqueAttribute,
  type PathAttributes,
  SegmentType,
} from "../message/types.ts";

/** Well-known communities, RFC 1997, RFC 8326, RFC 9494. IANA bgp-well-known-communities. */
export const Community = {
  gracefulShutdown: 0xffff0000,
  longLivedStale: 0xffff0006,
  noLongLived: 0xffff0007,
  noExport: 0xffffff01,
  noAdvertise: 0xffffff02,
  noExportSubconfed: 0xffffff03,
} as const;

/** Bits of {@link communityBits}. */
export const CommunityBit = {
  gracefulShutdown: 1,
  longLivedStale: 2,
  noLongLived: 4,
  noExport: 8,
  noAdvertise: 16,
  noExportSubconfed: 32,
} as const;

/** Which well-known communities are there, as bits. */
export function communityBits(communities: readonly number[]): number {
  let bits = 0;
  for (const community of communities) {
    if (community < 0xffff0000) continue;
    if (community === Community.gracefulShutdown) bits |= CommunityBit.gracefulShutdown;
    else if (community === Community.longLivedStale) bits |= CommunityBit.longLivedStale;
    else if (community === Community.noLongLived) bits |= CommunityBit.noLongLived;
    else if (community === Community.noExport) bits |= CommunityBit.noExport;
    else if (community === Community.noAdvertise) bits |= CommunityBit.noAdvertise;
    else if (community === Community.noExportSubconfed) bits |= CommunityBit.noExportSubconfed;
  }
  return bits;
}

/** Hops: each AS of a sequence one, a set one, confederation segments none (RFC 5065 §5.3). */
export function asPathLength(path: readonly AsPathSegment[]): number {
  let length = 0;
  for (const segment of path) {
    if (segment.type === SegmentType.sequence) length += segment.asns.length;
    else if (segment.type === SegmentType.set) length += 1;
  }
  return length;
}

/**
 * The neighbouring AS that MEDs are compared within: the first AS of a leading sequence; 0, our
 * own AS, when the path is empty or begins with a set (RFC 4271 §9.1.2.2).
 */
export function neighborAs(path: readonly AsPathSegment[]): number {
  for (const segment of path) {
    if (segment.type === SegmentType.sequence) return segment.asns[0] ?? 0;
    if (segment.type === SegmentType.set) return 0;
  }
  return 0;
}

/** Whether `as` stands anywhere in the path, sets and confederation segments included. */
export function asPathContains(path: readonly AsPathSegment[], as: number): boolean {
  for (const segment of path) if (segment.asns.includes(as)) return true;
  return false;
}

const NONE: readonly number[] = [];

/**
 * A u32 of the whole content; equal sets have equal hashes. `seed` keeps peers from choosing sets
 * that collide.
 */
export function hashAttributes(a: PathAttributes, seed: number): number {
  let h = mix(mix(seed, a.origin), a.asPath.length);
  for (const segment of a.asPath) {
    h = mix(h, segment.type);
    for (const as of segment.asns) h = mix(h, as);
  }
  if (a.nextHop !== undefined) h = mixText(h, a.nextHop);
  if (a.linkLocalNextHop !== undefined) h = mixText(h, a.linkLocalNextHop);
  h = mix(h, a.med === undefined ? -1 : a.med);
  h = mix(h, a.localPref === undefined ? -1 : a.localPref);
  if (a.aggregator !== undefined) h = mix(mix(h, a.aggregator.as), a.aggregator.address);
  for (const community of a.communities) h = mix(h, community);
  for (const community of a.extendedCommunities) h = mixText(h, community);
  for (const community of a.largeCommunities) h = mixText(h, community);
  if (a.originatorId !== undefined) h = mix(h, a.originatorId);
  for (const cluster of a.clusterList) h = mix(h, cluster);
  for (const attribute of a.opaque) {
    h = mix(h, attribute.type);
    for (const byte of attribute.value) h = mix(h, byte);
  }
  h ^= h >>> 16;
  return Math.imul(h, 0x7feb352d) >>> 0;
}

/** Whether two sets say the same, the order of their lists included. */
export function attributesEqual(a: PathAttributes, b: PathAttributes): boolean {
  if (a === b) return true;
  return (
    a.origin === b.origin &&
    a.nextHop === b.nextHop &&
    a.linkLocalNextHop === b.linkLocalNextHop &&
    a.med === b.med &&
    a.localPref === b.localPref &&
    a.atomicAggregate === b.atomicAggregate &&
    a.aggregator?.as === b.aggregator?.as &&
    a.aggregator?.address === b.aggregator?.address &&
    a.originatorId === b.originatorId &&
    listsEqual(a.communities, b.communities) &&
    listsEqual(a.extendedCommunities, b.extendedCommunities) &&
    listsEqual(a.largeCommunities, b.largeCommunities) &&
    listsEqual(a.clusterList, b.clusterList) &&
    pathsEqual(a.asPath, b.asPath) &&
    opaqueEqual(a.opaque, b.opaque) &&
    listsEqual(a.partial ?? NONE, b.partial ?? NONE)
  );
}

function pathsEqual(a: readonly AsPathSegment[], b: readonly AsPathSegment[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    if (a[i]!.type !== b[i]!.type || !listsEqual(a[i]!.asns, b[i]!.asns)) return false;
  }
  return true;
}

function opaqueEqual(a: readonly OpaqueAttribute[], b: readonly OpaqueAttribute[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    const left = a[i]!;
    const right = b[i]!;
    if (left.type !== right.type || left.flags !== right.flags) return false;
    if (!listsEqual(left.value, right.value)) return false;
  }
  return true;
}

function listsEqual<T>(a: ArrayLike<T>, b: ArrayLike<T>): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function mix(hash: number, value: number): number {
  const h = Math.imul(hash ^ value, 0x9e3779b1);
  return h ^ (h >>> 15);
}

function mixText(hash: number, text: string): number {
  let h = hash;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return mix(h, text.length);
}
