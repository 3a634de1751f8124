/** Lists of 4-octet numbers: the value of COMMUNITIES and CLUSTER_LIST. */
import { type ByteWriter, readU32 } from "../bytes.ts";

/** Numbers at `start` to `end`; undefined unless there is at least one and no octet is left. */
export function decodeWords(
  buffer: Uint8Array,
  start: number,
  end: number,
): readonly number[] | undefined {
  if (end === start || (end - start) % 4 !== 0) return undefined;
  const words = new Array<number>((end - start) >>> 2);
  for (let i = 0; i < words.length; i++) words[i] = readU32(buffer, start + 4 * i);
  return words;
}

export function encodeWords(words: readonly number[], out: ByteWriter): void {
  for (const word of words) out.u32(word);
}
