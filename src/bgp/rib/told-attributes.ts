/**
 * From the words of an attribute set to the octets that a group is told, with no object between:
 * the way of nearly all routes of a full table. It knows the attributes that nearly all sets are
 * made of and what export does to each set alike; whatever else a set has, and what a policy
 * changes, is for `exportedAttributes` and the codecs. Both ways give the same octets.
 */
import {
  AttributeFlag,
  AttributeType,
  OPTIONAL,
  OPTIONAL_TRANSITIVE,
  WELL_KNOWN,
} from "../message/attribute/codec.ts";
import type { ByteWriter } from "../message/bytes.ts";
import { SegmentType } from "../message/types.ts";
import { DEFAULT_LOCAL_PREF } from "./attribute-content.ts";
import { ContentBit, HEAD_WORDS } from "./attribute-words.ts";
import { SEGMENT_ASNS_MAX } from "./limits.ts";

/** How a set is told: what `exportedAttributes` says of a source, in numbers. */
export class Telling {
  /** NEXT_HOP, an IPv4 address. */
  nextHop = 0;
  /** Goes in front of the path for an external group; undefined = internal: the path stays. */
  prependedAs: number | undefined = undefined;
  /** MED is told. */
  med = false;
  /** RFC 4456 §8: ORIGINATOR_ID of a reflected set that has none; undefined = not reflected. */
  originator: number | undefined = undefined;
  /** What a reflected set's CLUSTER_LIST then begins with. */
  clusterId = 0;
}

/** What one attribute may take beside its words: flags, type, two octets of length. */
const HEAD_BYTES = 4;
/** Attributes that are written here, at most, and segments that begin anew. */
const HEADS_MAX = 12;

/** Where the parts of the set at `at` begin, and how long they are. */
class Parts {
  optional = 0;
  communities = 0;
  communityCount = 0;
  clusters = 0;
  clusterCount = 0;
  large = 0;
  largeCount = 0;
  segments = 0;
  segmentCount = 0;
  /** Octets of AS_PATH as it came; -1 = a segment is longer than the wire allows. */
  pathBytes = 0;

  read(words: Uint32Array, at: number): void {
    const bits = words[at]!;
    const counts = words[at + 2]!;
    this.optional = at + HEAD_WORDS + ((bits & ContentBit.linkLocal) === 0 ? 0 : 1);
    this.communities = this.optional + optionalWords(bits);
    this.communityCount = counts & 0xffff;
    this.clusters = this.communities + this.communityCount;
    this.clusterCount = counts >>> 16;
    this.large = this.clusters + this.clusterCount;
    this.largeCount = words[at + 3]! >>> 16;
    this.segments = this.large + 3 * this.largeCount;
    this.segmentCount = words[at + 4]! >>> 16;
    this.pathBytes = 0;
    for (let segment = this.segments, left = this.segmentCount; left > 0; left--) {
      const count = words[segment]! >>> 8;
      if (count > SEGMENT_ASNS_MAX) {
        this.pathBytes = -1;
        return;
      }
      this.pathBytes += 2 + 4 * count;
      segment += 1 + count;
    }
  }
}

/** Shared by all calls: each runs to its end. */
const parts = new Parts();

/**
 * Appends the attributes of the set at `at`, as for a session with 4-octet AS. False, and nothing
 * is written: the set has something that is not known here.
 */
export function tellWords(
  words: Uint32Array,
  at: number,
  telling: Telling,
  out: ByteWriter,
): boolean {
  const bits = words[at]!;
  const extendedOrOpaque = (words[at + 3]! & 0xffff) | (words[at + 4]! & 0xffff);
  if ((bits & ContentBit.partial) !== 0 || extendedOrOpaque !== 0) return false;
  parts.read(words, at);
  const { optional, pathBytes, communityCount, clusterCount, largeCount } = parts;
  if (pathBytes < 0) return false;
  const listWords = communityCount + clusterCount + 3 * largeCount;
  out.reserve(pathBytes + 4 * listWords + HEADS_MAX * (HEAD_BYTES + 8));
  const { bytes } = out;
  let to = putHead(bytes, out.length, WELL_KNOWN, AttributeType.origin, 1);
  bytes[to++] = bits & ContentBit.origin;
  to = putPath(bytes, to, words, telling.prependedAs);
  to = putNumber(bytes, to, WELL_KNOWN, AttributeType.nextHop, telling.nextHop);
  to = putNumbers(bytes, to, words, optional, bits, telling);
  if (communityCount > 0) {
    to = putHead(bytes, to, OPTIONAL_TRANSITIVE, AttributeType.communities, 4 * communityCount);
    to = putWords(bytes, to, words, parts.communities, communityCount);
  }
  if (telling.prependedAs === undefined) {
    to = putReflection(bytes, to, words, bits, telling);
  }
  if (largeCount > 0) {
    to = putHead(bytes, to, OPTIONAL_TRANSITIVE, AttributeType.largeCommunities, 12 * largeCount);
    to = putWords(bytes, to, words, parts.large, 3 * largeCount);
  }
  out.length = to;
  return true;
}

/** AS_PATH, with one more AS in front unless that is undefined. */
function putPath(
  bytes: Uint8Array,
  at: number,
  words: Uint32Array,
  as: number | undefined,
): number {
  let { segments: segment, segmentCount: left, pathBytes: length } = parts;
  const first = left === 0 ? 0 : words[segment]!;
  const open = (first & 0xff) === SegmentType.sequence && first >>> 8 < SEGMENT_ASNS_MAX;
  if (as !== undefined) length += open ? 4 : 6;
  let to = putHead(bytes, at, WELL_KNOWN, AttributeType.asPath, length);
  if (as !== undefined) {
    bytes[to] = SegmentType.sequence;
    bytes[to + 1] = open ? (first >>> 8) + 1 : 1;
    to = putWord(bytes, to + 2, as);
  }
  for (let headed = as !== undefined && open; left > 0; left--, headed = false) {
    const head = words[segment]!;
    const count = head >>> 8;
    if (!headed) {
      bytes[to] = head;
      bytes[to + 1] = count;
      to += 2;
    }
    to = putWords(bytes, to, words, segment + 1, count);
    segment += 1 + count;
  }
  return to;
}

/** MED, LOCAL_PREF, ATOMIC_AGGREGATE, AGGREGATOR: those that are there and are told. */
function putNumbers(
  bytes: Uint8Array,
  at: number,
  words: Uint32Array,
  optional: number,
  bits: number,
  telling: Telling,
): number {
  let from = optional;
  let to = at;
  if ((bits & ContentBit.med) !== 0) {
    if (telling.med) to = putNumber(bytes, to, OPTIONAL, AttributeType.med, words[from]!);
    from++;
  }
  const hasLocalPref = (bits & ContentBit.localPref) !== 0;
  if (telling.prependedAs === undefined) {
    const localPref = hasLocalPref ? words[from]! : DEFAULT_LOCAL_PREF;
    to = putNumber(bytes, to, WELL_KNOWN, AttributeType.localPref, localPref);
  }
  if (hasLocalPref) from++;
  if ((bits & ContentBit.atomic) !== 0) {
    to = putHead(bytes, to, WELL_KNOWN, AttributeType.atomicAggregate, 0);
  }
  if ((bits & ContentBit.aggregator) !== 0) {
    to = putHead(bytes, to, OPTIONAL_TRANSITIVE, AttributeType.aggregator, 8);
    to = putWords(bytes, to, words, from, 2);
  }
  return to;
}

/** ORIGINATOR_ID and CLUSTER_LIST, for an internal group. */
function putReflection(
  bytes: Uint8Array,
  at: number,
  words: Uint32Array,
  bits: number,
  telling: Telling,
): number {
  const { clusters, clusterCount, communities } = parts;
  const has = (bits & ContentBit.originator) !== 0;
  // It is the last of the optional words.
  const originator = has ? words[communities - 1]! : telling.originator;
  let to = at;
  if (originator !== undefined) {
    to = putNumber(bytes, to, OPTIONAL, AttributeType.originatorId, originator);
  }
  const reflected = telling.originator !== undefined;
  const count = clusterCount + (reflected ? 1 : 0);
  if (count === 0) return to;
  to = putHead(bytes, to, OPTIONAL, AttributeType.clusterList, 4 * count);
  if (reflected) to = putWord(bytes, to, telling.clusterId);
  return putWords(bytes, to, words, clusters, clusterCount);
}

/** Words of MED, LOCAL_PREF, aggregator and ORIGINATOR_ID. */
function optionalWords(bits: number): number {
  return (
    ((bits & ContentBit.med) === 0 ? 0 : 1) +
    ((bits & ContentBit.localPref) === 0 ? 0 : 1) +
    ((bits & ContentBit.aggregator) === 0 ? 0 : 2) +
    ((bits & ContentBit.originator) === 0 ? 0 : 1)
  );
}

/** An attribute of one word. */
function putNumber(
  bytes: Uint8Array,
  at: number,
  flags: number,
  type: number,
  value: number,
): number {
  return putWord(bytes, putHead(bytes, at, flags, type, 4), value);
}

function putHead(
  bytes: Uint8Array,
  at: number,
  flags: number,
  type: number,
  length: number,
): number {
  bytes[at + 1] = type;
  if (length > 255) {
    bytes[at] = flags | AttributeFlag.extendedLength;
    bytes[at + 2] = length >>> 8;
    bytes[at + 3] = length;
    return at + 4;
  }
  bytes[at] = flags;
  bytes[at + 2] = length;
  return at + 3;
}

function putWords(
  bytes: Uint8Array,
  at: number,
  words: Uint32Array,
  from: number,
  count: number,
): number {
  let to = at;
  for (let i = from; i < from + count; i++) to = putWord(bytes, to, words[i]!);
  return to;
}

function putWord(bytes: Uint8Array, at: number, word: number): number {
  bytes[at] = word >>> 24;
  bytes[at + 1] = word >>> 16;
  bytes[at + 2] = word >>> 8;
  bytes[at + 3] = word;
  return at + 4;
}
