/** Prefixes and addresses as numbers, where many of them are compared. */
import { addressBytes, type IpAddress, type IpFamily } from "../ip/address.ts";
import { type Prefix, prefixAddress, prefixFamily, prefixLength } from "../ip/prefix.ts";

/** The first and last address of a prefix. */
export interface AddressRange {
  readonly family: IpFamily;
  readonly first: bigint;
  readonly last: bigint;
}

/** The number that an address is, in network order. */
export function addressNumber(address: IpAddress): bigint {
  const bytes = addressBytes(address);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length === 4) return BigInt(view.getUint32(0));
  return (view.getBigUint64(0) << 64n) | view.getBigUint64(8);
}

/** The addresses that a prefix covers. */
export function rangeOf(prefix: Prefix): AddressRange {
  const family = prefixFamily(prefix);
  const first = addressNumber(prefixAddress(prefix));
  const hostBits = BigInt((family === 4 ? 32 : 128) - prefixLength(prefix));
  return { family, first, last: first + (1n << hostBits) - 1n };
}

/** Whether two ranges share an address. */
export function rangesOverlap(a: AddressRange, b: AddressRange): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

/** Whether `inner` lies in `outer` or equals it. */
export function rangeCovers(outer: AddressRange, inner: AddressRange): boolean {
  return outer.family === inner.family && outer.first <= inner.first && inner.last <= outer.last;
}

/** A set of addresses that answers quickly whether any lies in a range. */
export class AddressIndex {
  readonly #byFamily: Readonly<Record<IpFamily, readonly Entry[]>>;

  constructor(addresses: Iterable<IpAddress>) {
    const byFamily: Record<IpFamily, Entry[]> = { 4: [], 6: [] };
    for (const address of addresses) {
      const family = address.includes(":") ? 6 : 4;
      byFamily[family].push({ number: addressNumber(address), address });
    }
    for (const entries of [byFamily[4], byFamily[6]]) {
      entries.sort((a, b) => (a.number < b.number ? -1 : a.number > b.number ? 1 : 0));
    }
    this.#byFamily = byFamily;
  }

  /** The lowest address in the range, or undefined. */
  lowestIn(range: AddressRange): IpAddress | undefined {
    const entries = this.#byFamily[range.family];
    let low = 0;
    let high = entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (entries[middle]!.number < range.first) low = middle + 1;
      else high = middle;
    }
    const found = entries[low];
    return found !== undefined && found.number <= range.last ? found.address : undefined;
  }
}

interface Entry {
  readonly number: bigint;
  readonly address: IpAddress;
}
