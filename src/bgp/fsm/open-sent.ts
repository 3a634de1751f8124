/** RFC 4271 §8.2.2, OpenSent: our OPEN is out, the peer's is awaited. */
import { assertNever } from "../../runtime/assert.ts";
import { FsmSubcode } from "../message/errors.ts";
import { MessageType } from "../message/types.ts";
import type { FsmEvent } from "./events.ts";
import { type FsmContext, type FsmState, type FsmStep, noTimers } from "./state.ts";
import { holdAt, keepaliveAt, OPEN_HOLD_MS } from "./timing.ts";
import {
  awaitRetry,
  collisionError,
  fallBack,
  fsmError,
  holdTimerError,
  notifyAndFallBack,
  stay,
  stop,
} from "./transitions.ts";

export function stepOpenSent(state: FsmState, event: FsmEvent, context: FsmContext): FsmStep {
  const unexpected = (what: string, messageType: number) =>
    notifyAndFallBack(state, context, fsmError(FsmSubcode.unexpectedInOpenSent, what, messageType));
  switch (event.type) {
    case "manualStart":
    case "automaticStart":
    // A second connection is tracked beside this one until its OPEN comes, §6.8.
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
    case "tcpFails":
      return awaitRetry(state, context, event.reason);
    case "openReceived":
      return confirm(state, event, context);
    case "headerError":
    case "openError":
    case "updateError":
      return notifyAndFallBack(state, context, event.error);
    case "openCollisionDump":
      return fallBack(state, context, { kind: "collision" }, [
        { type: "sendNotification", error: collisionError() },
      ]);
    case "notificationReceived":
      // Deviation: §8.2.2 answers with an FSM error here; §6 forbids answering a NOTIFICATION.
      return fallBack(state, context, {
        kind: "received",
        notification: event.notification,
        reason: event.reason,
      });
    case "keepaliveReceived":
      return unexpected("KEEPALIVE before OPEN", MessageType.keepalive);
    case "updateReceived":
      return unexpected("UPDATE before OPEN", MessageType.update);
    case "routeRefreshReceived":
      return unexpected("ROUTE-REFRESH before OPEN", MessageType.routeRefresh);
    case "connectRetryTimerExpires":
    case "keepaliveTimerExpires":
    case "idleHoldTimerExpires":
    case "sendHoldTimerExpires":
      return notifyAndFallBack(state, context, fsmError(FsmSubcode.unspecified, event.type));
    default:
      return assertNever(event, "event in OpenSent");
  }
}

function confirm(
  state: FsmState,
  event: Extract<FsmEvent, { type: "openReceived" }>,
  context: FsmContext,
): FsmStep {
  const { session } = event;
  return {
    state: {
      ...state,
      name: "OpenConfirm",
      session,
      timers: {
        ...noTimers,
        hold: holdAt(context.now, session) ?? context.now + OPEN_HOLD_MS,
        keepalive: keepaliveAt(context.now, session, context.random),
      },
    },
    actions: [{ type: "sendKeepalive" }],
  };
}
