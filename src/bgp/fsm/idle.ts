/** RFC 4271 §8.2.2, Idle: nothing is held for the peer and its connections are refused. */
import { assertNever } from "../../runtime/assert.ts";
import type { FsmEvent } from "./events.ts";
import { type FsmContext, type FsmState, type FsmStep, noTimers } from "./state.ts";
import { connectRetryAt } from "./timing.ts";
import { start, stay } from "./transitions.ts";

export function stepIdle(state: FsmState, event: FsmEvent, context: FsmContext): FsmStep {
  switch (event.type) {
    case "manualStart":
      // Event 1 sets ConnectRetryCounter to zero; a start by hand forgives flaps as well.
      return start({ ...state, connectRetryCounter: 0, flaps: 0 }, context, event.delayMs);
    case "automaticStart":
      return start(state, context, event.delayMs);
    case "idleHoldTimerExpires": {
      const { now, random } = context;
      return start(state, context, connectRetryAt(now, 0, random) - now);
    }
    case "manualStop":
      // Ignored by the RFC; here it also ends a start that waits for the idle hold.
      return stay({ ...state, timers: noTimers });
    case "tcpConnected":
      return { state, actions: [{ type: "close", reset: true }] };
    case "automaticStop":
    case "connectRetryTimerExpires":
    case "holdTimerExpires":
    case "keepaliveTimerExpires":
    case "sendHoldTimerExpires":
    case "tcpFails":
    case "openReceived":
    case "headerError":
    case "openError":
    case "openCollisionDump":
    case "notificationReceived":
    case "keepaliveReceived":
    case "updateReceived":
    case "updateError":
    case "routeRefreshReceived":
    case "messagesSent":
    case "sendProgress":
      return stay(state);
    default:
      return assertNever(event, "event in Idle");
  }
}
