/** Timers on a grid: together, never early, and gone when they are cancelled. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CoarseTimers } from "../../src/runtime/coarse-timers.ts";
import { FakeClock } from "../support/fake-clock.ts";

const STEP_MS = 500;

test("timers of one step share one timer of the clock", () => {
  const clock = new FakeClock(100);
  const timers = new CoarseTimers(clock, STEP_MS);
  const ran: number[] = [];
  for (const at of [501, 700, 1000, 1001]) timers.at(at, () => ran.push(at));
  assert.equal(clock.pendingCount, 2);
  clock.advance(899);
  assert.deepEqual(ran, []);
  clock.advance(1);
  assert.deepEqual(ran, [501, 700, 1000]);
  clock.advance(500);
  assert.deepEqual(ran, [501, 700, 1000, 1001]);
  assert.equal(clock.pendingCount, 0);
});

test("a step that nobody waits for any more leaves no timer behind", () => {
  const clock = new FakeClock();
  const timers = new CoarseTimers(clock, STEP_MS);
  const one = timers.at(10, () => assert.fail("cancelled"));
  const two = timers.at(20, () => assert.fail("cancelled"));
  one.cancel();
  assert.equal(clock.pendingCount, 1);
  two.cancel();
  two.cancel();
  assert.equal(clock.pendingCount, 0);
  let ran = 0;
  timers.at(30, () => ran++);
  clock.advance(STEP_MS);
  assert.equal(ran, 1);
});

test("one timer of a step may cancel another, and set one for the same moment", () => {
  const clock = new FakeClock();
  const timers = new CoarseTimers(clock, STEP_MS);
  const ran: string[] = [];
  const first = timers.at(1, () => {
    ran.push("first");
    second.cancel();
    timers.at(1, () => ran.push("again"));
    first.cancel();
  });
  const second = timers.at(1, () => ran.push("second"));
  clock.advance(STEP_MS);
  clock.advance(1);
  assert.deepEqual(ran, ["first", "again"]);
  assert.equal(clock.pendingCount, 0);
});

test("each timer runs once, at its step, unless it was cancelled before", () => {
  const order = fc.record({
    at: fc.double({ min: 0, max: 5000, noNaN: true }),
    cancel: fc.nat(6000),
  });
  fc.assert(
    fc.property(fc.array(order, { maxLength: 30 }), (orders) => {
      const clock = new FakeClock(0);
      const timers = new CoarseTimers(clock, STEP_MS);
      const ran = new Map<number, number>();
      for (const [index, { at, cancel }] of orders.entries()) {
        const timer = timers.at(at, () => ran.set(index, clock.now()));
        if (cancel % 2 === 0) clock.after(cancel + 0.5, () => timer.cancel());
      }
      clock.advance(6001);
      for (const [index, { at, cancel }] of orders.entries()) {
        const step = Math.ceil(at / STEP_MS) * STEP_MS;
        const cancelled = cancel % 2 === 0 && cancel + 0.5 < step;
        assert.equal(ran.get(index), cancelled ? undefined : step);
      }
      assert.equal(clock.pendingCount, 0);
    }),
  );
});
