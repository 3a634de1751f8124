/** LOCAL_PREF, RFC 4271 §4.3 e, §5.1.5: a 4-octet number, between internal peers only. */
import { type ByteWriter, readU32 } from "../bytes.ts";
import type { PathAttributes } from "../types.ts";
import {
  type AttributeCodec,
  AttributeType,
  type EncodeContext,
  WELL_KNOWN,
  writeAttributeHead,
} from "./codec.ts";
import type { AttributeDraft } from "./draft.ts";
import { type AttributeFault, lengthFault } from "./fault.ts";

const TYPE = AttributeType.localPref;

// RFC 7606 §7.5
const WRONG_LENGTH = lengthFault("withdraw", TYPE, "LOCAL_PREF");

export const localPref: AttributeCodec = {
  type: TYPE,
  name: "LOCAL_PREF",
  flags: WELL_KNOWN,
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
  draft.localPref = readU32(buffer, start);
  return undefined;
}

function encode(attributes: PathAttributes, out: ByteWriter, context: EncodeContext): void {
  if (attributes.localPref === undefined || !context.internal) return;
  writeAttributeHead(out, WELL_KNOWN, TYPE, 4);
  out.u32(attributes.localPref);
}
