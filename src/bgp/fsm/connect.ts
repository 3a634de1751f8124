/** RFC 4271 §8.2.2, Connect: our dial is under way. */
import { assertNever } from "../../runtime/assert.ts";
import { FsmSubcode } from "../message/errors.ts";
import type { FsmEvent } from "./events.ts";
import type { FsmContext, FsmState, FsmStep } from "./state.ts";
import { awaitRetry, dial, fallBack, fsmError, openConnection, stay, stop } from "./transitions.ts";

export function stepConnect(state: FsmState, event: FsmEvent, context: FsmContext): FsmStep {
  switch (event.type) {
    case "manualStart":
    case "automaticStart":
    case "messagesSent":
    case "sendProgress":
      return stay(state);
    case "manualStop":
      return stop(state, context, event.order, { connected: false, restart: false });
    case "automaticStop":
      return stop(state, context, event.order, { connected: false, restart: true });
    case "connectRetryTimerExpires":
      return redial(state, context);
    case "tcpConnected":
      return openConnection(state, context);
    case "tcpFails":
      return awaitRetry(state, context, event.reason);
    case "headerError":
    case "openError":
    case "updateError":
      return fallBack(state, context, { kind: "sent", error: event.error });
    case "notificationReceived":
      return fallBack(state, context, {
        kind: "received",
        notification: event.notification,
        reason: event.reason,
      });
    case "openCollisionDump":
      return fallBack(state, context, { kind: "collision" });
    case "holdTimerExpires":
    case "keepaliveTimerExpires":
    case "idleHoldTimerExpires":
    case "sendHoldTimerExpires":
    case "openReceived":
    case "keepaliveReceived":
    case "updateReceived":
    case "routeRefreshReceived":
      return fallBack(state, context, {
        kind: "sent",
        error: fsmError(FsmSubcode.unspecified, event.type),
      });
    default:
      return assertNever(event, "event in Connect");
  }
}

/** The dial was not answered: drops it and dials anew, with more patience. */
function redial(state: FsmState, context: FsmContext): FsmStep {
  const next = dial({ ...state, connectRetryCounter: state.connectRetryCounter + 1 }, context);
  return {
    state: next.state,
    actions: [
      { type: "close", reset: true },
      {
        type: "ended",
        cause: { kind: "transport", reason: "connect timed out" },
        session: undefined,
      },
      ...next.actions,
    ],
  };
}
