/**
 * The answer to one listing, datagram by datagram.
 *
 * A fault does not end the reading: the kernel starts no other listing on the socket before this
 * one is read to its end. So the first fault is kept and the rest skipped.
 */
import { Errno, NetlinkError } from "./errors.ts";
import { DUMP_ENTRIES_MAX } from "./limits.ts";
import {
  type Acknowledgement,
  decodeAcknowledgement,
  Flag,
  forEachMessage,
  type Message,
  MessageType,
} from "./message.ts";

export class DumpReader {
  /** The kernel said that the list changed while it was read, or parts of it were lost. */
  interrupted = false;
  done = false;
  failure: unknown = undefined;
  /** What counts for the listing, until now. */
  #entries = 0;
  readonly #sequence: number;
  readonly #take: (message: Message) => boolean;
  readonly #toError: (answer: Acknowledgement, message: Message) => Error;

  /** `take` is given every entry, and says whether it counts for the listing. */
  constructor(
    sequence: number,
    take: (message: Message) => boolean,
    toError: (answer: Acknowledgement, message: Message) => Error,
  ) {
    this.#sequence = sequence;
    this.#take = take;
    this.#toError = toError;
  }

  /** Takes in one datagram; never throws. */
  read(bytes: Buffer, length: number): void {
    try {
      forEachMessage(bytes, uncut(bytes, length), (message) => this.#read(message));
    } catch (error) {
      this.failure ??= error;
    }
  }

  #read(message: Message): void {
    if (message.sequence !== this.#sequence || this.done) return;
    if ((message.flags & Flag.DUMP_INTR) !== 0) this.interrupted = true;
    if (message.type === MessageType.DONE || message.type === MessageType.ERROR) {
      this.done = true;
      const answer = decodeAcknowledgement(message);
      if (answer.errno !== 0) this.failure ??= this.#toError(answer, message);
    } else if (this.failure === undefined && this.#take(message)) {
      if (++this.#entries > DUMP_ENTRIES_MAX) {
        const text = `a list of more than ${DUMP_ENTRIES_MAX} entries`;
        this.failure = new NetlinkError(Errno.E2BIG, { text });
      }
    }
  }
}

/** The length of a datagram that fitted; EMSGSIZE when the kernel had to cut it. */
export function uncut(bytes: Buffer, length: number): number {
  if (length <= bytes.length) return length;
  const text = `an answer of ${length} bytes, more than ${bytes.length}`;
  throw new NetlinkError(Errno.EMSGSIZE, { text });
}
