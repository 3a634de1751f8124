/**
 * EXTENDED COMMUNITIES, RFC 4360: 8 octets each, at least one. Their meaning is not ours; they are
 * kept as 16 hexadecimal digits.
 */
import { type ByteWriter, readU32 } from "../bytes.ts";
import type { PathAttributes } from "../types.ts";
import {
  type AttributeCodec,
  AttributeType,
  OPTIONAL_TRANSITIVE,
  writeAttributeHead,
} from "./codec.ts";
import type { AttributeDraft } from "./draft.ts";
import { type AttributeFault, lengthFault } from "./fault.ts";

const TYPE = AttributeType.extendedCommunities;
const BYTES = 8;

// RFC 7606 §7.14
const WRONG_LENGTH = lengthFault("withdraw", TYPE, "EXTENDED COMMUNITIES");

export const extendedCommunities: AttributeCodec = {
  type: TYPE,
  name: "EXTENDED COMMUNITIES",
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
  if (end === start || (end - start) % BYTES !== 0) return WRONG_LENGTH;
  const list: string[] = [];
  for (let at = start; at < end; at += BYTES) {
    list.push(wordHex(readU32(buffer, at)) + wordHex(readU32(buffer, at + 4)));
  }
  draft.extendedCommunities = list;
  return undefined;
}

function encode(attributes: PathAttributes, out: ByteWriter): void {
  const list = attributes.extendedCommunities;
  if (list.length === 0) return;
  writeAttributeHead(out, OPTIONAL_TRANSITIVE, TYPE, list.length * BYTES);
  for (const community of list) {
    out.u32(Number.parseInt(community.slice(0, 8), 16));
    out.u32(Number.parseInt(community.slice(8), 16));
  }
}

function wordHex(word: number): string {
  return word.toString(16).padStart(8, "0");
}
