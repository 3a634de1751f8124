/** COMMUNITIES, RFC 1997: 4 octets each, at least one. */
import type { ByteWriter } from "../bytes.ts";
import type { PathAttributes } from "../types.ts";
import {
  type AttributeCodec,
  AttributeType,
  OPTIONAL_TRANSITIVE,
  writeAttributeHead,
} from "./codec.ts";
import type { AttributeDraft } from "./draft.ts";
import { type AttributeFault, lengthFault } from "./fault.ts";
import { decodeWords, encodeWords } from "./words.ts";

const TYPE = AttributeType.communities;

// RFC 7606 §7.8
const WRONG_LENGTH = lengthFault("withdraw", TYPE, "COMMUNITIES");

export const communities: AttributeCodec = {
  type: TYPE,
  name: "COMMUNITIES",
  flags: OPTIONAL_TRANSITIVE,
  decode,
  encode,
};

function decode(
  buffer: Uint8Array,
  start: number,
  end: number,
  draft: AttributeDraft,
): AttributeFault | undefined {
  const list = decodeWords(buffer, start, end);
  if (list === undefined) return WRONG_LENGTH;
  draft.communities = list;
  return undefined;
}

function encode(attributes: PathAttributes, out: ByteWriter): void {
  const list = attributes.communities;
  if (list.length === 0) return;
  writeAttributeHead(out, OPTIONAL_TRANSITIVE, TYPE, list.length * 4);
  encodeWords(list, out);
}
