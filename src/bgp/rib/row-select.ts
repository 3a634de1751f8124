/** Finds the rows of a table that a query asks for, in listing order. */
import { type Prefix, prefixFamily, prefixLength } from "../../ip/prefix.ts";
import { PrefixBatch, pushPrefix } from "../../ip/prefix-batch.ts";
import type { RouteFamily } from "../message/types.ts";
import { pushMasked } from "./policy-prefixes.ts";
import { NO_ROW, type PrefixTable, type RowId } from "./prefix-table.ts";

/** Which prefixes; at most one of `prefix`, `longerThan` and `covering`. */
export interface PrefixQuery {
  readonly family?: RouteFamily | undefined;
  /** This prefix alone. */
  readonly prefix?: Prefix | undefined;
  /** This prefix and all within it. */
  readonly longerThan?: Prefix | undefined;
  /** This prefix and all that it lies in. */
  readonly covering?: Prefix | undefined;
  /** Only prefixes that come behind this one in listing order: where to go on. */
  readonly after?: Prefix | undefined;
}

/**
 * Rows of the table that match and that `accept` takes, sorted, the first `limit` of them. Costs
 * a look at each row of the table, unless the query names the prefix or asks for covering ones.
 */
export function selectRows(
  table: PrefixTable,
  query: PrefixQuery,
  limit: number,
  accept: (row: RowId) => boolean,
): ArrayLike<RowId> & Iterable<RowId> {
  const named = query.prefix ?? query.longerThan ?? query.covering;
  if (named !== undefined && prefixFamily(named) !== table.family) return [];
  const after = query.after === undefined ? undefined : new After(table, query.after);
  const takes = (row: RowId) => (after === undefined || after.isBefore(row)) && accept(row);
  if (query.prefix !== undefined || query.covering !== undefined) {
    return chainRows(table, named!, query.covering !== undefined)
      .filter(takes)
      .slice(0, limit);
  }
  const within = query.longerThan === undefined ? undefined : new Within(table, query.longerThan);
  return scan(table, limit, (row) => (within === undefined || within.has(row)) && takes(row));
}

/** The prefix, or with `covering` also all shorter ones that it lies in, shortest first. */
function chainRows(table: PrefixTable, prefix: Prefix, covering: boolean): RowId[] {
  const batch = new PrefixBatch(1);
  batch.reset(table.family);
  pushPrefix(batch, prefix);
  const length = prefixLength(prefix);
  const probe = new PrefixBatch(1);
  const rows: RowId[] = [];
  for (let bits = covering ? 0 : length; bits <= length; bits++) {
    probe.reset(table.family);
    pushMasked(probe, batch, 0, bits);
    const row = table.find(probe, 0);
    if (row !== NO_ROW) rows.push(row);
  }
  return rows;
}

function scan(
  table: PrefixTable,
  limit: number,
  takes: (row: RowId) => boolean,
): ArrayLike<RowId> & Iterable<RowId> {
  return limit >= table.rowLimit ? scanAll(table, takes) : scanSome(table, limit, takes);
}

/** In columns: a million rows in arrays, sorted by comparing, are 60 MB and a second. */
function scanAll(table: PrefixTable, takes: (row: RowId) => boolean): Uint32Array {
  const rows = new Uint32Array(table.rowLimit);
  let count = 0;
  for (let row = 1; row < table.rowLimit; row++) {
    if (table.isUsed(row) && takes(row)) rows[count++] = row;
  }
  return sortRows(table, rows.subarray(0, count));
}

/** In listing order, by radix: by the length first, then by each octet from the last one on. */
function sortRows(table: PrefixTable, rows: Uint32Array): Uint32Array {
  let from = rows;
  let to: Uint32Array = new Uint32Array(rows.length);
  const pass = (digit: (row: RowId) => number) => {
    const ends = new Uint32Array(257);
    for (const row of from) ends[digit(row) + 1]!++;
    for (let i = 1; i < ends.length; i++) ends[i]! += ends[i - 1]!;
    for (const row of from) to[ends[digit(row)]!++] = row;
    [from, to] = [to, from];
  };
  pass((row) => table.length(row));
  for (let word = table.family === 4 ? 0 : 3; word >= 0; word--) {
    for (let shift = 0; shift < 32; shift += 8) {
      pass((row) => (table.word(row, word) >>> shift) & 0xff);
    }
  }
  return from;
}

/** Keeps twice `limit` rows at most while it looks: n log limit, and small memory. */
function scanSome(table: PrefixTable, limit: number, takes: (row: RowId) => boolean): RowId[] {
  let rows: RowId[] = [];
  const order = (a: RowId, b: RowId) => table.compare(a, b);
  for (let row = 1; row < table.rowLimit; row++) {
    if (!table.isUsed(row) || !takes(row)) continue;
    rows.push(row);
    if (rows.length >= limit * 2 + 64) rows = rows.sort(order).slice(0, limit);
  }
  return rows.sort(order).slice(0, limit);
}

/** A prefix as words, to compare rows with. */
class Pivot {
  protected readonly table: PrefixTable;
  protected readonly words: readonly number[];
  protected readonly length: number;

  constructor(table: PrefixTable, prefix: Prefix) {
    const batch = new PrefixBatch(1);
    batch.reset(prefixFamily(prefix));
    pushPrefix(batch, prefix);
    this.table = table;
    this.words = [batch.word0[0]!, batch.word1[0]!, batch.word2[0]!, batch.word3[0]!];
    this.length = batch.length[0]!;
  }
}

class Within extends Pivot {
  has(row: RowId): boolean {
    if (this.table.length(row) < this.length) return false;
    for (let i = 0, left = this.length; left > 0; i++, left -= 32) {
      const different = (this.table.word(row, i) ^ this.words[i]!) >>> 0;
      if (different >>> Math.max(0, 32 - left) !== 0) return false;
    }
    return true;
  }
}

class After extends Pivot {
  private readonly family: RouteFamily;

  constructor(table: PrefixTable, prefix: Prefix) {
    super(table, prefix);
    this.family = prefixFamily(prefix);
  }

  isBefore(row: RowId): boolean {
    if (this.family !== this.table.family) return this.family < this.table.family;
    for (let i = 0; i < 4; i++) {
      const difference = this.table.word(row, i) - this.words[i]!;
      if (difference !== 0) return difference > 0;
    }
    return this.table.length(row) > this.length;
  }
}
