/**
 * The guards by number: whether a prefix may be installed, without the words for why not. Says yes
 * only where {@link Guards.refusal} has nothing to say.
 */
import { FAMILIES, familyOf, type IpAddress, type IpFamily } from "../ip/address.ts";
import { type Prefix, prefixFamily } from "../ip/prefix.ts";
import { PrefixBatch, pushPrefix } from "../ip/prefix-batch.ts";
import { type AddressWords, SortedAddresses } from "./sorted-addresses.ts";

export class QuickGuards {
  /** By family: no overlap with these; not inside of those. */
  readonly #notRoutable: Readonly<Record<IpFamily, PrefixBatch>>;
  readonly #own: Readonly<Record<IpFamily, PrefixBatch>>;
  readonly #protected: Readonly<Record<IpFamily, SortedAddresses>>;

  constructor(
    notRoutable: readonly Prefix[],
    ownPodCidrs: readonly Prefix[],
    protectedAddresses: Iterable<IpAddress>,
  ) {
    this.#notRoutable = batchesOf(notRoutable);
    this.#own = batchesOf(ownPodCidrs);
    const addresses = [...protectedAddresses];
    this.#protected = {
      4: new SortedAddresses(addresses.filter((address) => familyOf(address) === 4)),
      6: new SortedAddresses(addresses.filter((address) => familyOf(address) === 6)),
    };
  }

  /** An address is protected from now on, or not any more. */
  protect(address: IpAddress, there: boolean): void {
    this.#protected[familyOf(address)].put(address, there);
  }

  /** Whether row `row` of the batch may be installed by way of these next hops of its family. */
  allows(prefixes: PrefixBatch, row: number, nextHops: AddressWords): boolean {
    const { family } = prefixes;
    const length = prefixes.length[row]!;
    if (length === 0) return false;
    if (family === 4) return this.#allows4(prefixes.word0[row]!, length, nextHops);
    const bad = this.#notRoutable[family];
    for (let i = 0; i < bad.count; i++) {
      if (agree(prefixes, row, bad, i, Math.min(length, bad.length[i]!))) return false;
    }
    const own = this.#own[family];
    for (let i = 0; i < own.count; i++) {
      const bits = own.length[i]!;
      if (bits <= length && agree(prefixes, row, own, i, bits)) return false;
    }
    for (let at = 0; at < nextHops.length; at += 4) {
      if (covers(prefixes, row, nextHops, at)) return false;
    }
    return !this.#coversProtected(prefixes, row);
  }

  /** The same for IPv4, where one word is all: in one piece, for nearly all prefixes come here. */
  #allows4(word: number, length: number, nextHops: AddressWords): boolean {
    const host = 32 - length;
    const bad = this.#notRoutable[4];
    for (let i = 0; i < bad.count; i++) {
      const bits = bad.length[i]!;
      const free = 32 - (bits < length ? bits : length);
      if ((word ^ bad.word0[i]!) >>> free === 0) return false;
    }
    const own = this.#own[4];
    for (let i = 0; i < own.count; i++) {
      const bits = own.length[i]!;
      if (bits === 0 || (bits <= length && (word ^ own.word0[i]!) >>> (32 - bits) === 0))
        return false;
    }
    for (let at = 0; at < nextHops.length; at += 4) {
      if ((word ^ nextHops[at]!) >>> host === 0) return false;
    }
    const { words, count } = this.#protected[4];
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (words[middle * 4]! < word) low = middle + 1;
      else high = middle;
    }
    return low >= count || (word ^ words[low * 4]!) >>> host !== 0;
  }

  #coversProtected(prefixes: PrefixBatch, row: number): boolean {
    const { words, count } = this.#protected[prefixes.family];
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBelow(words, middle * 4, prefixes, row)) low = middle + 1;
      else high = middle;
    }
    return low < count && covers(prefixes, row, words, low * 4);
  }
}

function batchesOf(prefixes: readonly Prefix[]): Record<IpFamily, PrefixBatch> {
  const batches = { 4: new PrefixBatch(16), 6: new PrefixBatch(16) };
  for (const family of FAMILIES) batches[family].reset(family);
  for (const prefix of prefixes) pushPrefix(batches[prefixFamily(prefix)], prefix);
  return batches;
}

/** Whether the first bits of two prefixes are the same. */
function agree(a: PrefixBatch, i: number, b: PrefixBatch, j: number, bits: number): boolean {
  if (!agreeWord(a.word0[i]!, b.word0[j]!, bits)) return false;
  if (bits <= 32) return true;
  return (
    agreeWord(a.word1[i]!, b.word1[j]!, bits - 32) &&
    agreeWord(a.word2[i]!, b.word2[j]!, bits - 64) &&
    agreeWord(a.word3[i]!, b.word3[j]!, bits - 96)
  );
}

/** Whether the prefix holds the address. */
function covers(prefixes: PrefixBatch, row: number, words: AddressWords, at: number): boolean {
  const bits = prefixes.length[row]!;
  if (!agreeWord(prefixes.word0[row]!, words[at]!, bits)) return false;
  if (bits <= 32) return true;
  return (
    agreeWord(prefixes.word1[row]!, words[at + 1]!, bits - 32) &&
    agreeWord(prefixes.word2[row]!, words[at + 2]!, bits - 64) &&
    agreeWord(prefixes.word3[row]!, words[at + 3]!, bits - 96)
  );
}

function agreeWord(a: number, b: number, bits: number): boolean {
  if (bits >= 32) return a === b;
  return bits <= 0 || (a ^ b) >>> (32 - bits) === 0;
}

/** Whether the address is below the first one of the prefix. */
function isBelow(words: AddressWords, at: number, prefixes: PrefixBatch, row: number): boolean {
  if (words[at] !== prefixes.word0[row]) return words[at]! < prefixes.word0[row]!;
  if (prefixes.family === 4) return false;
  if (words[at + 1] !== prefixes.word1[row]) return words[at + 1]! < prefixes.word1[row]!;
  if (words[at + 2] !== prefixes.word2[row]) return words[at + 2]! < prefixes.word2[row]!;
  return words[at + 3]! < prefixes.word3[row]!;
}
