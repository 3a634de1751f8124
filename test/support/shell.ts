/** Running real programs from tests and the demo: short commands with a time limit, and daemons. */
import { type ChildProcess, execFile, spawn } from "node:child_process";

export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly timeoutMs?: number;
  /** Beside what this process has. */
  readonly env?: Record<string, string>;
  readonly cwd?: string;
}

const COMMAND_MS_MAX = 30_000;
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** Runs a program to its end; never throws for a non-zero status. */
export function run(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    execFile(
      program,
      [...args],
      {
        timeout: options.timeoutMs ?? COMMAND_MS_MAX,
        maxBuffer: OUTPUT_BYTES_MAX,
        env: { ...process.env, ...options.env },
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      },
      (error, stdout, stderr) => {
        const status = error === null ? 0 : typeof error.code === "number" ? error.code : 124;
        resolve({ status, stdout, stderr });
      },
    );
  });
}

/** Like {@link run}, but a non-zero status is an error that says which command and what it said. */
export async function must(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await run(program, args, options);
  if (result.status !== 0) {
    const said = (result.stderr || result.stdout).trim();
    throw new Error(`${program} ${args.join(" ")}: exit ${result.status}: ${said}`);
  }
  return result.stdout;
}

/** Whether a program of that name is on the PATH. */
export async function hasProgram(name: string): Promise<boolean> {
  return (await run("sh", ["-c", `command -v ${name}`])).status === 0;
}

const LAST_WORDS_MS = 500;

/**
 * A program that runs until told to stop, at most as long as we do; what it printed last is kept for
 * failures.
 */
export class Daemon {
  readonly child: ChildProcess;
  readonly name: string;
  readonly exited: Promise<number>;
  #tail = "";
  #onLine: ((line: string) => void) | undefined;
  #partial = "";

  constructor(
    name: string,
    program: string,
    args: readonly string[],
    options: {
      readonly env?: Record<string, string>;
      readonly onLine?: (line: string) => void;
      readonly cwd?: string;
      /** Leaves its standard input open, as `child.stdin`. */
      readonly stdin?: boolean;
    } = {},
  ) {
    this.name = name;
    this.#onLine = options.onLine;
    // The kernel ends it when we die, however that is.
    const whileWeLive = ["--pdeathsig", "KILL", program, ...args];
    // A process group of its own: Ctrl-C reaches only us, and we end the others in order.
    this.child = spawn("setpriv", whileWeLive, {
      stdio: [options.stdin === true ? "pipe" : "ignore", "pipe", "pipe"],
      detached: true,
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const take = (chunk: Buffer) => this.#take(chunk.toString());
    this.child.stdout?.on("data", take);
    this.child.stderr?.on("data", take);
    this.exited = new Promise((resolve) => {
      this.child.once("error", (error) => {
        this.#tail += `${error.message}\n`;
        resolve(127);
      });
      this.child.once("exit", (code, signal) => {
        const end = () => resolve(code ?? (signal === null ? 1 : 128));
        // Its last words may still be in the pipe; but a child of its own may hold that open.
        const timer = setTimeout(end, LAST_WORDS_MS);
        this.child.once("close", () => {
          clearTimeout(timer);
          end();
        });
      });
    });
  }

  /** The last 16 kB of what it printed. */
  get output(): string {
    return this.#tail;
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Ends it: the signal, then SIGKILL to its group when it takes longer than `graceMs`. */
  async stop(signal: NodeJS.Signals = "SIGTERM", graceMs = 3000): Promise<number> {
    if (this.running && this.child.pid !== undefined) {
      this.child.kill(signal);
      const pid = this.child.pid;
      const timer = setTimeout(() => kill(-pid), graceMs);
      await this.exited;
      clearTimeout(timer);
    }
    return this.exited;
  }

  #take(text: string): void {
    this.#tail = (this.#tail + text).slice(-16_384);
    if (this.#onLine === undefined) return;
    const lines = (this.#partial + text).split("\n");
    this.#partial = lines.pop() ?? "";
    for (const line of lines) this.#onLine(line);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended in the meantime.
  }
}

/** What Node.js needs to start on a quiet machine, with some to spare, ms. */
const QUIET_START_MS = 60;
const STARTS = 3;
/** A machine that is slower yet than this fails its tests. */
const SLOWNESS_MAX = 12;

/** How many times slower than a quiet machine this one is just now, by programs that start. */
export async function slowness(): Promise<number> {
  const begun = performance.now();
  for (let i = 0; i < STARTS; i++) await run(process.execPath, ["-e", "0"]);
  const times = (performance.now() - begun) / STARTS / QUIET_START_MS;
  return Math.min(SLOWNESS_MAX, Math.max(1, times));
}

/**
 * Polls until `check` gives something else than undefined or false; throws with `what` when late:
 * a function, where it tells what there is by then. `timeoutMs` is for a quiet machine: before it
 * gives up, it looks how slow this one is, and waits for that many times as long.
 */
export async function until<T>(
  what: string | (() => string),
  check: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 10_000,
  everyMs = 20,
  slow: () => Promise<number> = slowness,
): Promise<T> {
  const begun = performance.now();
  let limitMs = timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await check();
      if (value !== undefined && value !== false) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    const tookMs = performance.now() - begun;
    if (tookMs > limitMs) {
      limitMs = timeoutMs * (await slow());
      if (tookMs > limitMs) {
        const told = typeof what === "string" ? what : what();
        throw new Error(`not within ${Math.round(limitMs)} ms: ${told}`, { cause: last });
      }
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
