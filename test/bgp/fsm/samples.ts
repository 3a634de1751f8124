/** Sample sessions, states and one event of each kind, for the state machine's tables. */
import type { FsmEvent } from "../../../src/bgp/fsm/events.ts";
import type { PeerAction } from "../../../src/bgp/fsm/peer-machine.ts";
import {
  type FsmAction,
  type FsmContext,
  type FsmState,
  type FsmTimers,
  idleState,
  noTimers,
} from "../../../src/bgp/fsm/state.ts";
import { CeaseSubcode, ErrorCode } from "../../../src/bgp/message/types.ts";
import type { FsmStateName } from "../../../src/bgp/types.ts";
import { negotiatedSession } from "../../support/negotiated-session.ts";

const NO_DATA = new Uint8Array(0);

export const gracefulRestart = {
  kind: "gracefulRestart",
  restarted: false,
  notification: false,
  restartSeconds: 120,
  families: [{ family: 4, forwardingPreserved: true }],
} as const;

/** The clock of the tables stands at 100,000 ms; jitter takes nothing off. */
export const NOW = 100_000;
export const context: FsmContext = { now: NOW, random: 0, settings: { passive: false } };

export function stateOf(name: FsmStateName, changes: Partial<FsmState> = {}): FsmState {
  const up = name === "OpenConfirm" || name === "Established";
  const timers: Readonly<Record<FsmStateName, Partial<FsmTimers>>> = {
    Idle: {},
    Connect: { connectRetry: NOW + 5_000 },
    Active: { connectRetry: NOW + 1_000 },
    OpenSent: { hold: NOW + 240_000 },
    OpenConfirm: { hold: NOW + 90_000, keepalive: NOW + 30_000 },
    Established: { hold: NOW + 90_000, keepalive: NOW + 30_000, sendHold: NOW + 480_000 },
  };
  return {
    ...idleState,
    name,
    timers: { ...noTimers, ...timers[name] },
    session: up ? negotiatedSession() : undefined,
    establishedAt: name === "Established" ? NOW - 10_000 : undefined,
    ...changes,
  };
}

export const orders = {
  shutdown: {
    reason: "administrative shutdown",
    notification: {
      code: ErrorCode.cease,
      subcode: CeaseSubcode.administrativeShutdown,
      data: NO_DATA,
      reason: "administrative shutdown",
    },
  },
  silent: { reason: "stopping", notification: undefined },
} as const;

/** One event of each kind; the type holds the table complete. */
export const events: { readonly [T in FsmEvent["type"]]: Extract<FsmEvent, { type: T }> } = {
  manualStart: { type: "manualStart", delayMs: 0 },
  manualStop: { type: "manualStop", order: orders.shutdown },
  automaticStart: { type: "automaticStart", delayMs: 200 },
  automaticStop: { type: "automaticStop", order: orders.shutdown },
  connectRetryTimerExpires: { type: "connectRetryTimerExpires" },
  holdTimerExpires: { type: "holdTimerExpires" },
  keepaliveTimerExpires: { type: "keepaliveTimerExpires" },
  idleHoldTimerExpires: { type: "idleHoldTimerExpires" },
  sendHoldTimerExpires: { type: "sendHoldTimerExpires" },
  tcpConnected: { type: "tcpConnected" },
  tcpFails: { type: "tcpFails", reason: "reset" },
  openReceived: { type: "openReceived", session: negotiatedSession() },
  headerError: {
    type: "headerError",
    error: { code: 1, subcode: 2, data: NO_DATA, reason: "bad length" },
  },
  openError: { type: "openError", error: { code: 2, subcode: 2, data: NO_DATA, reason: "bad AS" } },
  openCollisionDump: { type: "openCollisionDump" },
  notificationReceived: {
    type: "notificationReceived",
    notification: { code: 3, subcode: 1, data: NO_DATA },
    reason: "UPDATE Message Error",
  },
  keepaliveReceived: { type: "keepaliveReceived" },
  updateReceived: { type: "updateReceived" },
  updateError: {
    type: "updateError",
    error: { code: 3, subcode: 1, data: NO_DATA, reason: "malformed" },
  },
  routeRefreshReceived: { type: "routeRefreshReceived" },
  messagesSent: { type: "messagesSent" },
  sendProgress: { type: "sendProgress" },
};

/** Actions in a few letters: `notify 6/2, close, ended sent`. */
export function brief(actions: readonly (FsmAction | PeerAction)[]): string {
  return actions.map(briefAction).join(", ");
}

function briefAction(action: FsmAction | PeerAction): string {
  const number = "connection" in action && action.connection !== undefined;
  const at = number ? `#${action.connection}` : "";
  switch (action.type) {
    case "sendOpen":
      return `OPEN${at}`;
    case "sendKeepalive":
      return `KEEPALIVE${at}`;
    case "sendNotification":
      return `notify${at} ${action.error.code}/${action.error.subcode}`;
    case "close":
      return `${action.reset ? "reset" : "close"}${at}`;
    case "ended":
      return `ended${at} ${action.cause.kind}${action.session === undefined ? "" : " session"}`;
    case "established":
    case "dial":
    case "adopt":
    case "refuse":
      return `${action.type}${at}`;
  }
}

/** Running timers, relative to now: `hold+90000 keepalive+30000`. */
export function briefTimers(timers: FsmTimers, now = NOW): string {
  return Object.entries(timers)
    .filter(([, at]) => at !== undefined)
    .map(([name, at]) => `${name}+${(at as number) - now}`)
    .join(" ");
}
