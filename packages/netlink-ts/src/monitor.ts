/**
 * What changes in the kernel, as it happens.
 *
 * The kernel drops events when we do not read fast enough, and says so once (ENOBUFS). Then nothing
 * is known any more: `onOverrun` is the order to list everything again. So a consumer keeps no
 * state of its own that only events maintain.
 *
 * It says so ahead of what it had queued, and drops whatever comes, without another word, until
 * that has been read to its end. A listing made before then could miss a change of which nothing
 * tells: so what is queued is thrown away, being of no use any more, and `onOverrun` comes after.
 */
import { check, Errno, MalformedMessageError, SystemCallError } from "./errors.ts";
import { linuxSys } from "./libc.ts";
import {
  DATAGRAM_BYTES_MAX,
  MONITOR_DATAGRAMS_PER_TURN,
  MONITOR_RECEIVE_BUFFER_BYTES,
} from "./limits.ts";
import { forEachMessage, type Message } from "./message.ts";
import { NetlinkOption, openNetlink } from "./netlink-fd.ts";
import { intOption, MessageFlag, SocketLevel, type Sys, type Watch } from "./sys.ts";

/** In nlmsghdr. */
const PORT_OFFSET = 12;

/** Why events are missing: they came too fast, or one could not be understood. */
export type OverrunReason = "overrun" | "malformed";

/** How to listen. */
export interface MonitorOptions {
  /** The system calls, for tests; Linux's unless told. */
  readonly sys?: Sys;
  /** For what comes while nobody reads: 4 MiB unless told. A wish, before the kernel doubles it. */
  readonly receiveBufferBytes?: number;
  /** Leaves out what the socket with this port caused: see `NetlinkSocket.port`. */
  readonly exceptPort?: number;
}

/** Multicast groups, by their numbers. */
export interface MonitorGroups {
  readonly groups: readonly number[];
  /** Of those: groups that an older kernel does not have. Of them nothing is heard there. */
  readonly optional: ReadonlySet<number>;
}

/** Listens to multicast groups of one netlink protocol. */
export class NetlinkMonitor {
  readonly #sys: Sys;
  readonly #fd: number;
  readonly #watch: Watch;
  readonly #received: Buffer = Buffer.allocUnsafe(DATAGRAM_BYTES_MAX);
  readonly #exceptPort: number | undefined;
  readonly #onMessage: (message: Message) => void;
  readonly #onOverrun: (reason: OverrunReason) => void;
  readonly #onFailure: (error: SystemCallError) => void;
  #closed = false;
  /** Events were lost, and what was queued before is not read to its end. */
  #lost = false;
  #readingOn = false;

  /**
   * Starts listening in the network namespace of the calling thread. `message.bytes` are valid
   * during `onMessage` only. `onFailure` is called once, when the socket breaks for good; it is
   * closed then. Throws {@link SystemCallError} when it cannot be opened.
   */
  constructor(
    protocol: number,
    { groups, optional }: MonitorGroups,
    listener: {
      readonly onMessage: (message: Message) => void;
      readonly onOverrun: (reason: OverrunReason) => void;
      readonly onFailure: (error: SystemCallError) => void;
    },
    options: MonitorOptions = {},
  ) {
    this.#sys = options.sys ?? linuxSys;
    this.#exceptPort = options.exceptPort;
    this.#onMessage = listener.onMessage;
    this.#onOverrun = listener.onOverrun;
    this.#onFailure = listener.onFailure;
    const wish = options.receiveBufferBytes ?? MONITOR_RECEIVE_BUFFER_BYTES;
    this.#fd = openNetlink(this.#sys, protocol, wish, (fd) => {
      // Without it they would still be left out, having cost a wake-up and a read each.
      if (options.exceptPort !== undefined) {
        this.#sys.attachFilter(fd, portFilter(options.exceptPort));
      }
      for (const group of groups) {
        const { ADD_MEMBERSHIP } = NetlinkOption;
        const result = this.#sys.setsockopt(
          fd,
          SocketLevel.NETLINK,
          ADD_MEMBERSHIP,
          intOption(group),
        );
        if (result === -Errno.EINVAL && optional.has(group)) continue;
        check(`setsockopt(NETLINK_ADD_MEMBERSHIP, ${group})`, result);
      }
    }).fd;
    this.#watch = this.#sys.watch(this.#fd, () => this.#drain());
  }

  /** Lets the process end although this listens. */
  unref(): void {
    this.#watch.unref();
  }

  /** No callback comes after this. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.close();
    this.#sys.close(this.#fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Reads a bounded number of datagrams; while more are there, the watch calls again. */
  #drain(): void {
    for (let i = 0; i < MONITOR_DATAGRAMS_PER_TURN && !this.#closed; i++) {
      const flags = MessageFlag.DONTWAIT | MessageFlag.TRUNC;
      const length = this.#sys.receive(this.#fd, this.#received, flags);
      if (length === -Errno.EAGAIN) {
        if (this.#lost) this.#tellLoss();
        return;
      }
      if (length === -Errno.ENOBUFS) {
        // In a flood that has no end yet a listing at least shows what there is by now.
        if (this.#lost) this.#onOverrun("overrun");
        this.#lost = true;
      } else if (length < 0) {
        this.close();
        this.#onFailure(new SystemCallError("recv(AF_NETLINK)", -length));
      } else if (!this.#lost) {
        this.#take(length);
      }
    }
    if (this.#lost) this.#readOn();
  }

  /** The kernel queues again what happens from here on. */
  #tellLoss(): void {
    this.#lost = false;
    this.#onOverrun("overrun");
  }

  /** The watch does not call when the last one has just been read. */
  #readOn(): void {
    if (this.#readingOn) return;
    this.#readingOn = true;
    setImmediate(() => {
      this.#readingOn = false;
      if (!this.#closed) this.#drain();
    });
  }

  #take(length: number): void {
    if (length > this.#received.length) this.#onOverrun("malformed");
    else this.#deliver(length);
  }

  #deliver(length: number): void {
    try {
      forEachMessage(this.#received, length, (message) => {
        if (!this.#closed && message.port !== this.#exceptPort) this.#onMessage(message);
      });
    } catch (error) {
      if (!(error instanceof MalformedMessageError)) throw error;
      if (!this.#closed) this.#onOverrun("malformed");
    }
  }
}

/**
 * A classic BPF program that refuses messages of one port, of which there is one a datagram here:
 *
 *   | u16 code | u8 jump if true | u8 jump if false | u32 k |   load [12]; = port? drop : take
 */
function portFilter(port: number): Uint8Array {
  const [LOAD_WORD, JUMP_EQUAL, RETURN] = [0x20, 0x15, 0x06];
  // Loads are in network order, the port stands in host order.
  const swapped = Buffer.alloc(4);
  swapped.writeUInt32LE(port);
  const program = [
    { code: LOAD_WORD, no: 0, k: PORT_OFFSET },
    { code: JUMP_EQUAL, no: 1, k: swapped.readUInt32BE() },
    { code: RETURN, no: 0, k: 0 },
    { code: RETURN, no: 0, k: 0xffff_ffff },
  ];
  const bytes = Buffer.alloc(program.length * 8);
  for (const [i, { code, no, k }] of program.entries()) {
    bytes.writeUInt16LE(code, i * 8);
    bytes[i * 8 + 3] = no;
    bytes.writeUInt32LE(k, i * 8 + 4);
  }
  return bytes;
}
