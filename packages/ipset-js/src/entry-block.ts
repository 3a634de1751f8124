/**
 * The entries of one ADD or DELETE as the kernel reads them, one after the other:
 *
 *   0          4          8          12         16
 *   | DATA nest| IP nest  | IPV4 hdr | address  | CIDR hdr, u8 + pad 3 | TIMEOUT hdr, be32
 *   | LINE hdr, be32 |
 *
 * That is what nearly all entries are: an IPv4 address or prefix, and maybe a timeout. They go from
 * text to words with no object in between, a tenth of what it costs by the tables of wire.ts, which
 * write the others. Case for: bench s7.
 */
import { MessageWriter } from "netlink-ts";
import { checkTimeout, encodeEntry, type SetEntry } from "./entry.ts";
import { encodeWireEntry } from "./wire.ts";

/** Attribute headers as little-endian words: length | type << 16. */
const NESTED = 0x8000;
const NET_ORDER = 0x4000;
const header = (bytes: number, type: number) => (bytes | (type << 16)) >>> 0;
const ENTRY_TYPE = 7 | NESTED;
const IP_NEST = header(12, 1 | NESTED);
const IPV4 = header(8, 1 | NET_ORDER);
const CIDR = header(5, 3);
const TIMEOUT = header(8, 6 | NET_ORDER);
const LINE = header(8, 9 | NET_ORDER);
/** All of the above. */
const PLAIN_WORDS_MAX = 10;

const DOT = 46;
const SLASH = 47;
const ZERO = 48;

export class EntryBlock {
  readonly #words: Uint32Array;
  readonly #scratch = new MessageWriter();
  #used = 0;
  #count = 0;

  constructor(bytesMax: number) {
    this.#words = new Uint32Array(bytesMax >> 2);
  }

  get count(): number {
    return this.#count;
  }

  /** Valid until the next `reset` or `add`. */
  get bytes(): Uint8Array {
    return new Uint8Array(this.#words.buffer, 0, this.#used * 4);
  }

  reset(): void {
    this.#used = 0;
    this.#count = 0;
  }

  /**
   * Adds an entry, which the kernel will call by `line` if it refuses it; false = there is no room.
   * `timeout` is for entries that say none. Throws `EINVAL` naming the entry when it is none.
   */
  add(entry: SetEntry | string, timeout: number | undefined, line: number): boolean {
    const before = this.#used;
    const done = this.#plain(entry, timeout, line) || this.#any(entry, timeout, line);
    if (done) this.#count++;
    else this.#used = before;
    return done;
  }

  /** False = it is no plain one, no text of an address at all, or there is no room for it. */
  #plain(entry: SetEntry | string, timeout: number | undefined, line: number): boolean {
    if (typeof entry !== "string" || this.#used + PLAIN_WORDS_MAX > this.#words.length)
      return false;
    const words = this.#words;
    const start = this.#used;
    let at = start + 4;
    let [word, octet, shift] = [0, -1, 0];
    let slash = -1;
    for (let i = 0; i <= entry.length; i++) {
      const char = i === entry.length ? SLASH : entry.charCodeAt(i);
      if (char === DOT || char === SLASH) {
        if (octet < 0 || shift > 24 || (char === SLASH && shift !== 24)) return false;
        word |= octet << shift;
        shift += 8;
        octet = -1;
        if (char === SLASH) {
          slash = i;
          break;
        }
      } else {
        const digit = char - ZERO;
        if (digit < 0 || digit > 9 || octet === 0) return false;
        octet = (octet < 0 ? 0 : octet * 10) + digit;
        if (octet > 255) return false;
      }
    }
    if (slash < entry.length) {
      const length = prefixLength(entry, slash + 1);
      if (length < 0) return false;
      words[at++] = CIDR;
      words[at++] = length;
    }
    if (timeout !== undefined) {
      words[at++] = TIMEOUT;
      words[at++] = swapped(timeout);
    }
    words[at++] = LINE;
    words[at++] = swapped(line);
    words[start] = header((at - start) * 4, ENTRY_TYPE);
    words[start + 1] = IP_NEST;
    words[start + 2] = IPV4;
    words[start + 3] = word;
    this.#used = at;
    return true;
  }

  #any(entry: SetEntry | string, timeout: number | undefined, line: number): boolean {
    const whole = typeof entry === "string" ? { member: entry } : entry;
    checkTimeout(timeout);
    const timed = timeout === undefined ? whole : { timeout, ...whole };
    const writer = this.#scratch;
    writer.reset();
    encodeWireEntry(writer, { ...encodeEntry(timed), line });
    const { bytes, length } = writer;
    if (this.#used * 4 + length > this.#words.byteLength) return false;
    new Uint8Array(this.#words.buffer).set(bytes.subarray(0, length), this.#used * 4);
    this.#used += length >> 2;
    return true;
  }
}

/** 0 to 32 at the end of a text, without a leading zero; else -1. */
function prefixLength(text: string, start: number): number {
  const first = text.charCodeAt(start) - ZERO;
  if (text.length === start + 1) return first >= 0 && first <= 9 ? first : -1;
  const second = text.charCodeAt(start + 1) - ZERO;
  if (text.length !== start + 2 || !(first >= 1 && first <= 3) || !(second >= 0 && second <= 9)) {
    return -1;
  }
  const length = first * 10 + second;
  return length <= 32 ? length : -1;
}

/** The word in network order. */
function swapped(word: number): number {
  const low = ((word & 0xff) << 24) | ((word & 0xff00) << 8);
  return (low | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}
