/** The whole command line: commands, errors in one sentence, exit codes. */
import { Command, CommanderError } from "commander";
import { VERSION } from "../agent/version.ts";
import { printable } from "../runtime/operator-text.ts";
import { checkCommand } from "./check-command.ts";
import { cleanupCommand } from "./cleanup-command.ts";
import { CliError } from "./cli-error.ts";
import type { CliIo } from "./cli-io.ts";
import { peersCommand } from "./peers-command.ts";
import { ribCommand } from "./rib-command.ts";
import {
  type ExitCode,
  foreignFlagSentence,
  misplacedFlagSentence,
  runCommand,
  type StartAgent,
} from "./run-command.ts";
import { statusCommand } from "./status-command.ts";
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

/** Columns for help where the terminal does not say. */
const HELP_COLUMNS = 100;

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
    await program.parseAsync(args, { from: "user" });
    return exit.value;
  } catch (error) {
    return failure(io, error, args);
  }
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
      .allowExcessArguments(false)
      .configureOutput({
        writeOut: (text) => io.stdout.write(text),
        writeErr: (text) => io.stderr.write(text),
        // Errors are written once, by failure().
        outputError: () => undefined,
        getOutHelpWidth: () => HELP_COLUMNS,
        getErrHelpWidth: () => HELP_COLUMNS,
      });
  }
  return program;
}

function failure(io: CliIo, error: unknown, args: readonly string[]): number {
  if (error instanceof CliError) {
    for (const line of error.message.split("\n")) io.stderr.write(`podrouter: ${line}\n`);
    return error.exitCode;
  }
  if (!(error instanceof CommanderError)) throw error;
  if (error.exitCode === 0) return 0;
  // `podrouter` alone has shown its help already.
  if (error.code === "commander.help") return 2;
  for (const line of usageSentences(error, args)) io.stderr.write(`podrouter: ${line}\n`);
  return 2;
}

/** Of kube-router's flags all are named at once: who moves a manifest over has several. */
function usageSentences(error: CommanderError, args: readonly string[]): ReadonlySet<string> {
  const unknown = /^error: unknown option '(-[^']*)'/.exec(error.message)?.[1];
  const plain = error.message.replace(/^error: /, "").replace(/\n/g, " ");
  if (unknown === undefined) return new Set([printable(plain)]);
  const others = args.flatMap((argument) => foreignFlagSentence(argument) ?? []);
  return new Set([misplacedFlagSentence(unknown) ?? plain, ...others].map(printable));
}
