/**
 * OPEN, RFC 4271 §4.2, with capabilities (RFC 5492) and, when they need more than 255 octets, the
 * extended form of the optional parameters (RFC 9072).
 *
 * ```
 * +-------+------+------+----------+----+--- --
 * |version| AS   | hold | router id|len | optional parameters: type (1), length (1), value
 * +-------+------+------+----------+----+--- --
 *  1       2      2      4          1
 *                                  +----+---+------+--- --
 * extended, RFC 9072 §2:           |255 |255| len  | type (1), length (2), value
 *                                  +----+---+------+--- --
 * ```
 *
 * What can be judged by the message alone is judged here; what depends on our side in negotiate.ts.
 */
import { ByteWriter, readU16, readU32 } from "./bytes.ts";
import { decodeCapability, encodeCapability } from "./capability-codec.ts";
import { bgpError, isBgpError, OpenSubcode } from "./errors.ts";
import { HEADER_BYTES, MESSAGE_BYTES_MAX, writeHeader } from "./header.ts";
import {
  type BgpError,
  type Capability,
  ErrorCode,
  MessageType,
  type OpenMessage,
} from "./types.ts";

export const BGP_VERSION = 4;
const FIXED_BYTES = 10;
const EXTENDED_MARK = 255;
const PARAMETER_CAPABILITIES = 2;

/**
 * Decodes the body at `start`. Errors, RFC 4271 §6.2: 2/1 with the version that we speak as two
 * octets, 2/2 for AS 0 (RFC 7607 §2), 2/3 for identifier 0 (RFC 6286 §2.2), 2/4 for a parameter
 * that we do not know, 2/6 for a hold time of 1 or 2, 2/0 for lengths that do not fit.
 */
export function decodeOpen(buffer: Uint8Array, start: number, end: number): OpenMessage | BgpError {
  if (end - start < FIXED_BYTES) return openError(OpenSubcode.unspecific, "OPEN is too short");
  const version = buffer[start]!;
  if (version !== BGP_VERSION) {
    const reason = `BGP version ${version}, not ${BGP_VERSION}`;
    return openError(OpenSubcode.unsupportedVersion, reason, Uint8Array.of(0, BGP_VERSION));
  }
  const as2 = readU16(buffer, start + 1);
  if (as2 === 0) return openError(OpenSubcode.badPeerAs, "AS 0");
  const holdSeconds = readU16(buffer, start + 3);
  if (holdSeconds === 1 || holdSeconds === 2) {
    return openError(OpenSubcode.unacceptableHoldTime, `hold time of ${holdSeconds} s`);
  }
  const routerId = readU32(buffer, start + 5);
  if (routerId === 0) return openError(OpenSubcode.badBgpIdentifier, "BGP identifier 0");
  const capabilities: Capability[] = [];
  const error = decodeParameters(buffer, start + FIXED_BYTES - 1, end, capabilities);
  return error ?? { version, as2, holdSeconds, routerId, capabilities };
}

/** `start` is at the length octet of the optional parameters. */
function decodeParameters(
  buffer: Uint8Array,
  start: number,
  end: number,
  capabilities: Capability[],
): BgpError | undefined {
  const length = buffer[start]!;
  let at = start + 1;
  // RFC 9072 §2: the first type decides, the short length is then ignored (but 0 ends the matter).
  const extended = length !== 0 && at < end && buffer[at] === EXTENDED_MARK;
  if (extended && at + 3 > end) {
    return malformed("extended length of the optional parameters is cut off");
  }
  const stated = extended ? readU16(buffer, at + 1) : length;
  if (extended) at += 3;
  if (at + stated !== end) {
    return malformed(`optional parameters of ${stated} octets in ${end - at} octets`);
  }
  const headBytes = extended ? 3 : 2;
  while (at < end) {
    if (at + headBytes > end) return malformed("optional parameter is cut off");
    const type = buffer[at]!;
    const valueBytes = extended ? readU16(buffer, at + 1) : buffer[at + 1]!;
    const value = at + headBytes;
    if (value + valueBytes > end) return malformed(`optional parameter ${type} is cut off`);
    if (type !== PARAMETER_CAPABILITIES) {
      const reason = `optional parameter ${type} is unknown`;
      return openError(OpenSubcode.unsupportedOptionalParameter, reason);
    }
    const error = decodeCapabilities(buffer, value, value + valueBytes, capabilities);
    if (error !== undefined) return error;
    at = value + valueBytes;
  }
  return undefined;
}

function decodeCapabilities(
  buffer: Uint8Array,
  start: number,
  end: number,
  capabilities: Capability[],
): BgpError | undefined {
  for (let at = start; at < end; ) {
    if (at + 2 > end) return malformed("capability is cut off");
    const code = buffer[at]!;
    const value = at + 2;
    const valueEnd = value + buffer[at + 1]!;
    if (valueEnd > end) return malformed(`capability ${code} is cut off`);
    const capability = decodeCapability(code, buffer, value, valueEnd);
    if (isBgpError(capability)) return capability;
    capabilities.push(capability);
    at = valueEnd;
  }
  return undefined;
}

/**
 * The whole message: all capabilities in one parameter in list order; none when the list is empty,
 * for peers that refuse the parameter. Throws (a bug) when they do not fit into 4096 octets.
 */
export function encodeOpen(open: OpenMessage): Uint8Array {
  const list = new ByteWriter();
  for (const capability of open.capabilities) encodeCapability(capability, list);
  const out = new ByteWriter();
  out.length = HEADER_BYTES;
  out.u8(open.version);
  out.u16(open.as2);
  out.u16(open.holdSeconds);
  out.u32(open.routerId);
  const parameterBytes = list.length === 0 ? 0 : list.length + 2;
  if (parameterBytes <= 255) {
    out.u8(parameterBytes);
    if (parameterBytes > 0) {
      out.u8(PARAMETER_CAPABILITIES);
      out.u8(list.length);
    }
  } else {
    out.u8(EXTENDED_MARK);
    out.u8(EXTENDED_MARK);
    out.u16(list.length + 3);
    out.u8(PARAMETER_CAPABILITIES);
    out.u16(list.length);
  }
  out.raw(list.bytes.subarray(0, list.length));
  if (out.length > MESSAGE_BYTES_MAX) throw new Error(`bug: OPEN of ${out.length} octets`);
  const message = out.toBytes();
  writeHeader(message, 0, message.length, MessageType.open);
  return message;
}

function malformed(reason: string): BgpError {
  return openError(OpenSubcode.unspecific, reason);
}

function openError(subcode: number, reason: string, data?: Uint8Array): BgpError {
  return bgpError(ErrorCode.open, subcode, reason, data);
}
