/**
 * One TCP connection as a {@link Connection}, over a `net.Socket`.
 *
 * All sockets read into the same memory, and what was read goes straight to the handler: a
 * KEEPALIVE costs neither a buffer of its own nor a passage through Node's streams.
 */
import type { OnReadOpts, Socket } from "node:net";
import { type IpAddress, parseAddress } from "../../ip/address.ts";
import {
  type Connection,
  type ConnectionHandler,
  LINGER_MS,
  QUEUE_BYTES_HIGH,
  QUEUE_BYTES_LOW,
} from "./transport.ts";

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset by peer",
  ECONNABORTED: "connection aborted",
  EPIPE: "connection reset by peer",
  ETIMEDOUT: "timed out",
  EHOSTUNREACH: "host unreachable",
  ENETUNREACH: "network unreachable",
  EADDRNOTAVAIL: "local address not available",
  EACCES: "not permitted by the local system",
  EPERM: "not permitted by the local system",
  ENODEV: "no such interface",
};

/** Words for an error of a socket; never holds what came from the peer. */
export function socketReason(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
  return REASONS[code] ?? code;
}

/** The fd behind a socket; Node has no public name for it. */
export function socketFd(socket: Socket): number | undefined {
  const handle = (socket as unknown as { _handle?: { fd?: number } })._handle;
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined;
}

/** Plain octets, not a Buffer, whose `slice` would not copy. */
const READ_BYTES = new Uint8Array(64 * 1024);

/** What a socket is made with, before there is a connection around it. */
export class SocketReader implements OnReadOpts {
  readonly buffer = READ_BYTES;
  /** Who gets the bytes; undefined = nobody, they are dropped. */
  connection: TcpConnection | undefined = undefined;
  /** Called by Node with what lies in the buffer now. */
  readonly callback = (length: number): boolean => {
    this.connection?.received(READ_BYTES.subarray(0, length));
    return true;
  };
}

export class TcpConnection implements Connection {
  readonly remoteAddress: IpAddress;
  readonly remotePort: number;
  readonly #socket: Socket;
  #handler: ConnectionHandler | undefined;
  #open = true;
  #full = false;
  #linger: NodeJS.Timeout | undefined;

  /**
   * Can be written to and closed at once; tells a handler from {@link begin} on. `reader` is what
   * the socket was made with.
   */
  constructor(socket: Socket, reader: SocketReader, remoteAddress: IpAddress, remotePort: number) {
    this.#socket = socket;
    reader.connection = this;
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
    this.#handler = undefined;
    socket.on("error", (error) => this.#end(socketReason(error)));
    socket.on("close", () => {
      clearTimeout(this.#linger);
      this.#end("closed by peer");
    });
  }

  /** From here on the handler hears what happens; reading starts. */
  begin(handler: ConnectionHandler): void {
    if (!this.#open) return;
    this.#handler = handler;
    const socket = this.#socket;
    socket.setNoDelay(true);
    socket.on("end", () => this.#end("closed by peer"));
    socket.on("drain", () => this.#drained());
    if (socket.connecting) socket.on("connect", () => this.#handler?.connected());
  }

  /** Called by the reader. */
  received(chunk: Uint8Array): void {
    this.#handler?.received(chunk);
  }

  get localAddress(): IpAddress | undefined {
    const text = this.#socket.localAddress;
    return text === undefined ? undefined : parseAddress(text.split("%", 1)[0]!);
  }

  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  get sentBytes(): number {
    return (this.#socket.bytesWritten ?? 0) - this.#socket.writableLength;
  }

  write(buffers: readonly Uint8Array[]): boolean {
    const socket = this.#socket;
    if (!this.#open || !socket.writable) return true;
    if (buffers.length === 1) {
      socket.write(buffers[0]!);
    } else {
      socket.cork();
      for (const buffer of buffers) socket.write(buffer);
      socket.uncork();
    }
    if (socket.writableLength > QUEUE_BYTES_HIGH) this.#full = true;
    return !this.#full;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    if (!this.#open) return;
    this.#forget();
    const socket = this.#socket;
    if (socket.connecting || socket.destroyed) {
      socket.destroy();
      return;
    }
    // Reading goes on, into nothing: unread bytes would turn our FIN into a reset, which can
    // overtake the NOTIFICATION before it.
    socket.resume();
    socket.end();
    this.#linger = setTimeout(() => socket.destroy(), LINGER_MS);
  }

  reset(): void {
    this.#forget();
    if (this.#socket.connecting) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  #drained(): void {
    if (!this.#full || this.#socket.writableLength > QUEUE_BYTES_LOW) return;
    this.#full = false;
    this.#handler?.writable();
  }

  #end(reason: string): void {
    if (!this.#open) return;
    const handler = this.#handler;
    this.#forget();
    this.#socket.destroy();
    handler?.closed(reason);
  }

  #forget(): void {
    this.#open = false;
    this.#handler = undefined;
  }
}
