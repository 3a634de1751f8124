/**
 * Many netlink messages, one after the other in one buffer, as one send takes them.
 *
 *   0                   4         6         8         12        16
 *   | u32 length        | u16 type| u16 flags| u32 seq | u32 port | body … padded to 4
 *
 * Numbers are in host order (little-endian on every platform served), network order where a name
 * says so. Sequence numbers are filled in when the batch is sent.
 */
import { Errno, NetlinkError } from "./errors.ts";

/** Of a struct nlmsghdr. */
export const HEADER_BYTES = 16;
/** The u16 length of an attribute covers its own 4 byte header, and nests obey it too. */
const ATTRIBUTE_BYTES_MAX = 0xffff;
const SEQUENCE_OFFSET = 8;
const FLAGS_OFFSET = 6;
const CAPACITY_FIRST = 4096;
/** Nothing of ours is near this; beyond it a message is refused with EMSGSIZE. */
const CAPACITY_MAX = 4 * 1024 * 1024;
/** Beyond so many bytes a call is quicker than a store for each. */
const RAW_STORES_MAX = 32;

/**
 * A batch in the making: `begin`, the body, `end`, for each message. Values are not looked at: a
 * number that is too large is cut. The codecs of attribute-set.ts refuse it. What does not fit in a
 * batch or in an attribute throws EMSGSIZE.
 */
export class MessageWriter {
  #bytes: Buffer = Buffer.allocUnsafe(CAPACITY_FIRST);
  #length = 0;
  #starts: number[] = [];
  #begun = -1;

  /** Messages completed so far. */
  get count(): number {
    return this.#starts.length;
  }

  /** Bytes written so far, padding included. */
  get length(): number {
    return this.#length;
  }

  /** The bytes themselves; valid until the next write. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  /** Forgets everything and keeps the buffer. */
  reset(): void {
    this.#length = 0;
    this.#starts = [];
    this.#begun = -1;
  }

  /** Starts a message; everything written until `end` is its body. */
  begin(type: number, flags: number): void {
    this.#begun = this.#length;
    this.#reserve(HEADER_BYTES);
    // Length and sequence number are filled in later.
    this.u32(0);
    this.u16(type);
    this.u16(flags);
    this.u32(0);
    this.u32(0);
  }

  /** Completes the message begun last. */
  end(): void {
    put32(this.#bytes, this.#begun, this.#length - this.#begun);
    this.#pad();
    this.#starts.push(this.#begun);
    this.#begun = -1;
  }

  /** Takes back everything after the first `count` messages, also one begun and not ended. */
  keep(count: number): void {
    const length = count < this.#starts.length ? this.#starts[count] : undefined;
    if (length !== undefined) this.#length = length;
    else if (this.#begun >= 0) this.#length = this.#begun;
    this.#starts.length = Math.min(count, this.#starts.length);
    this.#begun = -1;
  }

  /** Numbers the messages from `first` on, and asks the last one to be acknowledged. */
  seal(first: number, ackFlag: number): void {
    for (let i = 0; i < this.#starts.length; i++) {
      put32(this.#bytes, this.#starts[i]! + SEQUENCE_OFFSET, (first + i) >>> 0);
    }
    const last = this.#starts.at(-1);
    if (last === undefined) return;
    const at = last + FLAGS_OFFSET;
    this.#bytes.writeUInt16LE(this.#bytes.readUInt16LE(at) | ackFlag, at);
  }

  /** One byte, of a value from 0 to 255. */
  u8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  /** Two bytes, host order. */
  u16(value: number): void {
    this.#reserve(2);
    this.#length = put16(this.#bytes, this.#length, value);
  }

  /** Four bytes, host order. */
  u32(value: number): void {
    this.#reserve(4);
    this.#length = put32(this.#bytes, this.#length, value);
  }

  /** Two bytes, network order; here Node throws a RangeError for what does not fit. */
  be16(value: number): void {
    this.#reserve(2);
    this.#length = this.#bytes.writeUInt16BE(value, this.#length);
  }

  /** Four bytes, network order; likewise. */
  be32(value: number): void {
    this.#reserve(4);
    this.#length = this.#bytes.writeUInt32BE(value, this.#length);
  }

  /** Bytes as they are, without padding. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    if (bytes.length > RAW_STORES_MAX) {
      this.#bytes.set(bytes, this.#length);
      this.#length += bytes.length;
      return;
    }
    // Mostly an address: four stores are quicker than a call.
    for (let i = 0; i < bytes.length; i++) this.#bytes[this.#length++] = bytes[i]!;
  }

  /** `count` bytes of 0. */
  zeros(count: number): void {
    this.#reserve(count);
    for (let i = 0; i < count; i++) this.#bytes[this.#length++] = 0;
  }

  /** A NUL terminated string. */
  text(value: string): void {
    this.#reserve(value.length * 3 + 1);
    this.#length += this.#bytes.write(value, this.#length, "utf8");
    this.#bytes[this.#length++] = 0;
  }

  /** Starts `| u16 length | u16 type | payload |`; give the result to `endAttribute`. */
  beginAttribute(type: number): number {
    const start = this.#length;
    this.u16(0);
    this.u16(type);
    return start;
  }

  /** Completes an attribute: its length does not count the padding. */
  endAttribute(start: number): void {
    const length = this.#length - start;
    if (length > ATTRIBUTE_BYTES_MAX) {
      const text = `an attribute of ${length} bytes; at most ${ATTRIBUTE_BYTES_MAX} fit`;
      throw new NetlinkError(Errno.EMSGSIZE, { text });
    }
    put16(this.#bytes, start, length);
    this.#pad();
  }

  /** A host-order u16 written over at `offset` (structures that carry their own length). */
  patchU16(offset: number, value: number): void {
    this.#bytes.writeUInt16LE(value, offset);
  }

  #pad(): void {
    const odd = this.#length & 3;
    if (odd !== 0) this.zeros(4 - odd);
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    if (needed > CAPACITY_MAX) {
      throw new NetlinkError(Errno.EMSGSIZE, {
        text: `a batch of more than ${CAPACITY_MAX} bytes`,
      });
    }
    let capacity = this.#bytes.length * 2;
    while (capacity < needed) capacity *= 2;
    const grown = Buffer.allocUnsafe(capacity);
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}

/** Stores a number of known range in host order; gives the offset behind it. */
function put16(bytes: Buffer, at: number, value: number): number {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  return at + 2;
}

function put32(bytes: Buffer, at: number, value: number): number {
  put16(bytes, at, value);
  return put16(bytes, at + 2, value >>> 16);
}
