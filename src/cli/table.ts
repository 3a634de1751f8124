/**
 * Tables of text, written while the rows arrive: the widths come from the first rows, up to a
 * bound; later rows that are wider, and any beyond the bound, just stick out. So a table of a
 * million rows needs no more memory than one of a thousand, and one long AS path does not make it
 * gigabytes.
 */
import type { Writable } from "node:stream";
import { printable } from "../runtime/operator-text.ts";
import { write } from "./cli-io.ts";

export interface Column<T> {
  readonly header: string;
  readonly align: "left" | "right";
  readonly widthMin: number;
  /** Put directly in front of the cell, as gobgp puts a bar. */
  readonly lead?: string;
  value(row: T): string;
}

/** Rows that are held back to find the widths. */
const SAMPLE_ROWS = 1000;
/** A column is no wider, for the sake of a cell that is. */
const WIDTH_MAX = 80;
/** Text is handed to the stream in pieces of about this size. */
const CHUNK_CHARS = 32_768;

/** Writes header and rows; gives the number of rows. No rows, no header. */
export async function writeTable<T>(
  out: Writable,
  columns: readonly Column<T>[],
  rows: AsyncIterable<T>,
): Promise<number> {
  let sample: string[][] | undefined = [];
  let widths: number[] = [];
  let pending = "";
  let count = 0;
  const settle = (cells: string[][]): void => {
    sample = undefined;
    widths = columns.map((column, i) => {
      const widest = Math.max(column.header.length, ...cells.map((row) => row[i]!.length));
      return Math.max(column.widthMin, Math.min(widest, WIDTH_MAX));
    });
    pending += formatLine(
      columns,
      widths,
      columns.map((column) => column.header),
    );
    for (const row of cells) pending += formatLine(columns, widths, row);
  };
  for await (const row of rows) {
    count++;
    const cells = columns.map((column) => printable(column.value(row)));
    if (sample === undefined) pending += formatLine(columns, widths, cells);
    else if (sample.push(cells) === SAMPLE_ROWS) settle(sample);
    if (pending.length >= CHUNK_CHARS) {
      await write(out, pending);
      pending = "";
    }
  }
  if (sample !== undefined && sample.length > 0) settle(sample);
  if (pending !== "") await write(out, pending);
  return count;
}

function formatLine<T>(
  columns: readonly Column<T>[],
  widths: readonly number[],
  cells: readonly string[],
): string {
  const padded = columns.map((column, i) => {
    const cell = cells[i]!;
    const text = column.align === "left" ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!);
    return `${column.lead ?? ""}${text}`;
  });
  return `${padded.join(" ").trimEnd()}\n`;
}
