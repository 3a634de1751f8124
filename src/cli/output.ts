/** `-o`: how a command writes its rows. */
import type { Writable } from "node:stream";
import { write } from "./cli-io.ts";

export const OUTPUTS = ["table", "wide", "json"] as const;
export type Output = (typeof OUTPUTS)[number];

const CHUNK_CHARS = 32_768;

/** Writes rows as one JSON array, an element a line, while they arrive; gives their number. */
export async function writeJsonArray(out: Writable, rows: AsyncIterable<unknown>): Promise<number> {
  let pending = "[";
  let count = 0;
  for await (const row of rows) {
    pending += `${count === 0 ? "\n" : ",\n"}${JSON.stringify(row)}`;
    count++;
    if (pending.length >= CHUNK_CHARS) {
      await write(out, pending);
      pending = "";
    }
  }
  await write(out, `${pending}${count === 0 ? "]" : "\n]"}\n`);
  return count;
}

/** Writes one value as indented JSON. */
export async function writeJson(out: Writable, value: unknown): Promise<void> {
  await write(out, `${JSON.stringify(value, null, 2)}\n`);
}
