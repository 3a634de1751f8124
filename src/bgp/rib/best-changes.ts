/**
 * Rows whose best route changed since the consumer (what brings routes into the kernel) took them
 * last. Each row once, held so that a withdrawn prefix can still be named.
 */
import { NO_PATH } from "./path-store.ts";
import type { PrefixTable, RowId } from "./prefix-table.ts";
import { RowQueue } from "./row-queue.ts";

export class BestChanges {
  private readonly table: PrefixTable;
  private readonly changed: () => void;
  private readonly queue = new RowQueue();

  /** `changed` is called when the list is empty no more. */
  constructor(table: PrefixTable, changed: () => void) {
    this.table = table;
    this.changed = changed;
  }

  get length(): number {
    return this.queue.length;
  }

  note(row: RowId): void {
    if (!this.queue.push(row)) return;
    this.table.hold(row);
    if (this.queue.length === 1) this.changed();
  }

  /** Notes all rows that have a best route. */
  noteAll(): void {
    for (let row = 1; row < this.table.rowLimit; row++) {
      if (this.table.isUsed(row) && this.table.best(row) !== NO_PATH) this.note(row);
    }
  }

  /** Takes a row, to be unheld by the caller after reading; 0 = none. */
  take(): RowId {
    return this.queue.take();
  }
}
