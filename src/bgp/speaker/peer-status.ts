/** What `podrouter peers` shows of one neighbour. */
import { addressFromWord, compareAddresses } from "../../ip/address.ts";
import type { PeerId } from "../rib/peer-table.ts";
import type { Rib } from "../rib/rib.ts";
import type { MissingPeer, OversizedRoutes, PeerStatus, WithoutNextHop } from "../types.ts";
import type { Peer } from "./peer.ts";

/** Status of all peers in the order of their addresses. */
export function peerStatuses(peers: Iterable<Peer>, rib: Rib): readonly PeerStatus[] {
  const sorted = [...peers].sort((a, b) => compareAddresses(a.address, b.address));
  return sorted.map((peer) => peerStatus(peer, rib));
}

/** Status of a peer at this moment; built on demand. */
export function peerStatus(peer: Peer, rib: Rib): PeerStatus {
  const { config, session: running, local } = peer;
  const { record, session, connection } = running;
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
    adminState: adminState(peer),
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
      local: session?.localCapabilities ?? peer.introduction().side.capabilities,
      remote: session?.remoteCapabilities ?? [],
    },
    sent: record.sent.snapshot(),
    received: record.received.snapshot(),
    errors: record.errors.snapshot(),
    outputQueueBytes: connection?.queuedBytes ?? 0,
    families: peer.ribId === undefined ? [] : rib.counters(peer.ribId),
    restarting: session?.localCapabilities.some(isRestarted) ?? peer.forwarding === "restarted",
  };
}

/** What is wrong with peers, in no order. */
export interface PeerTroubles {
  /** Those that are to be up and are not. */
  readonly missing: readonly MissingPeer[];
  readonly withoutNextHop: readonly WithoutNextHop[];
  readonly oversized: readonly OversizedRoutes[];
}

/**
 * Asked for each second, and then a thousand peers may be away: the whole status of each would be
 * 10 ms. `notUp`: the peers that are not; those that are up, mostly all, cost nothing here.
 */
export function peerTroubles(
  notUp: Iterable<Peer>,
  byRibId: ReadonlyMap<PeerId, Peer>,
  rib: Rib,
): PeerTroubles {
  const missing: MissingPeer[] = [];
  for (const peer of notUp) {
    if (adminState(peer) === "down") continue;
    missing.push({ name: peer.config.name, address: peer.address, adminState: adminState(peer) });
  }
  const withoutNextHop = rib.withoutNextHop().flatMap(({ id, family }) => {
    const peer = byRibId.get(id);
    return peer === undefined ? [] : [{ name: peer.config.name, address: peer.address, family }];
  });
  return { missing, withoutNextHop, oversized: oversizedRoutes(byRibId, rib) };
}

/** One for each peer, whatever the families. */
function oversizedRoutes(byRibId: ReadonlyMap<PeerId, Peer>, rib: Rib): OversizedRoutes[] {
  const found = new Map<PeerId, OversizedRoutes>();
  for (const { id, count, example } of rib.oversized()) {
    const peer = byRibId.get(id);
    const session = peer?.negotiated;
    if (peer === undefined || session === undefined) continue;
    const { name, address } = peer.config;
    const before = found.get(id) ?? { name, address, count: 0, example };
    const messageBytesMax = session.sendBytesMax;
    found.set(id, { ...before, count: before.count + count, messageBytesMax });
  }
  return [...found.values()];
}

function adminState({ config, held }: Peer): PeerStatus["adminState"] {
  if (config.shutdown !== undefined) return "down";
  return held ? "prefix-limit" : "up";
}

function isRestarted(capability: PeerStatus["capabilities"]["local"][number]): boolean {
  return capability.kind === "gracefulRestart" && capability.restarted;
}
