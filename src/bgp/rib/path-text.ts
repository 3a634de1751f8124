/** Text forms of attributes, for listings. */
import { type AsPathSegment, SegmentType } from "../message/types.ts";

/** `65001 65002 {65003 65004}`; confederation segments in round and square brackets. */
export function formatAsPath(path: readonly AsPathSegment[]): string {
  return path.map(formatSegment).join(" ");
}

function formatSegment(segment: AsPathSegment): string {
  const text = segment.asns.join(" ");
  switch (segment.type) {
    case SegmentType.sequence:
      return text;
    case SegmentType.set:
      return `{${text}}`;
    case SegmentType.confedSequence:
      return `(${text})`;
    case SegmentType.confedSet:
      return `[${text}]`;
  }
}

/** `65001:100`, RFC 1997 §4. */
export function formatCommunity(community: number): string {
  return `${community >>> 16}:${community & 0xffff}`;
}
