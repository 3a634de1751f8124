import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("../../../scripts/fuzz.ts", import.meta.url));

test("the fuzzer runs, is reproducible by its seed, and finds nothing in a second", () => {
  const output = execFileSync(process.execPath, [PROGRAM, "1", "--seed", "20230727"], {
    encoding: "utf8",
    timeout: 60_000,
  });
  const done =
    /^seed 20230727\n\d+ executions, [1-9]\d* of them through sessions\nnothing broke in 1 s; RSS \d+ MB\n$/;
  assert.match(output, done);
});
