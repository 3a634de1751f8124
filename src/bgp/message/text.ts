/**
 * Text of a peer (shutdown communication, host name, software version) on its way to a log, a
 * terminal or a metric label: bounded, valid UTF-8, and without characters that could steer a
 * terminal, break a line or reorder what is read (Unicode Cc, Cf with the bidi controls, Zl, Zp,
 * Cs, Co).
 */

/** Longest text that any BGP field with a one-octet length can carry. */
export const TEXT_BYTES_MAX = 255;

const BREAKS = /[\t\n\v\f\r\u0085\u2028\u2029]+/gu;
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu;

const decoder = new TextDecoder("utf-8");
const encoder = new TextEncoder();

/** Text of at most 255 octets at `start`; invalid UTF-8 becomes U+FFFD. */
export function decodeText(buffer: Uint8Array, start = 0, end = buffer.length): string {
  const bounded = Math.min(end, start + TEXT_BYTES_MAX);
  return sanitiseText(decoder.decode(buffer.subarray(start, bounded)));
}

/** Line breaks and tabs as one space; other control, format and private characters removed. */
export function sanitiseText(text: string): string {
  return text.replace(BREAKS, " ").replace(UNSAFE, "");
}

/** UTF-8 of `text`, cut to at most `bytesMax` octets between two characters. */
export function encodeText(text: string, bytesMax: number = TEXT_BYTES_MAX): Uint8Array {
  const room = new Uint8Array(bytesMax);
  // encodeInto writes whole characters only.
  const { written } = encoder.encodeInto(text, room);
  return room.slice(0, written);
}
