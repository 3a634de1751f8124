/**
 * A test file that does not end though its only test does, in the way that HANGS_BY names. Run by
 * test/scripts/test-runner.test.ts. In the folder HANGING_FACTS it leaves, by the process id of each
 * process that belongs to it, the name of a temporary folder that it has made.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const temporary = mkdtempSync(join(tmpdir(), "podrouter-hanging-"));

function tell(pid: number | undefined): void {
  writeFileSync(join(process.env["HANGING_FACTS"]!, String(pid)), temporary);
}

const forEver = () => setInterval(() => undefined, 1_000_000);
const ways: Readonly<Record<string, () => unknown>> = {
  "an endless await": () => {
    forEver();
    return new Promise(() => undefined);
  },
  "an endless loop": () => {
    for (;;);
  },
  "deaf to SIGTERM": () => {
    process.on("SIGTERM", () => undefined);
    forEver();
  },
  children: () => {
    forEver();
    const deaf = ["-c", "trap '' TERM; while :; do sleep 1; done"];
    // They hold our output open, on which the runner waits.
    tell(spawn("sh", deaf, { stdio: ["ignore", "inherit", "inherit"] }).pid);
    tell(spawn("sleep", ["1000"], { stdio: ["ignore", "inherit", "inherit"] }).pid);
  },
};

tell(process.pid);
test("it ends", () => undefined);
await ways[process.env["HANGS_BY"]!]!();
