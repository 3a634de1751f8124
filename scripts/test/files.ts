/**
 * `node scripts/test/files.ts MS ARGUMENT…`: `node --test ARGUMENT…` with a bound of MS milliseconds
 * for each test file. Node.js bounds each test of a file (--test-timeout), but waits for ever for a
 * file that has an open handle, a promise at top level that never settles, or a loop. Run by
 * scripts/test.ts, here or in a virtual machine.
 *
 * All files have a temporary folder (TMPDIR) that goes with the run, however that ends.
 */
import { spawn } from "node:child_process";
import { chmodSync, rmSync } from "node:fs";
import { keptFolder } from "../../packages/netlink-ts/test/support/keeper.ts";
import { groupBelow, type Process, processes, signalAll, stillRuns } from "./processes.ts";

/** Between SIGTERM and SIGKILL. */
const GRACE_MS = 5000;
const LOOK_MS = 500;

const [limit = "", ...args] = process.argv.slice(2);
const limitMs = Number(limit);
/** Test files, by process id and start, and when each was seen first. */
const since = new Map<string, number>();
const late: string[] = [];

const temporary = keptFolder();
// Tests start programs as other users, too.
chmodSync(temporary, 0o1777);
process.on("exit", () => rmSync(temporary, { recursive: true, force: true }));

// Without us nobody bounds it.
const withUs = ["--pdeathsig", "TERM", process.execPath, "--test", ...args];
const env = { ...process.env, TMPDIR: temporary };
const runner = spawn("setpriv", withUs, { env, stdio: ["ignore", "inherit", "inherit"] });
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => runner.kill(signal));
}
const looking = setInterval(look, LOOK_MS);
runner.once("error", (error) => process.stderr.write(`${error.message}\n`));
runner.once("close", (code) => {
  clearInterval(looking);
  // Once more, where the report of all failures has ended.
  for (const line of late) process.stdout.write(line);
  process.exitCode = late.length > 0 ? 1 : (code ?? 1);
});

function look(): void {
  const now = performance.now();
  const all = processes();
  const files = all.filter(({ parent }) => parent === runner.pid);
  const seen = new Set(files.map(({ key }) => key));
  for (const key of since.keys()) if (!seen.has(key)) since.delete(key);
  for (const file of files) {
    const begun = since.get(file.key);
    if (begun === undefined) since.set(file.key, now);
    else if (now - begun > limitMs) {
      // It has another grace when it is still there by then.
      since.set(file.key, now);
      void end(file, all);
    }
  }
}

/** Ends a file with what it has started, but what left its process group: that ends with it. */
async function end(file: Process, all: readonly Process[]): Promise<void> {
  const line = `✖ ${file.words.at(-1)} did not end within ${limitMs / 1000} s\n`;
  process.stdout.write(line);
  late.push(line);
  const group = groupBelow(file, all);
  const killAt = performance.now() + GRACE_MS;
  signalAll(group, "SIGTERM");
  while (group.some(stillRuns)) {
    if (performance.now() > killAt) signalAll(group, "SIGKILL");
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
