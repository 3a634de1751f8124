/**
 * All prefixes of one family that anything is known of: an open-addressing hash from prefix to a
 * row that never moves, and typed columns by row. No object, no string, no closure per prefix.
 *
 * The index is cut into 64 segments by the upper hash bits, and each segment doubles by itself: so
 * a table of a million rows never rehashes a million entries at once, but 16,000 (under 1 ms).
 * A slot holds `tag << 24 | row`; the tag is eight more bits of the hash, so that a probe that
 * passes other entries seldom touches their columns. Empty = 0; rows begin at 1.
 *
 * A row lives while it has a path, or while someone holds it: an update group that advertised it
 * or has yet to look at it, a member that has yet to hear of it, the consumer of best routes.
 */
import type { IpFamily } from "../../ip/address.ts";
import type { PrefixBatch } from "../../ip/prefix-batch.ts";
import { assert } from "../../runtime/assert.ts";
import { doubled8, doubled16, doubled32, Growth } from "./columns.ts";
import { PREFIXES_MAX } from "./limits.ts";

/** A prefix in its table; 0 = none. */
export type RowId = number;

export const NO_ROW: RowId = 0;

const ROWS_FIRST = 16;
const SEGMENT_BITS = 6;
const SEGMENT_SLOTS_FIRST = 8;
const ROW_MASK = 0xff_ffff;
const TAG_MASK = 0xff00_0000;
const LENGTH_FREE = 255;

export class PrefixTable {
  readonly family: IpFamily;
  private readonly seed: number;

  private readonly segments: Uint32Array[] = [];
  private readonly segmentUsed: Uint32Array;
  private readonly segmentShift: number;

  private word0 = new Uint32Array(ROWS_FIRST);
  private word1 = new Uint32Array(0);
  private word2 = new Uint32Array(0);
  private word3 = new Uint32Array(0);
  private lengths = new Uint8Array(ROWS_FIRST);
  private heads = new Uint32Array(ROWS_FIRST);
  private bests = new Uint32Array(ROWS_FIRST);
  private holds = new Uint16Array(ROWS_FIRST);

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
      this.segments.push(new Uint32Array(SEGMENT_SLOTS_FIRST));
    }
    // The columns of the lower words stay empty for IPv4.
    this.growth = new Growth(family === 4 ? 5 : 8, ROWS_FIRST);
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

  /** The row of prefix `index` of the batch, or 0. */
  find(batch: PrefixBatch, index: number): RowId {
    const hash = this.hashOf(batch, index);
    const slots = this.segments[hash >>> this.segmentShift]!;
    return (slots[this.probe(slots, hash, batch, index)]! & ROW_MASK) >>> 0;
  }

  /** The row of prefix `index` of the batch, made if need be; 0 when the table is full. */
  insert(batch: PrefixBatch, index: number): RowId {
    const hash = this.hashOf(batch, index);
    const segment = hash >>> this.segmentShift;
    const slots = this.segments[segment]!;
    const slot = this.probe(slots, hash, batch, index);
    const found = slots[slot]! & ROW_MASK;
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
    slots[slot] = tagOf(hash) | row;
    const used = this.segmentUsed[segment]! + 1;
    this.segmentUsed[segment] = used;
    if (used * 3 > slots.length * 2) this.growSegment(segment);
    return row;
  }

  /** First path of the row, 0 = none. The path store keeps the chain. */
  head(row: RowId): number {
    return this.heads[row]!;
  }

  setHead(row: RowId, path: number): void {
    this.heads[row] = path;
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

  /** The slot that holds the prefix, or the empty one where it belongs. */
  private probe(slots: Uint32Array, hash: number, batch: PrefixBatch, index: number): number {
    const mask = slots.length - 1;
    const tag = tagOf(hash);
    let slot = hash & mask;
    for (;;) {
      const entry = slots[slot]!;
      if (entry === 0) return slot;
      if ((entry & TAG_MASK) >>> 0 === tag && this.holdsPrefix(entry & ROW_MASK, batch, index)) {
        return slot;
      }
      slot = (slot + 1) & mask;
    }
  }

  private holdsPrefix(row: RowId, batch: PrefixBatch, index: number): boolean {
    if (this.word0[row] !== batch.word0[index] || this.lengths[row] !== batch.length[index]) {
      return false;
    }
    return (
      this.family === 4 ||
      (this.word1[row] === batch.word1[index] &&
        this.word2[row] === batch.word2[index] &&
        this.word3[row] === batch.word3[index])
    );
  }

  private remove(row: RowId): void {
    assert(this.lengths[row] !== LENGTH_FREE, "row removed twice");
    const hash = this.hashOfRow(row);
    const segment = hash >>> this.segmentShift;
    const slots = this.segments[segment]!;
    const mask = slots.length - 1;
    let hole = hash & mask;
    while ((slots[hole]! & ROW_MASK) !== row) hole = (hole + 1) & mask;
    for (let probe = (hole + 1) & mask; slots[probe] !== 0; probe = (probe + 1) & mask) {
      const home = this.hashOfRow(slots[probe]! & ROW_MASK) & mask;
      if (((probe - home) & mask) < ((probe - hole) & mask)) continue;
      slots[hole] = slots[probe]!;
      hole = probe;
    }
    slots[hole] = 0;
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
    const slots = new Uint32Array(old.length * 2);
    const mask = slots.length - 1;
    for (let i = 0; i < old.length; i++) {
      const entry = old[i]!;
      if (entry === 0) continue;
      let slot = this.hashOfRow(entry & ROW_MASK) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = entry;
    }
    this.segments[segment] = slots;
  }

  private growColumn(column: number): void {
    switch (column) {
      case 0:
        this.word0 = doubled32(this.word0);
        return;
      case 1:
        this.lengths = doubled8(this.lengths);
        return;
      case 2:
        this.heads = doubled32(this.heads);
        return;
      case 3:
        this.bests = doubled32(this.bests);
        return;
      case 4:
        this.holds = doubled16(this.holds);
        return;
      case 5:
        this.word1 = doubled32(this.word1);
        return;
      case 6:
        this.word2 = doubled32(this.word2);
        return;
      default:
        this.word3 = doubled32(this.word3);
    }
  }

  private hashOf(batch: PrefixBatch, index: number): number {
    const h = mix(this.seed ^ batch.length[index]!, batch.word0[index]!);
    if (this.family === 4) return finish(h);
    return finish(mix(mix(mix(h, batch.word1[index]!), batch.word2[index]!), batch.word3[index]!));
  }

  private hashOfRow(row: RowId): number {
    const h = mix(this.seed ^ this.lengths[row]!, this.word0[row]!);
    if (this.family === 4) return finish(h);
    return finish(mix(mix(mix(h, this.word1[row]!), this.word2[row]!), this.word3[row]!));
  }
}

/** Eight hash bits beside those that choose segment and, up to 256 k entries each, the slot. */
function tagOf(hash: number): number {
  return ((hash << 6) & TAG_MASK) >>> 0;
}

function mix(hash: number, word: number): number {
  const h = Math.imul(hash ^ word, 0x9e3779b1);
  return h ^ (h >>> 15);
}

function finish(hash: number): number {
  const h = Math.imul(hash, 0x85ebca6b);
  return (h ^ (h >>> 13)) >>> 0;
}
