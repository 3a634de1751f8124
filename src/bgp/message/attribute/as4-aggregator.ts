/** AS4_AGGREGATOR, RFC 6793 §3: AGGREGATOR with a 4-octet AS, for peers without 4-octet AS. */
import { type ByteWriter, readU32 } from "../bytes.ts";
import { UpdateSubcode } from "../errors.ts";
import type { PathAttributes } from "../types.ts";
import {
  type AttributeCodec,
  AttributeType,
  type EncodeContext,
  OPTIONAL_TRANSITIVE,
  writeAttributeHead,
} from "./codec.ts";
import type { AttributeDraft } from "./draft.ts";
import { type AttributeFault, fault, lengthFault } from "./fault.ts";

const TYPE = AttributeType.as4Aggregator;

// RFC 6793 §6, RFC 7607 §2
const WRONG_LENGTH = lengthFault("discard", TYPE, "AS4_AGGREGATOR");
const AS_ZERO = fault("discard", TYPE, UpdateSubcode.optionalAttribute, "AS4_AGGREGATOR: AS 0");

export const as4Aggregator: AttributeCodec = {
  type: TYPE,
  name: "AS4_AGGREGATOR",
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
  if (end - start !== 8) return WRONG_LENGTH;
  const as = readU32(buffer, start);
  if (as === 0) return AS_ZERO;
  draft.as4Aggregator = { as, address: readU32(buffer, start + 4) };
  return undefined;
}

function encode(attributes: PathAttributes, out: ByteWriter, context: EncodeContext): void {
  const value = attributes.aggregator;
  if (context.fourOctetAs || value === undefined || value.as <= 0xffff) return;
  writeAttributeHead(out, OPTIONAL_TRANSITIVE, TYPE, 8);
  out.u32(value.as);
  out.u32(value.address);
}
