/**
 * Addresses and prefixes as text whose order is numeric order: a family digit and fixed-width
 * hexadecimal. Comparing two native strings is what makes overlap tests over thousands of pod
 * CIDRs cheap; the canonical text of an address does not sort.
 */
import { addressBytes, type IpAddress } from "../ip/address.ts";
import { type Prefix, prefix, prefixAddress, prefixLength } from "../ip/prefix.ts";

/** First and last address of a prefix, both inclusive, as keys. */
export interface AddressRange {
  readonly first: string;
  readonly last: string;
}

/** Sort key of an address: all IPv4 before all IPv6, then numeric. */
export function addressKey(address: IpAddress): string {
  return keyOfBytes(addressBytes(address));
}

/** The addresses of a prefix. */
export function prefixRange(prefix: Prefix): AddressRange {
  const bytes = addressBytes(prefixAddress(prefix));
  const first = keyOfBytes(bytes);
  const length = prefixLength(prefix);
  for (let i = length >>> 3; i < bytes.length; i++) {
    const fixedBits = Math.max(0, length - i * 8);
    bytes[i] = bytes[i]! | (0xff >>> fixedBits);
  }
  return { first, last: keyOfBytes(bytes) };
}

/** Whether two ranges share an address; false across families. */
export function rangesOverlap(a: AddressRange, b: AddressRange): boolean {
  return a.first <= b.last && b.first <= a.last;
}

/** Whether the address of `key` lies in the range; false across families. */
export function rangeContains(range: AddressRange, key: string): boolean {
  return range.first <= key && key <= range.last;
}

function keyOfBytes(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
  return bytes.length === 4 ? `4${hex}` : `6${hex}`;
}

/** A block of addresses that no pod or Node may have, with its name. */
export interface ReservedBlock {
  readonly range: AddressRange;
  readonly name: string;
}

/**
 * Blocks that cannot be routed to a Node. 240.0.0.0/4 is not among them: some sites use it for
 * pods and Linux forwards it; as an address of a Node it is no next hop: ip/host-address.ts.
 */
const RESERVED_BLOCKS: readonly ReservedBlock[] = [
  reserved("0.0.0.0/8", "unspecified"),
  reserved("127.0.0.0/8", "loopback"),
  reserved("169.254.0.0/16", "link-local"),
  reserved("224.0.0.0/4", "multicast"),
  reserved("255.255.255.255/32", "broadcast"),
  reserved("::/8", "reserved (unspecified, loopback, IPv4-mapped)"),
  reserved("fe80::/10", "link-local"),
  reserved("ff00::/8", "multicast"),
];

function reserved(text: string, name: string): ReservedBlock {
  return { range: prefixRange(prefix(text)), name };
}

/** The reserved block that the range touches, if any. */
export function reservedBlockOf(range: AddressRange): ReservedBlock | undefined {
  return RESERVED_BLOCKS.find((block) => rangesOverlap(block.range, range));
}
