/**
 * The addresses of a node's pod CIDRs, as far as pods may have them. Never given out: the network's
 * own (in IPv6 the routers' anycast address, RFC 4291 §2.6.1), the first after it, which is the
 * bridge's and every pod's gateway, and in IPv4 the broadcast address. Pure.
 */
import {
  ADDRESS_BITS,
  addressBytes,
  addressFromBytes,
  familyOf,
  type IpAddress,
  type IpFamily,
} from "../../ip/address.ts";
import { type Prefix, prefixAddress, prefixFamily, prefixLength } from "../../ip/prefix.ts";

/** An address of a range, with what a pod needs to use it. */
export interface RangeAddress {
  readonly address: IpAddress;
  readonly gateway: IpAddress;
  /** Of the prefix, in bits. */
  readonly length: number;
}

export class AddressRange {
  readonly prefix: Prefix;
  readonly family: IpFamily;
  readonly length: number;
  readonly #first: bigint;
  readonly #last: bigint;

  constructor(prefix: Prefix) {
    this.prefix = prefix;
    this.family = prefixFamily(prefix);
    this.length = prefixLength(prefix);
    const base = numberOf(prefixAddress(prefix));
    const size = 1n << BigInt(ADDRESS_BITS[this.family] - this.length);
    this.#first = base + 2n;
    this.#last = base + size - (this.family === 4 ? 2n : 1n);
  }

  /** How many pods fit. */
  get size(): bigint {
    const count = this.#last - this.#first + 1n;
    return count < 0n ? 0n : count;
  }

  get gateway(): IpAddress {
    return addressOf(this.#first - 1n, this.family);
  }

  /** Whether a pod may have it. */
  holds(address: IpAddress): boolean {
    if (this.family !== familyOf(address)) return false;
    const number = numberOf(address);
    return number >= this.#first && number <= this.#last;
  }

  at(address: IpAddress): RangeAddress {
    return { address, gateway: this.gateway, length: this.length };
  }

  /**
   * The next free one after `last`, once around: an address that was just given back is the last
   * to come again. Undefined when all are taken; `triesMax` bounds the search.
   */
  next(
    last: IpAddress | undefined,
    isTaken: (address: IpAddress) => boolean,
    triesMax: number,
  ): IpAddress | undefined {
    const size = this.size;
    const start = last !== undefined && this.holds(last) ? numberOf(last) + 1n : this.#first;
    const tries = size < BigInt(triesMax) ? Number(size) : triesMax;
    for (let i = 0; i < tries; i++) {
      const number = this.#first + ((start - this.#first + BigInt(i)) % size);
      const address = addressOf(number, this.family);
      if (!isTaken(address)) return address;
    }
    return undefined;
  }
}

function numberOf(address: IpAddress): bigint {
  let number = 0n;
  for (const byte of addressBytes(address)) number = (number << 8n) | BigInt(byte);
  return number;
}

function addressOf(number: bigint, family: IpFamily): IpAddress {
  const bytes = new Uint8Array(ADDRESS_BITS[family] / 8);
  let rest = number;
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 255n);
    rest >>= 8n;
  }
  return addressFromBytes(bytes);
}
