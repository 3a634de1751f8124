/** What malloc keeps is given back for as long as the agent runs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { trimNowAndThen } from "../../src/agent/trim.ts";
import { FakeClock } from "../support/fake-clock.ts";

test("memory is given back at once, and a few times an hour from then on", () => {
  const clock = new FakeClock();
  const at: number[] = [];
  trimNowAndThen(clock, () => void at.push(clock.now()));
  assert.equal(at.length, 1);
  for (let minute = 0; minute < 120; minute++) clock.advance(60_000);
  assert.equal(at.length, 9);
  assert.equal(at.at(-1)! - at[0]!, 120 * 60_000);
  assert.equal(clock.pendingCount, 1);
});
