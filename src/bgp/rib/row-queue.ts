/**
 * Rows in the order in which they were noted, each at most once: a ring of row ids and one bit for
 * each row. Positions count up for ever, so that "everything noted until now" is a number.
 */
import { grown32, grownCapacity } from "./columns.ts";
import type { RowId } from "./prefix-table.ts";

export class RowQueue {
  private ring = new Uint32Array(16);
  private bits = new Uint32Array(1);
  /** Position of the next row to take, and of the next to be noted. */
  private first = 0;
  private end = 0;

  get length(): number {
    return this.end - this.first;
  }

  get position(): number {
    return this.first;
  }

  get endPosition(): number {
    return this.end;
  }

  has(row: RowId): boolean {
    return ((this.bits[row >>> 5] ?? 0) & (1 << (row & 31))) !== 0;
  }

  /** Notes the row; false when it was noted already. */
  push(row: RowId): boolean {
    const word = row >>> 5;
    if (word >= this.bits.length) this.bits = grown32(this.bits, grownCapacity(16, word + 1));
    const bit = 1 << (row & 31);
    const before = this.bits[word]!;
    if ((before & bit) !== 0) return false;
    this.bits[word] = before | bit;
    if (this.length === this.ring.length) this.grow();
    this.ring[this.end & (this.ring.length - 1)] = row;
    this.end++;
    return true;
  }

  /** Takes the row noted first; 0 when there is none. */
  take(): RowId {
    if (this.first === this.end) return 0;
    const row = this.ring[this.first & (this.ring.length - 1)]!;
    this.first++;
    this.bits[row >>> 5] = this.bits[row >>> 5]! & ~(1 << (row & 31));
    return row;
  }

  private grow(): void {
    const old = this.ring;
    const larger = new Uint32Array(old.length * 2);
    for (let at = this.first; at < this.end; at++) {
      larger[at & (larger.length - 1)] = old[at & (old.length - 1)]!;
    }
    this.ring = larger;
  }
}
