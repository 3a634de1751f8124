/** The machine's timers, with Node's own put aside. */
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { systemClock } from "../../src/runtime/system-clock.ts";

/** The longest that setTimeout takes. */
const PART_MS = 0x7fff_ffff;

test("a timer of months runs at its time, not before, and can be cancelled at any time", (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const ran: string[] = [];
  const set = (name: string, delayMs: number) => systemClock.after(delayMs, () => ran.push(name));
  set("one part", PART_MS);
  set("a little more", PART_MS + 5);
  set("long", 3 * PART_MS + 5);
  set("cancelled at once", 3 * PART_MS).cancel();
  const cancelled = set("cancelled later", 3 * PART_MS);
  const after = (ms: number) => {
    mock.timers.tick(ms);
    return ran.splice(0);
  };
  assert.deepEqual(after(PART_MS - 1), []);
  assert.deepEqual(after(1), ["one part"]);
  assert.deepEqual(after(4), []);
  assert.deepEqual(after(1), ["a little more"]);
  cancelled.cancel();
  assert.deepEqual(after(PART_MS - 5), []);
  assert.deepEqual(after(PART_MS), []);
  assert.deepEqual(after(4), []);
  assert.deepEqual(after(1), ["long"]);
});
