/** CLUSTER_LIST, RFC 4456 §8: 4-octet cluster ids, nearest reflector first, at least one. */
import type { ByteWriter } from "../bytes.ts";
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
import { decodeWords, encodeWords } from "./words.ts";

const TYPE = AttributeType.clusterList;

// RFC 7606 §7.10
const WRONG_LENGTH = lengthFault("withdraw", TYPE, "CLUSTER_LIST");

export const clusterList: AttributeCodec = {
  type: TYPE,
  name: "CLUSTER_LIST",
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
  const list = decodeWords(buffer, start, end);
  if (list === undefined) return WRONG_LENGTH;
  draft.clusterList = list;
  return undefined;
}

function encode(attributes: PathAttributes, out: ByteWriter, context: EncodeContext): void {
  const list = attributes.clusterList;
  if (list.length === 0 || !context.internal) return;
  writeAttributeHead(out, OPTIONAL, TYPE, list.length * 4);
  encodeWords(list, out);
}
