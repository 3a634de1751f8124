/**
 * Requests and answers over one netlink socket.
 *
 * The kernel works a request off inside send(2), so a send of many messages is one call, made off
 * the event loop, and its answers are there when it returns. Without that detour go the start of
 * a listing, since its parts are made inside recv(2) anyway, and what a caller knows to be short.
 * Only the last message asks for an acknowledgement: failing ones are answered in any case, in
 * order, so when the last is acknowledged, whatever was not heard of has succeeded. That needs
 * room for as many errors as there are messages; `batchMessagesMax` says how many that is.
 *
 * One request is under way at a time, the others wait in line. Answers are matched by sequence
 * number; those of nobody are dropped.
 */
import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import { DumpReader, uncut } from "./dump-reader.ts";
import { check, Errno, NetlinkError, SystemCallError } from "./errors.ts";
import { linuxSys } from "./libc.ts";
import {
  ACKNOWLEDGEMENT_COST_BYTES,
  BATCH_BYTES_MAX,
  BATCH_MESSAGES_MAX,
  DATAGRAM_BYTES_MAX,
  DATAGRAMS_HURRIED_PER_TURN,
  DATAGRAMS_PER_TURN,
  DUMP_PAUSE_MS,
  DUMP_TRIES_MAX,
  RECEIVE_BUFFER_BYTES,
  REPLY_TIMEOUT_MS,
  REPLY_WAIT_MS,
  REQUESTS_WAITING_MAX,
  SEND_BUFFER_SPARE_BYTES,
} from "./limits.ts";
import {
  type Acknowledgement,
  decodeAcknowledgement,
  Flag,
  forEachMessage,
  type Message,
  MessageType,
} from "./message.ts";
import { MessageWriter } from "./message-writer.ts";
import { NetlinkOption, type OpenNetlink, openNetlink, Protocol } from "./netlink-fd.ts";
import { intOption, MessageFlag, SocketLevel, type Sys } from "./sys.ts";

/** Makes the error of a refused request; `message` is the kernel's ERROR message. */
export type ErrorFactory = (answer: Acknowledgement, message: Message) => NetlinkError;

/** How a {@link NetlinkSocket} is opened, and how long it waits. */
export interface NetlinkSocketOptions {
  /** The system calls, for tests; Linux's unless told. */
  readonly sys?: Sys;
  /** A wish, before the kernel doubles it; 8 MiB unless told. */
  readonly receiveBufferBytes?: number;
  /** How long an answer may take to come; 2 s unless told, and none was ever seen to take any. */
  readonly replyTimeoutMs?: number;
  /** The first pause before a listing that changed is asked for again; 20 ms unless told. */
  readonly dumpPauseMs?: number;
  /** For protocols with errors of their own; {@link NetlinkError} unless told. */
  readonly toError?: ErrorFactory;
}

/** How a batch is sent. */
export interface SendOptions {
  /**
   * Send on the event loop: saves a thread's turn, some 50 µs and milliseconds on a busy machine.
   * For a change of which it is known that the kernel takes no lock for it that is held for long.
   */
  readonly atOnce?: boolean;
}

/** Whole messages for one send, as {@link MessageWriter} makes them. */
export interface MessageBatch {
  /** How many. */
  readonly count: number;
  /** Bytes of all. */
  readonly length: number;
  readonly bytes: Buffer;
  /** Numbers the messages from `first` on, and asks the last one to be acknowledged. */
  seal(first: number, ackFlag: number): void;
}

/** The result of each message of a batch: undefined for success. */
export type Outcome = NetlinkError | undefined;

/**
 * One request socket of one netlink protocol: sends messages, and matches the kernel's answers to
 * them. One request is under way at a time, the others wait in line.
 */
export class NetlinkSocket {
  /** Our netlink port: events caused by this socket carry it. */
  readonly port: number;
  /** Messages that one `exchange` may hold. */
  readonly batchMessagesMax: number;
  /** Bytes that one `exchange` may hold. */
  readonly batchBytesMax: number;
  readonly #sys: Sys;
  readonly #fd: number;
  readonly #toError: ErrorFactory;
  readonly #waitsMax: number;
  readonly #dumpPauseMs: number;
  readonly #received: Buffer = Buffer.allocUnsafe(DATAGRAM_BYTES_MAX);
  #line: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #sequence = 0;
  #closed = false;

  /**
   * Opens a socket in the network namespace of the calling thread, and it stays in that one.
   * Throws {@link SystemCallError}.
   */
  static open(protocol: number, options: NetlinkSocketOptions = {}): NetlinkSocket {
    const sys = options.sys ?? linuxSys;
    const wish = options.receiveBufferBytes ?? RECEIVE_BUFFER_BYTES;
    const opened = openNetlink(sys, protocol, wish, (fd) => {
      // An old kernel that knows none of these gives plainer errors and longer lists: no harm.
      const enable = (option: number) =>
        sys.setsockopt(fd, SocketLevel.NETLINK, option, intOption(1));
      enable(NetlinkOption.EXT_ACK);
      enable(NetlinkOption.CAP_ACK);
      if (protocol === Protocol.ROUTE) enable(NetlinkOption.STRICT);
    });
    return new NetlinkSocket(sys, opened, options);
  }

  private constructor(sys: Sys, opened: OpenNetlink, options: NetlinkSocketOptions) {
    this.#sys = sys;
    this.#fd = opened.fd;
    this.#toError = options.toError ?? plainError;
    this.#waitsMax = Math.ceil((options.replyTimeoutMs ?? REPLY_TIMEOUT_MS) / REPLY_WAIT_MS);
    this.#dumpPauseMs = options.dumpPauseMs ?? DUMP_PAUSE_MS;
    this.port = opened.port;
    const answers = Math.floor(opened.receiveBufferBytes / ACKNOWLEDGEMENT_COST_BYTES);
    this.batchMessagesMax = Math.max(1, Math.min(BATCH_MESSAGES_MAX, answers));
    const room = opened.sendBufferBytes - SEND_BUFFER_SPARE_BYTES;
    this.batchBytesMax = Math.max(1024, Math.min(BATCH_BYTES_MAX, room));
  }

  /**
   * Sends the messages in one go. The result has one entry a message: undefined, or the kernel's
   * refusal; the others are carried out all the same. Where the answer was lost (ENOBUFS) or did
   * not come (ETIMEDOUT) the error has `outcomeUnknown`. `onReply` gets what a message answered
   * beside its acknowledgement; its bytes are valid during the call only. Rejects when the socket
   * itself fails, or is closed (ECANCELED; with `outcomeUnknown` when that was after the send).
   */
  async exchange(
    batch: MessageBatch,
    onReply?: (index: number, message: Message) => void,
    options: SendOptions = {},
  ): Promise<Outcome[]> {
    const outcomes = new Array<Outcome>(batch.count).fill(undefined);
    for (const [at, error] of await this.send(batch, onReply, options)) outcomes[at] = error;
    return outcomes;
  }

  /** As {@link exchange}; the result has the failed ones alone, by their place in the batch. */
  async send(
    batch: MessageBatch,
    onReply?: (index: number, message: Message) => void,
    options: SendOptions = {},
  ): Promise<ReadonlyMap<number, NetlinkError>> {
    const { count } = batch;
    if (count === 0) return new Map();
    if (count > this.batchMessagesMax || batch.length > this.batchBytesMax) {
      const text = `${count} messages, ${batch.length} bytes in one batch`;
      throw new NetlinkError(Errno.EMSGSIZE, { text });
    }
    return this.#inLine(async () => {
      const first = this.#numbers(count);
      batch.seal(first, Flag.ACK);
      if (options.atOnce === true) this.#sendNow(batch);
      else await this.#sendAside(batch);
      return this.#collect(first, count, onReply);
    });
  }

  /** One request: resolves when it is done, rejects with its {@link NetlinkError}. */
  async request(
    write: (writer: MessageWriter) => void,
    onReply?: (message: Message) => void,
    options: SendOptions = {},
  ): Promise<void> {
    const writer = new MessageWriter();
    write(writer);
    const reply = (_index: number, message: Message) => onReply?.(message);
    const [error] = await this.exchange(writer, reply, options);
    if (error !== undefined) throw error;
  }

  /**
   * A listing: what `decode` makes of every message of the answer, undefined left out. It is asked
   * for again when the kernel says that it changed meanwhile. `write` must set DUMP, not ACK.
   */
  async dump<T>(
    write: (writer: MessageWriter) => void,
    decode: (message: Message) => T | undefined,
  ): Promise<T[]> {
    let entries: T[] = [];
    await this.untilUnchanged((hurried) => {
      entries = [];
      const take = (message: Message) => {
        const entry = decode(message);
        if (entry !== undefined) entries.push(entry);
        return entry !== undefined;
      };
      return this.visit(write, take, hurried);
    });
    return entries;
  }

  /**
   * Lists again as long as the list changed under way: at once and `hurried`, since so much less
   * can change meanwhile, then after ever longer pauses. EAGAIN when it always does.
   */
  async untilUnchanged(list: (hurried: boolean) => Promise<boolean>): Promise<void> {
    for (let tries = 0; tries < DUMP_TRIES_MAX; tries++) {
      if (tries > 1) await delay(this.#dumpPauseMs * 2 ** (tries - 2));
      if (await list(tries > 0)) return;
    }
    const text = `the list changed ${DUMP_TRIES_MAX} times while it was read`;
    throw new NetlinkError(Errno.EAGAIN, { text });
  }

  /**
   * One try at a listing, for those too large to keep: `take` is given every message of the answer
   * as it is read, and says whether it counts. False when the kernel says that the list changed
   * meanwhile, and nothing that was given holds: see {@link untilUnchanged}. Rejects with
   * {@link SystemCallError} when the kernel broke it off: then the socket lists no more. `hurried`:
   * reads more before the event loop gets its turn.
   */
  visit(
    write: (writer: MessageWriter) => void,
    take: (message: Message) => boolean,
    hurried = false,
  ): Promise<boolean> {
    return this.#inLine(() => this.#visitInLine(write, take, hurried));
  }

  /** Ends what is waiting with ECANCELED. A send under way still ends before the socket does. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#waiting === 0) this.#sys.close(this.#fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #inLine<T>(task: () => Promise<T>): Promise<T> {
    this.#refuseWhenClosed();
    if (this.#waiting >= REQUESTS_WAITING_MAX) {
      throw new NetlinkError(Errno.EBUSY, { text: `${this.#waiting} requests are waiting` });
    }
    this.#waiting++;
    const turn = this.#line.then(() => {
      this.#refuseWhenClosed();
      return task();
    });
    this.#line = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      this.#waiting--;
      if (this.#closed && this.#waiting === 0) this.#sys.close(this.#fd);
    }
  }

  #refuseWhenClosed(): void {
    if (this.#closed) throw new NetlinkError(Errno.ECANCELED, { text: "the socket is closed" });
  }

  /** Reserves `count` numbers, none of them 0: that is what events carry. */
  #numbers(count: number): number {
    if (this.#sequence + count > 0xffff_ffff) this.#sequence = 0;
    const first = this.#sequence + 1;
    this.#sequence += count;
    return first;
  }

  async #sendAside(batch: MessageBatch): Promise<void> {
    const { bytes, length } = batch;
    if ((await this.#sys.sendAsync(this.#fd, bytes, length)) >= 0) return;
    // Its errno is lost, and it had no effect: once more, here, for the reason.
    this.#sendNow(batch);
  }

  #sendNow({ bytes, length }: MessageBatch): void {
    check("send(AF_NETLINK)", this.#sys.send(this.#fd, bytes, length));
  }

  async #collect(
    first: number,
    count: number,
    onReply: ((index: number, message: Message) => void) | undefined,
  ): Promise<Map<number, NetlinkError>> {
    const failures = new Map<number, NetlinkError>();
    const answered = new Uint8Array(count);
    let lost: NetlinkError | undefined;
    for (let waits = 0; answered[count - 1] === 0; ) {
      const length = this.#sys.receive(this.#fd, this.#received, receiveFlags);
      if (length === -Errno.ENOBUFS) {
        lost = unknown(Errno.ENOBUFS, "the answer was lost");
      } else if (length === -Errno.EAGAIN) {
        if (lost !== undefined) break;
        if (++waits > this.#waitsMax) {
          lost = unknown(Errno.ETIMEDOUT, "no answer");
          break;
        }
        await delay(REPLY_WAIT_MS);
        if (this.#closed) throw unknown(Errno.ECANCELED, "the socket was closed");
      } else {
        if (length < 0) throw new SystemCallError("recv(AF_NETLINK)", -length);
        forEachMessage(this.#received, uncut(this.#received, length), (message) => {
          const index = message.sequence - first;
          if (index < 0 || index >= count) return;
          if (message.type !== MessageType.ERROR) {
            onReply?.(index, message);
            return;
          }
          const answer = decodeAcknowledgement(message);
          answered[index] = 1;
          if (answer.errno !== 0) failures.set(index, this.#toError(answer, message));
        });
      }
    }
    if (lost !== undefined) {
      for (let i = 0; i < count; i++) if (answered[i] === 0) failures.set(i, lost);
    }
    return failures;
  }

  async #visitInLine(
    write: (writer: MessageWriter) => void,
    take: (message: Message) => boolean,
    hurried: boolean,
  ): Promise<boolean> {
    const perTurn = hurried ? DATAGRAMS_HURRIED_PER_TURN : DATAGRAMS_PER_TURN;
    const writer = new MessageWriter();
    write(writer);
    const sequence = this.#numbers(1);
    writer.seal(sequence, 0);
    this.#sendNow(writer);
    const reader = new DumpReader(sequence, take, this.#toError);
    let waits = 0;
    for (let turn = 1; !reader.done; turn++) {
      const length = this.#sys.receive(this.#fd, this.#received, receiveFlags);
      if (length === -Errno.ENOBUFS) {
        reader.interrupted = true;
      } else if (length === -Errno.EAGAIN) {
        // Its end will never come, and the kernel begins no other one on this socket (EBUSY).
        if (reader.failure !== undefined || reader.interrupted) throw brokenOff(Errno.ENOBUFS);
        if (++waits > this.#waitsMax) throw brokenOff(Errno.ETIMEDOUT);
        await delay(REPLY_WAIT_MS);
        this.#refuseWhenClosed();
      } else if (length < 0) {
        throw new SystemCallError("recv(AF_NETLINK)", -length);
      } else {
        reader.read(this.#received, length);
      }
      if (turn % perTurn === 0) await nextTurn();
    }
    if (reader.failure !== undefined) throw reader.failure;
    return !reader.interrupted;
  }
}

function brokenOff(errno: number): SystemCallError {
  return new SystemCallError("recv(AF_NETLINK) of a listing", errno);
}

function unknown(errno: number, why: string): NetlinkError {
  return new NetlinkError(errno, { text: `${why}: outcome unknown`, outcomeUnknown: true });
}

const receiveFlags = MessageFlag.DONTWAIT | MessageFlag.TRUNC;

function plainError(answer: Acknowledgement): NetlinkError {
  return new NetlinkError(answer.errno, { text: answer.text, offset: answer.offset });
}
