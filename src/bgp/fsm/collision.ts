/** Which of two connections of one peer stays, RFC 4271 §6.8 and RFC 6286 §2.3. */
import { CeaseSubcode, ErrorCode, type NegotiatedSession } from "../message/types.ts";
import type { FsmEvent } from "./events.ts";

/** Who opened a connection. */
export type Origin = "dialled" | "accepted";

export interface LocalIdentity {
  readonly as: number;
  readonly routerId: number;
}

/**
 * The side whose connection stays: that of the higher BGP Identifier, and among equal ones (two
 * ASes may use the same, RFC 6286) that of the higher AS. Both speakers come to the same answer.
 */
function survivingOrigin(local: LocalIdentity, remote: NegotiatedSession): Origin {
  const byId = local.routerId - remote.remoteRouterId;
  const order = byId !== 0 ? byId : local.as - remote.remoteAs;
  return order > 0 ? "dialled" : "accepted";
}

/**
 * Whether the peer ends one of two connections, as it does where it is the first to decide.
 * Deviation: with graceful restart the routes of the session outlive also the NOTIFICATION that RFC
 * 4271 §6.8 has it send then (RFC 4724 §4: they go), for it goes on with the other connection.
 */
export function isGivenUp(event: FsmEvent): boolean {
  if (event.type !== "notificationReceived") return event.type === "tcpFails";
  const { code, subcode } = event.notification;
  return code === ErrorCode.cease && subcode === CeaseSubcode.collisionResolution;
}

/** Whether the newer of two connections stays. Of two by one side, the newer is the live one. */
export function newerSurvives(
  local: LocalIdentity,
  remote: NegotiatedSession,
  older: Origin,
  newer: Origin,
): boolean {
  return older === newer || survivingOrigin(local, remote) === newer;
}
