/** The moves that several states share: starting, giving up, ending with a NOTIFICATION. */
import { bgpError, OpenSubcode } from "../message/errors.ts";
import {
  type BgpError,
  CeaseSubcode,
  ErrorCode,
  type NotificationMessage,
} from "../message/types.ts";
import type { StopOrder } from "./events.ts";
import { familiesToRetain, isSendHold } from "./graceful-restart.ts";
import {
  type EndCause,
  type FsmAction,
  type FsmContext,
  type FsmState,
  type FsmStep,
  noTimers,
} from "./state.ts";
import {
  connectRetryAt,
  connectTimeoutAt,
  decayedFlaps,
  FLAPS_MAX,
  IDLE_HOLD_GRACEFUL_MAX_MS,
  IDLE_HOLD_MAX_MS,
  idleHoldMs,
  OPEN_HOLD_MS,
} from "./timing.ts";

const noActions: readonly FsmAction[] = [];

/** Nothing changes. */
export function stay(state: FsmState): FsmStep {
  return { state, actions: noActions };
}

/** Starts: dials now, or listens first for `delayMs`, or listens only. */
export function start(state: FsmState, context: FsmContext, delayMs: number): FsmStep {
  if (!context.settings.passive && delayMs <= 0) return dial(state, context);
  const connectRetry = context.settings.passive ? undefined : context.now + delayMs;
  return stay({ ...fresh(state), name: "Active", timers: { ...noTimers, connectRetry } });
}

/** Dials; the ConnectRetryTimer bounds the attempt. */
export function dial(state: FsmState, context: FsmContext): FsmStep {
  const failures = state.connectRetryCounter;
  const connectRetry = connectTimeoutAt(context.now, failures, context.random);
  return {
    state: { ...fresh(state), name: "Connect", timers: { ...noTimers, connectRetry } },
    actions: [{ type: "dial" }],
  };
}

/** A connection stands: OPEN goes out and the peer has four minutes for its own. */
export function openConnection(state: FsmState, context: FsmContext): FsmStep {
  const timers = { ...noTimers, hold: context.now + OPEN_HOLD_MS };
  return {
    state: { ...fresh(state), name: "OpenSent", timers },
    actions: [{ type: "sendOpen" }],
  };
}

/**
 * A connection failed before it became a session: listen, and dial again after the back-off.
 * Deviation: RFC 4271 §8.2.2 goes from Connect and Active to Idle here, where connections of the
 * peer would be refused; a peer that comes up and dials first would find a closed door.
 */
export function awaitRetry(state: FsmState, context: FsmContext, reason: string): FsmStep {
  const { settings, now, random } = context;
  const retry = connectRetryAt(now, state.connectRetryCounter, random);
  const connectRetry = settings.passive ? undefined : retry;
  return {
    state: {
      ...fresh(state),
      name: "Active",
      timers: { ...noTimers, connectRetry },
      connectRetryCounter: state.connectRetryCounter + 1,
    },
    actions: [
      { type: "close", reset: false },
      { type: "ended", cause: { kind: "transport", reason }, session: undefined },
    ],
  };
}

/**
 * RFC 4271 §8.2.2 "changes its state to Idle" with damping: the machine starts again by itself
 * after the idle hold, at once when there is none.
 */
export function fallBack(
  state: FsmState,
  context: FsmContext,
  cause: EndCause,
  before: readonly FsmAction[] = noActions,
): FsmStep {
  const { now, random, settings } = context;
  const counts = isFlap(cause);
  const flaps = Math.min(FLAPS_MAX, decayedFlaps(state, now) + (counts ? 1 : 0));
  const session = state.name === "Established" ? state.session : undefined;
  const isLost = cause.kind === "transport" && session !== undefined;
  const isRestart = isLost && familiesToRetain(session, cause).length > 0;
  const maxMs = isRestart ? IDLE_HOLD_GRACEFUL_MAX_MS : IDLE_HOLD_MAX_MS;
  const holdMs = counts ? idleHoldMs(flaps, random, maxMs) : 0;
  const reset = cause.kind === "replaced" || isSendHold(cause);
  const actions: FsmAction[] = [
    ...before,
    { type: "close", reset },
    { type: "ended", cause, session },
  ];
  const failures = state.connectRetryCounter;
  const common = { ...fresh(state), flaps, connectRetryCounter: failures + 1 };
  if (holdMs > 0) {
    const timers = { ...noTimers, idleHold: now + holdMs };
    return { state: { ...common, name: "Idle", timers }, actions };
  }
  const retry = connectRetryAt(now, failures, random);
  const timers = { ...noTimers, connectRetry: settings.passive ? undefined : retry };
  return { state: { ...common, name: "Active", timers }, actions };
}

/** {@link fallBack} after telling the peer why. */
export function notifyAndFallBack(state: FsmState, context: FsmContext, error: BgpError): FsmStep {
  const cause: EndCause = { kind: "sent", error };
  return fallBack(state, context, cause, [{ type: "sendNotification", error }]);
}

/** Events 2 and 8. `connected`: there is a peer that can be told. */
export function stop(
  state: FsmState,
  context: FsmContext,
  order: StopOrder,
  options: { readonly connected: boolean; readonly restart: boolean },
): FsmStep {
  const error = options.connected ? order.notification : undefined;
  const cause: EndCause =
    error === undefined ? { kind: "stopped", reason: order.reason } : { kind: "sent", error };
  const before: FsmAction[] = error === undefined ? [] : [{ type: "sendNotification", error }];
  if (options.restart) return fallBack(state, context, cause, before);
  const session = state.name === "Established" ? state.session : undefined;
  return {
    // Event 2 sets ConnectRetryCounter to zero.
    state: {
      ...fresh(state),
      name: "Idle",
      timers: noTimers,
      connectRetryCounter: 0,
      flaps: decayedFlaps(state, context.now),
    },
    actions: [...before, { type: "close", reset: false }, { type: "ended", cause, session }],
  };
}

/** RFC 4271 §6.6 with RFC 6608 §3: subcode by state, the message's type as data. */
export function fsmError(subcode: number, what: string, messageType?: number): BgpError {
  const data = messageType === undefined ? undefined : Uint8Array.of(messageType);
  return bgpError(ErrorCode.fsm, subcode, `unexpected ${what}`, data);
}

/** RFC 4271 §6.5. */
export function holdTimerError(): BgpError {
  return bgpError(ErrorCode.holdTimerExpired, 0, "hold timer expired");
}

/** RFC 9687 §5. */
export function sendHoldError(): BgpError {
  const reason = "send hold timer expired: the peer reads nothing";
  return bgpError(ErrorCode.sendHoldTimerExpired, 0, reason);
}

/** RFC 4271 §6.8. */
export function collisionError(): BgpError {
  const reason = "connection collision resolution";
  return bgpError(ErrorCode.cease, CeaseSubcode.collisionResolution, reason);
}

/** OPEN error "unsupported version": event 24, which is not held against the peer. */
function isVersionError({ code, subcode }: NotificationMessage): boolean {
  return code === ErrorCode.open && subcode === OpenSubcode.unsupportedVersion;
}

function isFlap(cause: EndCause): boolean {
  switch (cause.kind) {
    case "collision":
    case "replaced":
    case "stopped":
      return false;
    case "received": {
      const { code, subcode } = cause.notification;
      if (isVersionError(cause.notification)) return false;
      return code !== ErrorCode.cease || subcode !== CeaseSubcode.collisionResolution;
    }
    case "sent":
      return cause.error.code !== ErrorCode.cease;
    case "transport":
      return true;
  }
}

function fresh(state: FsmState): FsmState {
  return { ...state, establishedAt: undefined, session: undefined };
}
