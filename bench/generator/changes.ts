/** One prefix announced and withdrawn again and again: the cost of one change, and its latency. */
import { makeFeed } from "./feed.ts";
import type { Peers } from "./peers.ts";

export interface ChangeOrder {
  /** Announcements and withdrawals in all. */
  readonly count: number;
  readonly nextHop: string;
  readonly as: number | undefined;
  /** What the receiver has before. */
  readonly live: number;
  /** Then it is enough, however few there were. */
  readonly millisecondsMax: number;
}

/** Outside of all other prefixes of the plan: see `marker` of a feed. */
const MARKER = 60_000;

/** Milliseconds from each write until the receiver has it. */
export async function changes(peers: Peers, order: ChangeOrder): Promise<readonly number[]> {
  const { nextHop, as } = order;
  const { announce, withdraw } = makeFeed({
    ...{ prefixes: 0, sets: 0, prefixesPerUpdate: 1, firstPrefix: 0, lengths: "24", seed: 1 },
    ...{ nextHop, as, marker: MARKER },
  });
  const took: number[] = [];
  const end = performance.now() + order.millisecondsMax;
  for (let i = 0; i < order.count; i++) {
    const announcing = i % 2 === 0;
    if (announcing && performance.now() > end) break;
    const reached = peers.reach({ live: order.live + (announcing ? 1 : 0) });
    const at = peers.sendBytes(announcing ? announce : withdraw);
    took.push((await reached) - at);
  }
  return took;
}
