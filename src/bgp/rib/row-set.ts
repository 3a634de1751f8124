/** A set of rows: one bit for each, and how many there are. */
import { grown32, grownCapacity } from "./columns.ts";
import type { RowId } from "./prefix-table.ts";

export class RowSet {
  private bits = new Uint32Array(0);
  private used = 0;

  get size(): number {
    return this.used;
  }

  has(row: RowId): boolean {
    return ((this.bits[row >>> 5] ?? 0) & (1 << (row & 31))) !== 0;
  }

  /** False when it was there already. */
  add(row: RowId): boolean {
    const word = row >>> 5;
    if (word >= this.bits.length) this.bits = grown32(this.bits, grownCapacity(16, word + 1));
    const bit = 1 << (row & 31);
    const before = this.bits[word]!;
    if ((before & bit) !== 0) return false;
    this.bits[word] = before | bit;
    this.used++;
    return true;
  }

  /** False when it was not there. */
  delete(row: RowId): boolean {
    if (!this.has(row)) return false;
    this.bits[row >>> 5] = this.bits[row >>> 5]! & ~(1 << (row & 31));
    this.used--;
    return true;
  }

  /** The smallest row of the set that is not smaller than `from`; 0 when there is none. */
  nextFrom(from: RowId): RowId {
    if (this.used === 0) return 0;
    let word = from >>> 5;
    if (word >= this.bits.length) return 0;
    let rest = this.bits[word]! & (0xffff_ffff << (from & 31));
    while (rest === 0) {
      if (++word >= this.bits.length) return 0;
      rest = this.bits[word]!;
    }
    return (word << 5) + (31 - Math.clz32(rest & -rest));
  }
}
