/**
 * Cuts the octets of a TCP stream into messages.
 *
 * Pull, not push: {@link MessageFramer.feed} takes one chunk of the socket, {@link
 * MessageFramer.next} steps to the next message, whose place stands in the fields. A message that
 * lies whole in the chunk is not copied. The rest of a chunk is kept in a buffer of our own, never
 * larger than one message, so that the socket may reuse its memory as soon as `next` said false, or
 * after {@link MessageFramer.keepChunk}.
 * Where the stream is cut changes nothing: the same octets give the same messages and the same
 * error. Because the caller pulls, what a message changes (`receiveBytesMax` after the OPENs, or
 * the end of the session) holds for the message right behind it.
 */
import { assert } from "../../runtime/assert.ts";
import { checkHeader, HEADER_BYTES, MESSAGE_BYTES_MAX, messageLength } from "./header.ts";
import type { BgpError, MessageType } from "./types.ts";

const NOTHING = new Uint8Array(0);
/** First size of the buffer for a rest: most peers never need more. */
const REST_BYTES_FIRST = 128;

export class MessageFramer {
  /** Largest message accepted, header included; 4096, or 65535 after RFC 8654 was negotiated. */
  receiveBytesMax: number;
  /** The error that ended the stream; `next` says false from then on. */
  error: BgpError | undefined;
  /** Where the current message lies; valid until the next call of `next` or `feed`. */
  buffer: Uint8Array;
  /** First octet of its header. */
  start: number;
  /** First octet behind its header. */
  body: number;
  /** Behind its last octet. */
  end: number;
  /** Its type, one of the known ones. */
  type: MessageType;

  private chunk: Uint8Array;
  private at: number;
  private chunkEnd: number;
  private rest: Uint8Array;
  private restLength: number;

  constructor(receiveBytesMax = MESSAGE_BYTES_MAX) {
    this.receiveBytesMax = receiveBytesMax;
    this.error = undefined;
    this.buffer = NOTHING;
    this.start = 0;
    this.body = 0;
    this.end = 0;
    this.type = 1;
    this.chunk = NOTHING;
    this.at = 0;
    this.chunkEnd = 0;
    this.rest = NOTHING;
    this.restLength = 0;
  }

  /** Takes a chunk. All messages of the one before must have been pulled. */
  feed(chunk: Uint8Array, start = 0, end = chunk.length): void {
    assert(this.at === this.chunkEnd || this.error !== undefined, "framer fed before drained");
    this.chunk = chunk;
    this.at = start;
    this.chunkEnd = end;
  }

  /** The next octet that is fed begins a message, once all that was fed is pulled. */
  get isBetweenMessages(): boolean {
    return this.restLength === 0;
  }

  /** Octets of the chunk that were not pulled. */
  get unread(): number {
    return this.chunkEnd - this.at;
  }

  /** Takes a copy of what was not pulled: the chunk's memory may be used again. */
  keepChunk(): void {
    if (this.at === this.chunkEnd) return;
    this.chunk = new Uint8Array(this.chunk.subarray(this.at, this.chunkEnd));
    this.chunkEnd -= this.at;
    this.at = 0;
  }

  /**
   * Steps to the next message: true, and the fields say where it is; or false when there is no
   * whole one, or when the header is wrong and {@link error} says how (RFC 4271 §6.1).
   */
  next(): boolean {
    if (this.error !== undefined) return false;
    if (this.restLength > 0) return this.nextFromRest();
    const available = this.chunkEnd - this.at;
    if (available < HEADER_BYTES) return this.keep(HEADER_BYTES);
    this.error = checkHeader(this.chunk, this.at, this.receiveBytesMax);
    if (this.error !== undefined) return false;
    const length = messageLength(this.chunk, this.at);
    if (available < length) return this.keep(length);
    this.emit(this.chunk, this.at, length);
    this.at += length;
    return true;
  }

  /** The message began in an earlier chunk: complete its header, then its body. */
  private nextFromRest(): boolean {
    if (this.restLength < HEADER_BYTES && !this.fill(HEADER_BYTES)) return false;
    this.error = checkHeader(this.rest, 0, this.receiveBytesMax);
    if (this.error !== undefined) return false;
    const length = messageLength(this.rest, 0);
    if (!this.fill(length)) return false;
    this.restLength = 0;
    this.emit(this.rest, 0, length);
    return true;
  }

  private emit(buffer: Uint8Array, start: number, length: number): void {
    this.buffer = buffer;
    this.start = start;
    this.body = start + HEADER_BYTES;
    this.end = start + length;
    this.type = buffer[start + 18]! as MessageType;
  }

  /** Puts the whole remaining chunk aside; it is part of a message of `length` octets or more. */
  private keep(length: number): false {
    if (this.at < this.chunkEnd) this.fill(length);
    this.chunk = NOTHING;
    this.at = 0;
    this.chunkEnd = 0;
    return false;
  }

  /** Moves octets of the chunk to the rest until it holds `length`; false when they run out. */
  private fill(length: number): boolean {
    if (this.rest.length < length) {
      const larger = new Uint8Array(Math.max(REST_BYTES_FIRST, length));
      larger.set(this.rest.subarray(0, this.restLength));
      this.rest = larger;
    }
    const wanted = length - this.restLength;
    const taken = Math.min(wanted, this.chunkEnd - this.at);
    this.rest.set(this.chunk.subarray(this.at, this.at + taken), this.restLength);
    this.restLength += taken;
    this.at += taken;
    return taken === wanted;
  }
}
