/** Expected outputs kept as files: `UPDATE_GOLDEN=1` writes them anew, to be read before a commit. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";

/** Fails unless `actual` is what the file holds, to the byte. */
export function assertGolden(file: URL, actual: string): void {
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, actual);
  assert.equal(actual, readFileSync(file, "utf8"));
}
