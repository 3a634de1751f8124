/** What a scenario is, and what it is given. */
import type { TestContext } from "node:test";
import type { PeerDaemon, PeerSetup } from "../support/peers/peer.ts";
import { assertDecodes } from "./capture-check.ts";
import type { DaemonRow, Feature } from "./daemons.ts";
import { type Kind, Peering, type PeeringOptions } from "./peering.ts";

/** One cell of the table: a daemon as a peer of one kind. */
export interface Cell<L extends PeerDaemon = PeerDaemon> {
  readonly t: TestContext;
  readonly daemon: DaemonRow;
  readonly kind: Kind;
  readonly makeLeft: (setup: PeerSetup) => L;
}

export interface Scenario<L extends PeerDaemon = PeerDaemon> {
  readonly name: string;
  /** It is run only with daemons that have all of these. */
  readonly needs?: readonly Feature[];
  /** Both kinds unless told otherwise. */
  readonly kinds?: readonly Kind[];
  run(cell: Cell<L>): Promise<void>;
}

export interface PeeringCheck extends Omit<PeeringOptions, "kind"> {
  /**
   * Who must decode all that the left side said, and what the others cannot: tcpdump no message
   * that fills several segments, neither of them one beyond 4096 octets (RFC 8654).
   */
  readonly decoders?: "both" | "tshark" | "none";
}

/**
 * Builds the peering of a cell, runs `body`, lets two foreign decoders read what the left side
 * said, and removes everything whatever happens.
 */
export async function withPeering<L extends PeerDaemon>(
  cell: Cell<L>,
  options: PeeringCheck,
  body: (peering: Peering<L>) => Promise<void>,
): Promise<void> {
  const { daemon, kind, makeLeft } = cell;
  const { decoders = "both", ...peers } = options;
  const peering = await Peering.build(makeLeft, daemon.make, { kind, ...peers });
  try {
    await body(peering);
    await peering.capture.stop();
    if (decoders === "none") return;
    const { file } = peering.capture;
    await assertDecodes(file, peering.address.left, { tcpdump: decoders === "both" });
  } finally {
    await peering.remove();
  }
}

/** Holds for a time: fails as soon as `check` gives something else than undefined. */
export async function holds(
  forMs: number,
  check: () => Promise<string | undefined>,
): Promise<void> {
  const end = performance.now() + forMs;
  while (performance.now() < end) {
    const problem = await check();
    if (problem !== undefined) throw new Error(problem);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
