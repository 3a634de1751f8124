/** Running a program to its end, with bounds: the one place where the agent starts one. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { IPTABLES_MS_MAX, IPTABLES_OUTPUT_BYTES_MAX } from "./limits.ts";

/** The machine could not start a program at the moment, whether or not there is one. */
export const NOT_STARTED = -1;
/** It was ended before it had said all: by us, or by somebody else, as for want of memory. */
export const CUT_OFF = 124;
const SHORT_OF = new Set(["EMFILE", "ENFILE", "EAGAIN", "ENOMEM"]);

export interface ProgramResult {
  /** Undefined when it could not be run at all; `stderr` says why. Also NOT_STARTED, CUT_OFF. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export type RunProgram = (
  program: string,
  args: readonly string[],
  input?: string,
) => Promise<ProgramResult>;

/** Never rejects. One that runs too long or prints too much is killed. */
export const runProgram: RunProgram = (program, args, input = "") =>
  new Promise((resolve) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      const limit = error.code === "EAGAIN" ? " (no process to spare: the pids limit)" : "";
      const problem = error.code === "ENOENT" ? "not installed" : `${error.message}${limit}`;
      const status = SHORT_OF.has(error.code ?? "") ? NOT_STARTED : undefined;
      resolve({ status, stdout: "", stderr: `${program}: ${problem}` });
    };
    const child = start(program, args, failed);
    if (child === undefined) return;
    let reason: string | undefined;
    const cutOff = (why: string): void => {
      reason ??= `ended after ${why}`;
      child.kill("SIGKILL");
      // A program that it has started may hold these open for as long as that one hangs.
      for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe?.destroy();
    };
    const deadline = setTimeout(() => cutOff("taking too long"), IPTABLES_MS_MAX);
    child.on("error", (error) => {
      clearTimeout(deadline);
      failed(error);
    });
    // Without a file descriptor to spare there is no child, and nothing of one but its error.
    if (child.stdin === undefined) return;
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let bytes = 0;
    const take = (into: Buffer[]) => (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > IPTABLES_OUTPUT_BYTES_MAX) cutOff("printing too much");
      else into.push(chunk);
    };
    child.stdout.on("data", take(stdout));
    child.stderr.on("data", take(stderr));
    // A program that ends without reading its input is no error of ours.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
    child.on("close", (code, signal) => {
      clearTimeout(deadline);
      resolve({
        status: code ?? CUT_OFF,
        stdout: Buffer.concat(stdout).toString(),
        stderr: code === null ? (reason ?? `ended by ${signal}`) : Buffer.concat(stderr).toString(),
      });
    });
  });

/** Node tells some errors by an event, and throws others: ENOMEM for one. */
function start(
  program: string,
  args: readonly string[],
  failed: (error: NodeJS.ErrnoException) => void,
): ChildProcessWithoutNullStreams | undefined {
  try {
    // Messages are compared and shown: in one language.
    return spawn(program, [...args], { stdio: "pipe", env: { ...process.env, LC_ALL: "C" } });
  } catch (error) {
    failed(error as NodeJS.ErrnoException);
    return undefined;
  }
}
