/**
 * Reading netlink messages: the header walk, and what NLMSG_ERROR and NLMSG_DONE carry.
 *
 * NLMSG_ERROR:  | i32 -errno (0: ack) | nlmsghdr of the request (16) | its body | attributes |
 *               The body is absent when CAPPED is set; attributes follow when ACK_TLVS is.
 * NLMSG_DONE:   | i32 -errno | attributes when ACK_TLVS is set |
 */
import { MalformedMessageError } from "./errors.ts";
import { HEADER_BYTES } from "./message-writer.ts";

export const MessageType = { NOOP: 1, ERROR: 2, DONE: 3, OVERRUN: 4 } as const;

/**
 * Flags of a message (linux/netlink.h). What they mean depends on it: 0x100 is REPLACE of a change,
 * CAPPED of an answer.
 */
export const Flag = {
  REQUEST: 1,
  MULTI: 2,
  ACK: 4,
  ECHO: 8,
  DUMP_INTR: 0x10,
  DUMP_FILTERED: 0x20,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
  CAPPED: 0x100,
  ACK_TLVS: 0x200,
} as const;

const ATTRIBUTE_TYPE_MASK = 0x3fff;
const ErrorAttribute = { MESSAGE: 1, OFFSET: 2 } as const;

/** One message inside a received datagram; the body is `bytes[start, end)`. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Port of the socket that caused it; 0 is the kernel itself. */
  readonly port: number;
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/** What the kernel says of a request. */
export interface Acknowledgement {
  /** 0 for an acknowledgement. */
  readonly errno: number;
  /** The kernel's own explanation. */
  readonly text: string | undefined;
  /** Where in the request the attribute stands that it complains of, in bytes. */
  readonly offset: number | undefined;
}

/** Calls `visit` for each message of a datagram. Throws {@link MalformedMessageError}. */
export function forEachMessage(
  bytes: Buffer,
  length: number,
  visit: (message: Message) => void,
): void {
  for (let at = 0; at < length; ) {
    const size = length - at >= HEADER_BYTES ? bytes.readUInt32LE(at) : 0;
    if (size < HEADER_BYTES || size > length - at) {
      throw new MalformedMessageError(`a message of ${size} bytes with ${length - at} left`);
    }
    visit({
      type: bytes.readUInt16LE(at + 4),
      flags: bytes.readUInt16LE(at + 6),
      sequence: bytes.readUInt32LE(at + 8),
      port: bytes.readUInt32LE(at + 12),
      bytes,
      start: at + HEADER_BYTES,
      end: at + size,
    });
    at += (size + 3) & ~3;
  }
}

/**
 * Calls `visit` for each attribute in `bytes[start, end)`, flags stripped from its type.
 * Throws {@link MalformedMessageError} when one does not fit; up to 3 bytes of padding may trail.
 */
export function forEachAttribute(
  bytes: Buffer,
  start: number,
  end: number,
  visit: (type: number, start: number, end: number) => void,
): void {
  for (let at = start; end - at >= 4; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || length > end - at) {
      throw new MalformedMessageError(`an attribute of ${length} bytes with ${end - at} left`);
    }
    visit(bytes.readUInt16LE(at + 2) & ATTRIBUTE_TYPE_MASK, at + 4, at + length);
    at += (length + 3) & ~3;
  }
}

/** What an ERROR or DONE message says. */
export function decodeAcknowledgement(message: Message): Acknowledgement {
  const { bytes, start, end, flags } = message;
  if (end - start < 4) {
    if (message.type === MessageType.DONE) return { errno: 0, text: undefined, offset: undefined };
    throw new MalformedMessageError("an error message without an error number");
  }
  // Positive values in DONE are not errors: some dumps return a count there.
  const errno = Math.max(0, -bytes.readInt32LE(start));
  let text: string | undefined;
  let offset: number | undefined;
  if ((flags & Flag.ACK_TLVS) !== 0) {
    forEachAttribute(bytes, extensionStart(message), end, (type, from, to) => {
      if (type === ErrorAttribute.MESSAGE) text = cleanText(bytes, from, to);
      if (type === ErrorAttribute.OFFSET && to - from === 4) offset = bytes.readUInt32LE(from);
    });
  }
  return { errno, text, offset };
}

/** Where the request that was refused begins inside an ERROR message. */
export const REQUEST_OFFSET = 4;

function extensionStart(message: Message): number {
  const request = message.start + REQUEST_OFFSET;
  if (message.type === MessageType.DONE) return request;
  if (message.end - request < HEADER_BYTES) {
    throw new MalformedMessageError("an error message without its request's header");
  }
  const capped = (message.flags & Flag.CAPPED) !== 0;
  const size = capped ? HEADER_BYTES : message.bytes.readUInt32LE(request);
  // Compared before it is rounded: beyond 2^31 that makes it negative.
  return size > message.end - request ? message.end : request + ((size + 3) & ~3);
}

/** A kernel string without its NUL and without control characters, at most 256 characters. */
function cleanText(bytes: Buffer, start: number, end: number): string {
  const nul = bytes.indexOf(0, start);
  const text = bytes.toString("utf8", start, nul >= start && nul < end ? nul : end);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must go
  return text.slice(0, 256).replace(/[\u0000-\u001f\u007f]/g, " ");
}
