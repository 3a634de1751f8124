/**
 * UPDATE messages of all peers, those that are gone included. A sum over the peers that there are
 * would fall when one goes, and who watches a counter takes a fall for a start from zero: as many
 * new messages as all the others have ever had.
 */
import type { Peer } from "./peer.ts";

export interface UpdateCounts {
  readonly received: number;
  readonly sent: number;
}

export class UpdateTotals {
  readonly #peers: () => Iterable<Peer>;
  #gone: UpdateCounts = { received: 0, sent: 0 };

  constructor(peers: () => Iterable<Peer>) {
    this.#peers = peers;
  }

  /** The peer is one of them no more. */
  leave(peer: Peer): void {
    this.#gone = sum(this.#gone, [peer]);
  }

  counts(): UpdateCounts {
    return sum(this.#gone, this.#peers());
  }
}

function sum({ received, sent }: UpdateCounts, peers: Iterable<Peer>): UpdateCounts {
  for (const { session } of peers) {
    received += session.record.received.snapshot().update;
    sent += session.record.sent.snapshot().update;
  }
  return { received, sent };
}
