/** Programs, run for real, that come to their end while they are ended. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { runToEnd } from "../../src/runtime/program.ts";

const RUN = { env: process.env, input: "", bytesMax: 1000, msMax: 60_000 };

test("what is cut off did not end well, though the program had ended by itself", async () => {
  const end = runToEnd({ ...RUN, program: "echo", args: ["too much"], bytesMax: 5 });
  // It is over before its output is read.
  spawnSync("sleep", ["0.2"]);
  const reason = "ended after printing too much";
  assert.deepEqual(await end, { kind: "cut-off", reason, stdout: "" });
});

test("as much as a program may print is all of it", async () => {
  const end = await runToEnd({ ...RUN, program: "echo", args: ["just"], bytesMax: 5 });
  assert.deepEqual(end, { kind: "ended", status: 0, stdout: "just\n", stderr: "" });
});

test("output that another program holds open is cut off in time, and not taken for whole", async () => {
  const script = "echo half; sleep 20 & exit 0";
  const end = await runToEnd({ ...RUN, program: "sh", args: ["-c", script], msMax: 300 });
  const reason = "ended after taking too long";
  assert.deepEqual(end, { kind: "cut-off", reason, stdout: "half\n" });
});
