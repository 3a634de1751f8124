/**
 * What a session needs of the network. Two adapters fulfil it, and one contract suite holds both:
 * TCP (`tcp-transport.ts`) and an in-memory network for simulations.
 *
 * Every call is synchronous, every answer comes later through a handler, never from inside the
 * call. After `close` or `reset` a handler hears nothing more; else `closed` comes exactly once,
 * last.
 */
import type { IpAddress } from "../../ip/address.ts";

/** Options of one session's socket, dialled or accepted. */
export interface SocketPolicy {
  /** TCP MD5 key, RFC 2385. Never logged. */
  readonly password: string | undefined;
  /** TTL or hop limit of what we send; undefined = the system's. */
  readonly ttl: number | undefined;
  /** RFC 5082: send 255 and drop what comes with less. */
  readonly ttlSecurity: boolean;
  readonly bindInterface: string | undefined;
}

export interface DialOptions {
  readonly address: IpAddress;
  readonly port: number;
  /** Source address; undefined = by route. */
  readonly localAddress: IpAddress | undefined;
  readonly policy: SocketPolicy;
}

export interface ConnectionHandler {
  /** Our dial was answered. Never called for an accepted connection. */
  connected(): void;
  /** Bytes of the peer; they hold until the call returns. None come while paused. */
  received(chunk: Uint8Array): void;
  /** The output queue is down to `QUEUE_BYTES_LOW` after `write` had said false. */
  writable(): void;
  /** The end, and why, in our words: "connection refused", "closed by peer". */
  closed(reason: string): void;
}

export interface Connection {
  readonly remoteAddress: IpAddress;
  readonly remotePort: number;
  /** Known once connected. */
  readonly localAddress: IpAddress | undefined;
  /** Bytes written that the operating system has not taken. */
  readonly queuedBytes: number;
  /** Bytes that it has taken, since the beginning: progress of a slow reader. */
  readonly sentBytes: number;
  /**
   * Queues all buffers in one go; they must not change any more. False when more than
   * `QUEUE_BYTES_HIGH` wait now: write no more routes until `writable`.
   */
  write(buffers: readonly Uint8Array[]): boolean;
  /** Stops reading: TCP then holds the peer back. */
  pause(): void;
  resume(): void;
  /** Sends what is queued, for at most `LINGER_MS`, then ends. */
  close(): void;
  /** Ends at once; what is queued is lost. */
  reset(): void;
}

export interface ListenOptions {
  readonly address: IpAddress;
  readonly port: number;
  /** MD5 keys by peer, in place before the first SYN. */
  readonly passwords: ReadonlyMap<IpAddress, string>;
}

/** Whether it stands is told before timers run: it is known before the first dial. */
export interface ListenHandler {
  listening(): void;
  /**
   * Someone connected. Undefined refuses: the connection is reset and never was. Otherwise who
   * hears of it, and what its socket is to be set to.
   */
  accepted(connection: Connection): Acceptance | undefined;
  /** The listener does not stand (any more); `code` is an errno name, `EADDRINUSE`. */
  failed(problem: ListenProblem): void;
}

export interface Acceptance {
  readonly handler: ConnectionHandler;
  readonly policy: SocketPolicy;
}

export interface ListenProblem {
  readonly code: string;
  /** One sentence for the operator; names address and port. */
  readonly message: string;
  /** It did stand, and the system lets nobody be taken: a new one is no better by standing. */
  readonly takesNobody?: true;
}

export interface Listener {
  /**
   * Replaces the MD5 keys, and tries those again that the system would not take. One sentence about
   * the peers that are refused for want of their key; undefined = all keys are set. Also with the
   * keys that the listener was made with.
   */
  setPasswords(passwords: ReadonlyMap<IpAddress, string>): string | undefined;
  close(): void;
}

export interface Transport {
  dial(options: DialOptions, handler: ConnectionHandler): Connection;
  listen(options: ListenOptions, handler: ListenHandler): Listener;
  /**
   * Addresses of the interface that has `own`, best first, which others can use as next hops; none
   * where that is not known. Left out = it never is.
   */
  addressesBeside?(own: IpAddress): readonly IpAddress[];
  /** Why sessions are refused that nothing is wrong with, in one sentence; undefined = none are. */
  shortage?(): string | undefined;
  /** Runs `callback` after I/O and timers that are due now have had a turn. */
  defer(callback: () => void): void;
  /** The same, and after all connections were read that have something to be read by then. */
  afterInput(callback: () => void): void;
}

/** What sessions need of it; who connects to us is told to the speaker. */
export type SessionTransport = Pick<Transport, "dial" | "addressesBeside" | "afterInput">;

/**
 * Bound of a connection's output: routes stop at the high mark, so that a queue never holds more
 * than this and one batch. A thousand peers that read nothing cost at most 256 MiB of queue.
 */
export const QUEUE_BYTES_HIGH = 256 * 1024;
export const QUEUE_BYTES_LOW = 64 * 1024;
/** How long the last NOTIFICATION may take. */
export const LINGER_MS = 2_000;
