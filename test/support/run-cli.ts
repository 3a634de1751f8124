/** Runs the command line in this process, with its output caught. */
import { Readable, Writable } from "node:stream";
import type { AgentConfig } from "../../src/agent/config.ts";
import type { CliOutput } from "../../src/cli/cli-io.ts";
import { runProgram } from "../../src/cli/program.ts";

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** What `run` was to start; undefined when it did not get that far. */
  readonly started: AgentConfig | undefined;
}

export interface CliSurroundings {
  readonly env?: Readonly<Record<string, string>>;
  readonly hostName?: string;
  readonly now?: number;
  /** What comes through a pipe. */
  readonly stdin?: string;
  /** Of the terminal that is written to. */
  readonly columns?: number;
}

export async function runCli(
  args: readonly string[],
  surroundings: CliSurroundings = {},
): Promise<CliResult> {
  const out = catcher();
  const err = catcher();
  let started: AgentConfig | undefined;
  const code = await runProgram(
    args,
    {
      ...(surroundings.stdin === undefined ? {} : { stdin: Readable.from([surroundings.stdin]) }),
      stdout: onTerminal(out.stream, surroundings.columns),
      stderr: onTerminal(err.stream, surroundings.columns),
      env: surroundings.env ?? {},
      hostName: surroundings.hostName ?? "this-host",
      now: () => surroundings.now ?? 0,
    },
    async (config) => {
      started = config;
      return 0;
    },
  );
  return { code, stdout: await out.text(), stderr: await err.text(), started };
}

function onTerminal(stream: Writable, columns: number | undefined): CliOutput {
  return columns === undefined ? stream : Object.assign(stream, { columns });
}

function catcher(): { readonly stream: Writable; text(): Promise<string> } {
  const chunks: string[] = [];
  const stream = new Writable({
    // A small buffer, so that the writers' waiting for a slow reader is exercised too.
    highWaterMark: 16,
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      chunks.push(chunk);
      setImmediate(done);
    },
  });
  const text = async () => {
    // What was written without waiting is still on its way.
    await new Promise<void>((resolve) => stream.end(resolve));
    return chunks.join("");
  };
  return { stream, text };
}
