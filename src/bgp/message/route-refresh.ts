/**
 * ROUTE-REFRESH, RFC 2918 §3, with the subtypes of RFC 7313 §3.2 in its third octet.
 *
 * ```
 * +--------+-------+----+
 * |  AFI   |subtype|SAFI|   4 octets behind the header
 * +--------+-------+----+
 * ```
 */
import { readU16 } from "./bytes.ts";
import { bgpError, RouteRefreshSubcode } from "./errors.ts";
import { afiOf, routeFamilyOf, SAFI_UNICAST } from "./family.ts";
import { withHeader } from "./header.ts";
import {
  type BgpError,
  ErrorCode,
  MessageType,
  type RouteFamily,
  type RouteRefreshMessage,
} from "./types.ts";

export const RefreshSubtype = { request: 0, begin: 1, end: 2 } as const;
export type RefreshSubtype = (typeof RefreshSubtype)[keyof typeof RefreshSubtype];

const BODY_BYTES = 4;

/**
 * Decodes the body at `start`. `enhanced` = RFC 7313 was negotiated: then a demarcation message of
 * a wrong length is error 7/1 with the whole message as data (RFC 7313 §5). A request may be
 * longer, for ORF entries (RFC 5291), which nobody may send us; they are not read.
 */
export function decodeRouteRefresh(
  buffer: Uint8Array,
  start: number,
  end: number,
  enhanced: boolean,
): RouteRefreshMessage | BgpError {
  const length = end - start;
  const subtype = length >= BODY_BYTES ? buffer[start + 2]! : 0;
  const demarcation = subtype === RefreshSubtype.begin || subtype === RefreshSubtype.end;
  if (length < BODY_BYTES || (enhanced && demarcation && length !== BODY_BYTES)) {
    const reason = `ROUTE-REFRESH of ${length} octets, subtype ${subtype}`;
    const whole = withHeader(MessageType.routeRefresh, buffer.subarray(start, end));
    const subcode = RouteRefreshSubcode.invalidMessageLength;
    return bgpError(ErrorCode.routeRefresh, subcode, reason, whole);
  }
  const afi = readU16(buffer, start);
  const safi = buffer[start + 3]!;
  return { afi, safi, family: routeFamilyOf(afi, safi), subtype };
}

/** The whole message, 23 octets. */
export function encodeRouteRefresh(
  family: RouteFamily,
  subtype: RefreshSubtype = RefreshSubtype.request,
): Uint8Array {
  const body = Uint8Array.of(0, afiOf(family), subtype, SAFI_UNICAST);
  return withHeader(MessageType.routeRefresh, body);
}
