/** The attributes and prefixes of an UPDATE in the words of `tcpdump -v`; see tcpdump-message.ts. */
import { decodeSegments } from "../../../src/bgp/message/attribute/as-path.ts";
import { AttributeFlag, AttributeType } from "../../../src/bgp/message/attribute/codec.ts";
import { readU16, readU32 } from "../../../src/bgp/message/bytes.ts";
import { ipFamilyOfAfi } from "../../../src/bgp/message/family.ts";
import { decodeNlri } from "../../../src/bgp/message/nlri.ts";
import { SegmentType } from "../../../src/bgp/message/types.ts";
import { addressFromBytes, type IpFamily } from "../../../src/ip/address.ts";
import { PrefixBatch } from "../../../src/ip/prefix-batch.ts";
import { hexLines } from "./hex-lines.ts";

const NAMES: ReadonlyMap<number, string> = new Map([
  [AttributeType.origin, "Origin"],
  [AttributeType.asPath, "AS Path"],
  [AttributeType.nextHop, "Next Hop"],
  [AttributeType.med, "Multi Exit Discriminator"],
  [AttributeType.localPref, "Local Preference"],
  [AttributeType.atomicAggregate, "Atomic Aggregate"],
  [AttributeType.aggregator, "Aggregator"],
  [AttributeType.communities, "Community"],
  [AttributeType.originatorId, "Originator ID"],
  [AttributeType.clusterList, "Cluster List"],
  [AttributeType.mpReach, "Multi-Protocol Reach NLRI"],
  [AttributeType.mpUnreach, "Multi-Protocol Unreach NLRI"],
  [AttributeType.extendedCommunities, "Extended Community"],
  [AttributeType.as4Path, "AS4 Path"],
  [AttributeType.as4Aggregator, "AS4 Aggregator"],
  [AttributeType.largeCommunities, "Large Community"],
]);

const ORIGINS = ["IGP", "EGP", "Incomplete"];
const CUT_OFF = "[cut off]";

/** A line for each attribute, more for those with prefixes or without a decoder. */
export function renderAttributes(list: Uint8Array, fourOctetAs: boolean): string[] {
  const lines: string[] = [];
  for (let at = 0; at < list.length; ) {
    const flags = list[at]!;
    const extended = (flags & AttributeFlag.extendedLength) !== 0;
    const value = at + (extended ? 4 : 3);
    if (value > list.length) return [...lines, `  ${CUT_OFF}`];
    const type = list[at + 1]!;
    const length = extended ? readU16(list, at + 2) : list[at + 2]!;
    if (value + length > list.length) return [...lines, `  ${CUT_OFF}`];
    const name = NAMES.get(type) ?? "Unknown Attribute";
    const head = `  ${name} (${type}), length: ${length}, Flags [${flagsText(flags)}]: `;
    const octets = list.subarray(value, value + length);
    const [first, ...more] = valueLines(type, octets, fourOctetAs);
    lines.push(head + (first ?? ""), ...more);
    at = value + length;
  }
  return lines;
}

function flagsText(flags: number): string {
  const has = (flag: number, letter: string) => ((flags & flag) === 0 ? "" : letter);
  return (
    has(AttributeFlag.optional, "O") +
    has(AttributeFlag.transitive, "T") +
    has(AttributeFlag.partial, "P") +
    has(AttributeFlag.extendedLength, "E")
  );
}

/** What stands behind the colon, then further lines. */
function valueLines(type: number, value: Uint8Array, fourOctetAs: boolean): string[] {
  const length = value.length;
  switch (type) {
    case AttributeType.origin:
      if (length === 1) return [ORIGINS[value[0]!] ?? `Unknown (${value[0]})`];
      break;
    case AttributeType.asPath:
      return [pathText(value, fourOctetAs ? 4 : 2)];
    case AttributeType.as4Path:
      return [pathText(value, 4)];
    case AttributeType.nextHop:
    case AttributeType.originatorId:
      if (length === 4) return [addressFromBytes(value)];
      break;
    case AttributeType.med:
    case AttributeType.localPref:
      if (length === 4) return [`${readU32(value, 0)}`];
      break;
    case AttributeType.atomicAggregate:
      return [];
    case AttributeType.aggregator:
    case AttributeType.as4Aggregator:
      if (length === 8 || length === 6) return [aggregatorText(value)];
      break;
    case AttributeType.communities:
      if (length % 4 === 0) return [words(value).map(communityText).join(" ")];
      break;
    case AttributeType.clusterList:
      if (length % 4 === 0)
        return [
          words(value)
            .map((_, i) => dotted(value, i * 4))
            .join(", "),
        ];
      break;
    case AttributeType.largeCommunities:
      if (length % 12 === 0) return ["", largeLine(value)];
      break;
    case AttributeType.mpReach:
      return ["", ...reachLines(value)];
    case AttributeType.mpUnreach:
      return ["", ...unreachLines(value)];
  }
  return ["", `    no Attribute ${type} decoder`, ...hexLines(value, "    ")];
}

function pathText(value: Uint8Array, asBytes: 2 | 4): string {
  if (value.length === 0) return "empty";
  const segments = decodeSegments(value, 0, value.length, asBytes, false);
  if (typeof segments === "string") return `[${segments}]`;
  return segments
    .map(({ type, asns }) => (type === SegmentType.set ? `{ ${asns.join(" ")} }` : asns.join(" ")))
    .join(" ");
}

function aggregatorText(value: Uint8Array): string {
  const asBytes = value.length - 4;
  const as = asBytes === 4 ? readU32(value, 0) : readU16(value, 0);
  return ` AS #${as}, origin ${dotted(value, asBytes)}`;
}

function dotted(value: Uint8Array, at: number): string {
  return addressFromBytes(value, at, 4);
}

function words(value: Uint8Array): number[] {
  return Array.from({ length: value.length / 4 }, (_, i) => readU32(value, i * 4));
}

function communityText(word: number): string {
  return `${word >>> 16}:${word & 0xffff}`;
}

function largeLine(value: Uint8Array): string {
  const parts = words(value);
  const list: string[] = [];
  for (let i = 0; i < parts.length; i += 3) {
    list.push(`${parts[i]}:${parts[i + 1]}:${parts[i + 2]}`);
  }
  return `    ${list.join(", ")}`;
}

function reachLines(value: Uint8Array): string[] {
  if (value.length < 5) return [`    ${CUT_OFF}`];
  const length = value[3]!;
  const nlri = 4 + length + 1;
  if (nlri > value.length) return [familyLine(value), `    ${CUT_OFF}`];
  const family = ipFamilyOfAfi(readU16(value, 0));
  const width = length === 4 ? 4 : 16;
  const hops: string[] = [];
  for (let at = 4; at + width <= 4 + length; at += width) {
    hops.push(addressFromBytes(value, at, width));
  }
  const head = `    nexthop: ${hops.join(", ")}, nh-length: ${length}, no SNPA`;
  return [familyLine(value), head, ...multiprotocolPrefixes(value.subarray(nlri), family)];
}

function unreachLines(value: Uint8Array): string[] {
  if (value.length < 3) return [`    ${CUT_OFF}`];
  const family = ipFamilyOfAfi(readU16(value, 0));
  if (value.length === 3) return [familyLine(value), "      End-of-Rib Marker (empty NLRI)"];
  return [familyLine(value), ...multiprotocolPrefixes(value.subarray(3), family)];
}

function familyLine(value: Uint8Array): string {
  const [afi, safi] = [readU16(value, 0), value[2]!];
  const name = afi === 1 ? "IPv4" : afi === 2 ? "IPv6" : "Unknown";
  return `    AFI: ${name} (${afi}), SAFI: ${safi === 1 ? "Unicast" : "Unknown"} (${safi})`;
}

function multiprotocolPrefixes(nlri: Uint8Array, family: IpFamily | undefined): string[] {
  if (family === undefined) return hexLines(nlri, "      ");
  return renderPrefixes(nlri, family, "      ");
}

/** A line for each prefix, without path identifiers. */
export function renderPrefixes(nlri: Uint8Array, family: IpFamily, indent: string): string[] {
  const batch = new PrefixBatch();
  batch.reset(family);
  const problem = decodeNlri(batch, nlri, 0, nlri.length, false);
  const lines = Array.from({ length: batch.count }, (_, row) => indent + batch.prefixAt(row));
  return problem === undefined ? lines : [...lines, `${indent}[${problem}]`];
}
