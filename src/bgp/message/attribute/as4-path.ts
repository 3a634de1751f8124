/**
 * AS4_PATH, RFC 6793 §3: the AS_PATH with 4-octet numbers, from and to peers without 4-octet AS.
 * A malformed one is dropped alone (§6); so are confederation segments in it.
 */
import type { ByteWriter } from "../bytes.ts";
import { UpdateSubcode } from "../errors.ts";
import { type AsPathSegment, type PathAttributes, SegmentType } from "../types.ts";
import { decodeSegments, encodeSegments, segmentsLength } from "./as-path.ts";
import {
  type AttributeCodec,
  AttributeType,
  type EncodeContext,
  OPTIONAL_TRANSITIVE,
  writeAttributeHead,
} from "./codec.ts";
import type { AttributeDraft } from "./draft.ts";
import { type AttributeFault, fault } from "./fault.ts";

const TYPE = AttributeType.as4Path;
/** One segment with one AS. */
const BYTES_MIN = 6;
const MALFORMED = fault("discard", TYPE, UpdateSubcode.optionalAttribute, "AS4_PATH is malformed");

export const as4Path: AttributeCodec = {
  type: TYPE,
  name: "AS4_PATH",
  flags: OPTIONAL_TRANSITIVE,
  from: "old",
  decode,
  encode,
};

function decode(
  buffer: Uint8Array,
  start: number,
  end: number,
  draft: AttributeDraft,
): AttributeFault | undefined {
  if (end - start < BYTES_MIN) return MALFORMED;
  const segments = decodeSegments(buffer, start, end, 4, true);
  if (typeof segments === "string") return MALFORMED;
  draft.as4Path = segments;
  return undefined;
}

/** Only when a number does not fit into AS_PATH, RFC 6793 §4.2.2. */
function encode(attributes: PathAttributes, out: ByteWriter, context: EncodeContext): void {
  if (context.fourOctetAs || !attributes.asPath.some(needsFourOctets)) return;
  const segments = attributes.asPath.filter((segment) => segment.type <= SegmentType.sequence);
  writeAttributeHead(out, OPTIONAL_TRANSITIVE, TYPE, segmentsLength(segments, 4));
  encodeSegments(segments, 4, out);
}

function needsFourOctets(segment: AsPathSegment): boolean {
  return segment.asns.some((as) => as > 0xffff);
}
