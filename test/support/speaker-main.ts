/**
 * The real speaker over real TCP as a program of its own, for tests that put it in a namespace.
 * Argument: one JSON text, {@link SpeakerOptions}; then commands, see `json-commands.ts`.
 */
import { TcpTransport } from "../../src/bgp/session/tcp-transport.ts";
import { type RibQuery, Speaker } from "../../src/bgp/speaker.ts";
import type { OriginatedRoute, PeerConfig, SpeakerConfig } from "../../src/bgp/types.ts";
import type { IpAddress } from "../../src/ip/address.ts";
import type { Prefix } from "../../src/ip/prefix.ts";
import type { Log, LogFields } from "../../src/runtime/log.ts";
import { systemClock } from "../../src/runtime/system-clock.ts";
import { answerCommands } from "./json-commands.ts";

export interface SpeakerOptions {
  readonly config: SpeakerConfig;
  readonly peers: readonly PeerConfig[];
  readonly routes: readonly OriginatedRoute[];
}

/** Log lines go to the standard error: the test keeps the last of them for its failures. */
function stderrLog(bound: LogFields): Log {
  const at = (level: string) => (fields: LogFields, message: string) => {
    process.stderr.write(`${level} ${message} ${JSON.stringify({ ...bound, ...fields })}\n`);
  };
  const quiet = () => undefined;
  return {
    trace: quiet,
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: (fields) => stderrLog({ ...bound, ...fields }),
  };
}

const options = JSON.parse(process.argv[2]!) as SpeakerOptions;
const speaker = new Speaker(
  { clock: systemClock, random: Math.random, log: stderrLog({}), transport: new TcpTransport() },
  options.config,
);
/** Prefixes that had a best route of a peer and lost it, with repetitions. */
const lost: Prefix[] = [];
/** As it was told last. */
const best = new Map<Prefix, readonly IpAddress[]>();
speaker.onBestChange((routes) => {
  for (const { prefix, nextHops } of routes) {
    if (nextHops.length > 0) best.set(prefix, nextHops);
    else if (best.delete(prefix)) lost.push(prefix);
  }
});
speaker.originate(options.routes);
speaker.setPeers(options.peers);
speaker.start();

answerCommands({
  setPeers: (peers) => speaker.setPeers(peers as PeerConfig[]),
  originate: (routes) => speaker.originate(routes as OriginatedRoute[]),
  peer: (address) => speaker.peer(address as IpAddress),
  paths: (query) => [...speaker.ribPaths(query as RibQuery)],
  refresh: (address) => speaker.routeRefresh(address as IpAddress),
  lost: () => lost,
  nextHops: () => Object.fromEntries(best),
  listening: () => speaker.listening(),
  stop: (stop) => speaker.stop(stop as { notify: boolean }),
});
