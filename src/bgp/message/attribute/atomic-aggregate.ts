/** ATOMIC_AGGREGATE, RFC 4271 §4.3 f, §5.1.6: no value. */
import type { ByteWriter } from "../bytes.ts";
import type { PathAttributes } from "../types.ts";
import { type AttributeCodec, AttributeType, WELL_KNOWN, writeAttributeHead } from "./codec.ts";
import type { AttributeDraft } from "./draft.ts";
import { type AttributeFault, lengthFault } from "./fault.ts";

const TYPE = AttributeType.atomicAggregate;

// RFC 7606 §7.6
const WRONG_LENGTH = lengthFault("discard", TYPE, "ATOMIC_AGGREGATE");

export const atomicAggregate: AttributeCodec = {
  type: TYPE,
  name: "ATOMIC_AGGREGATE",
  flags: WELL_KNOWN,
  decode,
  encode,
};

function decode(
  _buffer: Uint8Array,
  start: number,
  end: number,
  draft: AttributeDraft,
): AttributeFault | undefined {
  if (end !== start) return WRONG_LENGTH;
  draft.atomicAggregate = true;
  return undefined;
}

function encode(attributes: PathAttributes, out: ByteWriter): void {
  if (attributes.atomicAggregate) writeAttributeHead(out, WELL_KNOWN, TYPE, 0);
}
