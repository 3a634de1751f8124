/**
 * The message header, RFC 4271 §4.1, and the checks of §6.1 on it.
 *
 * ```
 *  0                16       18   19
 * +-------- -------+--------+----+
 * | marker, all 1s | length |type|   length counts the header
 * +----------------+--------+----+
 * ```
 */
import { readU16 } from "./bytes.ts";
import { bgpError, HeaderSubcode } from "./errors.ts";
import { type BgpError, ErrorCode, MessageType } from "./types.ts";

const MARKER_BYTES = 16;
export const HEADER_BYTES = 19;
/** Largest message without RFC 8654, RFC 4271 §4.1. */
export const MESSAGE_BYTES_MAX = 4096;
/** Largest message with extended messages, RFC 8654 §3. */
export const EXTENDED_MESSAGE_BYTES_MAX = 65_535;

/** Smallest message of each type, RFC 4271 §4.2 to §4.5, RFC 2918 §3; index is the type. */
const BYTES_MIN: readonly number[] = [HEADER_BYTES, 29, 23, 21, 19, 23];

/** A KEEPALIVE is its header, RFC 4271 §4.4. */
const KEEPALIVE_BYTES = HEADER_BYTES;

/** Writes the 19 octets of a header at `at`; `length` counts them. */
export function writeHeader(out: Uint8Array, at: number, length: number, type: MessageType): void {
  out.fill(0xff, at, at + MARKER_BYTES);
  out[at + 16] = length >>> 8;
  out[at + 17] = length;
  out[at + 18] = type;
}

/** A whole message around `body`. */
export function withHeader(type: MessageType, body: Uint8Array): Uint8Array {
  const message = new Uint8Array(HEADER_BYTES + body.length);
  writeHeader(message, 0, message.length, type);
  message.set(body, HEADER_BYTES);
  return message;
}

/** Length field of the header at `at`. */
export function messageLength(buffer: Uint8Array, at: number): number {
  return readU16(buffer, at + 16);
}

/**
 * Checks the 19 octets of a header at `at`, RFC 4271 §6.1, in the order marker, length, type.
 * `bytesMax` is what we accept from this peer, RFC 8654.
 */
export function checkHeader(
  buffer: Uint8Array,
  at: number,
  bytesMax: number,
): BgpError | undefined {
  for (let i = 0; i < MARKER_BYTES; i++) {
    if (buffer[at + i] !== 0xff) {
      return headerError(HeaderSubcode.connectionNotSynchronized, "marker is not all ones");
    }
  }
  const length = messageLength(buffer, at);
  if (length < HEADER_BYTES || length > bytesMax) return badLength(buffer, at, length);
  const type = buffer[at + 18]!;
  const bytesMin = BYTES_MIN[type];
  if (type === 0 || bytesMin === undefined) {
    const data = buffer.slice(at + 18, at + 19);
    return headerError(HeaderSubcode.badMessageType, `message type ${type} is unknown`, data);
  }
  if (length < bytesMin) return badLength(buffer, at, length);
  if (type === MessageType.keepalive && length !== KEEPALIVE_BYTES) {
    return badLength(buffer, at, length);
  }
  // RFC 8654 §4: OPEN and KEEPALIVE stay at 4096.
  if (type === MessageType.open && length > MESSAGE_BYTES_MAX) return badLength(buffer, at, length);
  return undefined;
}

function badLength(buffer: Uint8Array, at: number, length: number): BgpError {
  const reason = `message length ${length} does not fit its type`;
  return headerError(HeaderSubcode.badMessageLength, reason, buffer.slice(at + 16, at + 18));
}

function headerError(subcode: number, reason: string, data?: Uint8Array): BgpError {
  return bgpError(ErrorCode.messageHeader, subcode, reason, data);
}
