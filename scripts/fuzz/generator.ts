/** Inputs for the fuzzer: reproducible from a seed. */
import { attribute, update } from "../../test/bgp/message/build.ts";
import { ATTRIBUTE_CASES } from "../../test/bgp/message/conformance-cases.ts";
import {
  encodeKeepalive,
  fullOpen,
  notifications,
  refreshes,
  updates,
} from "../../test/bgp/message/exchange.ts";
import { seed as seedMessages } from "../../test/bgp/message/seed.ts";

const HEADER_BYTES = 19;
const MESSAGE_BYTES_MAX = 4096;
/** Values at which length arithmetic goes wrong. */
const EDGES = [0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 33, 63, 64, 127, 128, 129, 254, 255];
const INPUTS_KEPT = 512;

/** Mulberry32: small, fast, good enough to find places. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function splitMessages(stream: Uint8Array): Uint8Array[] {
  const list: Uint8Array[] = [];
  for (let at = 0; at < stream.length; ) {
    const end = at + ((stream[at + 16]! << 8) | stream[at + 17]!);
    list.push(stream.slice(at, end));
    at = end;
  }
  return list;
}

function corpus(): Uint8Array[] {
  const good = [attribute(0x40, 1, "00"), attribute(0x40, 2, "02 01 0000fde9")];
  const nextHop = attribute(0x40, 3, "c0000201");
  const bad = ATTRIBUTE_CASES.map(({ flags, type, value }) =>
    update([...good, nextHop, attribute(flags, type, value)], "08 0a"),
  );
  // From a peer without 4-octet AS: the long path begins inside the short one.
  const merged = update(
    [
      attribute(0x40, 1, "00"),
      attribute(0x40, 2, "01 02 fde9 fdea 02 04 fdeb fdec 5ba0 5ba0"),
      nextHop,
      attribute(0xc0, 7, "5ba0 0a000001"),
      attribute(0xc0, 17, "02 02 fa56ea00 fa56ea01"),
      attribute(0xc0, 18, "fa56ea00 0a000001"),
    ],
    "08 0a",
  );
  return [
    merged,
    ...Object.values(seedMessages),
    fullOpen(),
    encodeKeepalive(),
    ...splitMessages(updates(true)),
    ...splitMessages(updates(false)),
    ...refreshes(),
    ...notifications(),
    ...bad,
  ];
}

export class Generator {
  readonly #random: () => number;
  readonly #corpus: Uint8Array[];
  readonly #first: number;

  constructor(seed: number) {
    this.#random = randomFrom(seed);
    this.#corpus = corpus();
    this.#first = this.#corpus.length;
  }

  /** One to four messages, most of them with a header that fits. */
  stream(): Uint8Array {
    const parts: Uint8Array[] = [];
    const count = 1 + this.#below(4);
    for (let i = 0; i < count; i++) parts.push(this.#message());
    return new Uint8Array(Buffer.concat(parts));
  }

  cuts(): number[] {
    return Array.from({ length: this.#below(6) }, () => this.#below(MESSAGE_BYTES_MAX));
  }

  pick<T>(list: readonly T[]): T {
    return list[this.#below(list.length)]!;
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #message(): Uint8Array {
    const kind = this.#below(10);
    if (kind === 0) return this.#octets(this.#below(64));
    if (kind === 1) return this.#framed(this.#octets(HEADER_BYTES + this.#below(200)));
    let message: Uint8Array = this.pick(this.#corpus).slice();
    if (kind === 2) return message;
    const changes = 1 + this.#below(4);
    for (let i = 0; i < changes; i++) message = this.#changed(message);
    if (kind > 3) message = this.#framed(message);
    this.#keep(message);
    return message;
  }

  /** What was changed once is changed again: errors that need two things find each other. */
  #keep(message: Uint8Array): void {
    if (this.#corpus.length < this.#first + INPUTS_KEPT) this.#corpus.push(message);
    else this.#corpus[this.#first + this.#below(INPUTS_KEPT)] = message;
  }

  #octets(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#below(256));
  }

  /** Marker, length and type of a good header; short ones grow to the least of their type. */
  #framed(message: Uint8Array): Uint8Array {
    const type = message[18] ?? 2;
    const known = type >= 1 && type <= 5 ? type : 2;
    const least = [0, 29, 23, 21, 19, 23][known]!;
    const length = known === 4 ? 19 : Math.min(Math.max(message.length, least), MESSAGE_BYTES_MAX);
    const framed = new Uint8Array(length);
    framed.set(message.subarray(0, length));
    framed.fill(0xff, 0, 16);
    framed[16] = length >>> 8;
    framed[17] = length & 255;
    framed[18] = known;
    return framed;
  }

  #changed(message: Uint8Array): Uint8Array {
    const at = this.#below(message.length);
    switch (this.#below(7)) {
      case 0:
        message[at] = message[at]! ^ (1 << this.#below(8));
        return message;
      case 1:
        message[at] = this.#below(256);
        return message;
      case 2:
        message[at] = this.pick(EDGES);
        return message;
      case 3:
        message[at] = message[at]! + (this.#below(2) === 0 ? 1 : -1);
        return message;
      case 4:
        return joined(message.subarray(0, at), message.subarray(at + 1 + this.#below(8)));
      case 5:
        return joined(
          message.subarray(0, at),
          this.#octets(1 + this.#below(8)),
          message.subarray(at),
        );
      default: {
        const other = this.pick(this.#corpus);
        const from = this.#below(other.length);
        return joined(
          message.subarray(0, at),
          other.subarray(from, from + this.#below(64)),
          message.subarray(at),
        );
      }
    }
  }
}

/** At least one octet, at most two messages. */
function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(Buffer.concat(parts)).slice(0, 2 * MESSAGE_BYTES_MAX);
  return whole.length === 0 ? Uint8Array.of(0) : whole;
}
