/**
 * One connection of a peer: cuts the bytes that come into messages, in slices, and holds the peer
 * back by TCP while a slice waits for its turn. Knows nothing of the state machine.
 */
import { assert } from "../../runtime/assert.ts";
import type { Clock } from "../../runtime/clock.ts";
import { MessageFramer } from "../message/framer.ts";
import { HEADER_BYTES } from "../message/header.ts";
import type { LocalSide } from "../message/negotiate.ts";
import type { BgpError, MessageType } from "../message/types.ts";
import {
  PAUSE_OCTETS,
  SHORT_MESSAGE_OCTETS,
  SLICE_CLOCK_OCTETS,
  SLICE_MESSAGES_MAX,
} from "./limits.ts";
import type { Connection, ConnectionHandler } from "./transport.ts";
import type { Task, WorkQueue } from "./work-queue.ts";

/** Who a link tells. Any of these may end the link. */
export interface LinkOwner {
  /** Whether KEEPALIVEs here only move timers. */
  isEstablished(link: Link): boolean;
  linkConnected(link: Link): void;
  /** One message; the body lies at `start` to `end` of `buffer`, until the call returns. */
  linkMessage(link: Link, type: MessageType, buffer: Uint8Array, start: number, end: number): void;
  linkError(link: Link, error: BgpError): void;
  linkClosed(link: Link, reason: string): void;
  linkWritable(link: Link): void;
}

export class Link implements ConnectionHandler, Task {
  readonly id: number;
  readonly framer = new MessageFramer();
  /** Our side as in the OPEN that went out here. */
  local: LocalSide | undefined;
  /** RFC 7313 was negotiated here. */
  enhancedRouteRefresh = false;
  /** Routes may be written: the output queue is below its bound. */
  hasRoom = true;
  /** The clock when the slice under way looked at it last. */
  lookedAt = 0;
  readonly #owner: LinkOwner;
  readonly #clock: Clock;
  readonly #work: WorkQueue;
  #connection: Connection | undefined;
  #open = true;
  #input: Uint8Array[] = [];
  /** A slice ended before its chunk did. */
  #behind = false;
  #paused = false;
  /** Why the connection ended, while what came before that waits for its turn. */
  #ending: string | undefined;

  constructor(id: number, owner: LinkOwner, clock: Clock, work: WorkQueue) {
    this.id = id;
    this.#owner = owner;
    this.#clock = clock;
    this.#work = work;
  }

  /** Gives the link its connection, right after it was made. */
  attach(connection: Connection): void {
    this.#connection = connection;
  }

  get connection(): Connection {
    assert(this.#connection !== undefined, "a link has a connection");
    return this.#connection;
  }

  /** Input waits for its turn. */
  get isBehind(): boolean {
    return this.#behind || this.#input.length > 0;
  }

  write(buffers: readonly Uint8Array[]): void {
    if (this.#open && !this.connection.write(buffers)) this.hasRoom = false;
  }

  /** Ends the connection; nothing is told any more. */
  close(reset: boolean): void {
    if (!this.#open) return;
    this.#forget();
    if (reset) this.connection.reset();
    else this.connection.close();
  }

  connected(): void {
    if (this.#open) this.#owner.linkConnected(this);
  }

  received(chunk: Uint8Array): void {
    if (!this.#open) return;
    if (this.isBehind) {
      this.#input.push(new Uint8Array(chunk));
      this.#throttle();
      return;
    }
    const isShort = chunk.length <= HEADER_BYTES && this.framer.isBetweenMessages;
    this.framer.feed(chunk);
    if (isShort && this.#owner.isEstablished(this)) {
      // A KEEPALIVE, or no whole message: to take a turn for it costs more than it does.
      this.run(Number.POSITIVE_INFINITY);
      return;
    }
    // Until its turn is over, which may be now.
    this.#behind = true;
    this.#work.submit(this);
    if (this.#behind && this.#open) this.framer.keepChunk();
    // To stop reading and to begin again costs more than these few octets, which only wait for
    // others that came first.
    const waitsWhole = this.#behind && this.framer.unread === chunk.length;
    if (!waitsWhole || chunk.length > PAUSE_OCTETS) this.#throttle();
  }

  writable(): void {
    this.hasRoom = true;
    this.#owner.linkWritable(this);
  }

  closed(reason: string): void {
    if (!this.#open) return;
    // Not before what it sent: a NOTIFICATION is mostly followed by the end of the connection.
    if (this.isBehind) this.#ending = reason;
    else this.#end(reason);
  }

  /** One slice of the input. */
  run(deadline: number): boolean {
    this.#behind = this.#slice(deadline);
    if (this.#ending === undefined) this.#throttle();
    else if (this.#open && !this.isBehind) this.#end(this.#ending);
    return this.#behind;
  }

  #slice(deadline: number): boolean {
    const { framer } = this;
    this.lookedAt = this.#clock.now();
    let octets = 0;
    for (let count = 1; this.#open; ) {
      if (framer.next()) {
        this.#owner.linkMessage(this, framer.type, framer.buffer, framer.body, framer.end);
        octets += Math.max(SHORT_MESSAGE_OCTETS, framer.end - framer.body);
        const look = octets >= SLICE_CLOCK_OCTETS;
        if (look) {
          this.lookedAt = this.#clock.now();
          octets = 0;
        }
        if (++count > SLICE_MESSAGES_MAX || (look && this.lookedAt >= deadline)) return this.#open;
      } else if (framer.error !== undefined) {
        this.#owner.linkError(this, framer.error);
        return false;
      } else {
        const chunk = this.#input.shift();
        if (chunk === undefined) return false;
        framer.feed(chunk);
      }
    }
    return false;
  }

  /** Reads no further while input waits: what piles up, piles up in the peer. */
  #throttle(): void {
    const waits = this.#open && this.isBehind;
    if (waits === this.#paused) return;
    this.#paused = waits;
    if (waits) this.connection.pause();
    else if (this.#open) this.connection.resume();
  }

  #end(reason: string): void {
    this.#forget();
    this.#owner.linkClosed(this, reason);
  }

  #forget(): void {
    this.#open = false;
    this.#input = [];
    this.#work.remove(this);
  }
}
