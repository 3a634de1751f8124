/** Puts the 4-octet forms of a peer without 4-octet AS in place, RFC 6793 §4.2.3. */
import { AS_TRANS } from "../as-number.ts";
import { type AsPathSegment, SegmentType } from "../types.ts";
import { asPathLength } from "./as-path.ts";
import type { AttributeDraft } from "./draft.ts";

/** Replaces AS_PATH and AGGREGATOR of the draft by what they stand for. */
export function mergeAs4(draft: AttributeDraft): void {
  const { aggregator, as4Aggregator, as4Path, asPath } = draft;
  if (aggregator !== undefined && as4Aggregator !== undefined) {
    // A speaker that knows nothing of AS4 aggregated on the way: both AS4 attributes are stale.
    if (aggregator.as !== AS_TRANS) return;
    draft.aggregator = as4Aggregator;
  }
  if (as4Path === undefined || asPath === undefined) return;
  const more = asPathLength(asPath) - asPathLength(as4Path);
  if (more < 0) return;
  draft.asPath = join(leading(asPath, more), as4Path);
}

/** The first `count` AS numbers of a path. */
function leading(path: readonly AsPathSegment[], count: number): AsPathSegment[] {
  const head: AsPathSegment[] = [];
  for (const segment of path) {
    if (count <= 0) break;
    if (segment.type === SegmentType.sequence && segment.asns.length > count) {
      head.push({ type: segment.type, asns: segment.asns.slice(0, count) });
      break;
    }
    head.push(segment);
    count -= segment.type === SegmentType.sequence ? segment.asns.length : 1;
  }
  return head;
}

/** Sequences that meet become one. */
function join(head: AsPathSegment[], tail: readonly AsPathSegment[]): readonly AsPathSegment[] {
  const last = head.at(-1);
  const first = tail[0];
  if (last?.type !== SegmentType.sequence || first?.type !== SegmentType.sequence) {
    return [...head, ...tail];
  }
  const met = { type: SegmentType.sequence, asns: [...last.asns, ...first.asns] };
  return [...head.slice(0, -1), met, ...tail.slice(1)];
}
