/**
 * Prefixes and addresses as numbers, where many of them are compared. IPv4 takes plain numbers and
 * IPv6 bigints; only numbers of one family are ever compared. A tenth of the cost of bigints for
 * both, and every prefix passes here.
 */
import {
  addressBytes,
  familyOf,
  type IpAddress,
  type IpFamily,
  leadingQuad,
} from "../ip/address.ts";
import { type Prefix, prefixAddress, prefixFamily, prefixLength } from "../ip/prefix.ts";

export type AddressNumber = number | bigint;

/** The first and last address of a prefix. */
export interface AddressRange {
  readonly family: IpFamily;
  readonly first: AddressNumber;
  readonly last: AddressNumber;
}

/** The number that an address is, in network order. */
export function addressNumber(address: IpAddress): AddressNumber {
  return familyOf(address) === 6 ? ipv6Number(address) : leadingQuad(address, address.length);
}

/** The addresses that a prefix covers. */
export function rangeOf(prefix: Prefix): AddressRange {
  const length = prefixLength(prefix);
  if (prefixFamily(prefix) === 6) {
    const first = ipv6Number(prefixAddress(prefix));
    return { family: 6, first, last: first + (1n << BigInt(128 - length)) - 1n };
  }
  const first = leadingQuad(prefix, prefix.indexOf("/"));
  return { family: 4, first, last: first + 2 ** (32 - length) - 1 };
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
  readonly #byFamily: Readonly<Record<IpFamily, Entry[]>>;

  constructor(addresses: Iterable<IpAddress>) {
    const byFamily: Record<IpFamily, Entry[]> = { 4: [], 6: [] };
    for (const address of addresses) {
      byFamily[familyOf(address)].push({ number: addressNumber(address), address });
    }
    for (const entries of [byFamily[4], byFamily[6]]) {
      entries.sort((a, b) => (a.number < b.number ? -1 : a.number > b.number ? 1 : 0));
    }
    this.#byFamily = byFamily;
  }

  /** Puts an address in, or takes it out; it need not be otherwise already. */
  put(address: IpAddress, there: boolean): void {
    const entries = this.#byFamily[familyOf(address)];
    const number = addressNumber(address);
    const at = firstFrom(entries, number);
    const known = entries[at]?.number === number;
    if (known !== there) entries.splice(at, known ? 1 : 0, ...(there ? [{ number, address }] : []));
  }

  /** The lowest address in the range, or undefined. */
  lowestIn(range: AddressRange): IpAddress | undefined {
    const entries = this.#byFamily[range.family];
    const found = entries[firstFrom(entries, range.first)];
    return found !== undefined && found.number <= range.last ? found.address : undefined;
  }
}

/** Position of the first entry that is not below the number. */
function firstFrom(entries: readonly Entry[], number: AddressNumber): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (entries[middle]!.number < number) low = middle + 1;
    else high = middle;
  }
  return low;
}

interface Entry {
  readonly number: AddressNumber;
  readonly address: IpAddress;
}

function ipv6Number(address: IpAddress): bigint {
  const bytes = addressBytes(address);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return (view.getBigUint64(0) << 64n) | view.getBigUint64(8);
}
