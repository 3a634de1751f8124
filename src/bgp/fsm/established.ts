/** RFC 4271 §8.2.2, Established: routes flow. */
import { assert, assertNever } from "../../runtime/assert.ts";
import { FsmSubcode } from "../message/errors.ts";
import { MessageType, type NegotiatedSession } from "../message/types.ts";
import type { FsmEvent, SessionNews } from "./events.ts";
import { keepAlive } from "./open-confirm.ts";
import type { FsmContext, FsmState, FsmStep } from "./state.ts";
import { holdAt, keepaliveAt, sendHoldAt } from "./timing.ts";
import {
  collisionError,
  fallBack,
  fsmError,
  holdTimerError,
  notifyAndFallBack,
  sendHoldError,
  stay,
  stop,
} from "./transitions.ts";

export function stepEstablished(state: FsmState, event: FsmEvent, context: FsmContext): FsmStep {
  const { session } = state;
  assert(session !== undefined, "an established session is negotiated");
  switch (event.type) {
    case "updateReceived":
    case "keepaliveReceived":
    case "routeRefreshReceived":
      return held(state, session, context);
    case "messagesSent": {
      const keepalive = keepaliveAt(context.now, session, context.random);
      return stay({ ...state, timers: { ...state.timers, keepalive } });
    }
    case "sendProgress": {
      const sendHold = sendHoldAt(context.now, session);
      return stay({ ...state, timers: { ...state.timers, sendHold } });
    }
    case "keepaliveTimerExpires":
      return keepAlive(state, context);
    case "manualStart":
    case "automaticStart":
    case "tcpConnected":
      return stay(state);
    case "manualStop":
      return stop(state, context, event.order, { connected: true, restart: false });
    case "automaticStop":
      return stop(state, context, event.order, { connected: true, restart: true });
    case "holdTimerExpires":
      return notifyAndFallBack(state, context, holdTimerError());
    case "sendHoldTimerExpires":
      return notifyAndFallBack(state, context, sendHoldError());
    case "tcpFails":
      return fallBack(state, context, { kind: "transport", reason: event.reason });
    case "notificationReceived":
      return fallBack(state, context, {
        kind: "received",
        notification: event.notification,
        reason: event.reason,
      });
    case "updateError":
    case "openError":
    // Deviation: §8.2.2 lists event 21 under FSM errors here; §6.1 says what is true.
    case "headerError":
      return notifyAndFallBack(state, context, event.error);
    case "openCollisionDump":
      return fallBack(state, context, { kind: "collision" }, [
        { type: "sendNotification", error: collisionError() },
      ]);
    case "openReceived": {
      const error = fsmError(FsmSubcode.unexpectedInEstablished, "second OPEN", MessageType.open);
      return notifyAndFallBack(state, context, error);
    }
    case "connectRetryTimerExpires":
    case "idleHoldTimerExpires":
      return notifyAndFallBack(state, context, fsmError(FsmSubcode.unspecified, event.type));
    default:
      return assertNever(event, "event in Established");
  }
}

function held(state: FsmState, session: NegotiatedSession, context: FsmContext): FsmStep {
  const hold = holdAt(context.now, session);
  return stay({ ...state, timers: { ...state.timers, hold } });
}

/** The state that the events of the news lead to, each at its own time. */
export function afterNews(state: FsmState, news: SessionNews, random: number): FsmState {
  const { session } = state;
  assert(session !== undefined, "an established session is negotiated");
  const { receivedAt, sentAt, progressAt } = news;
  const { hold, keepalive, sendHold, connectRetry, idleHold } = state.timers;
  return {
    ...state,
    timers: {
      connectRetry,
      hold: receivedAt === undefined ? hold : holdAt(receivedAt, session),
      keepalive: sentAt === undefined ? keepalive : keepaliveAt(sentAt, session, random),
      idleHold,
      sendHold: progressAt === undefined ? sendHold : sendHoldAt(progressAt, session),
    },
  };
}
