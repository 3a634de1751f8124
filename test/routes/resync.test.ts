/** When the kernel is listed anew, and whether all is to be tried after it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { KernelObserver } from "../../src/routes/observer.ts";
import { Resync } from "../../src/routes/resync.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { FakeKernel, UNHEARD } from "./fake-kernel.ts";

const PERIOD_MS = 60_000;

async function lab() {
  const clock = new FakeClock();
  const kernel = new FakeKernel(clock);
  const observer = new KernelObserver(kernel, clock, 3, UNHEARD);
  const resync = new Resync(kernel, clock, PERIOD_MS);
  assert.equal(await resync.run(observer), true);
  return { clock, kernel, observer, resync };
}

test("one for retries is due at once, and puts off none of the others", async () => {
  const { clock, observer, resync } = await lab();
  await clock.advanceAsync(40_000);
  assert.equal(resync.isDue, false);
  resync.requestForRetries();
  assert.equal(resync.isDue, true);
  assert.ok(resync.dueAt <= clock.now());
  assert.equal(await resync.run(observer), false);
  assert.equal(resync.isDue, false);
  assert.equal(resync.dueAt, clock.now() + 20_000);
  resync.request(1000);
  resync.requestForRetries();
  assert.equal(await resync.run(observer), false);
  assert.equal(resync.dueAt, clock.now() + 1000);
  await clock.advanceAsync(1000);
  assert.equal(await resync.run(observer), true);
  assert.equal(resync.dueAt, clock.now() + PERIOD_MS);
});

test("due for both reasons, or with news of a link, it is one after which all is tried", async () => {
  const { clock, kernel, observer, resync } = await lab();
  await clock.advanceAsync(PERIOD_MS);
  resync.requestForRetries();
  assert.equal(await resync.run(observer), true);
  assert.equal(resync.isDue, false, "one is enough");
  for (const change of [
    () => kernel.setLink(2, false),
    () => kernel.setLink(2, true),
    () => kernel.deleteAddress("2001:db8::50"),
  ]) {
    change();
    resync.requestForRetries();
    assert.equal(await resync.run(observer), true);
    resync.requestForRetries();
    assert.equal(await resync.run(observer), false);
  }
});

test("what is asked for while one for retries is under way comes after it", async () => {
  const { clock, kernel, observer, resync } = await lab();
  await clock.advanceAsync(1000);
  kernel.duringDump = () => resync.request(0);
  resync.requestForRetries();
  assert.equal(await resync.run(observer), false);
  assert.equal(resync.isDue, true);
  kernel.duringDump = () => undefined;
  assert.equal(await resync.run(observer), true);
});
