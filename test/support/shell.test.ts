/** What other tests wait with. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { slowness, until } from "./shell.ts";

const never = () => false as const;

test("on a quiet machine a wait ends at its limit, and says what was waited for", async () => {
  let looks = 0;
  const slow = async () => {
    looks++;
    return 1;
  };
  const cause = new Error("why");
  const failing = () => Promise.reject(cause);
  const late = await until("it", failing, 5, 1, slow).catch((error: Error) => error);
  assert.ok(late instanceof Error);
  assert.equal(late.message, "not within 5 ms: it");
  assert.equal(late.cause, cause);
  assert.equal(looks, 1);
});

test("on a slow machine a wait is as many times longer", async () => {
  let slow = 1;
  let here = false;
  const wait = until(
    "it",
    () => here,
    5,
    1,
    async () => {
      // It is here only after the limit of a quiet machine.
      here = true;
      slow = 1000;
      return slow;
    },
  );
  assert.equal(await wait, true);
  assert.equal(slow, 1000);
  await assert.rejects(
    until("it", never, 5, 1, async () => 3),
    /not within 15 ms: it/,
  );
});

test("no machine is faster than a quiet one", async () => {
  const times = await slowness();
  assert.ok(times >= 1 && times <= 12, `${times}`);
});
