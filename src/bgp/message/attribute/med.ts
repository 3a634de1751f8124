/** MULTI_EXIT_DISC, RFC 4271 §4.3 d, §5.1.4: a 4-octet number. */
import { type ByteWriter, readU32 } from "../bytes.ts";
import type { PathAttributes } from "../types.ts";
import { type AttributeCodec, AttributeType, OPTIONAL, writeAttributeHead } from "./codec.ts";
import type { AttributeDraft } from "./draft.ts";
import { type AttributeFault, lengthFault } from "./fault.ts";

const TYPE = AttributeType.med;

// RFC 7606 §7.4
const WRONG_LENGTH = lengthFault("withdraw", TYPE, "MULTI_EXIT_DISC");

export const med: AttributeCodec = {
  type: TYPE,
  name: "MULTI_EXIT_DISC",
  flags: OPTIONAL,
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
  draft.med = readU32(buffer, start);
  return undefined;
}

function encode(attributes: PathAttributes, out: ByteWriter): void {
  if (attributes.med === undefined) return;
  writeAttributeHead(out, OPTIONAL, TYPE, 4);
  out.u32(attributes.med);
}
