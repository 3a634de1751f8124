/**
 * Growth of typed columns, by copying into longer ones. Memory that no row has reached yet costs no
 * page, while each copy costs those of what is copied, and the garbage collector finds the old
 * column only after a while: 4 MB of a million rows take 2 to 5 ms.
 */

/** How many times longer a column becomes. */
const GROWTH_FACTOR = 4;
/** A table with more rows is a large one. */
const SMALL_ROWS_MAX = 16_384;
/** Rows that a large table has room for at first: a full table comes in without any copy. */
const LARGE_ROWS_FIRST = 2 ** 21;

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
 * As {@link grown32}, of what lasts as long as the process. It could be shared, though nobody
 * shares it: V8 counts no such memory. That of an ArrayBuffer it counts in full from the start,
 * used or not, and what comes suddenly makes it look for garbage everywhere: it did so in the
 * middle of every first table, for which columns of 110 MB are laid out, and took 5 to 8 ms of the
 * event loop and 15 to 20 ms of the other cores. What comes and goes is to be counted, for else
 * nobody looks for what went.
 */
export function lasting32(column: Uint32Array, capacity: number): Uint32Array<SharedArrayBuffer> {
  const larger = new Uint32Array(new SharedArrayBuffer(capacity * 4));
  larger.set(column);
  return larger;
}

/** As {@link lasting32}. */
export function lasting16(column: Uint16Array, capacity: number): Uint16Array<SharedArrayBuffer> {
  const larger = new Uint16Array(new SharedArrayBuffer(capacity * 2));
  larger.set(column);
  return larger;
}

/** As {@link lasting32}. */
export function lasting8(column: Uint8Array, capacity: number): Uint8Array<SharedArrayBuffer> {
  const larger = new Uint8Array(new SharedArrayBuffer(capacity));
  larger.set(column);
  return larger;
}

/** How many rows the columns of a table have next. */
function nextRows(rows: number): number {
  const more = rows * GROWTH_FACTOR;
  return more > SMALL_ROWS_MAX ? Math.max(more, LARGE_ROWS_FIRST) : more;
}

/**
 * When to grow which column of a table. One grows at a time, well before the last free row, so that
 * no single insertion copies them all: of two million rows a column is 8 MB, all of them 75 MB.
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
      this.capacity = nextRows(this.capacity);
      this.done = 0;
    }
    return column;
  }
}

/** The column of a table with its next number of rows. */
export function larger32(column: Uint32Array): Uint32Array<SharedArrayBuffer> {
  return lasting32(column, nextRows(column.length));
}

/** As {@link larger32}. */
export function larger16(column: Uint16Array): Uint16Array<SharedArrayBuffer> {
  return lasting16(column, nextRows(column.length));
}

/** As {@link larger32}. */
export function larger8(column: Uint8Array): Uint8Array<SharedArrayBuffer> {
  return lasting8(column, nextRows(column.length));
}
