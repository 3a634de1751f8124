/**
 * All peers of one run in one process: up to {@link PEERS_MAX} sessions, each from an address of
 * its own, with streams that were encoded before. What is measured starts with the first write and
 * ends when the receiver's table (or the number of sessions) is what was asked for.
 *
 * The bound: one receiver counts about 10 million prefixes a second, all senders together write
 * about 300 MB a second, a session costs about 0.2 ms of CPU. Each run of the bench prints what the
 * generator reaches against a relay that does no routing: a daemon is never faster than that.
 */
import { createServer, type Server, type Socket } from "node:net";
import { BgpConnection } from "./connection.ts";
import { type Feed, type FeedOrder, makeFeed } from "./feed.ts";
import { addressWord, encodeOpen, KEEPALIVE } from "./messages.ts";
import { PrefixTable } from "./prefix-table.ts";

export const PEERS_MAX = 2000;
/** Two of a peer, while a collision is settled, and what a process has besides. */
export const DESCRIPTORS_MAX = 2 * PEERS_MAX + 96;
/** Until a refused connection is tried again. */
const RETRY_MS = 10;
const BACKLOG = 2048;
/**
 * Between KEEPALIVEs of the receivers while routes are waited for. BIRD 2.0 may go to sleep over
 * full output queues until something wakes it; a receiver that says nothing would measure that.
 * The same for every daemon.
 */
const NUDGE_MS = 5;

export interface PeerSpec {
  readonly address: string;
  readonly as: number;
  /** Counts what it is told. */
  readonly receives: boolean;
  readonly feed?: FeedOrder;
  /** Sends its feed as soon as the session stands. */
  readonly announceAtOnce: boolean;
}

export interface GeneratorSetup {
  readonly daemon: { readonly address: string; readonly port: number };
  readonly holdSeconds: number;
  readonly peers: readonly PeerSpec[];
}

/** What is waited for; all of what is given. */
export interface Goal {
  /** Prefixes that each receiver has. */
  readonly live?: number;
  /** Sessions that stand. */
  readonly established?: number;
}

class Peer {
  readonly spec: PeerSpec;
  readonly open: Uint8Array;
  readonly feed: Feed | undefined;
  readonly table: PrefixTable | undefined;
  /** At most two, while a collision is settled. */
  readonly connections = new Set<BgpConnection>();

  constructor(spec: PeerSpec, holdSeconds: number) {
    this.spec = spec;
    this.open = encodeOpen(spec.as, addressWord(spec.address), holdSeconds);
    this.feed = spec.feed === undefined ? undefined : makeFeed(spec.feed);
    this.table = spec.receives ? new PrefixTable() : undefined;
  }

  get established(): BgpConnection | undefined {
    for (const connection of this.connections) if (connection.established) return connection;
    return undefined;
  }
}

export interface Totals {
  readonly established: number;
  readonly live: readonly number[];
  readonly updates: number;
  readonly announced: number;
  readonly withdrawn: number;
  readonly firstOpenAt: number;
  readonly lastClosed: string;
}

export class Peers {
  readonly #setup: GeneratorSetup;
  readonly #peers: readonly Peer[];
  readonly #receivers: readonly Peer[];
  readonly #byAddress = new Map<string, Peer>();
  readonly #waiting: Peer[] = [];
  #server: Server | undefined;
  #keepalives: NodeJS.Timeout | undefined;
  #nudges: NodeJS.Timeout | undefined;
  #established = 0;
  #dialling = 0;
  #window = 0;
  #firstOpenAt = 0;
  #lastClosed = "";
  #dropping = false;
  #goal: Goal | undefined;
  #reached: (at: number) => void = () => undefined;

  constructor(setup: GeneratorSetup) {
    if (setup.peers.length > PEERS_MAX) throw new Error(`more than ${PEERS_MAX} peers`);
    this.#setup = setup;
    this.#peers = setup.peers.map((spec) => new Peer(spec, setup.holdSeconds));
    this.#receivers = this.#peers.filter((peer) => peer.table !== undefined);
    for (const peer of this.#peers) this.#byAddress.set(peer.spec.address, peer);
    this.#keepAlive();
  }

  /** Takes connections to all of the peers' addresses. */
  async listen(): Promise<void> {
    const server = createServer((socket) => this.#accept(socket));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ port: this.#setup.daemon.port, host: "0.0.0.0", backlog: BACKLOG }, resolve);
    });
  }

  /** Dials for all peers, with at most `window` sessions on their way at a time. */
  dial(window: number): void {
    this.#window = window;
    this.#dropping = false;
    for (const peer of this.#peers) if (peer.established === undefined) this.#waiting.push(peer);
    this.#dialMore();
  }

  /** When the goal is reached: ms since the epoch. */
  reach(goal: Goal): Promise<number> {
    clearInterval(this.#nudges);
    return new Promise((resolve) => {
      this.#goal = goal;
      this.#reached = resolve;
      if (goal.live !== undefined) {
        this.#nudges = setInterval(() => {
          for (const each of this.#receivers) each.established?.write(KEEPALIVE);
        }, NUDGE_MS);
      }
      this.#check();
    });
  }

  /** Writes the feeds of all that have one; gives when the first octet was written. */
  send(what: "announce" | "withdraw"): number {
    const at = now();
    for (const { feed, established } of this.#peers) {
      if (feed !== undefined) established?.write(feed[what]);
    }
    return at;
  }

  /** Ends the sessions of all that have a feed, at once. */
  drop(): number {
    const at = now();
    this.#dropping = true;
    for (const peer of this.#peers) {
      if (peer.feed === undefined) continue;
      for (const connection of peer.connections) connection.drop();
    }
    return at;
  }

  /** One message from the first peer that has a feed, as it stands. */
  sendBytes(bytes: Uint8Array): number {
    const at = now();
    this.#peers.find((peer) => peer.feed !== undefined)?.established?.write(bytes);
    return at;
  }

  totals(): Totals {
    const sum = (key: "updates" | "announced" | "withdrawn") =>
      this.#receivers.reduce((total, { table }) => total + (table?.[key] ?? 0), 0);
    return {
      established: this.#established,
      live: this.#receivers.map(({ table }) => table?.live ?? 0),
      updates: sum("updates"),
      announced: sum("announced"),
      withdrawn: sum("withdrawn"),
      firstOpenAt: this.#firstOpenAt,
      lastClosed: this.#lastClosed,
    };
  }

  stop(): void {
    clearInterval(this.#keepalives);
    clearInterval(this.#nudges);
    this.#dropping = true;
    this.#server?.close();
    for (const peer of this.#peers) for (const each of peer.connections) each.drop();
  }

  #dialMore(): void {
    while (this.#dialling < this.#window) {
      const peer = this.#waiting.shift();
      if (peer === undefined) return;
      if (peer.established !== undefined) continue;
      this.#dialling++;
      const { address, port } = this.#setup.daemon;
      const to = { address, port, localAddress: peer.spec.address };
      let pending = true;
      const settled = () => {
        if (pending) this.#dialling--;
        pending = false;
      };
      const connection = BgpConnection.dial(to, peer.open, {
        ...this.#events(peer, () => connection),
        established: () => {
          settled();
          this.#up(peer, connection);
          this.#dialMore();
        },
        closed: (reason) => {
          settled();
          this.#down(peer, connection, reason);
          if (this.#dropping) return;
          setTimeout(() => {
            if (this.#dropping) return;
            this.#waiting.push(peer);
            this.#dialMore();
          }, RETRY_MS);
        },
      });
      peer.connections.add(connection);
    }
  }

  #accept(socket: Socket): void {
    const peer = this.#byAddress.get(socket.localAddress ?? "");
    if (peer === undefined) {
      socket.destroy();
      return;
    }
    const connection = BgpConnection.accepted(socket, peer.open, {
      ...this.#events(peer, () => connection),
      established: () => this.#up(peer, connection),
      closed: (reason) => this.#down(peer, connection, reason),
    });
    peer.connections.add(connection);
  }

  #events(peer: Peer, connection: () => BgpConnection) {
    const { table } = peer;
    return {
      updates: (bytes: Uint8Array, from: number, to: number) => {
        if (table === undefined || !connection().established) return;
        table.take(bytes, from, to);
        this.#check();
      },
    };
  }

  #up(peer: Peer, connection: BgpConnection): void {
    this.#established++;
    if (this.#firstOpenAt === 0) this.#firstOpenAt = connection.openedAt;
    if (peer.spec.announceAtOnce && peer.feed !== undefined) connection.write(peer.feed.announce);
    this.#check();
  }

  #down(peer: Peer, connection: BgpConnection, reason: string): void {
    peer.connections.delete(connection);
    if (!this.#dropping) this.#lastClosed = `${peer.spec.address}: ${reason}`;
    if (!connection.established) return;
    this.#established--;
    peer.table?.clear();
  }

  #check(): void {
    const goal = this.#goal;
    if (goal === undefined) return;
    if (goal.established !== undefined && this.#established < goal.established) return;
    if (goal.live !== undefined) {
      for (const { table } of this.#receivers) if (table!.live !== goal.live) return;
    }
    this.#goal = undefined;
    clearInterval(this.#nudges);
    this.#reached(now());
  }

  /** KEEPALIVEs spread over a third of the hold time, as those of real peers are. */
  #keepAlive(): void {
    const slots = 30;
    let slot = 0;
    this.#keepalives = setInterval(
      () => {
        for (let i = slot; i < this.#peers.length; i += slots) {
          this.#peers[i]!.established?.write(KEEPALIVE);
        }
        slot = (slot + 1) % slots;
      },
      (this.#setup.holdSeconds * 1000) / 3 / slots,
    );
  }
}

/** Milliseconds since the epoch with fractions: comparable between processes of this machine. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}
