/** `podrouter status`: whether the agent is ready, and what is wrong if anything is. */
import { Command } from "commander";
import {
  type AgentStatus,
  type BgpSummary,
  type ConditionStatus,
  type ConfigInForce,
  STATUS_PATH,
} from "../agent/admin-protocol.ts";
import { FAMILIES } from "../ip/address.ts";
import { printable, someOf } from "../runtime/operator-text.ts";
import { formatAge } from "./age.ts";
import { askAgent } from "./agent-client.ts";
import { CliError } from "./cli-error.ts";
import { type CliIo, write } from "./cli-io.ts";
import { clientOptions, withClientOptions } from "./client-options.ts";
import { writeJson } from "./output.ts";
import { type Column, writeTable } from "./table.ts";

export function statusCommand(io: CliIo): Command {
  const command = new Command("status")
    .summary("whether the agent is ready, and what is wrong at the moment")
    .description(
      "Shows the agent as a whole and every condition that stands. The exit code says whether " +
        "the agent answered, not whether it is ready: that is `ready` in the JSON, and /readyz.",
    );
  return withClientOptions(command).action(async (raw: Record<string, unknown>) => {
    const options = clientOptions(raw);
    const status = await onlyRow(askAgent<AgentStatus>(options.adminSocket, STATUS_PATH));
    if (options.output === "json") await writeJson(io.stdout, status);
    else await showStatus(io, status);
  });
}

async function onlyRow<T>(rows: AsyncIterable<T>): Promise<T> {
  for await (const row of rows) return row;
  throw new CliError("the agent gave an empty answer", 1);
}

async function showStatus(io: CliIo, status: AgentStatus): Promise<void> {
  const now = io.now();
  const dryRun = status.dryRun ? ", dry run" : "";
  await write(
    io.stdout,
    `${printable(status.nodeName)}: ${status.ready ? "ready" : "not ready"}, ` +
      `podrouter ${status.version}${dryRun}, pid ${status.pid}, ` +
      `up for ${formatAge(now - status.startedAt)}\n`,
  );
  for (const reason of status.waitingFor ?? []) {
    await write(io.stdout, `Not yet: ${printable(reason)}\n`);
  }
  if (status.bgp !== undefined) await write(io.stdout, bgpText(status.bgp, status));
  const { configuration } = status;
  if (configuration !== undefined) await write(io.stdout, configText(configuration, now));
  if (status.overlay !== undefined) await write(io.stdout, overlayText(status.overlay));
  const count = await writeTable(io.stdout, conditionColumns(now), each(status.conditions));
  if (count === 0) await write(io.stdout, "No conditions\n");
  if (status.dryRun) await write(io.stdout, plannedText(status));
}

/** `AS 64512, router id 192.168.50.50: 2 of 2 peers up, 2 routes in the kernel`. */
function bgpText({ as, routerId, peers, peersUp }: BgpSummary, status: AgentStatus): string {
  const { routesInstalled } = status;
  const routes = `${routesInstalled} ${routesInstalled === 1 ? "route" : "routes"} in the kernel`;
  const up = `${peersUp} of ${peers} ${peers === 1 ? "peer" : "peers"} up`;
  return `AS ${as}, router id ${routerId}: ${up}, ${routes}\n`;
}

/** `Configuration /etc/podrouter/config/bgp.yaml, sha256 1a2b3c4d5e6f, taken 00:01:20 ago`. */
function configText({ file, digest, since }: ConfigInForce, now: number): string {
  const taken = `taken ${formatAge(now - since)} ago`;
  return `Configuration ${printable(file)}, sha256 ${printable(digest)}, ${taken}\n`;
}

/** `Overlay vxlan, subnet: 3 by IPv4, 1 missing (podrouter-vx4)`. */
export function overlayText(overlay: NonNullable<AgentStatus["overlay"]>): string {
  const { encap, type, tunnels, missing, looked, devices } = overlay;
  const perFamily = FAMILIES.flatMap((family) => {
    const count = tunnels[family];
    return count > 0 ? [`${count} by IPv${family}`] : [];
  });
  // An agent of an earlier version does not say.
  const unknown = "which nodes need a tunnel is not known yet";
  const unneeded = looked === false ? unknown : "no node needs a tunnel";
  const none = missing > 0 ? "no tunnel works" : unneeded;
  const reached = perFamily.length === 0 ? none : perFamily.join(", ");
  const through = devices.length === 0 ? "" : ` (${someOf(devices.map(printable), 2)})`;
  const waiting = missing === 0 ? "" : `, ${missing} missing`;
  return `Overlay ${encap}, ${type}: ${reached}${waiting}${through}\n`;
}

function plannedText({ planned, plannedTotal }: AgentStatus): string {
  if (plannedTotal === 0) return "Nothing would be changed in the kernel\n";
  const rest = plannedTotal - planned.length;
  const more = rest > 0 ? [`and ${rest} more`] : [];
  const lines = [...planned, ...more].map((line) => `  ${printable(line)}\n`);
  return `Would be done to the kernel:\n${lines.join("")}`;
}

function conditionColumns(now: number): readonly Column<ConditionStatus>[] {
  return [
    { header: "Source", align: "left", widthMin: 6, value: (row) => row.source },
    { header: "Condition", align: "left", widthMin: 9, value: (row) => row.name },
    { header: "Severity", align: "left", widthMin: 8, value: (row) => row.severity },
    { header: "Since", align: "right", widthMin: 8, value: (row) => formatAge(now - row.since) },
    { header: "Message", align: "left", widthMin: 7, value: (row) => row.message },
  ];
}

async function* each<T>(rows: readonly T[]): AsyncGenerator<T> {
  yield* rows;
}
