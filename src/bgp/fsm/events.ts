/**
 * What can happen to one connection's state machine. The numbers are those of RFC 4271 §8.1 (29:
 * RFC 9687 §4.2). Passive establishment and oscillation damping are settings here, so the seven
 * start events are two; DelayOpen (12, 20) is not offered, and events 14 and 15 are the transport's
 * refusal of unknown sources, which comes before any state.
 */
import type { BgpError, NegotiatedSession, NotificationMessage } from "../message/types.ts";

/** Why the operator, or the configuration, ends a session. */
export interface StopOrder {
  /** Sent when there is someone to send it to; undefined = just close, as a restart does. */
  readonly notification: BgpError | undefined;
  readonly reason: string;
}

export type FsmEvent =
  /** 1, 4: starts; `delayMs` until the first dial. */
  | { readonly type: "manualStart"; readonly delayMs: number }
  /** 2: ends, and stays ended. */
  | { readonly type: "manualStop"; readonly order: StopOrder }
  /** 3, 5, 6, 7. */
  | { readonly type: "automaticStart"; readonly delayMs: number }
  /** 8: ends, and comes back by itself. */
  | { readonly type: "automaticStop"; readonly order: StopOrder }
  /** 9 */
  | { readonly type: "connectRetryTimerExpires" }
  /** 10 */
  | { readonly type: "holdTimerExpires" }
  /** 11 */
  | { readonly type: "keepaliveTimerExpires" }
  /** 13 */
  | { readonly type: "idleHoldTimerExpires" }
  /** 29, RFC 9687 §4.2. */
  | { readonly type: "sendHoldTimerExpires" }
  /** 16 (we dialled) and 17 (the peer did). */
  | { readonly type: "tcpConnected" }
  /** 18 */
  | { readonly type: "tcpFails"; readonly reason: string }
  /** 19: an acceptable OPEN, and what it negotiates. */
  | { readonly type: "openReceived"; readonly session: NegotiatedSession }
  /** 21 */
  | { readonly type: "headerError"; readonly error: BgpError }
  /** 22 */
  | { readonly type: "openError"; readonly error: BgpError }
  /** 23 */
  | { readonly type: "openCollisionDump" }
  /** 24, 25; `reason` in our words. */
  | {
      readonly type: "notificationReceived";
      readonly notification: NotificationMessage;
      readonly reason: string;
    }
  /** 26 */
  | { readonly type: "keepaliveReceived" }
  /** 27 */
  | { readonly type: "updateReceived" }
  /** 28 */
  | { readonly type: "updateError"; readonly error: BgpError }
  /** RFC 2918; for the FSM like an UPDATE. */
  | { readonly type: "routeRefreshReceived" }
  /** UPDATEs or others were sent: RFC 4271 §8.2.2 restarts the KeepaliveTimer. */
  | { readonly type: "messagesSent" }
  /** The transport took bytes of ours: restarts the SendHoldTimer, RFC 9687 §4.3. */
  | { readonly type: "sendProgress" };

/**
 * What only moved timers of an established session since its last tick. All of it together is one
 * input of the machine: thousands of messages a second need not be as many steps. Moments of the
 * monotonic clock, ms; undefined = nothing of the kind.
 */
export interface SessionNews {
  /** The last message came: `updateReceived` and the like. */
  readonly receivedAt: number | undefined;
  /** The last ones went out: `messagesSent`. */
  readonly sentAt: number | undefined;
  /** The transport was seen to have taken bytes, or had none to take: `sendProgress`. */
  readonly progressAt: number | undefined;
}
