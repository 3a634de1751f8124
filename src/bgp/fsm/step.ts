/**
 * The BGP finite state machine of one connection, RFC 4271 §8, as a pure function: a state and an
 * event give the next state and what to do. Time and chance come in as numbers, timers are moments
 * in the state, so any run can be replayed. Two machines of one peer meet in `peer-machine.ts`.
 */
import { assertNever } from "../../runtime/assert.ts";
import { stepActive } from "./active.ts";
import { stepConnect } from "./connect.ts";
import { stepEstablished } from "./established.ts";
import type { FsmEvent } from "./events.ts";
import { stepIdle } from "./idle.ts";
import { stepOpenConfirm } from "./open-confirm.ts";
import { stepOpenSent } from "./open-sent.ts";
import type { FsmContext, FsmState, FsmStep } from "./state.ts";

/** One step. Never throws for anything that a peer, the operator or the clock can do. */
export function step(state: FsmState, event: FsmEvent, context: FsmContext): FsmStep {
  switch (state.name) {
    case "Idle":
      return stepIdle(state, event, context);
    case "Connect":
      return stepConnect(state, event, context);
    case "Active":
      return stepActive(state, event, context);
    case "OpenSent":
      return stepOpenSent(state, event, context);
    case "OpenConfirm":
      return stepOpenConfirm(state, event, context);
    case "Established":
      return stepEstablished(state, event, context);
    default:
      return assertNever(state.name, "state");
  }
}

/**
 * The event of a timer that is due, most urgent first, or undefined. A caller steps until there is
 * none; each of these events stops or moves its timer, so that this ends.
 */
export function dueTimer(state: FsmState, now: number): FsmEvent | undefined {
  const { hold, sendHold, keepalive, connectRetry, idleHold } = state.timers;
  if (hold !== undefined && hold <= now) return { type: "holdTimerExpires" };
  if (sendHold !== undefined && sendHold <= now) return { type: "sendHoldTimerExpires" };
  if (keepalive !== undefined && keepalive <= now) return { type: "keepaliveTimerExpires" };
  if (connectRetry !== undefined && connectRetry <= now) {
    return { type: "connectRetryTimerExpires" };
  }
  if (idleHold !== undefined && idleHold <= now) return { type: "idleHoldTimerExpires" };
  return undefined;
}
