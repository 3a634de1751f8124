/**
 * ORIGIN, RFC 4271 §4.3 a, §5.1.1: one octet, 0 IGP, 1 EGP, 2 INCOMPLETE.
 */
import type { ByteWriter } from "../bytes.ts";
import { UpdateSubcode } from "../errors.ts";
import type { Origin, PathAttributes } from "../types.ts";
import { type AttributeCodec, AttributeType, WELL_KNOWN, writeAttributeHead } from "./codec.ts";
import type { AttributeDraft } from "./draft.ts";
import { type AttributeFault, fault, lengthFault } from "./fault.ts";

const TYPE = AttributeType.origin;
const ORIGIN_MAX = 2;

// RFC 7606 §7.1
const WRONG_LENGTH = lengthFault("withdraw", TYPE, "ORIGIN");
const UNKNOWN_VALUE = fault(
  "withdraw",
  TYPE,
  UpdateSubcode.invalidOrigin,
  "ORIGIN has an undefined value",
);

export const origin: AttributeCodec = {
  type: TYPE,
  name: "ORIGIN",
  flags: WELL_KNOWN,
  decode,
  encode,
};

function decode(
  buffer: Uint8Array,
  start: number,
  end: number,
  draft: AttributeDraft,
): AttributeFault | undefined {
  if (end - start !== 1) return WRONG_LENGTH;
  const value = buffer[start]!;
  if (value > ORIGIN_MAX) return UNKNOWN_VALUE;
  draft.origin = value as Origin;
  return undefined;
}

function encode(attributes: PathAttributes, out: ByteWriter): void {
  writeAttributeHead(out, WELL_KNOWN, TYPE, 1);
  out.u8(attributes.origin);
}
