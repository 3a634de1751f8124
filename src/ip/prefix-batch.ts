import { addressBytes, addressFromBytes, type IpFamily, leadingQuad } from "./address.ts";
import { type Prefix, prefixAddress, prefixFamily, prefixLength } from "./prefix.ts";

/**
 * A reusable list of prefixes in columns: what a codec fills and a RIB reads, with no object or
 * string for a prefix. Whoever receives one reads it before it returns; the owner refills it.
 *
 * Row i: `word0[i]` holds the IPv4 network (host order), or `word0..word3` the IPv6 network, most
 * significant first; `length[i]` bits; `pathId[i]` the ADD-PATH identifier (RFC 7911), else 0.
 * Host bits are always cleared.
 */
export class PrefixBatch {
  family: IpFamily = 4;
  count = 0;
  word0: Uint32Array;
  word1: Uint32Array;
  word2: Uint32Array;
  word3: Uint32Array;
  length: Uint8Array;
  pathId: Uint32Array;

  constructor(capacity = 64) {
    this.word0 = new Uint32Array(capacity);
    this.word1 = new Uint32Array(capacity);
    this.word2 = new Uint32Array(capacity);
    this.word3 = new Uint32Array(capacity);
    this.length = new Uint8Array(capacity);
    this.pathId = new Uint32Array(capacity);
  }

  /** Empties the batch for prefixes of one family. */
  reset(family: IpFamily): void {
    this.family = family;
    this.count = 0;
  }

  /** Makes room for `capacity` rows in all; keeps the rows there are. */
  reserve(capacity: number): void {
    if (capacity <= this.length.length) return;
    const size = Math.max(capacity, this.length.length * 2);
    this.word0 = grown(this.word0, size);
    this.word1 = grown(this.word1, size);
    this.word2 = grown(this.word2, size);
    this.word3 = grown(this.word3, size);
    this.pathId = grown(this.pathId, size);
    const length = new Uint8Array(size);
    length.set(this.length);
    this.length = length;
  }

  /** Appends an IPv4 row; host bits must be clear. */
  push4(word: number, length: number, pathId = 0): void {
    const row = this.count;
    if (row === this.length.length) this.reserve(row + 1);
    this.word0[row] = word;
    this.length[row] = length;
    this.pathId[row] = pathId;
    this.count = row + 1;
  }

  /** Appends an IPv6 row; host bits must be clear. */
  push6(w0: number, w1: number, w2: number, w3: number, length: number, pathId = 0): void {
    const row = this.count;
    if (row === this.length.length) this.reserve(row + 1);
    this.word0[row] = w0;
    this.word1[row] = w1;
    this.word2[row] = w2;
    this.word3[row] = w3;
    this.length[row] = length;
    this.pathId[row] = pathId;
    this.count = row + 1;
  }

  /** Text of row i, for listings and tests. */
  prefixAt(row: number): Prefix {
    return formatPrefix(
      this.family,
      this.word0[row]!,
      this.word1[row]!,
      this.word2[row]!,
      this.word3[row]!,
      this.length[row]!,
    );
  }
}

/** Appends a prefix in text form to a batch of its family. */
export function pushPrefix(batch: PrefixBatch, prefix: Prefix, pathId = 0): void {
  const length = prefixLength(prefix);
  if (prefixFamily(prefix) === 4) {
    batch.push4(leadingQuad(prefix, prefix.indexOf("/")), length, pathId);
    return;
  }
  const bytes = addressBytes(prefixAddress(prefix));
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const word = (index: number) => view.getUint32(index * 4);
  batch.push6(word(0), word(1), word(2), word(3), length, pathId);
}

function grown(column: Uint32Array, size: number): Uint32Array {
  const larger = new Uint32Array(size);
  larger.set(column);
  return larger;
}

/** Canonical text of a prefix kept as words. */
export function formatPrefix(
  family: IpFamily,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
  length: number,
): Prefix {
  if (family === 4) return formatPrefix4(w0, length);
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, w0);
  view.setUint32(4, w1);
  view.setUint32(8, w2);
  view.setUint32(12, w3);
  return `${addressFromBytes(bytes)}/${length}` as Prefix;
}

const TEXT4_BYTES_MAX = "255.255.255.255/32".length;
const [DOT, SLASH, ZERO] = [46, 47, 48];
const scratch = Buffer.alloc(TEXT4_BYTES_MAX);

/** By way of bytes: a third of the time that joining strings takes, and the result is flat. */
function formatPrefix4(word: number, length: number): Prefix {
  let at = putDecimal(0, word >>> 24);
  scratch[at++] = DOT;
  at = putDecimal(at, (word >>> 16) & 255);
  scratch[at++] = DOT;
  at = putDecimal(at, (word >>> 8) & 255);
  scratch[at++] = DOT;
  at = putDecimal(at, word & 255);
  scratch[at++] = SLASH;
  at = putDecimal(at, length);
  return scratch.toString("latin1", 0, at) as Prefix;
}

/** Writes a number from 0 to 255 to `scratch`; gives the offset behind it. */
function putDecimal(offset: number, value: number): number {
  let at = offset;
  if (value > 99) scratch[at++] = ZERO + Math.floor(value / 100);
  if (value > 9) scratch[at++] = ZERO + (Math.floor(value / 10) % 10);
  scratch[at++] = ZERO + (value % 10);
  return at;
}
