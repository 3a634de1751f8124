/** The ways in which we end sessions, with the NOTIFICATION of each (RFC 4486, RFC 9003). */
import { bgpError } from "../message/errors.ts";
import { afiOf, SAFI_UNICAST } from "../message/family.ts";
import { encodeShutdownCommunication } from "../message/notification.ts";
import { CeaseSubcode, ErrorCode, type RouteFamily } from "../message/types.ts";
import type { EndOrder } from "../session/peer-session.ts";

function cease(subcode: number, reason: string, hard: boolean, data?: Uint8Array): EndOrder {
  return { error: bgpError(ErrorCode.cease, subcode, reason, data), reason, hard };
}

/** Just close, as a restart does: the peer keeps our routes if it can. */
export const closeSilently: EndOrder = { error: undefined, reason: "stopping", hard: false };

/** Nothing that is said reaches the peer. */
export const linkLost: EndOrder = {
  error: undefined,
  reason: "no interface that is up leads from our address to the peer any more",
  hard: false,
};

export const peerDeconfigured = cease(CeaseSubcode.peerDeconfigured, "peer de-configured", true);

export const configurationChanged = cease(
  CeaseSubcode.otherConfigurationChange,
  "configuration changed",
  false,
);

/** RFC 9003 §2: the text goes to the peer's operator. */
export function administrativeShutdown(message: string): EndOrder {
  const data = encodeShutdownCommunication(message);
  const reason = "administrative shutdown";
  return cease(CeaseSubcode.administrativeShutdown, reason, true, data);
}

export const administrativeReset = cease(
  CeaseSubcode.administrativeReset,
  "administrative reset",
  true,
);

/** RFC 4486 §4: AFI, SAFI and the limit as data. */
export function maximumPrefixes(family: RouteFamily, limit: number): EndOrder {
  const data = new Uint8Array(7);
  const view = new DataView(data.buffer);
  view.setUint16(0, afiOf(family));
  data[2] = SAFI_UNICAST;
  view.setUint32(3, limit);
  const reason = `more than ${limit} IPv${family} prefixes`;
  return cease(CeaseSubcode.maximumPrefixes, reason, true, data);
}
