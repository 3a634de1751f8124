/**
 * The UPDATE streams of senders, encoded before the clock starts: prefixes of the lengths and
 * attribute sets of the sizes that a full table has, always the same for the same order.
 *
 * Prefixes lie within 20.0.0.0 to 126.255.255.255: public, unicast, none of this bench's own.
 * Number i of the plan is the same prefix in every feed, so that senders can share prefixes
 * (`firstPrefix` equal) or not.
 */
import { addressWord, HEADER_BYTES, putHeader, putWord, TYPE } from "./messages.ts";

export interface FeedOrder {
  readonly prefixes: number;
  /** Attribute sets; their sizes vary by chance between 1 and twice the mean. */
  readonly sets: number;
  readonly prefixesPerUpdate: number;
  readonly nextHop: string;
  /** First AS of each path; undefined for an internal session: empty path and LOCAL_PREF. */
  readonly as: number | undefined;
  /** Number of the first prefix in the plan. */
  readonly firstPrefix: number;
  /** `mixed`: /16 to /24 in the shares of a full table; `24`: all /24. */
  readonly lengths: "mixed" | "24";
  readonly seed: number;
  /** One more prefix at the end, which no other sender has: its number outside of the plan. */
  readonly marker?: number;
}

export interface Feed {
  readonly announce: Uint8Array;
  readonly withdraw: Uint8Array;
  readonly updates: number;
}

const FIRST_OCTET = 20;
const OCTETS = 107;
/** Of a thousand prefixes, by length from /16 on: about the shares of a full table. */
const SHARES = [13, 9, 14, 27, 43, 50, 111, 100, 633] as const;
/** Spreads neighbours over the space; prime to it. */
const STRIDE = 1_000_003;
const MARKER_BASE = addressWord("19.0.0.0");

/** A small generator with a seed, so that every run has the same feed. */
class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to `below` - 1. */
  next(below: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 0x1_0000_0000) * below);
  }
}

/** The prefixes in order; no two are the same. */
export class PrefixPlan {
  readonly #lengths: "mixed" | "24";
  readonly #used = new Uint32Array(25);
  readonly #chance = new Chance(42);
  address = 0;
  length = 24;

  constructor(lengths: "mixed" | "24") {
    this.#lengths = lengths;
  }

  /** Goes to the next prefix: `address` and `length`. */
  next(): void {
    const length = this.#lengths === "24" ? 24 : this.#length();
    const space = OCTETS * 2 ** (length - 8);
    const used = this.#used[length]!++;
    if (used >= space) throw new Error(`more prefixes /${length} than there are`);
    const number = (used * STRIDE) % space;
    this.length = length;
    this.address = ((FIRST_OCTET << 24) + number * 2 ** (32 - length)) >>> 0;
  }

  #length(): number {
    let rest = this.#chance.next(1000);
    for (let at = 0; at < SHARES.length; at++) {
      rest -= SHARES[at]!;
      if (rest < 0) return 16 + at;
    }
    return 24;
  }
}

/** Octets that grow. */
class Writer {
  bytes = new Uint8Array(1 << 16);
  at = 0;

  room(octets: number): void {
    if (this.at + octets <= this.bytes.length) return;
    const more = new Uint8Array(Math.max(this.bytes.length * 2, this.at + octets));
    more.set(this.bytes.subarray(0, this.at));
    this.bytes = more;
  }

  prefix(address: number, length: number): void {
    this.bytes[this.at++] = length;
    for (let shift = 24; shift > 24 - length; shift -= 8) {
      this.bytes[this.at++] = address >>> shift;
    }
  }

  short(value: number): void {
    this.bytes[this.at++] = value >>> 8;
    this.bytes[this.at++] = value;
  }

  take(): Uint8Array {
    return this.bytes.slice(0, this.at);
  }
}

/** Room of one UPDATE with at most this many prefixes. */
const UPDATE_BYTES = 4096;
const ATTRIBUTE_BYTES = 256;
const PREFIXES_PER_UPDATE_MAX = Math.floor((UPDATE_BYTES - ATTRIBUTE_BYTES) / 5);

/** Makes both streams: all announcements, and the withdrawal of all with the same cuts. */
export function makeFeed(order: FeedOrder): Feed {
  if (order.prefixesPerUpdate > PREFIXES_PER_UPDATE_MAX) throw new Error("too many an UPDATE");
  const plan = new PrefixPlan(order.lengths);
  for (let skip = 0; skip < order.firstPrefix; skip++) plan.next();
  const chance = new Chance(order.seed);
  const [announce, withdraw] = [new Writer(), new Writer()];
  let updates = 0;
  const update = (set: number, count: number, next: () => { address: number; length: number }) => {
    updates++;
    const body = announceHead(announce, order, set);
    const withdrawBody = withdrawHead(withdraw);
    for (let i = 0; i < count; i++) {
      const { address, length } = next();
      announce.prefix(address, length);
      withdraw.prefix(address, length);
    }
    endMessage(announce, body);
    withdraw.bytes[withdrawBody + HEADER_BYTES] = (withdraw.at - withdrawBody - 21) >>> 8;
    withdraw.bytes[withdrawBody + HEADER_BYTES + 1] = withdraw.at - withdrawBody - 21;
    withdraw.short(0);
    endMessage(withdraw, withdrawBody);
  };
  const following = () => {
    plan.next();
    return plan;
  };
  let left = order.prefixes;
  for (let set = 0; set < order.sets && left > 0; set++) {
    let size = setSize(order, set, left, chance);
    left -= size;
    for (; size > 0; size -= order.prefixesPerUpdate) {
      update(set, Math.min(size, order.prefixesPerUpdate), following);
    }
  }
  if (order.marker !== undefined) {
    const address = (MARKER_BASE + (order.marker << 8)) >>> 0;
    update(order.sets, 1, () => ({ address, length: 24 }));
  }
  return { announce: announce.take(), withdraw: withdraw.take(), updates };
}

/** At least one for each set that follows; the last one takes the rest. */
function setSize(order: FeedOrder, set: number, left: number, chance: Chance): number {
  const following = order.sets - set - 1;
  if (following === 0) return left;
  const mean = order.prefixes / order.sets;
  const drawn = 1 + chance.next(Math.max(1, Math.round(2 * mean - 1)));
  return Math.max(1, Math.min(drawn, left - following));
}

/** Header, no withdrawn routes, attributes; gives where the message began. */
function announceHead(writer: Writer, order: FeedOrder, set: number): number {
  writer.room(UPDATE_BYTES);
  const begin = writer.at;
  writer.at += HEADER_BYTES;
  writer.short(0);
  const lengthAt = writer.at;
  writer.at += 2;
  putAttributes(writer, order, set);
  const length = writer.at - lengthAt - 2;
  writer.bytes[lengthAt] = length >>> 8;
  writer.bytes[lengthAt + 1] = length;
  return begin;
}

function withdrawHead(writer: Writer): number {
  writer.room(UPDATE_BYTES);
  const begin = writer.at;
  writer.at += HEADER_BYTES + 2;
  return begin;
}

function endMessage(writer: Writer, begin: number): void {
  putHeader(writer.bytes, begin, writer.at - begin, TYPE.update);
}

/** ORIGIN, AS_PATH, NEXT_HOP, LOCAL_PREF (internal only), COMMUNITIES; every set is another one. */
function putAttributes(writer: Writer, order: FeedOrder, set: number): void {
  const { bytes } = writer;
  const put = (flags: number, type: number, words: readonly number[], head: readonly number[]) => {
    bytes.set([flags, type, head.length + 4 * words.length, ...head], writer.at);
    writer.at += 3 + head.length;
    for (const word of words) {
      putWord(bytes, writer.at, word);
      writer.at += 4;
    }
  };
  // Shorter and longer paths by set and sender, so that no sender's are best throughout.
  const extra = Math.imul(set + 1, order.seed * 2 + 1) % 3;
  const hops = [order.as ?? 0, 3000 + (set & 1023), 100_000 + set, 50_000 + (set % 997)];
  for (let i = 0; i < Math.abs(extra); i++) hops.push(200_000 + i);
  put(0x40, 1, [], [0]);
  if (order.as === undefined) put(0x40, 2, [], []);
  else put(0x40, 2, hops, [2, hops.length]);
  put(0x40, 3, [addressWord(order.nextHop)], []);
  if (order.as === undefined) put(0x40, 5, [100], []);
  const community = order.as === undefined ? 64_512 : order.as & 0xffff;
  const low = (Math.imul(set, 7) + order.seed) & 0xffff;
  put(0xc0, 8, [community * 65_536 + low, 3000 * 65_536 + (set % 499)], []);
}
