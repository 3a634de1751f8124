/** Addresses of one family as words, in order; one that comes or goes costs its own place. */
import { addressBytes, type IpAddress } from "../ip/address.ts";

/** Addresses as words, four each, the most significant first; IPv4 has the first alone. */
export type AddressWords = Uint32Array;

const CAPACITY_FIRST = 16;

export class SortedAddresses {
  #words: AddressWords;
  #count: number;

  constructor(addresses: readonly IpAddress[]) {
    const each = addresses.map((address) => addressWords([address]));
    each.sort((a, b) => compareWords(a, 0, b));
    this.#words = new Uint32Array(Math.max(CAPACITY_FIRST, each.length) * 4);
    this.#count = each.length;
    for (const [i, one] of each.entries()) this.#words.set(one, i * 4);
  }

  /** Of them the first {@link count} times four are in use; valid until the next change. */
  get words(): AddressWords {
    return this.#words;
  }

  get count(): number {
    return this.#count;
  }

  /** Puts an address in, or takes it out; it need not be otherwise already. */
  put(address: IpAddress, there: boolean): void {
    const one = addressWords([address]);
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareWords(this.#words, middle * 4, one) < 0) low = middle + 1;
      else high = middle;
    }
    const at = low * 4;
    const known = low < this.#count && compareWords(this.#words, at, one) === 0;
    if (known === there) return;
    const end = this.#count * 4;
    if (there) {
      if (end === this.#words.length) this.#grow();
      this.#words.copyWithin(at + 4, at, end);
      this.#words.set(one, at);
      this.#count++;
    } else {
      this.#words.copyWithin(at, at + 4, end);
      this.#count--;
    }
  }

  #grow(): void {
    const grown = new Uint32Array(this.#words.length * 2);
    grown.set(this.#words);
    this.#words = grown;
  }
}

/** The words of addresses of one family. */
export function addressWords(addresses: readonly IpAddress[]): AddressWords {
  const words = new Uint32Array(addresses.length * 4);
  for (const [i, address] of addresses.entries()) {
    const bytes = addressBytes(address);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = 0; at < bytes.length; at += 4) words[i * 4 + at / 4] = view.getUint32(at);
  }
  return words;
}

function compareWords(a: AddressWords, at: number, b: AddressWords): number {
  for (let i = 0; i < 4; i++) {
    const difference = a[at + i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return 0;
}
