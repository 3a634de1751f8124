/** Which addresses a host can have, and which of them can be a next hop: RFC 4271 §6.3. */
import {
  addressBytes,
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

const BROADCAST = 0xffff_ffff;

/**
 * An address that the other end of a TCP session can have: neither none (0/8, ::) nor of many
 * (multicast, 255.255.255.255). Undefined = it is no such address.
 */
export function parsePeerAddress(text: string): IpAddress | undefined {
  const address = parseAddress(text);
  return address !== undefined && canBePeer(address) ? address : undefined;
}

function canBePeer(address: IpAddress): boolean {
  if (familyOf(address) === 6) return address !== "::" && addressBytes(address)[0] !== 0xff;
  const word = wordOfAddress(address);
  const first = word >>> 24;
  return first !== 0 && first >>> 4 !== 0xe && word >>> 0 !== BROADCAST;
}
