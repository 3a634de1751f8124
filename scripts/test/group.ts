/** One group of test files: run, bounded and counted. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import type { KernelSuite } from "../../test/support/vm/debian-kernel.ts";

const ROOT = join(import.meta.dirname, "..", "..");

/** A test that takes longer hangs. */
const TEST_MS_MAX = 600_000;
/** And so does a file of tests: the longest takes some minutes. */
const FILE_MS_MAX = 1_800_000;
/** How many times longer programs take where all is emulated. */
const EMULATION = 6;
/** A runner that says nothing for longer than a file may take, and so much, hangs itself. */
const SILENCE_MS_MAX = 600_000;
/** Between SIGTERM and SIGKILL, and for what is still to be read of a runner that has ended. */
const GRACE_MS = 20_000;

export interface Counts {
  pass: number;
  fail: number;
  skipped: number;
  /** By a limit of time, or a signal. */
  cancelled: number;
}

const COUNTED = ["pass", "fail", "skipped", "cancelled"] as const;

export interface FilesToRun {
  readonly files: readonly string[];
  readonly concurrency: number;
  /** The kernel that they run on, where that is not this machine's. */
  readonly kernel?: KernelSuite;
}

/**
 * Runs the files; the runner's own closing lines are added up in `counts`. `started` is told of the
 * process that runs them, which ends them all when it gets SIGINT or SIGTERM.
 *
 * @returns whether all is well.
 */
export async function runGroup(
  { files, concurrency, kernel }: FilesToRun,
  counts: Counts,
  started: (runner: ChildProcess) => void,
): Promise<boolean> {
  const times = kernel === undefined ? 1 : EMULATION;
  const limits = [`--test-concurrency=${concurrency}`, `--test-timeout=${TEST_MS_MAX * times}`];
  const fileMs = FILE_MS_MAX * times;
  const bounded = join(ROOT, "scripts", "test", "files.ts");
  const runner = [bounded, `${fileMs}`, ...limits, "--test-reporter=spec", ...files];
  const machine = [join(ROOT, "scripts", "in-kernel.ts"), kernel ?? "", process.execPath];
  const args = kernel === undefined ? runner : [...machine, ...runner];
  // Without us nobody reads what it says, and it would go on all the same.
  const withUs = ["--pdeathsig", "TERM", process.execPath, ...args];
  const child = spawn("setpriv", withUs, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  started(child);
  let tail = "";
  const silence = setTimeout(() => giveUp(child, fileMs), fileMs + SILENCE_MS_MAX);
  child.stdout.on("data", (chunk: Buffer) => {
    silence.refresh();
    process.stdout.write(chunk);
    tail = (tail + chunk.toString()).slice(-1_000_000);
  });
  const code = await ended(child);
  clearTimeout(silence);
  for (const key of COUNTED) {
    counts[key] += Number(new RegExp(`^ℹ ${key} (\\d+)$`, "m").exec(tail)?.[1] ?? 0);
  }
  return code === 0;
}

/** Each file ends in time, and is told of then: there is no runner, or no machine, any more. */
function giveUp(runner: ChildProcess, fileMs: number): void {
  const seconds = (fileMs + SILENCE_MS_MAX) / 1000;
  process.stdout.write(`✖ the runner said nothing for ${seconds} s, and is ended\n`);
  runner.kill("SIGTERM");
  setTimeout(() => runner.kill("SIGKILL"), GRACE_MS).unref();
}

/** The exit code, once all is read; what it left running may hold the other end open. */
function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once("error", (error) => {
      process.stderr.write(`${error.message}\n`);
      resolve(1);
    });
    child.once("exit", (code) => {
      const end = () => resolve(code ?? 1);
      const timer = setTimeout(() => {
        child.stdout?.destroy();
        end();
      }, GRACE_MS);
      child.once("close", () => {
        clearTimeout(timer);
        end();
      });
    });
  });
}
