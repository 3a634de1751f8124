/** What `podrouter peers` shows of one neighbour. */
import { addressFromWord } from "../../ip/address.ts";
import type { Rib } from "../rib/rib.ts";
import type { PeerStatus } from "../types.ts";
import type { Peer } from "./peer.ts";

/** Status of a peer at this moment; built on demand. */
export function peerStatus(peer: Peer, rib: Rib): PeerStatus {
  const { config, session: running, local } = peer;
  const { record, session, connection } = running;
  const own = peer.localSide();
  const remoteAs = session?.remoteAs ?? config.remoteAs;
  return {
    name: config.name,
    address: config.address,
    port: config.port,
    localAddress: connection?.localAddress ?? config.localAddress,
    localAs: local.as,
    remoteAs,
    remoteRouterId: session === undefined ? undefined : addressFromWord(session.remoteRouterId),
    internal: remoteAs === local.as,
    state: running.state,
    adminState: config.shutdown !== undefined ? "down" : peer.held ? "prefix-limit" : "up",
    since: record.since,
    established: record.established,
    flaps: record.flaps,
    lastError: record.lastError,
    passwordSet: config.password !== undefined,
    timers: {
      configuredHoldSeconds: config.holdSeconds,
      holdSeconds: session?.holdSeconds,
      keepaliveSeconds: session?.keepaliveSeconds,
    },
    capabilities: {
      local: session?.localCapabilities ?? own.capabilities,
      remote: session?.remoteCapabilities ?? [],
    },
    sent: record.sent.snapshot(),
    received: record.received.snapshot(),
    errors: record.errors.snapshot(),
    outputQueueBytes: connection?.queuedBytes ?? 0,
    families: peer.ribId === undefined ? [] : rib.counters(peer.ribId),
    restarting: session?.localCapabilities.some(isRestarted) ?? peer.restarting,
  };
}

function isRestarted(capability: PeerStatus["capabilities"]["local"][number]): boolean {
  return capability.kind === "gracefulRestart" && capability.restarted;
}
