/**
 * Growth of typed columns. A column grows by copying into one four times as long: 4 MB of a million
 * rows take 2 to 5 ms. Memory that no row has reached yet costs no page, while each copy costs
 * those of what is copied, and the garbage collector finds the old column only after a while.
 */

/** How many times longer a column becomes. */
export const GROWTH_FACTOR = 4;

/** Room for at least `needed` elements: `current` times a power of the factor. */
export function grownCapacity(current: number, needed: number): number {
  let capacity = Math.max(current, 16);
  while (capacity < needed) capacity *= GROWTH_FACTOR;
  return capacity;
}

export function grown32(column: Uint32Array, capacity: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(capacity);
  larger.set(column);
  return larger;
}

export function grown16(column: Uint16Array, capacity: number): Uint16Array<ArrayBuffer> {
  const larger = new Uint16Array(capacity);
  larger.set(column);
  return larger;
}

export function grown8(column: Uint8Array, capacity: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(capacity);
  larger.set(column);
  return larger;
}

/**
 * When to grow which of several columns that are indexed alike. One column grows at a time,
 * well before the last free index, so that no single insertion copies them all: at a million rows
 * a column is 4 MB, all of a table 50 MB.
 */
export class Growth {
  private readonly columns: number;
  private capacity: number;
  /** Columns that have grown beyond it already. */
  private done = 0;

  /** `columns` columns of `capacity` elements each. */
  constructor(columns: number, capacity: number) {
    this.columns = columns;
    this.capacity = capacity;
  }

  /** Whether a column is to grow before `index` is used. */
  isDue(index: number): boolean {
    const lead = this.capacity >>> 7;
    return index >= this.capacity - (this.columns - this.done) * lead;
  }

  /** The number of the column to grow now. */
  next(): number {
    const column = this.done++;
    if (this.done === this.columns) {
      this.capacity *= GROWTH_FACTOR;
      this.done = 0;
    }
    return column;
  }
}

export function larger32(column: Uint32Array): Uint32Array<ArrayBuffer> {
  return grown32(column, column.length * GROWTH_FACTOR);
}

export function larger16(column: Uint16Array): Uint16Array<ArrayBuffer> {
  return grown16(column, column.length * GROWTH_FACTOR);
}

export function larger8(column: Uint8Array): Uint8Array<ArrayBuffer> {
  return grown8(column, column.length * GROWTH_FACTOR);
}
