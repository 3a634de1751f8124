/**
 * One BGP connection of the load generator or the relay: exchanges OPEN and KEEPALIVE, then hands
 * on runs of whole UPDATE messages as they lie in the read buffer. Reads only message headers.
 */
import { connect, type Socket } from "node:net";
import { HEADER_BYTES, KEEPALIVE, TYPE } from "./messages.ts";

export interface ConnectionEvents {
  /** The other side's first KEEPALIVE has come. */
  established(): void;
  /** Whole UPDATE messages, valid only during the call. */
  updates(bytes: Uint8Array, from: number, to: number): void;
  /** The end: by whom or what, for messages to the user. */
  closed(reason: string): void;
}

/** Reads of all dialled connections land here: they are used up before the next one begins. */
const READ_BUFFER = Buffer.allocUnsafe(1 << 18);
const MESSAGE_BYTES_MAX = 65_535;

export class BgpConnection {
  readonly socket: Socket;
  readonly #open: Uint8Array;
  readonly #events: ConnectionEvents;
  established = false;
  /** When the other side's OPEN came: ms since the epoch; 0 before. */
  openedAt = 0;
  #partial: Uint8Array | undefined;
  #partialLength = 0;
  #reason = "";

  private constructor(
    socket: Socket,
    open: Uint8Array,
    events: ConnectionEvents,
    connected: boolean,
  ) {
    this.socket = socket;
    this.#open = open;
    this.#events = events;
    socket.setNoDelay(true);
    socket.on("error", (error) => {
      this.#reason ||= error.message;
    });
    socket.once("close", () => events.closed(this.#reason || "closed by the other side"));
    if (connected) socket.write(open);
    else socket.once("connect", () => socket.write(this.#open));
  }

  static dial(
    to: { readonly address: string; readonly port: number; readonly localAddress: string },
    open: Uint8Array,
    events: ConnectionEvents,
  ): BgpConnection {
    const { address: host, port, localAddress } = to;
    const onread = {
      buffer: READ_BUFFER,
      callback: (length: number) => {
        connection.take(READ_BUFFER, length);
        return true;
      },
    };
    const connection: BgpConnection = new BgpConnection(
      connect({ host, port, localAddress, onread }),
      open,
      events,
      false,
    );
    return connection;
  }

  static accepted(socket: Socket, open: Uint8Array, events: ConnectionEvents): BgpConnection {
    const connection = new BgpConnection(socket, open, events, true);
    socket.on("data", (chunk) => connection.take(chunk, chunk.length));
    return connection;
  }

  write(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** Ends it at once: FIN when all is read, otherwise RST. */
  drop(): void {
    this.#reason ||= "dropped by us";
    this.socket.destroy();
  }

  /** Octets as they come; `bytes` may be used again afterwards. */
  take(bytes: Uint8Array, length: number): void {
    let at = 0;
    if (this.#partialLength > 0) at = this.#completePartial(bytes, length);
    let run = at;
    while (at + HEADER_BYTES <= length) {
      const size = (bytes[at + 16]! << 8) | bytes[at + 17]!;
      if (size < HEADER_BYTES) throw new Error(`a message of ${size} octets`);
      if (at + size > length) break;
      if (bytes[at + 18] !== TYPE.update) {
        if (at > run) this.#events.updates(bytes, run, at);
        this.#message(bytes, at, size);
        run = at + size;
      }
      at += size;
    }
    if (at > run) this.#events.updates(bytes, run, at);
    if (at < length) this.#keepPartial(bytes, at, length);
  }

  #keepPartial(bytes: Uint8Array, from: number, to: number): void {
    this.#partial ??= new Uint8Array(MESSAGE_BYTES_MAX);
    this.#partial.set(bytes.subarray(from, to), this.#partialLength);
    this.#partialLength += to - from;
  }

  /** Adds what lacks of the message that was cut; gives where the next one begins. */
  #completePartial(bytes: Uint8Array, length: number): number {
    const partial = this.#partial!;
    let at = 0;
    while (this.#partialLength < HEADER_BYTES && at < length) {
      partial[this.#partialLength++] = bytes[at++]!;
    }
    if (this.#partialLength < HEADER_BYTES) return at;
    const size = (partial[16]! << 8) | partial[17]!;
    const lacking = Math.min(size - this.#partialLength, length - at);
    partial.set(bytes.subarray(at, at + lacking), this.#partialLength);
    this.#partialLength += lacking;
    at += lacking;
    if (this.#partialLength < size) return at;
    this.#partialLength = 0;
    if (partial[18] === TYPE.update) this.#events.updates(partial, 0, size);
    else this.#message(partial, 0, size);
    return at;
  }

  #message(bytes: Uint8Array, at: number, size: number): void {
    const type = bytes[at + 18];
    if (type === TYPE.open) {
      this.openedAt = performance.timeOrigin + performance.now();
      this.socket.write(KEEPALIVE);
    } else if (type === TYPE.keepalive && !this.established) {
      this.established = true;
      this.#events.established();
    } else if (type === TYPE.notification) {
      const hex = Buffer.from(bytes.subarray(at + HEADER_BYTES, at + size)).toString("hex");
      this.#reason = `NOTIFICATION ${hex.slice(0, 200)}`;
    }
  }
}
