/** What S3, S4 and the cost of a change share: internal peers by the thousand, one /24 each. */
import type { Neighbor } from "../daemons/daemon.ts";
import type { PeerSpec } from "../generator/peers.ts";
import { DAEMON_AS, linkAddress, peerAddress } from "../stage.ts";

export const RECEIVER_AS = 65_100;
/** Sessions that are on their way at a time, where the peers dial. */
export const DIAL_WINDOW = 5;
/** Internal peers leave the next hop alone: all of them have the link's first address as theirs. */
const NEXT_HOP = linkAddress(0);
const RECEIVER = linkAddress(1);

export interface MeshOptions {
  readonly count: number;
  readonly announceAtOnce: boolean;
  /** An external peer that is told of all. */
  readonly receiver: boolean;
}

export function meshPeers({ count, announceAtOnce, receiver }: MeshOptions): PeerSpec[] {
  const mesh = Array.from({ length: count }, (_, index): PeerSpec => {
    const feed = {
      ...{ prefixes: 1, sets: 1, prefixesPerUpdate: 1, firstPrefix: index, lengths: "24" as const },
      ...{ nextHop: NEXT_HOP, as: undefined, seed: 1 },
    };
    const address = peerAddress(index);
    return { address, as: DAEMON_AS, receives: false, feed, announceAtOnce };
  });
  if (!receiver) return mesh;
  const last = { address: RECEIVER, as: RECEIVER_AS, receives: true, announceAtOnce: false };
  return [...mesh, last];
}

/** How the daemon sees them. */
export function meshNeighbors(peers: readonly PeerSpec[], passive: boolean): Neighbor[] {
  return peers.map(({ address, as, receives }) => ({ address, as, passive, export: receives }));
}
