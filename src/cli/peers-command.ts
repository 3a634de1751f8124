/** `podrouter peers [PEER]`. */
import { Argument, Command } from "commander";
import { PEERS_PATH, type PeerStatus, RIB_PATH, type RibPath } from "../agent/admin-protocol.ts";
import { printable } from "../runtime/operator-text.ts";
import { AgentRefusal, askAgent } from "./agent-client.ts";
import { CliError } from "./cli-error.ts";
import { type CliIo, write } from "./cli-io.ts";
import { type ClientOptions, clientOptions, withClientOptions } from "./client-options.ts";
import { writeJson, writeJsonArray } from "./output.ts";
import { formatPeer } from "./peer-details.ts";
import { peerColumns } from "./peers-table.ts";
import { EMPTY_TABLE, ribColumns } from "./rib-table.ts";
import { writeTable } from "./table.ts";

const HELP = `
Up/Down is the time since the session came up, or since it went down, or "never". States are
Idle, Connect, Active, Sent, Confirm and Establ; Idle(Admin) and Idle(PfxCt) are held down by
configuration and by the prefix limit.

Examples:
  podrouter peers                    all peers, as \`gobgp neighbor\` lists them
  podrouter peers -o wide            with router id, timers, flaps and the last error
  podrouter peers node2              capabilities, timers and counters of one peer
  podrouter peers 192.168.50.51      the same, by address
  podrouter peers node2 adj-in       the routes that it told us, before import
  podrouter peers node2 adj-out      the routes that we told it
  podrouter peers -o json | jq -r '.[] | select(.state != "Established").name'
`;

export function peersCommand(io: CliIo): Command {
  const command = new Command("peers")
    .summary("BGP peers and the state of their sessions")
    .description("Lists the BGP peers of the agent, or tells all about one of them.")
    .argument("[peer]", "name of a Node or peer, or its address")
    .addArgument(new Argument("[routes]", "its routes").choices(["adj-in", "adj-out"]))
    .addHelpText("after", HELP);
  return withClientOptions(command).action(
    (
      peer: string | undefined,
      routes: "adj-in" | "adj-out" | undefined,
      raw: Record<string, unknown>,
    ) => {
      const options = clientOptions(raw);
      if (peer === undefined) return listPeers(io, options);
      if (routes === undefined) return showPeer(io, options, peer);
      return listRoutes(io, options, peer, routes === "adj-in" ? "from" : "to");
    },
  );
}

async function listPeers(io: CliIo, options: ClientOptions): Promise<void> {
  const rows = askAgent<PeerStatus>(options.adminSocket, PEERS_PATH);
  if (options.output === "json") {
    await writeJsonArray(io.stdout, rows);
    return;
  }
  const columns = peerColumns(io.now(), options.output === "wide");
  const count = await writeTable(io.stdout, columns, rows);
  if (count === 0) await write(io.stdout, "No peers\n");
}

async function showPeer(io: CliIo, options: ClientOptions, peer: string): Promise<void> {
  const found = await findPeer(options, peer);
  if (options.output === "json") await writeJson(io.stdout, found);
  else await write(io.stdout, formatPeer(found, io.now()));
}

async function listRoutes(
  io: CliIo,
  options: ClientOptions,
  peer: string,
  direction: "from" | "to",
): Promise<void> {
  const { address } = await findPeer(options, peer);
  const path = `${RIB_PATH}?${direction}=${encodeURIComponent(address)}`;
  const rows = askAgent<RibPath>(options.adminSocket, path);
  if (options.output === "json") {
    await writeJsonArray(io.stdout, rows);
    return;
  }
  const columns = ribColumns(io.now(), options.output === "wide");
  const count = await writeTable(io.stdout, columns, rows);
  if (count === 0) await write(io.stdout, `${EMPTY_TABLE}\n`);
}

async function findPeer(options: ClientOptions, peer: string): Promise<PeerStatus> {
  const path = `${PEERS_PATH}/${encodeURIComponent(peer)}`;
  const found: PeerStatus[] = [];
  try {
    for await (const row of askAgent<PeerStatus>(options.adminSocket, path)) found.push(row);
  } catch (error) {
    if (!(error instanceof AgentRefusal) || error.status !== 404) throw error;
  }
  const [first, second] = found;
  const name = printable(peer);
  if (first === undefined) {
    throw new CliError(`no peer is called ${name} or has that address`, 1);
  }
  if (second !== undefined) {
    const addresses = found.map((row) => row.address).join(", ");
    throw new CliError(`${found.length} peers are called ${name}: name one of ${addresses}`, 2);
  }
  return first;
}
