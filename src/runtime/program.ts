/** Running a program to its end, with bounds: the one place where the agent starts one. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";

export interface ProgramRun {
  readonly program: string;
  readonly args: readonly string[];
  /** All of its environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What it reads on its standard input, which ends behind that. */
  readonly input: string;
  /** Of both outputs together. Beyond: it is killed. */
  readonly bytesMax: number;
  /** Beyond: it is killed. Undefined = it is waited for without end. */
  readonly msMax: number | undefined;
}

export type ProgramEnd =
  /** It could not be started. */
  | { readonly kind: "not-started"; readonly error: NodeJS.ErrnoException }
  /** Killed, by us or by somebody else: what it printed may not be all. */
  | { readonly kind: "cut-off"; readonly reason: string; readonly stdout: string }
  | {
      readonly kind: "ended";
      readonly status: number;
      readonly stdout: string;
      readonly stderr: string;
    };

/** Never rejects. */
export function runToEnd(run: ProgramRun): Promise<ProgramEnd> {
  return new Promise((resolve) => {
    const failed = (error: NodeJS.ErrnoException) => resolve({ kind: "not-started", error });
    const child = start(run, failed);
    if (child === undefined) return;
    let reason: string | undefined;
    const cutOff = (why: string): void => {
      reason ??= `ended after ${why}`;
      child.kill("SIGKILL");
      // A program that it has started may hold these open for as long as that one hangs.
      for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe?.destroy();
    };
    const { msMax } = run;
    const deadline =
      msMax === undefined ? undefined : setTimeout(() => cutOff("taking too long"), msMax);
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
      if (bytes > run.bytesMax) cutOff("printing too much");
      else into.push(chunk);
    };
    child.stdout.on("data", take(stdout));
    child.stderr.on("data", take(stderr));
    // A program that ends without reading its input is no error of ours.
    child.stdin.on("error", () => undefined);
    child.stdin.end(run.input);
    child.on("close", (code, signal) => {
      clearTimeout(deadline);
      const printed = Buffer.concat(stdout).toString();
      // One that we ended may have ended by itself before: it is cut off all the same.
      if (reason !== undefined || code === null) {
        resolve({ kind: "cut-off", reason: reason ?? `ended by ${signal}`, stdout: printed });
        return;
      }
      const said = Buffer.concat(stderr).toString();
      resolve({ kind: "ended", status: code, stdout: printed, stderr: said });
    });
  });
}

/** Node tells some errors by an event, and throws others: ENOMEM for one. */
function start(
  { program, args, env }: ProgramRun,
  failed: (error: NodeJS.ErrnoException) => void,
): ChildProcessWithoutNullStreams | undefined {
  try {
    return spawn(program, [...args], { stdio: "pipe", env });
  } catch (error) {
    failed(error as NodeJS.ErrnoException);
    return undefined;
  }
}
