/**
 * AGGREGATOR, RFC 4271 §4.3 g, §5.1.7.
 *
 * ```
 * +---------+---------+
 * |   AS    | address |   AS: 4 octets when both speakers announced 4-octet AS, else 2
 * +---------+---------+
 * ```
 *
 * Towards a peer without 4-octet AS a larger number goes as AS_TRANS, and the real one in
 * AS4_AGGREGATOR (RFC 6793 §4.2.2).
 */
import { twoOctetAs } from "../as-number.ts";
import { type ByteWriter, readU16, readU32 } from "../bytes.ts";
import { UpdateSubcode } from "../errors.ts";
import type { PathAttributes } from "../types.ts";
import {
  type AttributeCodec,
  AttributeType,
  type DecodeContext,
  type EncodeContext,
  OPTIONAL_TRANSITIVE,
  writeAttributeHead,
} from "./codec.ts";
import type { AttributeDraft } from "./draft.ts";
import { type AttributeFault, fault, lengthFault } from "./fault.ts";

const TYPE = AttributeType.aggregator;

// RFC 7606 §7.7, RFC 7607 §2
const WRONG_LENGTH = lengthFault("discard", TYPE, "AGGREGATOR");
const AS_ZERO = fault("discard", TYPE, UpdateSubcode.optionalAttribute, "AGGREGATOR: AS 0");

export const aggregator: AttributeCodec = {
  type: TYPE,
  name: "AGGREGATOR",
  flags: OPTIONAL_TRANSITIVE,
  decode,
  encode,
};

function decode(
  buffer: Uint8Array,
  start: number,
  end: number,
  draft: AttributeDraft,
  context: DecodeContext,
): AttributeFault | undefined {
  const asBytes = context.fourOctetAs ? 4 : 2;
  if (end - start !== asBytes + 4) return WRONG_LENGTH;
  const as = asBytes === 4 ? readU32(buffer, start) : readU16(buffer, start);
  if (as === 0) return AS_ZERO;
  draft.aggregator = { as, address: readU32(buffer, start + asBytes) };
  return undefined;
}

function encode(attributes: PathAttributes, out: ByteWriter, context: EncodeContext): void {
  const value = attributes.aggregator;
  if (value === undefined) return;
  writeAttributeHead(out, OPTIONAL_TRANSITIVE, TYPE, context.fourOctetAs ? 8 : 6);
  if (context.fourOctetAs) out.u32(value.as);
  else out.u16(twoOctetAs(value.as));
  out.u32(value.address);
}
