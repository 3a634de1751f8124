/**
 * The fuzzer for a minute, from another seed each time: it is printed, and `npm run fuzz -- 60
 * --seed N` runs the same inputs again. What it reached of the codec is printed too.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { Daemon } from "../support/shell.ts";

const PROGRAM = join(import.meta.dirname, "..", "..", "scripts", "fuzz.ts");
const SECONDS = 60;
/** V8's coverage makes it slower; still, less than this tells that it hangs somewhere. */
const EXECUTIONS_MIN = 20_000;
/** What is not reached guards against our own mistakes. */
const COVERAGE_MIN_PERCENT = 95;

test("a minute of fuzzing breaks nothing and reaches most of the codec", async (t) => {
  const words = [PROGRAM, String(SECONDS), "--coverage"];
  const fuzzer = new Daemon("fuzzer", process.execPath, words);
  t.after(() => fuzzer.stop("SIGKILL"));
  const status = await fuzzer.exited;
  const { output } = fuzzer;
  for (const line of output.trimEnd().split("\n")) t.diagnostic(line);
  assert.equal(status, 0, output);
  const number = (pattern: RegExp) => Number(pattern.exec(output)?.[1] ?? Number.NaN);
  assert.ok(number(/^(\d+) executions/m) >= EXECUTIONS_MIN);
  assert.ok(number(/executions, (\d+) of them through sessions/) >= EXECUTIONS_MIN / 10);
  assert.ok(number(/^\s*([\d.]+) % {2}all of the codec$/m) >= COVERAGE_MIN_PERCENT);
});
