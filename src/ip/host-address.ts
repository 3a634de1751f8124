/** Which addresses a host can have, and which of them can be a next hop: RFC 4271 §6.3. */
import {
  addressBytes,
  addressFromBytes,
  familyOf,
  type IpAddress,
  isLinkLocal,
  parseAddress,
  wordOfAddress,
} from "./address.ts";

/** Not of 0/8, 127/8, multicast or class E: what RFC 4271 §6.3 calls a valid IP host address. */
export function isHostAddress4(word: number): boolean {
  const first = word >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}

/** Not ::, ::1 or multicast; 16 bytes. */
export function isHostAddress6(buffer: Uint8Array, at: number): boolean {
  if (buffer[at] === 0xff) return false;
  for (let i = 0; i < 15; i++) {
    if (buffer[at + i] !== 0) return true;
  }
  return buffer[at + 15]! > 1;
}

/** Whether BGP speakers take it as one; a link-local one is told to nobody (RFC 2545 §3). */
export function canBeNextHop(address: IpAddress): boolean {
  if (familyOf(address) === 4) return isHostAddress4(wordOfAddress(address));
  return isHostAddress6(addressBytes(address), 0) && !isLinkLocal(address);
}

const BROADCAST = "255.255.255.255";
/** ::ffff:0:0/96, RFC 4291 §2.5.5.2. */
export const IPV4_MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff] as const;

/**
 * An address that the other end of a TCP session can have: neither none (0/8, ::) nor of many
 * (multicast, 255.255.255.255), in IPv6 form neither. Undefined = it is no such address.
 */
export function parsePeerAddress(text: string): IpAddress | undefined {
  const address = parseAddress(text);
  return address !== undefined && canBePeer(address) ? address : undefined;
}

function canBePeer(address: IpAddress): boolean {
  const bytes = addressBytes(address);
  if (familyOf(address) === 6) {
    // The kernel dials the IPv4 address, and this machine for ::ffff:0.0.0.0.
    if (IPV4_MAPPED.every((byte, at) => bytes[at] === byte)) {
      return canBePeer(addressFromBytes(bytes, IPV4_MAPPED.length, 4));
    }
    return address !== "::" && bytes[0] !== 0xff;
  }
  const first = bytes[0]!;
  return first !== 0 && first >>> 4 !== 0xe && address !== BROADCAST;
}
