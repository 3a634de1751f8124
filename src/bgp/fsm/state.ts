/**
 * State of one connection's machine, and what it asks for. All of it is immutable data: a test
 * compares it, a recording replays it.
 */
import type { BgpError, NegotiatedSession, NotificationMessage } from "../message/types.ts";
import type { FsmStateName } from "../types.ts";

/** Moments of the monotonic clock, ms; undefined = not running. */
export interface FsmTimers {
  readonly connectRetry: number | undefined;
  readonly hold: number | undefined;
  readonly keepalive: number | undefined;
  readonly idleHold: number | undefined;
  readonly sendHold: number | undefined;
}

export const noTimers: FsmTimers = {
  connectRetry: undefined,
  hold: undefined,
  keepalive: undefined,
  idleHold: undefined,
  sendHold: undefined,
};

export interface FsmState {
  readonly name: FsmStateName;
  readonly timers: FsmTimers;
  /** RFC 4271 §8.1.1: tries since the last session; the exponent of the dialling back-off. */
  readonly connectRetryCounter: number;
  /** Sessions that ended soon, one after the other: the exponent of the idle hold. */
  readonly flaps: number;
  readonly establishedAt: number | undefined;
  /** Known from OpenConfirm on. */
  readonly session: NegotiatedSession | undefined;
}

export const idleState: FsmState = {
  name: "Idle",
  timers: noTimers,
  connectRetryCounter: 0,
  flaps: 0,
  establishedAt: undefined,
  session: undefined,
};

/** The reason of a connection that the peer ended in order, as the end of its process does. */
export const CLOSED_BY_PEER = "closed by peer";

/** Why a try or a session ended. */
export type EndCause =
  /** TCP closed, reset, refused, timed out. */
  | { readonly kind: "transport"; readonly reason: string }
  /** We sent a NOTIFICATION, or would have on a live connection. */
  | { readonly kind: "sent"; readonly error: BgpError }
  | {
      readonly kind: "received";
      readonly notification: NotificationMessage;
      readonly reason: string;
    }
  /** Told to; nothing was sent. */
  | { readonly kind: "stopped"; readonly reason: string }
  /** A collision was decided against this connection; another one of the peer goes on. */
  | { readonly kind: "collision" }
  /** The peer came back on a new connection before this one was seen to die, RFC 4724 §4.2. */
  | { readonly kind: "replaced" };

export type FsmAction =
  | { readonly type: "dial" }
  | { readonly type: "sendOpen" }
  | { readonly type: "sendKeepalive" }
  | { readonly type: "sendNotification"; readonly error: BgpError }
  /** Drop the TCP connection, after what was written is out; `reset`: at once. */
  | { readonly type: "close"; readonly reset: boolean }
  | { readonly type: "established"; readonly session: NegotiatedSession }
  /** The try ended; `session` is what was up, if it was. */
  | {
      readonly type: "ended";
      readonly cause: EndCause;
      readonly session: NegotiatedSession | undefined;
    };

/** Settings of the peer that the machine needs. */
export interface FsmSettings {
  readonly passive: boolean;
}

/** Everything that a step takes from outside. `random` is in [0, 1). */
export interface FsmContext {
  readonly now: number;
  readonly random: number;
  readonly settings: FsmSettings;
}

export interface FsmStep {
  readonly state: FsmState;
  readonly actions: readonly FsmAction[];
}
