/**
 * All prefixes of one family that anything is known of: an open-addressing hash from prefix to a
 * row that never moves, and typed columns by row. No object, no string, no closure per prefix.
 *
 * The index is cut into 64 segments by the upper hash bits, and each segment doubles by itself: so
 * a table of a million rows never rehashes a million entries at once, but 16,000 (under 1 ms).
 * A slot is two words, hash and row, so that a probe, a removal and a rehash stay within the slots:
 * each column that they would look at is one more access to cold memory. For IPv4 the hash is a
 * permutation of the prefix, and equal hashes are equal prefixes: but for one bit, see `keyOf4`.
 * Row 0 = empty slot; rows begin at 1.
 *
 * A row lives while it has a path, or while someone holds it: an update group that advertised it
 * or has yet to look at it, a member that has yet to hear of it, the consumer of best routes.
 */
import type { IpFamily } from "../../ip/address.ts";
import type { PrefixBatch } from "../../ip/prefix-batch.ts";
import { finishHash, mixWord } from "../../ip/prefix-hash.ts";
import { assert } from "../../runtime/assert.ts";
import { Growth, larger8, larger16, larger32 } from "./columns.ts";
import { PREFIXES_MAX } from "./limits.ts";

/** A prefix in its table; 0 = none. */
export type RowId = number;

export const NO_ROW: RowId = 0;

const ROWS_FIRST = 16;
const SEGMENT_BITS = 6;
/** Words of a segment's first slots. */
const SEGMENT_WORDS_FIRST = 16;
const ROW_MASK = 0xff_ffff;
/** Beside the row: an IPv4 prefix of 32 bits, whose key may be that of one of 31. */
const HOST_ROUTE = 0x8000_0000;
const LENGTH_FREE = 255;

export class PrefixTable {
  readonly family: IpFamily;
  private readonly seed: number;

  private readonly segments: Int32Array[] = [];
  private readonly segmentUsed: Uint32Array;
  private readonly segmentShift: number;
  /** Means nothing: `touch` writes it, so that no compiler leaves its reads out. */
  touched = 0;

  private word0: Uint32Array = new Uint32Array(ROWS_FIRST);
  private word1: Uint32Array = new Uint32Array(0);
  private word2: Uint32Array = new Uint32Array(0);
  private word3: Uint32Array = new Uint32Array(0);
  private lengths: Uint8Array = new Uint8Array(ROWS_FIRST);
  private heads: Uint32Array = new Uint32Array(ROWS_FIRST);
  private bests: Uint32Array = new Uint32Array(ROWS_FIRST);
  private holds: Uint16Array = new Uint16Array(ROWS_FIRST);
  private marks: Uint32Array = new Uint32Array(ROWS_FIRST);

  private readonly growth: Growth;
  private freeHead: RowId = NO_ROW;
  private limit = 1;
  private used = 0;

  /**
   * `seed`: any u32; a random one makes hash collisions unforeseeable to peers. 2 ** `segmentBits`
   * segments, at least two.
   */
  constructor(family: IpFamily, seed: number, segmentBits = SEGMENT_BITS) {
    this.family = family;
    this.seed = seed;
    this.segmentShift = 32 - segmentBits;
    this.segmentUsed = new Uint32Array(1 << segmentBits);
    for (let i = 0; i < 1 << segmentBits; i++) {
      this.segments.push(new Int32Array(SEGMENT_WORDS_FIRST));
    }
    // The columns of the lower words stay empty for IPv4.
    this.growth = new Growth(family === 4 ? 6 : 9, ROWS_FIRST);
    if (family === 6) {
      this.word1 = new Uint32Array(ROWS_FIRST);
      this.word2 = new Uint32Array(ROWS_FIRST);
      this.word3 = new Uint32Array(ROWS_FIRST);
    }
  }

  /** Rows in use. */
  get size(): number {
    return this.used;
  }

  /** One more than the largest row ever used: the end of a walk over all rows. */
  get rowLimit(): number {
    return this.limit;
  }

  /** Whether the row holds a prefix now. */
  isUsed(row: RowId): boolean {
    return row > 0 && row < this.limit && this.lengths[row] !== LENGTH_FREE;
  }

  /**
   * Reads the slots where the prefixes of the batch will be looked for first. Each is in cold
   * memory of a large table; read one behind the other, they come at once.
   */
  touch(batch: PrefixBatch): void {
    const { segments, segmentShift } = this;
    let read = 0;
    for (let i = 0; i < batch.count; i++) {
      const hash = this.hashOf(batch, i);
      const slots = segments[hash >>> segmentShift]!;
      read ^= slots[(hash << 1) & (slots.length - 2)]!;
    }
    this.touched = read;
  }

  /** The row of prefix `index` of the batch, or 0. */
  find(batch: PrefixBatch, index: number): RowId {
    const hash = this.hashOf(batch, index);
    const slots = this.segments[hash >>> this.segmentShift]!;
    return slots[this.probe(slots, hash, batch, index) + 1]! & ROW_MASK;
  }

  /** The row of prefix `index` of the batch, made if need be; 0 when the table is full. */
  insert(batch: PrefixBatch, index: number): RowId {
    const hash = this.hashOf(batch, index);
    const segment = hash >>> this.segmentShift;
    const slots = this.segments[segment]!;
    const slot = this.probe(slots, hash, batch, index);
    const found = slots[slot + 1]! & ROW_MASK;
    if (found !== NO_ROW) return found;
    if (this.used >= PREFIXES_MAX) return NO_ROW;
    const row = this.takeRow();
    this.word0[row] = batch.word0[index]!;
    if (this.family === 6) {
      this.word1[row] = batch.word1[index]!;
      this.word2[row] = batch.word2[index]!;
      this.word3[row] = batch.word3[index]!;
    }
    this.lengths[row] = batch.length[index]!;
    slots[slot] = hash;
    slots[slot + 1] = row | this.markOf(batch, index);
    const used = this.segmentUsed[segment]! + 1;
    this.segmentUsed[segment] = used;
    if (used * 3 > slots.length) this.growSegment(segment);
    return row;
  }

  /** First path of the row, 0 = none. The path store keeps the chain. */
  head(row: RowId): number {
    return this.heads[row]!;
  }

  setHead(row: RowId, path: number): void {
    this.heads[row] = path;
  }

  /** 32 bits of the path store; 0 for a new row. */
  marksOf(row: RowId): number {
    return this.marks[row]!;
  }

  setMarks(row: RowId, marks: number): void {
    this.marks[row] = marks;
  }

  /** Best path of the row, 0 = none. */
  best(row: RowId): number {
    return this.bests[row]!;
  }

  setBest(row: RowId, path: number): void {
    this.bests[row] = path;
  }

  /** Keeps the row though it may have no path. */
  hold(row: RowId): void {
    assert(this.lengths[row] !== LENGTH_FREE, "hold of a row that is gone");
    this.holds[row] = this.holds[row]! + 1;
  }

  /** Ends one hold; the row goes when nothing needs it any more. */
  unhold(row: RowId): void {
    const holds = this.holds[row]! - 1;
    assert(holds >= 0, "row held less than never");
    this.holds[row] = holds;
    if (holds === 0 && this.heads[row] === 0) this.remove(row);
  }

  /** To call when the last path has gone: removes the row unless it is held. */
  releaseIfUnused(row: RowId): void {
    if (this.holds[row] === 0 && this.heads[row] === 0) this.remove(row);
  }

  /** Appends the row's prefix to a batch of this family. */
  copyTo(batch: PrefixBatch, row: RowId, pathId: number): void {
    if (this.family === 4) batch.push4(this.word0[row]!, this.lengths[row]!, pathId);
    else {
      batch.push6(
        this.word0[row]!,
        this.word1[row]!,
        this.word2[row]!,
        this.word3[row]!,
        this.lengths[row]!,
        pathId,
      );
    }
  }

  /** A number of the row's prefix: another where another prefix has the row now, but for chance. */
  fingerprint(row: RowId): number {
    return this.hashOfRow(row) ^ this.lengths[row]!;
  }

  /** Prefix length in bits. */
  length(row: RowId): number {
    return this.lengths[row]!;
  }

  /** Word `index` of the network, most significant first; IPv4 has word 0 alone. */
  word(row: RowId, index: number): number {
    if (index === 0) return this.word0[row]!;
    if (this.family === 4) return 0;
    return (index === 1 ? this.word1 : index === 2 ? this.word2 : this.word3)[row]!;
  }

  /** Numeric order by address, then shorter first. */
  compare(a: RowId, b: RowId): number {
    let difference = this.word0[a]! - this.word0[b]!;
    if (difference === 0 && this.family === 6) {
      difference =
        this.word1[a]! - this.word1[b]! ||
        this.word2[a]! - this.word2[b]! ||
        this.word3[a]! - this.word3[b]!;
    }
    return difference || this.lengths[a]! - this.lengths[b]!;
  }

  /** Where the slot begins that holds the prefix, or the empty one where it belongs. */
  private probe(slots: Int32Array, hash: number, batch: PrefixBatch, index: number): number {
    const mask = slots.length - 2;
    const mark = this.markOf(batch, index);
    let slot = (hash << 1) & mask;
    for (;;) {
      const entry = slots[slot + 1]!;
      if (entry === NO_ROW) return slot;
      if (slots[slot] === hash && (entry & HOST_ROUTE) === mark) {
        if (this.family === 4 || this.holdsPrefix6(entry & ROW_MASK, batch, index)) return slot;
      }
      slot = (slot + 2) & mask;
    }
  }

  /** What stands beside the row in the slot of this prefix; signed, as `&` gives it. */
  private markOf(batch: PrefixBatch, index: number): number {
    return this.family === 4 && batch.length[index] === 32 ? HOST_ROUTE | 0 : 0;
  }

  private holdsPrefix6(row: RowId, batch: PrefixBatch, index: number): boolean {
    return (
      this.word0[row] === batch.word0[index] &&
      this.word1[row] === batch.word1[index] &&
      this.word2[row] === batch.word2[index] &&
      this.word3[row] === batch.word3[index] &&
      this.lengths[row] === batch.length[index]
    );
  }

  private remove(row: RowId): void {
    assert(this.lengths[row] !== LENGTH_FREE, "row removed twice");
    const hash = this.hashOfRow(row);
    const segment = hash >>> this.segmentShift;
    const slots = this.segments[segment]!;
    const mask = slots.length - 2;
    let hole = (hash << 1) & mask;
    while ((slots[hole + 1]! & ROW_MASK) !== row) hole = (hole + 2) & mask;
    for (let probe = (hole + 2) & mask; slots[probe + 1] !== NO_ROW; probe = (probe + 2) & mask) {
      const home = (slots[probe]! << 1) & mask;
      if (((probe - home) & mask) < ((probe - hole) & mask)) continue;
      slots[hole] = slots[probe]!;
      slots[hole + 1] = slots[probe + 1]!;
      hole = probe;
    }
    slots[hole + 1] = NO_ROW;
    this.segmentUsed[segment] = this.segmentUsed[segment]! - 1;
    this.lengths[row] = LENGTH_FREE;
    this.bests[row] = 0;
    this.heads[row] = this.freeHead;
    this.freeHead = row;
    this.used--;
  }

  private takeRow(): RowId {
    this.used++;
    const reused = this.freeHead;
    if (reused !== NO_ROW) {
      this.freeHead = this.heads[reused]!;
      this.heads[reused] = 0;
      return reused;
    }
    const row = this.limit;
    this.limit = row + 1;
    while (this.growth.isDue(row)) this.growColumn(this.growth.next());
    return row;
  }

  private growSegment(segment: number): void {
    const old = this.segments[segment]!;
    const slots = new Int32Array(old.length * 2);
    const mask = slots.length - 2;
    for (let i = 0; i < old.length; i += 2) {
      const entry = old[i + 1]!;
      if (entry === NO_ROW) continue;
      const hash = old[i]!;
      let slot = (hash << 1) & mask;
      while (slots[slot + 1] !== NO_ROW) slot = (slot + 2) & mask;
      slots[slot] = hash;
      slots[slot + 1] = entry;
    }
    this.segments[segment] = slots;
  }

  private growColumn(column: number): void {
    switch (column) {
      case 0:
        this.word0 = larger32(this.word0);
        return;
      case 1:
        this.lengths = larger8(this.lengths);
        return;
      case 2:
        this.heads = larger32(this.heads);
        return;
      case 3:
        this.bests = larger32(this.bests);
        return;
      case 4:
        this.holds = larger16(this.holds);
        return;
      case 5:
        this.marks = larger32(this.marks);
        return;
      case 6:
        this.word1 = larger32(this.word1);
        return;
      case 7:
        this.word2 = larger32(this.word2);
        return;
      default:
        this.word3 = larger32(this.word3);
    }
  }

  private hashOf(batch: PrefixBatch, index: number): number {
    const length = batch.length[index]!;
    const word0 = batch.word0[index]!;
    if (this.family === 4) return finishHash(mixWord(this.seed, keyOf4(word0, length)));
    const h = mixWord(mixWord(this.seed ^ length, word0), batch.word1[index]!);
    return finishHash(mixWord(mixWord(h, batch.word2[index]!), batch.word3[index]!));
  }

  private hashOfRow(row: RowId): number {
    const length = this.lengths[row]!;
    const word0 = this.word0[row]!;
    if (this.family === 4) return finishHash(mixWord(this.seed, keyOf4(word0, length)));
    const h = mixWord(mixWord(this.seed ^ length, word0), this.word1[row]!);
    return finishHash(mixWord(mixWord(h, this.word2[row]!), this.word3[row]!));
  }
}

/**
 * Address and length as one word: the bit behind the prefix is set, all others behind it are clear.
 * So no two prefixes up to /31 share a key; a /32, which has no bit behind it, may share one's.
 */
function keyOf4(word: number, length: number): number {
  return length < 32 ? word | (1 << (31 - length)) : word;
}
