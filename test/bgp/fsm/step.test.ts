/** RFC 4271 §8.2.2 as tables: every event in every state. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FsmEvent } from "../../../src/bgp/fsm/events.ts";
import type { FsmState } from "../../../src/bgp/fsm/state.ts";
import { dueTimer, step } from "../../../src/bgp/fsm/step.ts";
import type { FsmStateName } from "../../../src/bgp/types.ts";
import { negotiatedSession } from "../../support/negotiated-session.ts";
import { brief, briefTimers, context, events, NOW, stateOf } from "./samples.ts";

/** `state | actions | timers`; "same" = nothing happens. */
type Table = { readonly [T in FsmEvent["type"]]: string };

const retry = "connectRetry+1000";

const tables: Readonly<Record<FsmStateName, Table>> = {
  Idle: {
    manualStart: "Connect | dial | connectRetry+5000",
    automaticStart: "Active |  | connectRetry+200",
    idleHoldTimerExpires: `Active |  | ${retry}`,
    manualStop: "same",
    automaticStop: "same",
    tcpConnected: "Idle | reset | ",
    connectRetryTimerExpires: "same",
    holdTimerExpires: "same",
    keepaliveTimerExpires: "same",
    sendHoldTimerExpires: "same",
    tcpFails: "same",
    openReceived: "same",
    headerError: "same",
    openError: "same",
    openCollisionDump: "same",
    notificationReceived: "same",
    keepaliveReceived: "same",
    updateReceived: "same",
    updateError: "same",
    routeRefreshReceived: "same",
    messagesSent: "same",
    sendProgress: "same",
  },
  Connect: {
    manualStart: "same",
    automaticStart: "same",
    messagesSent: "same",
    sendProgress: "same",
    manualStop: "Idle | close, ended stopped | ",
    automaticStop: `Active | close, ended stopped | ${retry}`,
    connectRetryTimerExpires: "Connect | reset, ended transport, dial | connectRetry+5000",
    tcpConnected: "OpenSent | OPEN | hold+240000",
    tcpFails: `Active | close, ended transport | ${retry}`,
    headerError: `Active | close, ended sent | ${retry}`,
    openError: `Active | close, ended sent | ${retry}`,
    updateError: `Active | close, ended sent | ${retry}`,
    notificationReceived: `Active | close, ended received | ${retry}`,
    openCollisionDump: `Active | close, ended collision | ${retry}`,
    holdTimerExpires: `Active | close, ended sent | ${retry}`,
    keepaliveTimerExpires: `Active | close, ended sent | ${retry}`,
    idleHoldTimerExpires: `Active | close, ended sent | ${retry}`,
    sendHoldTimerExpires: `Active | close, ended sent | ${retry}`,
    openReceived: `Active | close, ended sent | ${retry}`,
    keepaliveReceived: `Active | close, ended sent | ${retry}`,
    updateReceived: `Active | close, ended sent | ${retry}`,
    routeRefreshReceived: `Active | close, ended sent | ${retry}`,
  },
  Active: {
    manualStart: "same",
    automaticStart: "same",
    messagesSent: "same",
    sendProgress: "same",
    manualStop: "Idle | close, ended stopped | ",
    automaticStop: `Active | close, ended stopped | ${retry}`,
    connectRetryTimerExpires: "Connect | dial | connectRetry+5000",
    tcpConnected: "OpenSent | OPEN | hold+240000",
    tcpFails: `Active | close, ended transport | ${retry}`,
    headerError: `Active | close, ended sent | ${retry}`,
    openError: `Active | close, ended sent | ${retry}`,
    updateError: `Active | close, ended sent | ${retry}`,
    notificationReceived: `Active | close, ended received | ${retry}`,
    openCollisionDump: `Active | close, ended collision | ${retry}`,
    holdTimerExpires: `Active | close, ended sent | ${retry}`,
    keepaliveTimerExpires: `Active | close, ended sent | ${retry}`,
    idleHoldTimerExpires: `Active | close, ended sent | ${retry}`,
    sendHoldTimerExpires: `Active | close, ended sent | ${retry}`,
    openReceived: `Active | close, ended sent | ${retry}`,
    keepaliveReceived: `Active | close, ended sent | ${retry}`,
    updateReceived: `Active | close, ended sent | ${retry}`,
    routeRefreshReceived: `Active | close, ended sent | ${retry}`,
  },
  OpenSent: {
    manualStart: "same",
    automaticStart: "same",
    tcpConnected: "same",
    messagesSent: "same",
    sendProgress: "same",
    manualStop: "Idle | notify 6/2, close, ended sent | ",
    automaticStop: `Active | notify 6/2, close, ended sent | ${retry}`,
    holdTimerExpires: `Active | notify 4/0, close, ended sent | ${retry}`,
    tcpFails: `Active | close, ended transport | ${retry}`,
    openReceived: "OpenConfirm | KEEPALIVE | hold+90000 keepalive+22500",
    headerError: `Active | notify 1/2, close, ended sent | ${retry}`,
    openError: `Active | notify 2/2, close, ended sent | ${retry}`,
    updateError: `Active | notify 3/1, close, ended sent | ${retry}`,
    openCollisionDump: `Active | notify 6/7, close, ended collision | ${retry}`,
    notificationReceived: `Active | close, ended received | ${retry}`,
    keepaliveReceived: `Active | notify 5/1, close, ended sent | ${retry}`,
    updateReceived: `Active | notify 5/1, close, ended sent | ${retry}`,
    routeRefreshReceived: `Active | notify 5/1, close, ended sent | ${retry}`,
    connectRetryTimerExpires: `Active | notify 5/0, close, ended sent | ${retry}`,
    keepaliveTimerExpires: `Active | notify 5/0, close, ended sent | ${retry}`,
    idleHoldTimerExpires: `Active | notify 5/0, close, ended sent | ${retry}`,
    sendHoldTimerExpires: `Active | notify 5/0, close, ended sent | ${retry}`,
  },
  OpenConfirm: {
    manualStart: "same",
    automaticStart: "same",
    tcpConnected: "same",
    messagesSent: "same",
    sendProgress: "same",
    manualStop: "Idle | notify 6/2, close, ended sent | ",
    automaticStop: `Active | notify 6/2, close, ended sent | ${retry}`,
    holdTimerExpires: `Active | notify 4/0, close, ended sent | ${retry}`,
    keepaliveTimerExpires: "OpenConfirm | KEEPALIVE | hold+90000 keepalive+22500",
    tcpFails: `Active | close, ended transport | ${retry}`,
    notificationReceived: `Active | close, ended received | ${retry}`,
    headerError: `Active | notify 1/2, close, ended sent | ${retry}`,
    openError: `Active | notify 2/2, close, ended sent | ${retry}`,
    updateError: `Active | notify 3/1, close, ended sent | ${retry}`,
    openReceived: "same",
    openCollisionDump: `Active | notify 6/7, close, ended collision | ${retry}`,
    keepaliveReceived: "Established | established | hold+90000 keepalive+30000 sendHold+480000",
    updateReceived: `Active | notify 5/2, close, ended sent | ${retry}`,
    routeRefreshReceived: `Active | notify 5/2, close, ended sent | ${retry}`,
    connectRetryTimerExpires: `Active | notify 5/0, close, ended sent | ${retry}`,
    idleHoldTimerExpires: `Active | notify 5/0, close, ended sent | ${retry}`,
    sendHoldTimerExpires: `Active | notify 5/0, close, ended sent | ${retry}`,
  },
  Established: {
    manualStart: "same",
    automaticStart: "same",
    tcpConnected: "same",
    updateReceived: "Established |  | hold+90000 keepalive+30000 sendHold+480000",
    keepaliveReceived: "Established |  | hold+90000 keepalive+30000 sendHold+480000",
    routeRefreshReceived: "Established |  | hold+90000 keepalive+30000 sendHold+480000",
    messagesSent: "Established |  | hold+90000 keepalive+22500 sendHold+480000",
    sendProgress: "Established |  | hold+90000 keepalive+30000 sendHold+480000",
    keepaliveTimerExpires: "Established | KEEPALIVE | hold+90000 keepalive+22500 sendHold+480000",
    manualStop: "Idle | notify 6/2, close, ended sent session | ",
    automaticStop: `Active | notify 6/2, close, ended sent session | ${retry}`,
    holdTimerExpires: `Active | notify 4/0, close, ended sent session | ${retry}`,
    sendHoldTimerExpires: `Active | notify 8/0, reset, ended sent session | ${retry}`,
    tcpFails: `Active | close, ended transport session | ${retry}`,
    notificationReceived: `Active | close, ended received session | ${retry}`,
    updateError: `Active | notify 3/1, close, ended sent session | ${retry}`,
    openError: `Active | notify 2/2, close, ended sent session | ${retry}`,
    headerError: `Active | notify 1/2, close, ended sent session | ${retry}`,
    openCollisionDump: `Active | notify 6/7, close, ended collision session | ${retry}`,
    openReceived: `Active | notify 5/3, close, ended sent session | ${retry}`,
    connectRetryTimerExpires: `Active | notify 5/0, close, ended sent session | ${retry}`,
    idleHoldTimerExpires: `Active | notify 5/0, close, ended sent session | ${retry}`,
  },
};

for (const [name, table] of Object.entries(tables)) {
  test(`${name}: every event`, () => {
    for (const [type, expected] of Object.entries(table)) {
      const before = stateOf(name as FsmStateName);
      const { state, actions } = step(before, events[type as FsmEvent["type"]], context);
      const got = `${state.name} | ${brief(actions)} | ${briefTimers(state.timers)}`;
      const same = `${name} |  | ${briefTimers(before.timers)}`;
      assert.equal(got, expected === "same" ? same : expected, `${name} + ${type}`);
    }
  });
}

test("the FSM error's data is the type of the unexpected message (RFC 6608 §3)", () => {
  const cases = [
    ["OpenSent", "updateReceived", 2],
    ["OpenSent", "keepaliveReceived", 4],
    ["OpenConfirm", "updateReceived", 2],
    ["Established", "openReceived", 1],
    ["OpenConfirm", "routeRefreshReceived", 5],
  ] as const;
  for (const [name, type, messageType] of cases) {
    const { actions } = step(stateOf(name), events[type], context);
    const sent = actions.find((action) => action.type === "sendNotification");
    assert.deepEqual(sent?.error.data, Uint8Array.of(messageType), `${name} + ${type}`);
  }
});

test("OpenConfirm: a repeated OPEN is passed over, another one is an error (RFC 6608 §3)", () => {
  const confirmed = stateOf("OpenConfirm");
  const again = (change: Parameters<typeof negotiatedSession>[0]) =>
    step(confirmed, { type: "openReceived", session: negotiatedSession(change) }, context);
  assert.deepEqual(again({}), { state: confirmed, actions: [] }, "no timer is run anew");
  for (const other of [
    { remoteRouterId: 1 },
    { holdSeconds: 3 },
    { remoteCapabilities: [{ kind: "routeRefresh" }] },
    { remoteCapabilities: [{ kind: "unknown", code: 99, value: Uint8Array.of(1) }] },
  ] as const) {
    const { state, actions } = again(other);
    const sent = actions.find((action) => action.type === "sendNotification");
    assert.deepEqual([state.name, sent?.error.code, sent?.error.subcode], ["Active", 5, 2]);
    assert.deepEqual(sent?.error.data, Uint8Array.of(1));
  }
});

test("hold time zero runs no timer (RFC 4271 §4.2, §4.4; RFC 9687 §4.3)", () => {
  const session = negotiatedSession({ holdSeconds: 0, keepaliveSeconds: 0 });
  const confirmed = step(stateOf("OpenSent"), { type: "openReceived", session }, context);
  // But that which bounds the wait for the first KEEPALIVE.
  assert.equal(briefTimers(confirmed.state.timers), "hold+240000");
  const up = step(confirmed.state, events.keepaliveReceived, context);
  assert.equal(up.state.name, "Established");
  for (const event of [events.updateReceived, events.messagesSent, events.sendProgress]) {
    assert.equal(briefTimers(step(up.state, event, context).state.timers), "");
  }
});

test("keepalive jitter lies between three quarters and all of the interval (§10)", () => {
  for (const [random, expected] of [
    [0, 22_500],
    [0.5, 26_250],
    [0.999, 29_992.5],
  ] as const) {
    const { state } = step(stateOf("Established"), events.messagesSent, { ...context, random });
    assert.ok(Math.abs(state.timers.keepalive! - NOW - expected) < 1);
  }
});

test("KEEPALIVEs are at most one a second, however short the hold time (RFC 4271 §4.4)", () => {
  for (const [keepaliveSeconds, random, expected] of [
    [1, 0, 1_000],
    [1, 0.999, 1_000],
    [2, 0, 1_500],
  ] as const) {
    const session = negotiatedSession({ holdSeconds: 3 * keepaliveSeconds, keepaliveSeconds });
    const at = (state: FsmState) => state.timers.keepalive! - NOW;
    const jittered = { ...context, random };
    const confirmed = step(stateOf("OpenSent"), { type: "openReceived", session }, jittered);
    assert.equal(at(confirmed.state), expected);
    for (const event of [events.messagesSent, events.keepaliveTimerExpires]) {
      assert.equal(at(step(stateOf("Established", { session }), event, jittered).state), expected);
    }
  }
});

test("the send hold time is the greater of 8 minutes and twice the hold time (RFC 9687 §6)", () => {
  for (const [holdSeconds, sendHoldMs] of [
    [3, 480_000],
    [240, 480_000],
    [241, 482_000],
    [600, 1_200_000],
  ] as const) {
    const session = negotiatedSession({ holdSeconds });
    const { state } = step(stateOf("Established", { session }), events.sendProgress, context);
    assert.equal(state.timers.sendHold, NOW + sendHoldMs);
  }
});

test("a passive peer is never dialled", () => {
  const passive = { ...context, settings: { passive: true } };
  for (const [name, type] of [
    ["Idle", "manualStart"],
    ["Idle", "automaticStart"],
    ["Idle", "idleHoldTimerExpires"],
    ["OpenSent", "tcpFails"],
    ["Established", "tcpFails"],
    ["Established", "notificationReceived"],
  ] as const) {
    const { state, actions } = step(stateOf(name), events[type], passive);
    assert.equal(state.name, "Active");
    assert.equal(briefTimers(state.timers), "");
    assert.ok(!brief(actions).includes("dial"));
  }
});

test("dueTimer names each expired timer, hold first, and nothing before its time", () => {
  const state = stateOf("Established");
  assert.equal(dueTimer(state, NOW + 29_999), undefined);
  assert.equal(dueTimer(state, NOW + 30_000)?.type, "keepaliveTimerExpires");
  assert.equal(dueTimer(state, NOW + 90_000)?.type, "holdTimerExpires");
  assert.equal(dueTimer(stateOf("Active"), NOW + 1_000)?.type, "connectRetryTimerExpires");
  const held = stateOf("Idle");
  const waiting = { ...held, timers: { ...held.timers, idleHold: NOW } };
  assert.equal(dueTimer(waiting, NOW)?.type, "idleHoldTimerExpires");
  const stuck = { ...state, timers: { ...state.timers, hold: undefined, keepalive: undefined } };
  assert.equal(dueTimer(stuck, NOW + 480_000)?.type, "sendHoldTimerExpires");
});
