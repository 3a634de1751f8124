/**
 * LARGE_COMMUNITY, RFC 8092: 12 octets each, at least one.
 *
 * ```
 * +--------------------+--------------+--------------+
 * |global administrator| local data 1 | local data 2 |   4 octets each
 * +--------------------+--------------+--------------+
 * ```
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

const TYPE = AttributeType.largeCommunities;
const BYTES = 12;

// RFC 8092 §6
const WRONG_LENGTH = lengthFault("withdraw", TYPE, "LARGE_COMMUNITY");

export const largeCommunities: AttributeCodec = {
  type: TYPE,
  name: "LARGE_COMMUNITY",
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
    const [global, local1, local2] = [
      readU32(buffer, at),
      readU32(buffer, at + 4),
      readU32(buffer, at + 8),
    ];
    list.push(`${global}:${local1}:${local2}`);
  }
  // RFC 8092 §3: redundant ones are removed silently.
  draft.largeCommunities = list.length === 1 ? list : [...new Set(list)];
  return undefined;
}

function encode(attributes: PathAttributes, out: ByteWriter): void {
  const list = attributes.largeCommunities;
  if (list.length === 0) return;
  writeAttributeHead(out, OPTIONAL_TRANSITIVE, TYPE, list.length * BYTES);
  for (const community of list) {
    for (const part of community.split(":")) out.u32(Number(part));
  }
}
