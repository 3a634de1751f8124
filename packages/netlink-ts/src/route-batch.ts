/**
 * Many route operations on their way into one send, written by number: no text is read and no
 * object made for one of them. Routes that go the same way differ in their destination alone, and
 * that stands at a fixed place of the message: so each way is encoded once, as a stamp, and an
 * operation is a copy of its words with another destination.
 *
 *   0                  16           17          28             32
 *   | header           | u8 family  | u8 length | … dst header | destination | further attributes
 *
 * Everything is written in words of 32 bits in host order (little-endian on every platform served).
 */
import { addressFamily } from "./address.ts";
import { Errno, NetlinkError } from "./errors.ts";
import { MessageWriter } from "./message-writer.ts";
import type { MessageBatch } from "./netlink-socket.ts";
import type { RouteSpec } from "./route.ts";
import { encodeOperation, type RouteOperation } from "./route-operation.ts";
import { AddressFamily } from "./sys.ts";

const LENGTH_WORD = 4;
const LENGTH_SHIFT = 8;
const DESTINATION_WORD = 8;
const FLAGS_WORD = 1;
const FLAGS_SHIFT = 16;
const SEQUENCE_WORD = 2;
const WORDS_FIRST = 1024;
const PLACEHOLDER = { 4: "0.0.0.0/32", 6: "::/128" } as const;

/** One way of doing something to a route, whatever its destination. */
export class RouteStamp {
  readonly family: 4 | 6;
  /** The message, with a destination of zeros. */
  readonly words: Uint32Array;

  /** `route.destination` is left out of account. Throws EINVAL for what has no wire form. */
  constructor(kind: RouteOperation["kind"], family: 4 | 6, route: Omit<RouteSpec, "destination">) {
    this.family = family;
    const destination = PLACEHOLDER[addressFamily(family) === AddressFamily.INET ? 4 : 6];
    this.words = wordsOf({ kind, route: { ...route, destination } });
  }
}

/** Operations in their order, ready to be sent: see `Routes.send`. */
export class RouteBatch {
  #words = new Uint32Array(WORDS_FIRST);
  #end = 0;
  #count = 0;

  /** Operations in it. */
  get count(): number {
    return this.#count;
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#end * 4;
  }

  /** Forgets everything and keeps the buffer. */
  reset(): void {
    this.#end = 0;
    this.#count = 0;
  }

  /**
   * Adds an operation: the stamp's, to the prefix of `length` bits, at least one, with these words
   * of its network, the most significant first; IPv4 has one.
   */
  add(stamp: RouteStamp, length: number, w0: number, w1 = 0, w2 = 0, w3 = 0): void {
    const source = stamp.words;
    const at = this.#begin(source.length);
    const words = this.#words;
    for (let i = 0; i < source.length; i++) words[at + i] = source[i]!;
    words[at + LENGTH_WORD] =
      (source[LENGTH_WORD]! & ~(0xff << LENGTH_SHIFT)) | (length << LENGTH_SHIFT);
    words[at + DESTINATION_WORD] = swapped(w0);
    if (stamp.family === 4) return;
    words[at + DESTINATION_WORD + 1] = swapped(w1);
    words[at + DESTINATION_WORD + 2] = swapped(w2);
    words[at + DESTINATION_WORD + 3] = swapped(w3);
  }

  /** Adds any operation, the straightforward way. Throws as `Routes.apply` reports. */
  addOperation(operation: RouteOperation): void {
    const source = wordsOf(operation);
    const at = this.#begin(source.length);
    this.#words.set(source, at);
  }

  /**
   * What is in it, cut into sends of at most so many messages and bytes; valid until the next
   * change.
   */
  parts(messagesMax: number, bytesMax: number): readonly RoutePart[] {
    const words = this.#words;
    if (this.#count === 0) return [];
    if (this.#count <= messagesMax && this.length <= bytesMax) {
      return [new RoutePart(words, 0, this.#end, 0, this.#count)];
    }
    const parts: RoutePart[] = [];
    let [from, first, count] = [0, 0, 0];
    for (let at = 0; at < this.#end; ) {
      const end = at + words[at]! / 4;
      if (count > 0 && (count === messagesMax || (end - from) * 4 > bytesMax)) {
        parts.push(new RoutePart(words, from, at, first, count));
        [from, first, count] = [at, first + count, 0];
      }
      count++;
      at = end;
    }
    parts.push(new RoutePart(words, from, this.#end, first, count));
    return parts;
  }

  /** Room for one more message; gives the place of its first word. */
  #begin(length: number): number {
    const at = this.#end;
    if (at + length > this.#words.length) this.#grow(at + length);
    this.#end = at + length;
    this.#count++;
    return at;
  }

  #grow(needed: number): void {
    let capacity = this.#words.length * 2;
    while (capacity < needed) capacity *= 2;
    const larger = new Uint32Array(capacity);
    larger.set(this.#words.subarray(0, this.#end));
    this.#words = larger;
  }
}

/** Messages of a batch that go in one send. */
export class RoutePart implements MessageBatch {
  /** Place of its first message in the batch. */
  readonly first: number;
  readonly count: number;
  readonly length: number;
  readonly bytes: Buffer;
  readonly #words: Uint32Array;

  constructor(words: Uint32Array, from: number, end: number, first: number, count: number) {
    this.first = first;
    this.count = count;
    this.length = (end - from) * 4;
    this.#words = words.subarray(from, end);
    this.bytes = Buffer.from(words.buffer, from * 4, this.length);
  }

  seal(first: number, ackFlag: number): void {
    const words = this.#words;
    let number = first;
    let last = 0;
    for (let at = 0; at < words.length; at += words[at]! / 4) {
      words[at + SEQUENCE_WORD] = number++;
      last = at;
    }
    words[last + FLAGS_WORD]! |= ackFlag << FLAGS_SHIFT;
  }
}

/** One message; all of its attributes are padded to words. */
function wordsOf(operation: RouteOperation): Uint32Array {
  const writer = new MessageWriter();
  encodeOperation(writer, operation);
  if (writer.length % 4 !== 0 || writer.length > 0xffff) {
    throw new NetlinkError(Errno.EMSGSIZE, { text: "too long for one message" });
  }
  const words = new Uint32Array(writer.length / 4);
  Buffer.from(words.buffer).set(writer.bytes.subarray(0, writer.length));
  return words;
}

/** A word in network order. */
function swapped(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}
