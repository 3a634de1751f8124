/** A program of iptables, run to its end. */
import { runToEnd } from "../runtime/program.ts";
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
export const runProgram: RunProgram = async (program, args, input = "") => {
  const bounds = { msMax: IPTABLES_MS_MAX, bytesMax: IPTABLES_OUTPUT_BYTES_MAX };
  // Messages are compared and shown: in one language.
  const env = { ...process.env, LC_ALL: "C" };
  const end = await runToEnd({ program, args, env, input, ...bounds });
  if (end.kind === "not-started") {
    const { code = "", message } = end.error;
    const limit = code === "EAGAIN" ? " (no process to spare: the pids limit)" : "";
    const problem = code === "ENOENT" ? "not installed" : `${message}${limit}`;
    const status = SHORT_OF.has(code) ? NOT_STARTED : undefined;
    return { status, stdout: "", stderr: `${program}: ${problem}` };
  }
  const { stdout } = end;
  if (end.kind === "cut-off") return { status: CUT_OFF, stdout, stderr: end.reason };
  return { status: end.status, stdout, stderr: end.stderr };
};
