/**
 * The few BGP messages that the load generator sends, as octets. Its own small encoder, not the
 * product's: the harness must neither change with what it measures nor share its mistakes.
 */

export const TYPE = { open: 1, update: 2, notification: 3, keepalive: 4, refresh: 5 } as const;
export const HEADER_BYTES = 19;
export const MESSAGE_BYTES_MAX = 4096;

/** Four octets of `192.0.2.1` as a number. */
export function addressWord(text: string): number {
  const parts = text.split(".").map(Number);
  if (parts.length !== 4 || parts.some((part) => !(part >= 0 && part <= 255))) {
    throw new Error(`not an IPv4 address: ${text}`);
  }
  return parts.reduce((word, part) => word * 256 + part, 0);
}

/** The address of a number of 32 bits. */
export function addressText(word: number): string {
  return [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255].join(".");
}

/** Writes marker, length and type at `at`. */
export function putHeader(bytes: Uint8Array, at: number, length: number, type: number): void {
  bytes.fill(0xff, at, at + 16);
  bytes[at + 16] = length >>> 8;
  bytes[at + 17] = length & 255;
  bytes[at + 18] = type;
}

export function putWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word >>> 24;
  bytes[at + 1] = word >>> 16;
  bytes[at + 2] = word >>> 8;
  bytes[at + 3] = word;
}

/**
 * OPEN with the capabilities that all daemons here share: IPv4 unicast, route refresh, four-octet
 * AS numbers.
 */
export function encodeOpen(as: number, routerId: number, holdSeconds: number): Uint8Array {
  const capabilities = [1, 4, 0, 1, 0, 1, 2, 0, 65, 4, as >>> 24, as >>> 16, as >>> 8, as];
  const bytes = new Uint8Array(HEADER_BYTES + 10 + 2 + capabilities.length);
  putHeader(bytes, 0, bytes.length, TYPE.open);
  const two = as > 0xffff ? 23456 : as;
  bytes.set([4, two >>> 8, two, holdSeconds >>> 8, holdSeconds], HEADER_BYTES);
  putWord(bytes, HEADER_BYTES + 5, routerId);
  bytes.set([2 + capabilities.length, 2, capabilities.length, ...capabilities], HEADER_BYTES + 9);
  return bytes;
}

export const KEEPALIVE = new Uint8Array(HEADER_BYTES);
putHeader(KEEPALIVE, 0, HEADER_BYTES, TYPE.keepalive);
