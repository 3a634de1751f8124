/** Rows in a row, in a column that is used again. */
import { grown32 } from "./columns.ts";
import type { RowId } from "./prefix-table.ts";

const NONE = new Uint32Array(0);

export class RowList {
  private rows = new Uint32Array(16);
  private count = 0;

  get length(): number {
    return this.count;
  }

  push(row: RowId): void {
    if (this.count === this.rows.length) this.rows = grown32(this.rows, this.count * 2);
    this.rows[this.count++] = row;
  }

  clear(): void {
    this.count = 0;
  }

  /** All rows, until the list changes. */
  view(): Uint32Array {
    return this.count === 0 ? NONE : this.rows.subarray(0, this.count);
  }

  /** All rows, to keep. */
  copy(): Uint32Array {
    return this.count === 0 ? NONE : this.rows.slice(0, this.count);
  }
}
