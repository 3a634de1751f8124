/** What comes of sends, with a kernel that answers each of them when it is told to. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type Prefix, prefix } from "../../src/ip/prefix.ts";
import { Portion } from "../../src/routes/agenda.ts";
import { Applier } from "../../src/routes/applier.ts";
import { ConditionBook, kernelErrorCondition } from "../../src/routes/conditions.ts";
import { KernelObserver } from "../../src/routes/observer.ts";
import { OperationKind } from "../../src/routes/operation-batch.ts";
import { type KernelFailure, KernelUnavailableError } from "../../src/routes/ports.ts";
import type { PrefixId } from "../../src/routes/prefix-index.ts";
import { RetryTable } from "../../src/routes/retry-table.ts";
import { Counters } from "../../src/routes/status.ts";
import { Survey } from "../../src/routes/survey.ts";
import type { KernelRoute, RouteOperation } from "../../src/routes/types.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { address, FakeKernel, line, refusal, route, STATIC, UNHEARD } from "./fake-kernel.ts";

const [P1, P2, P3, P4, P5] = [65, 66, 67, 68, 69].map((part) => prefix(`10.233.${part}.0/24`)) as [
  ...[Prefix, Prefix, Prefix, Prefix, Prefix],
];
const A = "192.168.50.51";
const B = "192.168.50.52";
/** An answer by which all was done. */
const DONE: ReadonlyMap<number, KernelFailure> = new Map();
const hopsTo = (gateway: string) => [{ gateway: address(gateway), link: 2, weight: 1 }];
const create = (to: Prefix, via = A): RouteOperation => {
  return { kind: "create", prefix: to, hops: hopsTo(via), source: undefined };
};
const remove = (gone: KernelRoute): RouteOperation => {
  return { kind: "delete", prefix: gone.prefix, route: gone };
};
const about = (to: Prefix, text: string) =>
  kernelErrorCondition({ prefix: to, nextHops: [] }, { code: text, message: text });

async function lab(t: TestContext, there: readonly KernelRoute[] = [], isDryRun = false) {
  const clock = new FakeClock();
  const kernel = new FakeKernel(clock);
  kernel.routes = [...there];
  const observer = new KernelObserver(kernel, clock, 3, UNHEARD);
  await observer.dump();
  const { index, view } = observer;
  const sends: PromiseWithResolvers<ReadonlyMap<number, KernelFailure>>[] = [];
  const apply = t.mock.method(kernel, "apply", () => {
    const send = Promise.withResolvers<ReadonlyMap<number, KernelFailure>>();
    sends.push(send);
    return send.promise;
  });
  const conditions = new ConditionBook(index);
  const retry = new RetryTable(index, () => 0);
  const counters = new Counters();
  const freed: Prefix[] = [];
  const seen = { doubts: 0 };
  const applier = new Applier(
    { kernel, clock, log: silentLog, survey: isDryRun ? new Survey() : undefined },
    { observer, retry, counters },
    {
      conditions,
      onDoubt: () => {
        seen.doubts++;
      },
      onFree: (id) => freed.push(index.prefix(id)),
    },
  );
  const portion = new Portion(index);
  const ids = new Map<Prefix, PrefixId>();
  const idOf = (to: Prefix) => {
    const id = ids.get(to) ?? index.insertText(to);
    if (!ids.has(to)) index.hold(id);
    ids.set(to, id);
    return id;
  };
  const take = (to: Prefix) => {
    portion.begin(4);
    portion.add(idOf(to));
    portion.batch.nextHops[0] = [address(A)];
  };
  return {
    ...{ applier, observer, view, conditions, retry, counters, freed, seen, sends, apply, clock },
    idOf,
    /** A usual operation, by number. */
    add(to: Prefix, kind: keyof typeof OperationKind, via = A) {
      take(to);
      applier.add(portion, 0, OperationKind[kind], view.shapes.of(4, hopsTo(via), undefined));
    },
    /** A plan of any operations. */
    plan(to: Prefix, operations: readonly RouteOperation[], foreign: readonly KernelRoute[] = []) {
      take(to);
      const subject = { prefix: to, nextHops: [address(A)] };
      applier.addPlan(portion, 0, subject, { operations, foreign }, undefined);
    },
    /** The next answer, and what comes of it. */
    async answer(failures: ReadonlyMap<number, KernelFailure> = DONE) {
      sends.shift()!.resolve(failures);
      await applier.next();
    },
    routes: (to: Prefix) => view.at(idOf(to)).map(line),
  };
}

test("a prefix with a plan is busy until its answer; who asked is looked at again", async (t) => {
  const own = route(P1, { via: A });
  const { applier, idOf, plan, add, answer, freed } = await lab(t, [own]);
  add(P2, "create");
  plan(P1, [remove(own), create(P1, B)]);
  assert.deepEqual([applier.isBusy(idOf(P1)), applier.isBusy(idOf(P2))], [true, true]);
  applier.begin();
  applier.lookAgain(idOf(P1));
  assert.equal(applier.waiting, 1);
  await answer();
  assert.deepEqual([applier.isBusy(idOf(P1)), applier.isBusy(idOf(P2))], [false, false]);
  assert.deepEqual([freed, applier.waiting], [[P1], 0]);
});

test("answers count in the order of the sends, and the last one ends the operating", async (t) => {
  const { applier, observer, idOf, add, sends, answer } = await lab(t);
  const operating = t.mock.method(observer, "operating");
  for (const to of [P1, P2]) {
    add(to, "create");
    applier.begin();
  }
  sends[1]!.resolve(DONE);
  await new Promise(setImmediate);
  assert.equal(applier.hasAnswer, false, "that of the newer one is not looked at");
  await answer();
  assert.deepEqual([applier.isBusy(idOf(P1)), applier.isBusy(idOf(P2))], [false, true]);
  assert.equal(operating.mock.callCount(), 2, "one is under way still");
  await applier.next();
  assert.deepEqual(
    operating.mock.calls.map(({ arguments: [underWay] }) => underWay),
    [true, true, false],
  );
  await applier.next();
  assert.equal(applier.batches, 0, "without a send there is nothing to wait for");
});

test("a send that is used again has nothing left of its last use", async (t) => {
  const own = route(P1, { via: A });
  const { applier, idOf, plan, add, answer, counters, routes } = await lab(t, [own]);
  plan(P1, [remove(own), create(P1, B)]);
  add(P4, "create");
  applier.begin();
  await answer();
  assert.deepEqual([counters.created, counters.replaced, counters.deleted], [2, 0, 1]);
  // The first memory is used by the third send, and shorter.
  for (const group of [[P2], [P3, P5], [P4]]) {
    for (const to of group) add(to, to === P4 ? "replace" : "create", to === P4 ? B : A);
    applier.begin();
  }
  await answer();
  await answer();
  assert.equal(applier.isBusy(idOf(P4)), true);
  await answer();
  assert.deepEqual([counters.created, counters.replaced, counters.deleted], [5, 1, 1]);
  for (const [to, via] of [
    [P1, B],
    [P2, A],
    [P3, A],
    [P4, B],
    [P5, A],
  ] as const) {
    assert.deepEqual(routes(to), [line(route(to, { via }))]);
  }
});

test("after a failure the others are waited for: the same failure passes, a bug does not", async (t) => {
  const { applier, idOf, add, sends } = await lab(t);
  for (const to of [P1, P2]) {
    add(to, "create");
    applier.begin();
  }
  add(P3, "create");
  const [first, second] = sends.splice(0);
  first!.reject(new KernelUnavailableError("EIO", "EIO: broke"));
  second!.reject(new KernelUnavailableError("EIO", "EIO: broke"));
  await assert.rejects(applier.next(), KernelUnavailableError);
  await applier.drain();
  assert.deepEqual([applier.batches, applier.pending], [0, 0]);
  for (const to of [P1, P2, P3]) assert.equal(applier.isBusy(idOf(to)), false);
  add(P1, "create");
  applier.begin();
  sends[0]!.reject(new TypeError("a bug"));
  await assert.rejects(applier.drain(), TypeError);
});

test("a dry run sends nothing, and knows what stands against a prefix with a plan", async (t) => {
  const foreign = route(P1, { via: B, protocol: STATIC });
  const others = [route(P1, { via: A, metric: 7 }), route(P1, { via: B, metric: 8 })];
  const { applier, apply, conditions, plan, add, idOf } = await lab(t, [foreign, ...others], true);
  for (const to of [P1, P2, P3]) conditions.set(idOf(to), about(to, "stood before"));
  plan(P1, others.map(remove), [foreign]);
  add(P2, "create");
  add(P3, "create");
  applier.begin();
  assert.equal(apply.mock.callCount(), 0);
  assert.equal(conditions.get(idOf(P1))?.code, "foreign-route");
  assert.deepEqual([conditions.get(idOf(P2)), conditions.get(idOf(P3))], [undefined, undefined]);
  assert.equal(applier.isBusy(idOf(P1)), false);
});

test("a route that came in between is not taken for the one that was removed", async (t) => {
  const { applier, view, idOf, add, answer, routes } = await lab(t, [route(P1, { via: A })]);
  add(P1, "delete");
  applier.begin();
  view.make(idOf(P1), view.shapes.of(4, hopsTo(B), undefined));
  await answer();
  assert.deepEqual(routes(P1), [line(route(P1, { via: B }))]);
  const others = await lab(t, [route(P1, { via: A })]);
  others.add(P1, "delete");
  others.applier.begin();
  await others.answer();
  assert.deepEqual(others.routes(P1), []);
});

test("it is doubted what is left where a delete may have taken another route", async (t) => {
  const [one, twin] = [route(P1, { via: A }), route(P1, { via: B })];
  const { applier, plan, answer, seen, counters } = await lab(t, [one, twin]);
  plan(P1, [remove(one)]);
  applier.begin();
  await answer();
  assert.deepEqual([seen.doubts, counters.deleted], [1, 1]);
  plan(P1, [remove(twin)]);
  applier.begin();
  await answer();
  assert.deepEqual([seen.doubts, counters.deleted], [1, 2], "none like it is left");
  plan(P1, [create(P1)]);
  applier.begin();
  await answer();
  assert.deepEqual([seen.doubts, counters.created], [1, 1]);
  plan(P1, [{ ...create(P1, B), kind: "replace" } as RouteOperation]);
  applier.begin();
  await answer();
  assert.deepEqual([seen.doubts, counters.replaced], [1, 1]);
});

test("what was gone already is gone, counts for nothing, and is doubted", async (t) => {
  const own = route(P1, { via: A });
  const { applier, idOf, plan, answer, seen, counters, conditions, routes } = await lab(t, [own]);
  plan(P1, [remove(own)]);
  applier.begin();
  await answer(new Map([[0, refusal("ESRCH")]]));
  assert.deepEqual([routes(P1), seen.doubts], [[], 1]);
  assert.deepEqual([counters.deleted, counters.failed], [0, 0]);
  assert.equal(conditions.get(idOf(P1)), undefined);
});

/** What a refusal means: the others have failed for good, and are only tried again. */
const MEANINGS: Readonly<Record<string, Partial<Record<keyof typeof OperationKind, string>>>> = {
  EPERM: { create: "forbidden", replace: "forbidden", delete: "forbidden" },
  EACCES: { create: "forbidden", replace: "forbidden", delete: "forbidden" },
  "lost ENOBUFS": { create: "stale", replace: "stale", delete: "stale" },
  "lost ETIMEDOUT": { create: "stale", replace: "stale", delete: "stale" },
  // The kernel's own answers.
  ENOBUFS: {},
  ETIMEDOUT: {},
  ECANCELED: {},
  EEXIST: { create: "occupied" },
  ENOENT: { replace: "stale", delete: "done" },
  ESRCH: { replace: "stale", delete: "done" },
  EINVAL: {},
};

for (const [code, meanings] of Object.entries(MEANINGS)) {
  for (const kind of ["create", "replace", "delete"] as const) {
    const meaning = meanings[kind] ?? "failed";
    test(`${kind} refused with ${code}: ${meaning}`, async (t) => {
      const { applier, idOf, add, sends, answer, retry, clock, counters, conditions, seen } =
        await lab(t, kind === "create" ? [] : [route(P1, { via: A })]);
      conditions.set(idOf(P1), about(P1, "stood before"));
      add(P1, kind);
      applier.begin();
      if (meaning === "forbidden") {
        sends[0]!.resolve(new Map([[0, refusal(code)]]));
        await assert.rejects(applier.next(), { name: "KernelUnavailableError", code });
        return;
      }
      await answer(new Map([[0, refusal(code)]]));
      const isDone = meaning === "done";
      assert.deepEqual([counters.failed, seen.doubts], isDone ? [0, 1] : [1, 0]);
      // The kernel is listed before the next try, unless it has simply failed.
      const { prefixes, stale } = retry.takeDue(clock.now() + 60_000);
      assert.deepEqual(prefixes, isDone ? [] : [idOf(P1)]);
      assert.equal(stale, meaning === "stale" || meaning === "occupied");
      const words: Record<string, RegExp | undefined> = {
        stale: /stood before$/,
        occupied: /a foreign route is in its place$/,
        failed: new RegExp(`not right in the kernel: ${code}: no$`),
      };
      const condition = conditions.get(idOf(P1));
      if (isDone) assert.equal(condition, undefined);
      else assert.match(condition!.message, words[meaning]!);
    });
  }
}

test("of a plan without an answer its own condition stands, before an older one", async (t) => {
  const foreign = route(P1, { via: B, protocol: STATIC });
  const own = route(P1, { via: A, metric: 7 });
  const { applier, idOf, plan, answer, conditions } = await lab(t, [foreign, own]);
  conditions.set(idOf(P1), about(P1, "stood before"));
  plan(P1, [remove(own)], [foreign]);
  applier.begin();
  await answer(new Map([[0, refusal("lost ENOBUFS")]]));
  assert.equal(conditions.get(idOf(P1))?.code, "foreign-route");
});
