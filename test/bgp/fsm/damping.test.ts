/** Back-off of dialling, and the idle hold of peers that come and go. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FsmState } from "../../../src/bgp/fsm/state.ts";
import { step } from "../../../src/bgp/fsm/step.ts";
import {
  CONNECT_RETRY_FIRST_MS,
  FLAP_DECAY_MS,
  IDLE_HOLD_GRACEFUL_MAX_MS,
  IDLE_HOLD_MAX_MS,
} from "../../../src/bgp/fsm/timing.ts";
import type { NegotiatedSession } from "../../../src/bgp/message/types.ts";
import { CONVERGED_ABSENT_MS } from "../../../src/bgp/speaker/limits.ts";
import { negotiatedSession } from "../../support/negotiated-session.ts";
import { context, events, gracefulRestart, NOW, stateOf } from "./samples.ts";

/** Establishes from Active or Idle, stays up for `upMs`, fails; gives the state after it. */
function flap(
  state: FsmState,
  now: number,
  upMs: number,
  session: Partial<NegotiatedSession> = {},
): FsmState {
  let next: FsmState = { ...state, name: "Active" };
  for (const event of [
    events.tcpConnected,
    { type: "openReceived", session: negotiatedSession(session) } as const,
    events.keepaliveReceived,
  ]) {
    next = step(next, event, { ...context, now }).state;
  }
  assert.equal(next.name, "Established");
  return step(next, events.tcpFails, { ...context, now: now + upMs }).state;
}

test("idle hold: nothing at first, then doubling to the limit; Established forgives nothing", () => {
  let state = stateOf("Active");
  let now = NOW;
  const holds: number[] = [];
  for (let i = 0; i < 12; i++) {
    state = flap(state, now, 100);
    now += 100;
    holds.push(state.timers.idleHold === undefined ? 0 : state.timers.idleHold - now);
    assert.equal(state.name, state.timers.idleHold === undefined ? "Active" : "Idle");
  }
  assert.deepEqual(holds, [
    0,
    1000,
    2000,
    4000,
    8000,
    16_000,
    32_000,
    64_000,
    ...Array(4).fill(IDLE_HOLD_MAX_MS),
  ]);
});

test("a peer in a crash loop whose routes are kept is held off for seconds, not for minutes", () => {
  let state = stateOf("Active");
  const holds: number[] = [];
  for (let i = 0; i < 12; i++) {
    state = flap(state, NOW, 100, { gracefulRestart });
    holds.push((state.timers.idleHold ?? NOW + 100) - NOW - 100);
  }
  assert.deepEqual(holds, [0, 1000, 2000, ...Array(9).fill(IDLE_HOLD_GRACEFUL_MAX_MS)]);
  // It dials when the hold is over, or is dialled: long before anybody gives up a route.
  assert.ok(IDLE_HOLD_GRACEFUL_MAX_MS + 2 * CONNECT_RETRY_FIRST_MS < CONVERGED_ABSENT_MS / 2);
});

test("… but not one that says malformed things, though its routes are kept (RFC 8538)", () => {
  const both = { ...gracefulRestart, notification: true } as const;
  const session = negotiatedSession({ gracefulRestart: both, localCapabilities: [both] });
  const flapping = stateOf("Established", { flaps: 7, session });
  const { state } = step(flapping, events.updateError, context);
  assert.equal(state.timers.idleHold, NOW + 64_000);
});

test("staying up forgives one flap a minute", () => {
  let state = stateOf("Active");
  for (let i = 0; i < 5; i++) state = flap(state, NOW, 100);
  assert.equal(state.flaps, 5);
  assert.equal(flap(state, NOW, FLAP_DECAY_MS - 1).flaps, 6);
  assert.equal(flap(state, NOW, FLAP_DECAY_MS).flaps, 5);
  assert.equal(flap(state, NOW, 3 * FLAP_DECAY_MS).flaps, 3);
  const forgiven = flap(state, NOW, 10 * FLAP_DECAY_MS);
  assert.equal(forgiven.flaps, 1);
  assert.equal(forgiven.name, "Active");
});

test("malformed messages after Established count: the reconnect storm ends in long holds", () => {
  let state = stateOf("Established");
  for (let i = 0; i < 8; i++) {
    state = step(
      { ...stateOf("Established"), flaps: state.flaps },
      events.updateError,
      context,
    ).state;
  }
  assert.equal(state.name, "Idle");
  assert.equal(state.timers.idleHold, NOW + 64_000);
});

test("refused OPENs count too", () => {
  let state = stateOf("OpenSent");
  for (let i = 0; i < 3; i++) {
    state = step({ ...stateOf("OpenSent"), flaps: state.flaps }, events.openError, context).state;
  }
  assert.equal(state.timers.idleHold, NOW + 2000);
});

test("whatever a peer ends the session for counts, also when it says why", () => {
  // Each shares one number with what does not count: an unsupported version, a collision.
  for (const [code, subcode] of [
    [2, 7],
    [3, 1],
    [3, 7],
    [4, 0],
    [6, 2],
  ] as const) {
    const notification = { code, subcode, data: new Uint8Array(0) };
    const event = { ...events.notificationReceived, notification };
    const { state } = step(stateOf("Established", { flaps: 5 }), event, context);
    assert.deepEqual([state.name, state.flaps], ["Idle", 6], `${code}/${subcode}`);
  }
});

test("what is no fault of the peer is not held against it", () => {
  const flapping = stateOf("Established", { flaps: 5 });
  const collided = {
    ...events.notificationReceived,
    notification: { code: 6, subcode: 7, data: new Uint8Array(0) },
  };
  const wrongVersion = {
    ...events.notificationReceived,
    notification: { code: 2, subcode: 1, data: new Uint8Array(0) },
  };
  for (const event of [events.openCollisionDump, events.automaticStop, collided, wrongVersion]) {
    const { state } = step(flapping, event, context);
    assert.deepEqual([state.name, state.flaps], ["Active", 5], event.type);
  }
});

test("jitter shortens a delay by at most a quarter", () => {
  for (const random of [0, 0.3, 0.999]) {
    const { state } = step(stateOf("Connect"), events.tcpFails, { ...context, random });
    const delay = state.timers.connectRetry! - NOW;
    assert.ok(delay > 750 && delay <= 1000, `${delay}`);
    const held = step(stateOf("Established", { flaps: 5 }), events.tcpFails, {
      ...context,
      random,
    });
    const hold = held.state.timers.idleHold! - NOW;
    assert.ok(hold > 12_000 && hold <= 16_000, `${hold}`);
  }
});

test("dialling backs off to half a minute and starts anew after a session", () => {
  let state = stateOf("Active");
  let now = NOW;
  const delays: number[] = [];
  for (let i = 0; i < 8; i++) {
    state = step(state, events.connectRetryTimerExpires, { ...context, now }).state;
    assert.equal(state.name, "Connect");
    state = step(state, events.tcpFails, { ...context, now }).state;
    delays.push(state.timers.connectRetry! - now);
    now = state.timers.connectRetry!;
  }
  assert.deepEqual(delays, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  assert.equal(flap(state, now, 100).timers.connectRetry! - now - 100, 1000);
});

test("dialling backs off also from a peer that answers, and is not damped", () => {
  const notification = { code: 2, subcode: 1, data: new Uint8Array(0) };
  const wrongVersion = { ...events.notificationReceived, notification };
  let state = stateOf("OpenSent");
  const delays: number[] = [];
  for (let i = 0; i < 4; i++) {
    state = step({ ...state, name: "OpenSent" }, wrongVersion, context).state;
    delays.push(state.timers.connectRetry! - NOW);
  }
  assert.deepEqual(delays, [1000, 2000, 4000, 8000]);
});

test("an unanswered dial is given up after five seconds, later ones after the back-off", () => {
  let state = step(stateOf("Idle"), events.manualStart, context).state;
  const timeouts: number[] = [];
  let now = NOW;
  for (let i = 0; i < 6; i++) {
    timeouts.push(state.timers.connectRetry! - now);
    now = state.timers.connectRetry!;
    state = step(state, events.connectRetryTimerExpires, { ...context, now }).state;
  }
  assert.deepEqual(timeouts, [5000, 5000, 5000, 8000, 16_000, 30_000]);
});

test("a stop in the idle hold ends it; only a start begins again", () => {
  const idle = stateOf("Idle");
  const held = { ...idle, flaps: 5, timers: { ...idle.timers, idleHold: NOW + 9000 } };
  const stopped = step(held, events.manualStop, context).state;
  assert.equal(stopped.timers.idleHold, undefined);
  assert.equal(stopped.flaps, 5);
  assert.equal(step(stopped, events.manualStart, context).state.name, "Connect");
});
