/** ORIGINATOR_ID, RFC 4456 §8: the 4-octet router id of who brought the route into the AS. */
import { type ByteWriter, readU32 } from "../bytes.ts";
import type { PathAttributes } from "../types.ts";
import {
  type AttributeCodec,
  AttributeType,
  type EncodeContext,
  OPTIONAL,
  writeAttributeHead,
} from "./codec.ts";
import type { AttributeDraft } from "./draft.ts";
import { type AttributeFault, lengthFault } from "./fault.ts";

const TYPE = AttributeType.originatorId;

// RFC 7606 §7.9
const WRONG_LENGTH = lengthFault("withdraw", TYPE, "ORIGINATOR_ID");

export const originatorId: AttributeCodec = {
  type: TYPE,
  name: "ORIGINATOR_ID",
  flags: OPTIONAL,
  from: "internal",
  decode,
  encode,
};

function decode(
  buffer: Uint8Array,
  start: number,
  end: number,
  draft: AttributeDraft,
): AttributeFault | undefined {
  if (end - start !== 4) return WRONG_LENGTH;
  draft.originatorId = readU32(buffer, start);
  return undefined;
}

function encode(attributes: PathAttributes, out: ByteWriter, context: EncodeContext): void {
  if (attributes.originatorId === undefined || !context.internal) return;
  writeAttributeHead(out, OPTIONAL, TYPE, 4);
  out.u32(attributes.originatorId);
}
