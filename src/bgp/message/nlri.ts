/**
 * Prefixes in UPDATEs, RFC 4271 §4.3 and RFC 4760 §5, with path identifiers when they were
 * negotiated (RFC 7911 §3):
 *
 * ```
 * +- -- -- -- -+------+--- --
 * | identifier |length| prefix |   identifier: 4 octets, add-path only; length in bits;
 * +- -- -- -- -+------+--- --      prefix: as many octets as the length needs
 * ```
 *
 * Bits behind the length mean nothing (RFC 4271 §4.3) and are cleared. These loops run once for
 * every prefix of a full table: locals and typed columns only, see bench/.
 */
import type { PrefixBatch } from "../../ip/prefix-batch.ts";
import { readU32 } from "./bytes.ts";

/** What makes a field of prefixes syntactically incorrect, RFC 7606 §5.3. */
export type NlriProblem = "prefix is longer than its family allows" | "last prefix is cut off";

const TOO_LONG: NlriProblem = "prefix is longer than its family allows";
const CUT_OFF: NlriProblem = "last prefix is cut off";

/** Appends the prefixes of `start` to `end` to a batch of their family, or says what is wrong. */
export function decodeNlri(
  batch: PrefixBatch,
  buffer: Uint8Array,
  start: number,
  end: number,
  addPath: boolean,
): NlriProblem | undefined {
  return batch.family === 4
    ? decodeNlri4(batch, buffer, start, end, addPath)
    : decodeNlri6(batch, buffer, start, end, addPath);
}

function decodeNlri4(
  batch: PrefixBatch,
  buffer: Uint8Array,
  start: number,
  end: number,
  addPath: boolean,
): NlriProblem | undefined {
  let { word0, length: lengths, pathId: pathIds, count } = batch;
  let at = start;
  while (at < end) {
    let pathId = 0;
    if (addPath) {
      if (end - at < 5) return CUT_OFF;
      pathId = readU32(buffer, at);
      at += 4;
    }
    const length = buffer[at++]!;
    if (length > 32) return TOO_LONG;
    const octets = (length + 7) >>> 3;
    if (octets > end - at) return CUT_OFF;
    let word = 0;
    if (octets > 0) {
      word = buffer[at]! << 24;
      if (octets > 1) word |= buffer[at + 1]! << 16;
      if (octets > 2) word |= buffer[at + 2]! << 8;
      if (octets > 3) word |= buffer[at + 3]!;
      word &= -1 << (32 - length);
      at += octets;
    }
    if (count === lengths.length) {
      batch.count = count;
      batch.reserve(count + 1);
      word0 = batch.word0;
      lengths = batch.length;
      pathIds = batch.pathId;
    }
    word0[count] = word;
    lengths[count] = length;
    pathIds[count] = pathId;
    count++;
  }
  batch.count = count;
  return undefined;
}

function decodeNlri6(
  batch: PrefixBatch,
  buffer: Uint8Array,
  start: number,
  end: number,
  addPath: boolean,
): NlriProblem | undefined {
  let at = start;
  while (at < end) {
    let pathId = 0;
    if (addPath) {
      if (end - at < 5) return CUT_OFF;
      pathId = readU32(buffer, at);
      at += 4;
    }
    const length = buffer[at++]!;
    if (length > 128) return TOO_LONG;
    const octets = (length + 7) >>> 3;
    if (octets > end - at) return CUT_OFF;
    batch.push6(
      wordOf(buffer, at, length),
      wordOf(buffer, at + 4, length - 32),
      wordOf(buffer, at + 8, length - 64),
      wordOf(buffer, at + 12, length - 96),
      length,
      pathId,
    );
    at += octets;
  }
  return undefined;
}

/** The word at `at` of which `bits` bits belong to the prefix; octets beyond are not read. */
function wordOf(buffer: Uint8Array, at: number, bits: number): number {
  if (bits <= 0) return 0;
  if (bits >= 32) return readU32(buffer, at);
  let word = buffer[at]! << 24;
  if (bits > 8) word |= buffer[at + 1]! << 16;
  if (bits > 16) word |= buffer[at + 2]! << 8;
  if (bits > 24) word |= buffer[at + 3]!;
  return (word & (-1 << (32 - bits))) >>> 0;
}

/** Octets of a row on the wire. */
export function nlriBytes(batch: PrefixBatch, row: number, addPath: boolean): number {
  return (addPath ? 5 : 1) + ((batch.length[row]! + 7) >>> 3);
}

/** Where {@link encodeNlri} stopped. */
export interface NlriEnd {
  /** First row that was not written. */
  row: number;
  /** Behind the last octet written. */
  at: number;
}

/**
 * Writes rows `from` to `to` at `at`, as many as fit below `limit`; where it stopped goes into
 * `result`.
 */
export function encodeNlri(
  batch: PrefixBatch,
  from: number,
  to: number,
  out: Uint8Array,
  at: number,
  limit: number,
  addPath: boolean,
  result: NlriEnd,
): void {
  const { word0, word1, word2, word3, length: lengths, pathId: pathIds } = batch;
  const headBytes = addPath ? 5 : 1;
  let row = from;
  for (; row < to; row++) {
    const length = lengths[row]!;
    const octets = (length + 7) >>> 3;
    if (at + headBytes + octets > limit) break;
    if (addPath) {
      writeWord(out, at, pathIds[row]!, 4);
      at += 4;
    }
    out[at++] = length;
    writeWord(out, at, word0[row]!, octets);
    if (octets > 4) {
      writeWord(out, at + 4, word1[row]!, octets - 4);
      writeWord(out, at + 8, word2[row]!, octets - 8);
      writeWord(out, at + 12, word3[row]!, octets - 12);
    }
    at += octets;
  }
  result.row = row;
  result.at = at;
}

/** The first `octets` octets of a word, at most four. */
function writeWord(out: Uint8Array, at: number, word: number, octets: number): void {
  if (octets <= 0) return;
  out[at] = word >>> 24;
  if (octets > 1) out[at + 1] = word >>> 16;
  if (octets > 2) out[at + 2] = word >>> 8;
  if (octets > 3) out[at + 3] = word;
}
