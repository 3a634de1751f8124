/** What the runner of the tests does with files that do not end by themselves. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { keptFolder } from "../../packages/netlink-ts/test/support/keeper.ts";
import { processes } from "../../scripts/test/processes.ts";
import { Daemon, run, until } from "../support/shell.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const FILES = join(ROOT, "scripts", "test", "files.ts");
const HANGING = "test/support/hanging-file.ts";
const QUICK = "test/support/quick-file.ts";
/** The bound of each file: with some to spare for the quick one on a slow machine. */
const BOUND_MS = 4000;
/** Without the bound they hang for ever. */
const RUN_MS_MAX = 120_000;

const runs = (pid: string) => processes().some((each) => each.pid === Number(pid));

async function hang(how: string): Promise<void> {
  const folder = keptFolder();
  const env = { HANGS_BY: how, HANGING_FACTS: folder };
  const args = [`${BOUND_MS}`, "--test-concurrency=1", "--test-reporter=spec", HANGING, QUICK];
  // A runner that knows itself below another one runs nothing.
  const command = ["-u", "NODE_TEST_CONTEXT", process.execPath, FILES, ...args];
  const ran = await run("env", command, { env, cwd: ROOT, timeoutMs: RUN_MS_MAX });
  assert.equal(ran.status, 1, ran.stdout + ran.stderr);
  assert.match(ran.stdout, /^✖ test\/support\/hanging-file\.ts did not end within 4 s$/m);
  assert.match(ran.stdout, /^✔ it is quick/m);
  assert.match(ran.stdout, /^ℹ fail 1$/m);
  const pids = readdirSync(folder);
  assert.equal(pids.length, how === "children" ? 3 : 1);
  for (const pid of pids) {
    assert.ok(!runs(pid), `${pid} is still there`);
    const temporary = readFileSync(join(folder, pid), "utf8");
    assert.ok(!existsSync(temporary), `${temporary} is still there`);
  }
}

// They wait most of the time.
describe("a file that hangs is ended, named and failed, and the next one runs", {
  concurrency: true,
}, () => {
  for (const how of ["an endless await", "an endless loop", "deaf to SIGTERM", "children"]) {
    test(how, () => hang(how));
  }
});

test("told to end while types and lint are looked at, it ends all that looks", async () => {
  const folder = keptFolder();
  const pidFile = join(folder, "pid");
  const npm = `#!/bin/sh\n(trap '' TERM; echo $(exec sh -c 'echo $PPID') > ${pidFile}; sleep 1000) &\nwait\n`;
  writeFileSync(join(folder, "npm"), npm, { mode: 0o755 });
  const env = { PATH: `${folder}:${process.env["PATH"]}` };
  const words = [join(ROOT, "scripts", "test.ts"), "--check", "unit"];
  const runner = new Daemon("runner", process.execPath, words, { env });
  const pid = await until("it checks", () => readFileSync(pidFile, "utf8").trim() || undefined);
  assert.ok(runs(pid));
  await runner.stop("SIGTERM", RUN_MS_MAX);
  assert.equal(runner.child.signalCode, "SIGTERM");
  await until("all has ended", () => !runs(pid));
});
