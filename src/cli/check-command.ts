/** `podrouter check`: whether the agent would take its flags and its configuration file. */
import { Command, Option } from "commander";
import type { AgentConfig } from "../agent/config.ts";
import type { ConfigFile } from "../agent/config-file/schema.ts";
import { printable } from "../runtime/operator-text.ts";
import { CliError } from "./cli-error.ts";
import { type CliIo, write } from "./cli-io.ts";
import { agentConfigOf, withRunFlags } from "./run-command.ts";

const DESCRIPTION =
  "Reads the flags of `podrouter run`, the configuration file and the files of passwords that " +
  "they name, as the agent does at its start, and says everything that is wrong with them. Needs " +
  "no rights, asks neither the kernel nor a cluster, and changes nothing. Not looked at: " +
  "kubeconfig, --nodes-file, annotations.";

const HELP = `
Exit codes: 0 all is good, 2 a flag is wrong, 1 a file is.

Examples:
  podrouter check --in-cluster --config=bgp.yaml    for the agents of a DaemonSet
  make-config | podrouter check --config=- --router-id=192.0.2.1
                                                    from standard input
`;

export function checkCommand(io: CliIo): Command {
  const command = new Command("check")
    .summary("whether the agent would take these flags and its configuration file")
    .description(DESCRIPTION)
    .addHelpText("after", HELP)
    .addOption(
      new Option("--in-cluster", "as in a pod of the cluster, where the Nodes give the router id"),
    )
    .addOption(
      new Option("--without-passwords", "leave files of passwords out: they are elsewhere"),
    );
  return withRunFlags(command).action(async (raw: Record<string, unknown>) => {
    const config = agentConfigOf(command, raw, io, raw["inCluster"] === true);
    await check(io, config, raw["withoutPasswords"] !== true);
  });
}

async function check(io: CliIo, config: AgentConfig, passwords: boolean): Promise<void> {
  // What checks the file is loaded only by those who need it.
  const { checkConfiguration } = await import("../agent/check.ts");
  const checked = await checkConfiguration(config, { passwords, input: io.stdin ?? nothing() });
  if (!checked.ok) throw new CliError(checked.problems.join("\n"), 1);
  const { read } = checked;
  const what = read === undefined ? "the flags are good" : said(read.name, read.file);
  await write(io.stdout, `podrouter: ${what}\n`);
}

/** `the flags and bgp.yaml are good: 2 peers, 1 policy, 0 networks`. */
function said(name: string, { peers, policies, networks }: ConfigFile): string {
  const count = (list: readonly unknown[], one: string, many: string): string =>
    `${list.length} ${list.length === 1 ? one : many}`;
  const counts = [
    count(peers, "peer", "peers"),
    count(policies, "policy", "policies"),
    count(networks, "network", "networks"),
  ];
  return `the flags and ${printable(name)} are good: ${counts.join(", ")}`;
}

async function* nothing(): AsyncGenerator<never> {}
