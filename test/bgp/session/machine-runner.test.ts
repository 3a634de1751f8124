/** Time as a session keeps it: lazy timers, a common grid, and a process that stood still. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PeerAction } from "../../../src/bgp/fsm/peer-machine.ts";
import { coarseTimers, MachineRunner } from "../../../src/bgp/session/machine-runner.ts";
import type { Transport } from "../../../src/bgp/session/transport.ts";
import type { FsmStateName } from "../../../src/bgp/types.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { negotiatedSession } from "../../support/negotiated-session.ts";
import { events } from "../fsm/samples.ts";

class Owner {
  readonly passive = false;
  readonly local = { as: 64512, routerId: 1 };
  readonly log: string[] = [];
  ticks = 0;

  act(action: PeerAction): void {
    this.log.push(action.type);
  }

  beforeTick(): void {
    this.ticks++;
  }

  stateChanged(_from: FsmStateName, to: FsmStateName): void {
    this.log.push(`-> ${to}`);
  }
}

function established(clock = new FakeClock(), random = () => 0.5, coarse = coarseTimers(clock)) {
  const deferred: (() => void)[] = [];
  const transport = { afterInput: (callback: () => void) => void deferred.push(callback) };
  const owner = new Owner();
  const services = { clock, coarse, random, transport: transport as Transport };
  const runner = new MachineRunner(services, owner);
  runner.step({ type: "order", event: events.manualStart });
  runner.on(1, events.tcpConnected);
  runner.on(1, { type: "openReceived", session: negotiatedSession() });
  runner.on(1, events.keepaliveReceived);
  assert.equal(runner.state, "Established");
  owner.log.length = 0;
  return { clock, owner, runner, deferred };
}

test("messages move the hold timer without setting a timer for each", () => {
  const { clock, owner, runner } = established();
  let timers = 0;
  const after = clock.after.bind(clock);
  clock.after = (delayMs, callback) => {
    timers++;
    return after(delayMs, callback);
  };
  for (let i = 0; i < 1_000; i++) {
    runner.received(1, events.updateReceived, clock.now());
    clock.advance(100);
  }
  assert.equal(runner.state, "Established");
  assert.ok(timers <= 5, `${timers} timers in 100 s`);
  assert.equal(owner.log.join(" "), "sendKeepalive sendKeepalive sendKeepalive");
});

test("the hold timer is exact to half a second and never early", () => {
  const { clock, runner } = established();
  clock.advance(89_999);
  assert.equal(runner.state, "Established");
  clock.advance(501);
  assert.equal(runner.state, "Active");
});

test("the hold time counts from the last message, whenever the machine is told of it", () => {
  const { clock, owner, runner } = established();
  clock.advance(40_250);
  runner.received(1, events.updateReceived, clock.now());
  clock.advance(89_999);
  assert.equal(runner.state, "Established");
  clock.advance(501);
  assert.equal(runner.state, "Active");
  assert.match(owner.log.join(" "), /sendNotification close ended/);
});

test("what was sent puts the next KEEPALIVE off; silence brings it", () => {
  const { clock, owner, runner } = established();
  for (let i = 0; i < 20; i++) {
    clock.advance(10_000);
    runner.received(1, events.updateReceived, clock.now());
    runner.sent(1);
  }
  assert.deepEqual(owner.log, []);
  clock.advance(22_499);
  assert.deepEqual(owner.log, []);
  clock.advance(8_001);
  assert.deepEqual(owner.log, ["sendKeepalive"]);
});

test("what came and went on a connection that is gone counts for no other", () => {
  const { clock, runner } = established();
  clock.advance(1_000);
  runner.received(1, events.updateReceived, clock.now());
  runner.sent(1);
  runner.on(1, events.tcpFails);
  assert.equal(runner.state, "Active");
  runner.received(1, events.updateReceived, clock.now());
  runner.sent(1);
  clock.advance(5_000);
  assert.notEqual(runner.state, "Established");
  assert.notEqual(runner.mainConnection, 1);
});

test("timers of idle sessions fall together", () => {
  const clock = new FakeClock();
  let chance = 0;
  const random = () => {
    chance = (chance + 0.0137) % 1;
    return chance;
  };
  const sessions = Array.from({ length: 100 }, () => established(clock, random));
  const moments = new Set<number>();
  const until = clock.now() + 40_000;
  while (clock.now() < until) {
    clock.advance(clock.nextDelayMs ?? 1);
    moments.add(clock.now());
  }
  assert.ok(sessions.every(({ owner }) => owner.ticks >= 1));
  assert.ok(moments.size <= 40, `woken ${moments.size} times for 100 sessions`);
});

test("what is left of a long interval is put on the grid too", () => {
  const { clock, owner, runner } = established();
  const start = clock.now();
  // The timer of the first KEEPALIVE runs at 26.5 s and finds that another is due soon.
  clock.advance(5_130);
  runner.sent(1);
  clock.advance(26_369);
  assert.deepEqual(owner.log, []);
  clock.advance(1);
  assert.deepEqual([clock.now() - start, owner.log.join()], [31_500, "sendKeepalive"]);
});

test("short intervals are not put on the grid", () => {
  // Between two steps of it.
  const clock = new FakeClock(40_000_130);
  const owner = new Owner();
  const transport = { afterInput() {} } as unknown as Transport;
  const coarse = coarseTimers(clock);
  const runner = new MachineRunner({ clock, coarse, random: () => 0, transport }, owner);
  runner.step({ type: "order", event: events.manualStart });
  runner.on(1, events.tcpConnected);
  const session = negotiatedSession({ holdSeconds: 3, keepaliveSeconds: 1 });
  runner.on(1, { type: "openReceived", session });
  runner.on(1, events.keepaliveReceived);
  owner.log.length = 0;
  clock.advance(999);
  assert.deepEqual(owner.log, []);
  clock.advance(1);
  assert.deepEqual(owner.log, ["sendKeepalive"]);
});

test("a process that stood still reads what came in before it judges the peer", () => {
  const { clock, runner, deferred } = established();
  // The clock jumps: the timer of the first KEEPALIVE runs 100 s late.
  const now = clock.now.bind(clock);
  let jump = 0;
  clock.now = () => now() + jump;
  jump = 100_000;
  clock.advance(30_500);
  assert.equal(runner.state, "Established", "nothing is judged in the late timer itself");
  assert.equal(deferred.length, 1);
  runner.received(1, events.keepaliveReceived, clock.now());
  deferred.shift()!();
  assert.equal(runner.state, "Established");
  clock.advance(95_000);
  assert.notEqual(runner.state, "Established", "silence after that is silence");
});

test("a late timer leaves no second one, where the machine ended and began meanwhile", () => {
  const { clock, owner, runner, deferred } = established();
  const now = clock.now.bind(clock);
  clock.now = () => now() + 100_000;
  clock.advance(30_500);
  assert.equal(deferred.length, 1);
  runner.step({ type: "order", event: events.manualStop });
  runner.step({ type: "order", event: events.manualStart });
  deferred.shift()!();
  assert.equal(clock.pendingCount, 1);
  owner.ticks = 0;
  clock.advance(5_000);
  assert.equal(owner.ticks, 1);
});
