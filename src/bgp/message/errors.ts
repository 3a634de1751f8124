/**
 * NOTIFICATION subcodes, and the one way to make a {@link BgpError}. A decoder returns its message
 * or a `BgpError`; {@link isBgpError} tells them apart. Nothing here throws on bytes of a peer.
 */
import type { BgpError } from "./types.ts";

/** RFC 4271 §6.1. IANA bgp-parameters-5. */
export const HeaderSubcode = {
  connectionNotSynchronized: 1,
  badMessageLength: 2,
  badMessageType: 3,
} as const;

/** RFC 4271 §6.2, RFC 5492 §5. IANA bgp-parameters-6. */
export const OpenSubcode = {
  unspecific: 0,
  unsupportedVersion: 1,
  badPeerAs: 2,
  badBgpIdentifier: 3,
  unsupportedOptionalParameter: 4,
  unacceptableHoldTime: 6,
  unsupportedCapability: 7,
} as const;

/** RFC 4271 §6.3. IANA bgp-parameters-finite-4. */
export const UpdateSubcode = {
  malformedAttributeList: 1,
  unrecognizedWellKnown: 2,
  missingWellKnown: 3,
  attributeFlags: 4,
  attributeLength: 5,
  invalidOrigin: 6,
  invalidNextHop: 8,
  optionalAttribute: 9,
  invalidNetworkField: 10,
  malformedAsPath: 11,
} as const;

/** RFC 6608 §3. */
export const FsmSubcode = {
  unspecified: 0,
  unexpectedInOpenSent: 1,
  unexpectedInOpenConfirm: 2,
  unexpectedInEstablished: 3,
} as const;

/** RFC 7313 §5. */
export const RouteRefreshSubcode = { invalidMessageLength: 1 } as const;

const NO_DATA = new Uint8Array(0);

/** An error of the peer that ends its session; `reason` is our words only. */
export function bgpError(
  code: number,
  subcode: number,
  reason: string,
  data: Uint8Array = NO_DATA,
): BgpError {
  return { code, subcode, data, reason };
}

/** Tells the error case of a decoder's result from the message. */
export function isBgpError<T extends object>(result: T | BgpError): result is BgpError {
  return "reason" in result && "subcode" in result;
}
