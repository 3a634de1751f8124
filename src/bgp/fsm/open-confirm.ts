/**
 * RFC 4271 §8.2.2, OpenConfirm: both OPENs are accepted here, the peer's KEEPALIVE is awaited.
 *
 * Deviation: with a negotiated hold time of zero §8.2.2 runs no HoldTimer here. A peer that dies
 * between its OPEN and its KEEPALIVE would be waited for without end, and its new connections
 * refused; so the large hold time of OpenSent goes on to bound the wait, until Established.
 *
 * Deviation: RFC 6608 §3 answers an OPEN here with an FSM error. RFC 4271 §8.2.2 has it go to the
 * collision detection alone; one that says what the first said on this connection collides with
 * nothing, and is passed over. OpenBGPD sends its OPEN twice when its earlier dial was reset before
 * the first was out; to it the error is the end of a session, and of the routes that it kept for
 * us.
 */
import { assert, assertNever } from "../../runtime/assert.ts";
import { FsmSubcode } from "../message/errors.ts";
import { MessageType, type NegotiatedSession } from "../message/types.ts";
import type { FsmEvent } from "./events.ts";
import type { FsmContext, FsmState, FsmStep } from "./state.ts";
import { holdAt, keepaliveAt, sendHoldAt } from "./timing.ts";
import {
  collisionError,
  fallBack,
  fsmError,
  holdTimerError,
  notifyAndFallBack,
  stay,
  stop,
} from "./transitions.ts";

export function stepOpenConfirm(state: FsmState, event: FsmEvent, context: FsmContext): FsmStep {
  const unexpected = (what: string, messageType: number) =>
    notifyAndFallBack(
      state,
      context,
      fsmError(FsmSubcode.unexpectedInOpenConfirm, what, messageType),
    );
  switch (event.type) {
    case "manualStart":
    case "automaticStart":
    case "tcpConnected":
    case "messagesSent":
    case "sendProgress":
      return stay(state);
    case "manualStop":
      return stop(state, context, event.order, { connected: true, restart: false });
    case "automaticStop":
      return stop(state, context, event.order, { connected: true, restart: true });
    case "holdTimerExpires":
      return notifyAndFallBack(state, context, holdTimerError());
    case "keepaliveTimerExpires":
      return keepAlive(state, context);
    case "tcpFails":
      return fallBack(state, context, { kind: "transport", reason: event.reason });
    case "notificationReceived":
      return fallBack(state, context, {
        kind: "received",
        notification: event.notification,
        reason: event.reason,
      });
    case "headerError":
    case "openError":
    case "updateError":
      return notifyAndFallBack(state, context, event.error);
    case "openReceived":
      return isSame(state.session, event.session)
        ? stay(state)
        : unexpected("second OPEN", MessageType.open);
    case "openCollisionDump":
      return fallBack(state, context, { kind: "collision" }, [
        { type: "sendNotification", error: collisionError() },
      ]);
    case "keepaliveReceived":
      return establish(state, context);
    case "updateReceived":
      return unexpected("UPDATE before KEEPALIVE", MessageType.update);
    case "routeRefreshReceived":
      return unexpected("ROUTE-REFRESH before KEEPALIVE", MessageType.routeRefresh);
    case "connectRetryTimerExpires":
    case "idleHoldTimerExpires":
    case "sendHoldTimerExpires":
      return notifyAndFallBack(state, context, fsmError(FsmSubcode.unspecified, event.type));
    default:
      return assertNever(event, "event in OpenConfirm");
  }
}

/** Both were negotiated from OPENs that say the same; their content is plain data, in one order. */
function isSame(first: NegotiatedSession | undefined, second: NegotiatedSession): boolean {
  return JSON.stringify(first) === JSON.stringify(second);
}

/** Sends a KEEPALIVE and runs its timer anew; for Established too. */
export function keepAlive(state: FsmState, context: FsmContext): FsmStep {
  const { session } = state;
  assert(session !== undefined, "a session past OpenSent is negotiated");
  const keepalive = keepaliveAt(context.now, session, context.random);
  return {
    state: { ...state, timers: { ...state.timers, keepalive } },
    actions: [{ type: "sendKeepalive" }],
  };
}

function establish(state: FsmState, context: FsmContext): FsmStep {
  const { session } = state;
  assert(session !== undefined, "a session past OpenSent is negotiated");
  return {
    state: {
      ...state,
      name: "Established",
      establishedAt: context.now,
      connectRetryCounter: 0,
      timers: {
        ...state.timers,
        hold: holdAt(context.now, session),
        sendHold: sendHoldAt(context.now, session),
      },
    },
    actions: [{ type: "established", session }],
  };
}
