/** `podrouter cleanup`: takes away what an agent has made on this machine, after asking. */
import { Command, Option } from "commander";
import { STATUS_PATH } from "../agent/admin-protocol.ts";
import { hasNetAdmin } from "../agent/capabilities.ts";
import { cniConfFile } from "../agent/config.ts";
import { ADMIN_SOCKET_DEFAULT } from "../agent/flags.ts";
import { printable } from "../runtime/operator-text.ts";
import { AgentRefusal, askAgent, NoAgent } from "./agent-client.ts";
import { CliError } from "./cli-error.ts";
import { type CliIo, write } from "./cli-io.ts";
import { adminSocketOption } from "./client-options.ts";
import { confirmed } from "./confirm.ts";

const DESCRIPTION =
  "Removes what podrouter has made on this node: its CNI configuration, leases and socket of its " +
  "own CNI plugin, packet rules, routes, tunnels and what belongs to them, ipsets. Shows first " +
  "what that is, and asks on the terminal; without one it removes nothing unless --yes is given. " +
  "Pods of this node are then no longer reached from other nodes. What stays: the bridge, the " +
  "kernel's settings, CNI plugins, and nodes.json (the Nodes last seen) in the --state-dir.";

const HELP = `
Stop the agent first. For all nodes of a cluster: kubectl apply -k deploy/cleanup
`;

/** An answer in a pipe may have been meant for another question, or for another list. */
const NOBODY_TO_ASK =
  "nothing was removed: there is nobody to ask; --yes goes without " +
  "(only a terminal is asked, an answer that comes through a pipe is not read)";

export function cleanupCommand(io: CliIo): Command {
  return new Command("cleanup")
    .summary("remove what the agent has made on this machine")
    .description(DESCRIPTION)
    .addHelpText("after", HELP)
    .addOption(new Option("--yes", "do not ask"))
    .addOption(
      new Option("--cni-conf-file <path>", "the CNI configuration that the agent was told to keep"),
    )
    .addOption(
      new Option("--admin-socket <path>", "socket of an agent that may be running").default(
        ADMIN_SOCKET_DEFAULT,
      ),
    )
    .action(async (raw: Record<string, unknown>) => {
      // Half of it would not even be seen.
      if (!hasNetAdmin()) throw new CliError("cleanup needs root: CAP_NET_ADMIN is missing", 1);
      await refuseWhileRunning(adminSocketOption(raw));
      await clean(io, confFileOf(io, raw), raw["yes"] === true);
    });
}

async function clean(io: CliIo, confFile: string, sure: boolean): Promise<void> {
  // Bindings to the kernel are loaded only by those who need them.
  const { carryOutCleanup, planCleanup, systemCleanupPorts } = await import("../agent/cleanup.ts");
  const ports = systemCleanupPorts();
  const plan = await planCleanup(confFile, ports);
  for (const note of plan.notes) await write(io.stdout, `Note: ${printable(note)}\n`);
  if (plan.lines.length === 0) {
    if (plan.unseen.length > 0) throw remains([], plan.unseen);
    await write(io.stdout, "Nothing of podrouter's is here\n");
    return;
  }
  await write(io.stdout, `To be removed:\n${listed(plan.lines)}`);
  if (!sure && !(await isSure(io))) {
    await write(io.stdout, "Nothing was removed\n");
    return;
  }
  const { removed, left } = await carryOutCleanup(plan, ports);
  if (removed.length > 0) await write(io.stdout, `Removed:\n${listed(removed)}`);
  if (left.length > 0 || plan.unseen.length > 0) throw remains(left, plan.unseen);
}

/** Whoever waits for a node that is clean must not take this for one. */
function remains(left: readonly string[], unseen: readonly string[]): CliError {
  const parts: string[] = [];
  if (left.length > 0) parts.push("still there:", ...left.map((line) => `  ${printable(line)}`));
  if (unseen.length > 0) {
    parts.push("may still be there, for it could not be looked at:");
    parts.push(...unseen.map((line) => `  ${printable(line)}`));
  }
  return new CliError(parts.join("\n"), 1);
}

function listed(lines: readonly string[]): string {
  return lines.map((line) => `  ${printable(line)}\n`).join("");
}

/** An agent that runs would put everything back at once. */
async function refuseWhileRunning(adminSocket: string): Promise<void> {
  try {
    for await (const _ of askAgent(adminSocket, STATUS_PATH)) break;
  } catch (error) {
    if (error instanceof NoAgent) return;
    // One that is stuck, or has too much to do, would go on where it was.
    if (!(error instanceof CliError) || error instanceof AgentRefusal) throw error;
    throw new CliError(`nothing was removed: ${error.message}`, 1, { cause: error });
  }
  throw new CliError(`an agent is running (it answers on ${adminSocket}): stop it first`, 1);
}

function confFileOf(io: CliIo, raw: Readonly<Record<string, unknown>>): string {
  const problems: string[] = [];
  const given = typeof raw["cniConfFile"] === "string" ? raw["cniConfFile"] : "";
  const path = cniConfFile(given, io.env["KUBE_ROUTER_CNI_CONF_FILE"], problems);
  if (path === undefined) throw new CliError(problems.join("\n"), 2);
  return path;
}

function isSure({ stdin, stdout }: CliIo): Promise<boolean> {
  if (stdin?.isTTY !== true) throw new CliError(NOBODY_TO_ASK, 2);
  return confirmed({ stdin, stdout }, "Remove all of this?");
}
