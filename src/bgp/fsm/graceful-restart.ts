/**
 * What the end of a session means for the routes learned over it: RFC 4724 §4.2 (receiving
 * speaker), RFC 8538 (NOTIFICATION and hold timer), RFC 9494 (long-lived). Pure decisions; the
 * speaker runs the timers.
 */
import { hardReset } from "../message/notification.ts";
import type { BgpError, NegotiatedSession, RestartFamily } from "../message/types.ts";
import { CeaseSubcode, ErrorCode, type RouteFamily } from "../message/types.ts";
import { CLOSED_BY_PEER, type EndCause } from "./state.ts";

/** A family whose routes are kept, and until when they may wait for the peer. */
export interface RetainedFamily {
  readonly family: RouteFamily;
  /** The peer's restart time. */
  readonly restartSeconds: number;
  /** Long-lived stale time after that, RFC 9494 §4.2; 0 = none. */
  readonly longLivedSeconds: number;
}

/** Families to keep as stale after a session ended this way; empty = forget the peer's routes. */
export function familiesToRetain(
  session: NegotiatedSession,
  cause: EndCause,
): readonly RetainedFamily[] {
  const restart = session.gracefulRestart;
  if (restart === undefined || !survives(session, cause)) return [];
  const longLived = session.longLivedGracefulRestart?.families ?? [];
  // RFC 9494 §4.2: a family that one of the two capabilities leaves out has its time of zero.
  return session.families
    .map((family) => ({
      family,
      restartSeconds: restart.families.some(isOf(family)) ? restart.restartSeconds : 0,
      longLivedSeconds: longLived.find(isOf(family))?.staleSeconds ?? 0,
    }))
    .filter((entry) => entry.restartSeconds > 0 || entry.longLivedSeconds > 0);
}

/** Families whose stale routes may stay after the peer came back, by the time that they are in. */
export interface StillForwarded {
  /** The restart time, RFC 4724 §4.2. */
  readonly restart: readonly RouteFamily[];
  /** The long-lived stale time, RFC 9494 §4.2. */
  readonly longLived: readonly RouteFamily[];
}

/**
 * By the F bits of what a peer announced that is back. `goesOn`: it was never away, but gave a
 * session up for this one in a collision.
 * Deviation: RFC 4724 §4.2 goes by the F bits then, too; but they are of an OPEN that went out
 * before there was a session whose forwarding they could speak of.
 */
export function familiesStillForwarded(session: NegotiatedSession, goesOn = false): StillForwarded {
  if (goesOn) return { restart: session.families, longLived: session.families };
  const forwarded = (entries: readonly RestartFamily[] = []) =>
    session.families.filter((family) => entries.find(isOf(family))?.forwardingPreserved);
  return {
    restart: forwarded(session.gracefulRestart?.families),
    longLived: forwarded(session.longLivedGracefulRestart?.families),
  };
}

function isOf(family: RouteFamily): (entry: { readonly family: RouteFamily }) => boolean {
  return (entry) => entry.family === family;
}

/** Both sides announced the N bit, RFC 8538 §4. */
function notificationsAreGraceful(session: NegotiatedSession): boolean {
  if (session.gracefulRestart?.notification !== true) return false;
  return session.localCapabilities.some(
    (capability) => capability.kind === "gracefulRestart" && capability.notification,
  );
}

/**
 * The NOTIFICATION to send when this end is meant to be final: wrapped as a Hard Reset towards a
 * peer that would else keep our routes, RFC 8538 §3; as it is towards all others.
 */
export function asHardReset(session: NegotiatedSession | undefined, error: BgpError): BgpError {
  if (session === undefined || !notificationsAreGraceful(session)) return error;
  return { ...hardReset(error), reason: error.reason };
}

/**
 * Whether the peer lives on and has kept our routes, as far as can be told: one that closes the
 * connection in order may have restarted. It keeps them whatever it preserves itself, which may be
 * nothing (RFC 4724 §3: a capability without families). And to a peer that was told nothing, as one
 * that reads nothing, an end of ours is a connection that is lost.
 */
export function keepsOurRoutes(session: NegotiatedSession, cause: EndCause): boolean {
  if (cause.kind === "transport" && cause.reason === CLOSED_BY_PEER) return false;
  const isUntold = cause.kind === "stopped" || isSendHold(cause);
  return session.gracefulRestart !== undefined && (isUntold || survives(session, cause));
}

/** Whether the peer read nothing: what we sent last is thrown away with the connection. */
export function isSendHold(cause: EndCause): boolean {
  return cause.kind === "sent" && cause.error.code === ErrorCode.sendHoldTimerExpired;
}

function survives(session: NegotiatedSession, cause: EndCause): boolean {
  switch (cause.kind) {
    case "transport":
    case "replaced":
    case "collision":
      return true;
    // RFC 8538 §4: a Hard Reset never; others, the hold timer's included, with the N bit alone.
    case "received":
      return notificationsAreGraceful(session) && !isHardReset(cause.notification);
    case "sent":
      return notificationsAreGraceful(session) && !isHardReset(cause.error);
    case "stopped":
      return false;
  }
}

function isHardReset(value: { readonly code: number; readonly subcode: number }): boolean {
  return value.code === ErrorCode.cease && value.subcode === CeaseSubcode.hardReset;
}
