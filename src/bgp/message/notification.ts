/**
 * NOTIFICATION, RFC 4271 §4.5, with the texts and shapes that later RFCs put into its data:
 * shutdown communication (RFC 9003), maximum prefixes (RFC 4486 §4), hard reset (RFC 8538 §3).
 *
 * ```
 * +----+-------+--- --
 * |code|subcode| data      2 + n octets behind the header
 * +----+-------+--- --
 * ```
 */
import { readU16, readU32 } from "./bytes.ts";
import { errorCodeName, errorSubcodeName } from "./error-names.ts";
import { routeFamilyOf } from "./family.ts";
import { HEADER_BYTES, MESSAGE_BYTES_MAX, withHeader } from "./header.ts";
import { decodeText, encodeText, TEXT_BYTES_MAX } from "./text.ts";
import { CeaseSubcode, ErrorCode, MessageType, type NotificationMessage } from "./types.ts";

const DATA_BYTES_MAX = MESSAGE_BYTES_MAX - HEADER_BYTES - 2;
/** How much of data that we cannot name goes into a description. */
const SHOWN_BYTES_MAX = 16;

/**
 * Decodes the body at `start`. There is no error to answer a wrong NOTIFICATION with (RFC 4271
 * §6.4); the framer has checked the length, and octets that are missing all the same read as 0.
 */
export function decodeNotification(
  buffer: Uint8Array,
  start: number,
  end: number,
): NotificationMessage {
  const code = end > start ? buffer[start]! : 0;
  const subcode = end > start + 1 ? buffer[start + 1]! : 0;
  return { code, subcode, data: buffer.slice(Math.min(start + 2, end), end) };
}

/** The whole message; data beyond 4096 octets in all is cut. */
export function encodeNotification(message: NotificationMessage): Uint8Array {
  const data = message.data.subarray(0, DATA_BYTES_MAX);
  const body = new Uint8Array(2 + data.length);
  body[0] = message.code;
  body[1] = message.subcode;
  body.set(data, 2);
  return withHeader(MessageType.notification, body);
}

/** Data of an administrative shutdown or reset, RFC 9003 §2: length octet, at most 255 of UTF-8. */
export function encodeShutdownCommunication(text: string): Uint8Array {
  const bytes = encodeText(text, TEXT_BYTES_MAX);
  if (bytes.length === 0) return bytes;
  const data = new Uint8Array(1 + bytes.length);
  data[0] = bytes.length;
  data.set(bytes, 1);
  return data;
}

/** The text in such data, made safe to show; undefined when there is none or it is cut off. */
export function decodeShutdownCommunication(data: Uint8Array): string | undefined {
  const length = data[0];
  if (length === undefined || length === 0 || length > data.length - 1) return undefined;
  return decodeText(data, 1, 1 + length);
}

/** Cease / Hard Reset around another NOTIFICATION, RFC 8538 §3.1. */
export function hardReset(inner: NotificationMessage): NotificationMessage {
  const innerData = inner.data.subarray(0, DATA_BYTES_MAX - 2);
  const data = new Uint8Array(2 + innerData.length);
  data[0] = inner.code;
  data[1] = inner.subcode;
  data.set(innerData, 2);
  return { code: ErrorCode.cease, subcode: CeaseSubcode.hardReset, data };
}

/** What a hard reset carries; undefined for every other NOTIFICATION, and for an empty one. */
export function hardResetInner(message: NotificationMessage): NotificationMessage | undefined {
  if (message.code !== ErrorCode.cease || message.subcode !== CeaseSubcode.hardReset) {
    return undefined;
  }
  if (message.data.length < 2) return undefined;
  return decodeNotification(message.data, 0, message.data.length);
}

/** `Cease / Administrative Shutdown: "maintenance"`: one safe line for log and listing. */
export function describeNotification(message: NotificationMessage): string {
  const subcode = errorSubcodeName(message.code, message.subcode);
  const name = errorCodeName(message.code) + (subcode === undefined ? "" : ` / ${subcode}`);
  const detail = describeData(message);
  return detail === undefined ? name : `${name}: ${detail}`;
}

function describeData(message: NotificationMessage): string | undefined {
  const { code, subcode, data } = message;
  if (data.length === 0) return undefined;
  if (code === ErrorCode.cease) {
    // RFC 9003 §2: shutdown and reset carry a text.
    if (
      subcode === CeaseSubcode.administrativeShutdown ||
      subcode === CeaseSubcode.administrativeReset
    ) {
      // A length of zero: there is none.
      if (data[0] === 0) return undefined;
      const text = decodeShutdownCommunication(data);
      return text === undefined ? "malformed shutdown communication" : JSON.stringify(text);
    }
    if (subcode === CeaseSubcode.maximumPrefixes && data.length === 7) return prefixLimit(data);
    if (subcode === CeaseSubcode.hardReset && data.length >= 2) return describeInner(message);
  }
  const shown = Buffer.from(data.subarray(0, SHOWN_BYTES_MAX)).toString("hex");
  return `data 0x${shown}${data.length > SHOWN_BYTES_MAX ? "…" : ""}`;
}

/** A hard reset inside a hard reset is not opened: depth is bounded at one. */
function describeInner(message: NotificationMessage): string | undefined {
  const inner = hardResetInner(message);
  if (inner === undefined) return undefined;
  return hardResetInner(inner) === undefined ? describeNotification(inner) : "nested Hard Reset";
}

/** RFC 4486 §4: AFI, SAFI, upper bound. */
function prefixLimit(data: Uint8Array): string {
  const family = routeFamilyOf(readU16(data, 0), data[2]!);
  const name = family === undefined ? `AFI ${readU16(data, 0)}, SAFI ${data[2]}` : `IPv${family}`;
  return `${name}, limit ${readU32(data, 3)}`;
}
