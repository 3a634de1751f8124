/** `podrouter run`: the agent itself. Its flags are made from the table in src/agent/flags.ts. */
import { Command, Option } from "commander";
import { inHostNetwork } from "../agent/capabilities.ts";
import { type AgentConfig, configure } from "../agent/config.ts";
import type { Flag } from "../agent/flag.ts";
import { ABSENT_PARTS, FOREIGN_FLAGS, RUN_FLAGS } from "../agent/flags.ts";
import { CliError } from "./cli-error.ts";
import { type CliIo, write } from "./cli-io.ts";

const DESCRIPTION =
  "Routes the pods of this node: speaks BGP with the other nodes, and keeps the kernel's routes " +
  "and the two ipsets as the Nodes and the sessions want them. Runs until SIGTERM or SIGINT.";

const HELP = `
Durations are written as in Go: 90s, 1m30s, 2h. A boolean alone means true; --flag=false and
--flag=true are kube-router's forms. A flag given twice counts as given last,
unless its help says otherwise.
Of kube-router's other flags, those for parts that podrouter does not have are accepted when false
(${Object.keys(ABSENT_PARTS)
  .map((name) => `--${name}`)
  .join(", ")
  .replaceAll(/(.{60,95}?), /g, "$1,\n")}).

On SIGTERM with graceful restart the sessions end without a NOTIFICATION and the kernel's routes
stay, so that traffic flows on while the agent restarts; without it, peers are told (Cease).
On SIGHUP --config and files of passwords are read again. SIGUSR1 and SIGUSR2 do nothing.

Examples:
  podrouter run                                     in a pod of the DaemonSet
  podrouter run --kubeconfig=/etc/kubernetes/admin.conf --hostname-override=node1
  podrouter run --nodes-file=nodes.yaml --dry-run --log-format=text
                                                    without a cluster, without touching the kernel
  podrouter run --config=bgp.yaml                   a BGP daemon, without Kubernetes
`;

/** Starts the agent and waits for its end; gives the exit code. */
export type StartAgent = (config: AgentConfig) => Promise<number>;

/** Where the exit code of the agent goes. */
export interface ExitCode {
  value: number;
}

/** Adds the flags of the agent, and those that it refuses with a reason. */
export function withRunFlags(command: Command): Command {
  for (const flag of Object.values<Flag<unknown>>(RUN_FLAGS)) command.addOption(optionOf(flag));
  for (const name of Object.keys(ABSENT_PARTS)) {
    command.addOption(new Option(`--${name} [bool]`).hideHelp());
  }
  return command;
}

/**
 * The agent's configuration from these flags and the process's surroundings.
 * @throws {CliError} a line for every flag that is wrong.
 */
export function agentConfigOf(
  command: Command,
  raw: Readonly<Record<string, unknown>>,
  io: CliIo,
  inCluster = false,
): AgentConfig {
  const configured = configure(givenFlags(command, raw), {
    nodeName: io.env["NODE_NAME"],
    hostName: io.hostName,
    inCluster: inCluster || io.env["KUBERNETES_SERVICE_HOST"] !== undefined,
    cniConfFile: io.env["KUBE_ROUTER_CNI_CONF_FILE"],
    hostNetwork: inHostNetwork(),
  });
  if (!configured.ok) throw new CliError(configured.problems.join("\n"), 2);
  return configured.value;
}

export function runCommand(io: CliIo, start: StartAgent, exit: ExitCode): Command {
  const command = new Command("run")
    .summary("the agent: speak BGP and keep routes and ipsets")
    .description(DESCRIPTION)
    .addHelpText("after", HELP);
  return withRunFlags(command).action(async (raw: Record<string, unknown>) => {
    const config = agentConfigOf(command, raw, io);
    if (!config.parts.router) {
      await write(io.stderr, "podrouter: nothing to do: --run-router=false\n");
      return;
    }
    exit.value = await start(config);
  });
}

function optionOf(flag: Flag<unknown>): Option {
  const names = flag.name.length === 1 ? `-${flag.name}, --${flag.name}` : `--${flag.name}`;
  const shown = flag.default === "" ? "" : ` (default ${flag.default})`;
  const option = new Option(`${names} ${flag.value.placeholder}`, `${flag.help}${shown}`);
  if (flag.repeatable === true) option.argParser(joined);
  return option.helpGroup(flag.group);
}

/** A flag given several times, as one comma list. */
function joined(text: string, before: string | undefined): string {
  return before === undefined ? text : `${before},${text}`;
}

/** The flags that were given, as texts by name without dashes. */
function givenFlags(
  command: Command,
  raw: Readonly<Record<string, unknown>>,
): ReadonlyMap<string, string> {
  const given = new Map<string, string>();
  for (const option of command.options) {
    const value = raw[option.attributeName()];
    if (value === undefined || option.long === undefined || option.long === null) continue;
    given.set(option.long.slice(2), String(value));
  }
  return given;
}

/** What to say of a flag that podrouter has not, and why; undefined for any other. */
export function foreignFlagSentence(name: string): string | undefined {
  if (isRunFlag(name)) return undefined;
  const foreign = FOREIGN_FLAGS.find(({ pattern }) => pattern.test(name));
  return foreign === undefined ? undefined : `--${name} is not a flag here: ${foreign.reason}`;
}

/**
 * What to say of one of the agent's flags where no agent is asked for, but nothing or another
 * `command`; undefined for any other.
 */
export function misplacedFlagSentence(name: string, command?: string): string | undefined {
  if (!isRunFlag(name) || name.length === 1) return undefined;
  const home = "a flag of `podrouter run`";
  if (command === undefined) {
    return `--${name} is ${home}: the command comes first, then its flags`;
  }
  return `unknown option '--${name}': it is ${home}, not of \`podrouter ${command}\``;
}

function isRunFlag(name: string): boolean {
  const isOwn = Object.values<Flag<unknown>>(RUN_FLAGS).some((flag) => flag.name === name);
  return isOwn || Object.hasOwn(ABSENT_PARTS, name);
}
