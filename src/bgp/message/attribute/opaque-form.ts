/**
 * Lengths that the RFCs of attributes which we only carry demand of every value, whatever it means.
 * Each function takes the value at `start` to `end` and says whether it is as it must be. Types of
 * tunnels, segments and the like are not judged: there will be more of them than are known now.
 */
import { readU16 } from "../bytes.ts";

export type OpaqueForm = (buffer: Uint8Array, start: number, end: number) => boolean;

/** Flags, tunnel type and MPLS label stand before the tunnel's identifier. */
const PMSI_BYTES_MIN = 5;
/** An IPv6 address and four octets more, RFC 5701 §2. */
const IPV6_COMMUNITY_BYTES = 20;
/** One AS number. */
const OTC_BYTES = 4;
/** Types from here on have two octets of length, RFC 9012 §2. */
const LONG_SUB_TLV_TYPE = 128;
/** TLVs of PREFIX_SID, RFC 8669 §3.1, §3.2. */
const LABEL_INDEX = { type: 1, bytes: 7 } as const;
const ORIGINATOR_SRGB = { type: 3, flagBytes: 2, rangeBytes: 6 } as const;

/** PMSI_TUNNEL, RFC 6514 §5. */
export function pmsiTunnelForm(_: Uint8Array, start: number, end: number): boolean {
  return end - start >= PMSI_BYTES_MIN;
}

/** IPv6 extended communities, RFC 7606 §7.15. */
export function ipv6CommunitiesForm(_: Uint8Array, start: number, end: number): boolean {
  return end > start && (end - start) % IPV6_COMMUNITY_BYTES === 0;
}

/** ONLY_TO_CUSTOMER, RFC 9234 §5. */
export function onlyToCustomerForm(_: Uint8Array, start: number, end: number): boolean {
  return end - start === OTC_BYTES;
}

/** TUNNEL_ENCAPSULATION: at least one TLV, each ends where its last sub-TLV does, RFC 9012 §13. */
export function tunnelEncapsulationForm(buffer: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at + 4 <= end) {
    const next = at + 4 + readU16(buffer, at + 2);
    if (next > end || !subTlvsForm(buffer, at + 4, next)) return false;
    at = next;
  }
  return at === end && end > start;
}

function subTlvsForm(buffer: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end) {
    const long = buffer[at]! >= LONG_SUB_TLV_TYPE;
    const value = at + (long ? 3 : 2);
    if (value > end) return false;
    at = value + (long ? readU16(buffer, at + 1) : buffer[at + 1]!);
  }
  return at === end;
}

/** PREFIX_SID: at least one TLV, none runs over, those of a fixed length have it, RFC 8669 §6. */
export function prefixSidForm(buffer: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at + 3 <= end) {
    const length = readU16(buffer, at + 1);
    if (!prefixSidLengthForm(buffer[at]!, length)) return false;
    at += 3 + length;
  }
  return at === end && end > start;
}

function prefixSidLengthForm(type: number, length: number): boolean {
  const { flagBytes, rangeBytes } = ORIGINATOR_SRGB;
  if (type === LABEL_INDEX.type) return length === LABEL_INDEX.bytes;
  if (type !== ORIGINATOR_SRGB.type) return true;
  return length > flagBytes && (length - flagBytes) % rangeBytes === 0;
}
