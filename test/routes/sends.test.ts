/** Several sends to the kernel at a time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BATCH_OPERATIONS_MAX } from "../../src/routes/limits.ts";
import { KernelUnavailableError } from "../../src/routes/ports.ts";
import { line, lost, route } from "./fake-kernel.ts";
import { Harness } from "./harness.ts";

const P1 = "10.233.65.0/24";
const P2 = "10.233.66.0/24";
const A = "192.168.50.51";
const B = "192.168.50.52";
const lines = (...routes: ReturnType<typeof route>[]) => routes.map(line).sort();

test("what changes while the kernel is at work is seen to when it is done", async () => {
  const h = new Harness();
  await h.started();
  h.kernel.answerMs = 50;
  h.change(P1, A);
  await h.rest(5);
  h.change(P1, B);
  await h.rest(5);
  h.change(P2, A);
  await h.rest(5);
  assert.deepEqual(h.tried(), [`create ${P1}`, `create ${P2}`], "one at a time for a prefix");
  assert.ok(h.controller.status().pending > 0);
  await h.rest(200);
  assert.deepEqual(h.tried(), [`replace ${P1}`]);
  assert.deepEqual(h.kernel.ours(), lines(route(P1, { via: B }), route(P2, { via: A })));
  assert.equal(h.controller.status().pending, 0);
});

test("a dry run counts each prefix once, however many there are", async () => {
  const h = new Harness({ dryRun: true });
  const count = BATCH_OPERATIONS_MAX + 100;
  for (let i = 0; i < count; i++) {
    const to = `10.${i >> 8}.${i & 255}.0/24`;
    h.want(to, A);
    h.kernel.routes.push(route(to, { via: B }));
  }
  await h.started();
  await h.rest(300);
  assert.equal(h.controller.status().plannedTotal, count);
});

test("sends that fail together are one failure, and all of them are done again", async (t) => {
  const h = new Harness();
  await h.started();
  const apply = t.mock.method(h.kernel, "apply", async () => {
    await new Promise<void>((done) => h.clock.after(20, done));
    throw new KernelUnavailableError("EIO", "EIO: broke");
  });
  h.change(P1, A);
  await h.rest(5);
  h.change(P2, A);
  await h.rest(5);
  assert.equal(apply.mock.callCount(), 2);
  apply.mock.restore();
  await h.rest(400);
  assert.equal(h.controller.status().counters.unavailable, 1);
  assert.deepEqual(h.kernel.ours(), lines(route(P1, { via: A }), route(P2, { via: A })));
});

test("in a dry run what stood against a prefix is gone when it could be done", async () => {
  const h = new Harness({ dryRun: true });
  await h.started();
  await h.rest(300);
  h.change(P1, "203.0.113.9");
  await h.rest(600);
  assert.equal(h.codes().length, 1);
  h.change(P1, A);
  await h.rest(600);
  assert.deepEqual(h.codes(), []);
});

test("what was to be tried again and went in a send that failed is looked at again", async (t) => {
  const h = new Harness();
  // So many that to look at all of them takes several turns.
  for (let i = 0; i < 200; i++) h.want(`10.1.${i}.0/24`, A);
  await h.started();
  h.controller.converged();
  h.change(P1, A);
  await h.rest(2000);
  h.kernel.refuse = () => lost();
  h.change(P1);
  await h.rest(5);
  assert.equal(h.controller.status().pending, 1);
  const now = h.clock.now.bind(h.clock);
  let passed = 0;
  t.mock.method(h.clock, "now", () => now() + passed++);
  const apply = t.mock.method(h.kernel, "apply", async () => {
    h.kernel.silently(() => h.kernel.delete(({ prefix }) => prefix === P1));
    throw new KernelUnavailableError("EIO", "EIO: it was done, and nobody knows");
  });
  await h.rest(200);
  assert.equal(apply.mock.callCount(), 1);
  t.mock.restoreAll();
  await h.rest(130_000);
  assert.equal(h.kernel.ours().length, 200);
  assert.equal(h.controller.status().pending, 0);
});
