/**
 * The MAC address of a pod: it follows from the pod's IP address, so that one that comes to another
 * pod needs no new entries in its neighbours. No two links of the bridge may have the same. Pure.
 */
import { addressBytes, familyOf, type IpAddress } from "../../ip/address.ts";

/** Locally administered ones (IEEE 802c §4.3). The bridge's own starts with the first as well. */
const BLOCK_IPV4 = [0x0a, 0x58];
const BLOCK_IPV6 = 0x0e;
const TAIL = 4;
/** Odd, so that of two texts that differ in one octet the sums do too. */
const FACTOR = 31;

/**
 * Of IPv4 the whole address, which nobody else has. Of IPv6 the last four octets, unique within a
 * range, and in front of them a sum of the others: ranges count alike, and each has a `::2`. The
 * block is another one, because the bridge of a node without IPv4 has the node's last four octets,
 * which are a pod's very often.
 */
export function linkAddressFor(addresses: readonly IpAddress[]): string {
  const ip4 = addresses.find((address) => familyOf(address) === 4);
  const bytes = [...addressBytes(ip4 ?? addresses[0]!)];
  const tail = bytes.slice(-TAIL);
  const head = bytes.slice(0, -TAIL).reduce((sum, byte) => (sum * FACTOR + byte) & 255, 0);
  const octets = ip4 === undefined ? [BLOCK_IPV6, head, ...tail] : [...BLOCK_IPV4, ...tail];
  return octets.map((octet) => octet.toString(16).padStart(2, "0")).join(":");
}
