/**
 * Answers that are lost, and a wanted side that does not wait for the next try: no periodic
 * comparison is needed for the table to be right again.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RETRY } from "../../src/routes/limits.ts";
import { KernelUnavailableError } from "../../src/routes/ports.ts";
import { line, lost, refusal, route, STATIC } from "./fake-kernel.ts";
import { Harness } from "./harness.ts";

const [A, B] = ["192.168.50.51", "192.168.50.52"];
const TO = "10.77.0.0/24";
const NEVER_MS = 1e9;

/** One whose next comparison of all never comes. */
async function lab(): Promise<Harness> {
  const h = new Harness({ syncPeriodMs: NEVER_MS });
  await h.started();
  h.controller.converged();
  await h.rest(2000);
  return h;
}

const lines = (...via: readonly string[]) => via.map((one) => line(route(TO, { via: one })));

for (const [what, before, after] of [
  ["made", [], [A]],
  ["replaced", [A], [B]],
  ["removed", [A], []],
] as const) {
  test(`one that was ${what} without an answer, and then is wanted as before`, async () => {
    const h = await lab();
    h.change(TO, ...before);
    await h.rest(2000);
    h.kernel.loseAnswer = () => lost();
    h.change(TO, ...after);
    await h.rest(20);
    assert.deepEqual(h.kernel.ours(), lines(...after));
    h.kernel.loseAnswer = () => undefined;
    h.change(TO, ...before);
    await h.rest(RETRY.firstMs + 50);
    assert.deepEqual(h.kernel.ours(), lines(...before));
    assert.equal(h.controller.status().pending, 0);
    assert.deepEqual(h.codes(), []);
    const { dumps } = h.kernel;
    await h.rest(60_000);
    assert.equal(h.kernel.dumps, dumps);
  });
}

test("a refusal does not make up for an answer that was lost before", async () => {
  const h = await lab();
  h.change(TO, A);
  await h.rest(2000);
  h.kernel.loseAnswer = () => lost();
  h.change(TO, B);
  await h.rest(20);
  h.kernel.refuse = () => refusal("ENOMEM");
  h.change(TO, A, B);
  await h.rest(20);
  assert.deepEqual(h.codes(), ["kernel-error"]);
  h.kernel.refuse = h.kernel.loseAnswer = () => undefined;
  h.change(TO, A);
  await h.rest(2 * RETRY.firstMs + 50);
  assert.deepEqual(h.kernel.ours(), lines(A));
});

test("of several operations one that was refused does not hide one that was lost", async () => {
  const h = await lab();
  // Not made by us, though it has our mark.
  h.kernel.add(route(TO, { via: B, metric: 50 }));
  h.kernel.refuse = ({ kind }) => (kind === "delete" ? refusal("EBUSY") : undefined);
  h.kernel.loseAnswer = () => lost();
  h.change(TO, A);
  await h.rest(20);
  assert.equal(h.kernel.ours().length, 2);
  h.kernel.refuse = h.kernel.loseAnswer = () => undefined;
  h.change(TO);
  // It had failed before.
  await h.rest(2 * RETRY.firstMs + 50);
  assert.deepEqual(h.kernel.ours(), []);
});

const PREFIXES = ["10.1.0.0/24", "10.2.0.0/24"];
const which = fc.nat(PREFIXES.length - 1);
const change = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      of: which,
      hops: fc.constantFrom([], [A], [B], [A, B]),
      ms: fc.constantFrom(0, 1, 20),
    }),
  },
  { weight: 3, arbitrary: fc.record({ ms: fc.constantFrom(40, 100, 700, 9000) }) },
  { weight: 3, arbitrary: fc.record({ loses: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({ code: fc.constantFrom("ENOMEM", "EPERM", "EEXIST", undefined) }),
  },
  // Beside ours, so that more than one operation is needed.
  { weight: 1, arbitrary: fc.record({ foreign: which }) },
);
/** What has the kernel listed for another reason: that makes up for much. */
const breach = fc.oneof(
  fc.record({ away: fc.boolean() }),
  fc.record({ up: fc.boolean() }),
  fc.record({ dumpMs: fc.constantFrom(0, 5, 90) }),
  fc.record({ breaks: fc.constantFrom("now", "while listed") }),
);
const rough = fc.oneof({ weight: 4, arbitrary: change }, { weight: 1, arbitrary: breach });

type Step = typeof rough extends fc.Arbitrary<infer T> ? T : never;

async function take(h: Harness, one: Step): Promise<void> {
  const { kernel } = h;
  if ("of" in one) h.change(PREFIXES[one.of]!, ...one.hops);
  if ("ms" in one) await h.rest(one.ms);
  else if ("loses" in one) kernel.loseAnswer = () => (one.loses ? lost() : undefined);
  else if ("code" in one) {
    kernel.refuse = () => (one.code === undefined ? undefined : refusal(one.code));
  } else if ("away" in one) {
    kernel.unavailable = one.away ? new KernelUnavailableError("ENOBUFS", "no") : undefined;
  } else if ("up" in one) kernel.setLink(2, one.up);
  else if ("dumpMs" in one) kernel.dumpMs = one.dumpMs;
  else if ("breaks" in one) {
    if (one.breaks === "now") kernel.fail();
    else kernel.duringDump = () => kernel.fail();
  } else {
    const to = PREFIXES[one.foreign]!;
    const entry = route(to, { via: B, protocol: STATIC, metric: 9 });
    if (!kernel.foreign().includes(line(entry))) kernel.add(entry);
    else kernel.delete((each) => line(each) === line(entry));
  }
}

async function endsRight(h: Harness): Promise<void> {
  const { kernel, controller, desired } = h;
  kernel.refuse = kernel.loseAnswer = kernel.duringDump = () => undefined;
  kernel.unavailable = undefined;
  kernel.setLink(2, true);
  await h.rest(RETRY.maxMs * 1.5);
  const wanted = [...desired.routes.values()].map(({ prefix: to, nextHops }) =>
    line(route(to, { via: [...nextHops].sort() })),
  );
  assert.deepEqual(kernel.ours(), wanted.sort());
  assert.equal(controller.status().pending, 0);
  assert.equal(controller.settled(), true);
  const { dumps } = kernel;
  await h.rest(RETRY.maxMs * 4);
  assert.equal(kernel.dumps, dumps, "and at rest it rests");
  await controller.stop();
}

// One listing sets right what all before it got wrong: in few steps there is none by chance.
for (const [what, step, maxLength] of [
  ["or lost", change, 8],
  ["or lost, and the kernel away, or a link", rough, 30],
] as const) {
  test(`whatever is refused ${what}: right within the longest back-off`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array<Step>(step, { minLength: 1, maxLength }),
        fc.constantFrom(0, 7, 130),
        async (steps, answerMs) => {
          const h = await lab();
          h.kernel.answerMs = answerMs;
          for (const one of steps) await take(h, one);
          await endsRight(h);
        },
      ),
      { numRuns: 600 },
    );
  });
}
