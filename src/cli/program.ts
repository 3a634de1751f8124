/** The whole command line: commands, errors in one sentence, exit codes. */
import { Command, CommanderError } from "commander";
import { VERSION } from "../agent/version.ts";
import { printable } from "../runtime/operator-text.ts";
import { checkCommand } from "./check-command.ts";
import { cleanupCommand } from "./cleanup-command.ts";
import { CliError } from "./cli-error.ts";
import type { CliIo, CliOutput } from "./cli-io.ts";
import { peersCommand } from "./peers-command.ts";
import { ribCommand } from "./rib-command.ts";
import { type ExitCode, runCommand, type StartAgent } from "./run-command.ts";
import { statusCommand } from "./status-command.ts";
import { usageSentences } from "./usage-error.ts";
import { versionCommand } from "./version-command.ts";

const DESCRIPTION =
  "BGP pod routing for Kubernetes: an agent on each node that routes the other nodes' pods.";

const HELP = `
\`podrouter run\` is the agent, started by the DaemonSet; \`podrouter check\` reads its flags and
its configuration file beforehand; \`podrouter cleanup\` is for afterwards.
The other commands ask a running agent over its Unix socket, which only root can open.
Exit codes: 0 done, 2 the command line asks for what cannot be, 1 anything else went wrong.

Examples:
  podrouter run --kubeconfig=/etc/kubernetes/admin.conf
  podrouter check --in-cluster --config=bgp.yaml
  podrouter peers
  podrouter peers node2
  podrouter rib 10.233.65.7
  podrouter run --help               the flags, by group, with their defaults
`;

/** Columns for help: no more, and fewer on a terminal that is narrower. */
const HELP_COLUMNS = 100;
/** With fewer than this behind the names of flags their text is left to the terminal to break. */
const HELP_TEXT_COLUMNS_MIN = 20;

/**
 * Runs the program with the arguments after its name; gives the exit code. Writes only to `io`.
 * `start` runs the agent for the `run` command.
 */
export async function runProgram(
  args: readonly string[],
  io: CliIo,
  start: StartAgent,
): Promise<number> {
  const exit: ExitCode = { value: 0 };
  const program = buildProgram(io, start, exit);
  try {
    await program.parseAsync(args.map(withoutEquals), { from: "user" });
    return exit.value;
  } catch (error) {
    return failure(io, error, program, args);
  }
}

/** `-o=json` and `-v=2`, as kubectl and klog take them, are `-ojson` and `-v2` to commander. */
function withoutEquals(argument: string): string {
  return argument.replace(/^-([aov])=(?=.)/, "-$1");
}

function buildProgram(io: CliIo, start: StartAgent, exit: ExitCode): Command {
  const program = new Command("podrouter")
    .description(DESCRIPTION)
    .version(`podrouter ${VERSION}`, "-V, --version", "version of this program")
    .addHelpText("after", HELP);
  const commands = [
    runCommand(io, start, exit),
    peersCommand(io),
    ribCommand(io),
    statusCommand(io),
    checkCommand(io),
    cleanupCommand(io),
    versionCommand(io),
  ];
  for (const command of commands) program.addCommand(command);
  for (const command of [program, ...commands]) {
    command
      .exitOverride()
      .configureHelp({ minWidthToWrap: HELP_TEXT_COLUMNS_MIN })
      .allowExcessArguments(false)
      .configureOutput({
        writeOut: (text) => io.stdout.write(text),
        writeErr: (text) => io.stderr.write(text),
        // Errors are written once, by failure().
        outputError: () => undefined,
        getOutHelpWidth: () => helpColumns(io.stdout),
        getErrHelpWidth: () => helpColumns(io.stderr),
      });
  }
  return program;
}

/** A terminal that does not know its width says 0. */
function helpColumns({ columns = 0 }: CliOutput): number {
  return columns > 0 ? Math.min(columns, HELP_COLUMNS) : HELP_COLUMNS;
}

function failure(io: CliIo, error: unknown, program: Command, args: readonly string[]): number {
  if (error instanceof CliError) {
    for (const line of error.message.split("\n")) io.stderr.write(`podrouter: ${line}\n`);
    return error.exitCode;
  }
  if (!(error instanceof CommanderError)) throw error;
  if (error.exitCode === 0) return 0;
  // `podrouter` alone has shown its help already.
  if (error.code === "commander.help") return 2;
  for (const line of usageSentences(error, program, args)) {
    io.stderr.write(`podrouter: ${printable(line)}\n`);
  }
  return 2;
}
