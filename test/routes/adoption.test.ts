/** Routes of an earlier run: kept until it is known what is wanted. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { prefix } from "../../src/ip/prefix.ts";
import { removeAllRoutes } from "../../src/routes/remove-all.ts";
import { address, line, route, STATIC } from "./fake-kernel.ts";
import { Harness } from "./harness.ts";

const P1 = "10.233.65.0/24";
const P2 = "10.233.66.0/24";
const P3 = "10.233.67.0/24";
const A = "192.168.50.51";
const B = "192.168.50.52";

function withLeftovers(): Harness {
  const h = new Harness();
  h.kernel.routes.push(route(P1, { via: A }), route(P2, { via: B }), route(P3, { via: B }));
  h.kernel.routes.push(route("10.9.0.0/16", { via: B, protocol: STATIC }));
  return h;
}

test("adopted routes are counted before anything is done, and none is deleted", async () => {
  const h = withLeftovers();
  assert.deepEqual(await h.controller.start(), { adopted: 3 });
  assert.deepEqual(h.tried(), []);
  await h.rest(120_000);
  assert.deepEqual(h.tried(), []);
  assert.equal(h.controller.status().adopted, 3);
});

test("what a dump showed before it began anew is not there", async () => {
  const h = withLeftovers();
  h.kernel.dumpedInVain.push(route("10.233.99.0/24", { via: A }), route(P1, { via: B }));
  assert.deepEqual(await h.controller.start(), { adopted: 3 });
  h.change(P1, A);
  h.controller.converged();
  await h.rest(300);
  assert.deepEqual(h.tried(), [`delete ${P2}`, `delete ${P3}`]);
});

test("wanted ones are kept or replaced in place, the rest is swept on convergence", async () => {
  const h = withLeftovers();
  await h.started();
  h.change(P1, A);
  h.change(P2, A);
  await h.rest();
  assert.deepEqual(h.tried(), [`replace ${P2}`]);
  h.controller.converged();
  await h.rest(300);
  assert.deepEqual(h.tried(), [`delete ${P3}`]);
  assert.deepEqual(h.kernel.foreign(), [line(route("10.9.0.0/16", { via: B, protocol: STATIC }))]);
});

test("somebody's route beside an adopted one is seen though nobody wants the prefix yet", async () => {
  const h = withLeftovers();
  const beside = route(P1, { via: B, protocol: STATIC });
  // The first of a key is what a replace would hit.
  h.kernel.routes.unshift(beside);
  await h.started();
  h.change(P1, B);
  await h.rest();
  assert.deepEqual(h.tried(), [`delete ${P1}`], "ours gives way");
  assert.ok(h.kernel.foreign().includes(line(beside)));
  const [condition] = h.controller.status().conditions;
  assert.equal(condition?.code, "foreign-route");
});

test("adopted, announced and withdrawn before convergence: deleted at once", async () => {
  const h = withLeftovers();
  await h.started();
  h.change(P1, A);
  await h.rest();
  h.change(P1);
  await h.rest();
  assert.deepEqual(h.tried(), [`delete ${P1}`]);
});

test("announced and withdrawn between two looks: deleted too", async () => {
  const h = withLeftovers();
  await h.started();
  h.change(P1, A);
  h.change(P1);
  await h.rest();
  assert.deepEqual(h.tried(), [`delete ${P1}`]);
});

test("adopted, never announced, its Node deleted: a mark gives it up", async () => {
  const h = withLeftovers();
  await h.started();
  h.controller.markDirty([prefix(P2)]);
  await h.rest();
  assert.deepEqual(h.tried(), [`delete ${P2}`]);
});

test("adopted, wanted but unreachable: stays where it leads the same way", async () => {
  const h = withLeftovers();
  h.kernel.setLink(2, true);
  h.kernel.addresses = h.kernel.addresses.filter((entry) => entry.link !== 2);
  await h.started();
  h.change(P1, A);
  h.change(P2, A);
  await h.rest();
  assert.deepEqual(h.tried(), [`delete ${P2}`]);
});

test("adopted and withdrawn, but the kernel refuses: tried again before convergence", async () => {
  const h = withLeftovers();
  await h.started();
  h.kernel.refuse = () => ({ code: "EBUSY", message: "EBUSY: later" });
  h.change(P1, A);
  h.change(P1);
  await h.rest();
  h.kernel.refuse = () => undefined;
  await h.rest(300);
  assert.ok(!h.kernel.ours().some((entry) => entry.startsWith(P1)));
  assert.deepEqual(h.codes(), []);
});

test("an adopted route that somebody deletes and nobody wants is not restored", async () => {
  const h = withLeftovers();
  await h.started();
  h.kernel.delete((entry) => entry.prefix === P1);
  await h.rest(2000);
  assert.deepEqual(h.tried(), []);
});

test("converged before anything was wanted sweeps all of ours, and only ours", async () => {
  const h = withLeftovers();
  await h.started();
  h.controller.converged();
  await h.rest(300);
  assert.deepEqual(h.kernel.ours(), []);
  assert.equal(h.kernel.foreign().length, 1);
});

test("converged during an outage of the kernel sweeps afterwards", async () => {
  const h = withLeftovers();
  await h.started();
  h.kernel.fail();
  h.controller.converged();
  await h.rest(2000);
  assert.deepEqual(h.kernel.ours(), []);
});

test("a dry run plans, shows and changes nothing", async () => {
  const h = new Harness({ dryRun: true });
  h.kernel.routes.push(route(P1, { via: A }), route(P2, { via: B }), route(P3, { via: B }));
  h.want(P1, A);
  h.want(P2, A);
  await h.started();
  h.change("10.233.68.0/24", B);
  await h.rest(300);
  const before = h.controller.status();
  assert.deepEqual(before.planned, [
    `replace ${P2} via ${A} dev enp1s0 proto 17`,
    `create 10.233.68.0/24 via ${B} dev enp1s0 proto 17`,
  ]);
  h.controller.converged();
  await h.rest(300);
  assert.deepEqual(h.tried(), []);
  const { planned, plannedTotal } = h.controller.status();
  assert.equal(plannedTotal, 3);
  assert.ok(planned.includes(`delete ${P3} via ${B} dev enp1s0 proto 17`));
  h.change("10.233.68.0/24");
  await h.rest(300);
  assert.equal(h.controller.status().plannedTotal, 2);
});

test("cleanup removes every route of ours and nothing else", async () => {
  const h = withLeftovers();
  h.kernel.routes.push(route("fd00:65::/64", { via: "2001:db8::51" }));
  assert.deepEqual(await removeAllRoutes(h.kernel), { removed: 4, failures: [] });
  assert.deepEqual(h.kernel.ours(), []);
  assert.equal(h.kernel.foreign().length, 1);
});

test("cleanup finds a route that its dump did not show", async () => {
  const h = withLeftovers();
  h.kernel.duringDump = () => {
    h.kernel.duringDump = () => undefined;
    h.kernel.routes.unshift(route("fd00:65::/64", { via: "2001:db8::51" }));
  };
  assert.deepEqual(await removeAllRoutes(h.kernel), { removed: 4, failures: [] });
  assert.deepEqual(h.kernel.ours(), []);
});

test("cleanup says what it could not remove", async () => {
  const h = withLeftovers();
  h.kernel.refuse = ({ prefix: to }) =>
    to === P2 ? { code: "EPERM", message: "EPERM: no" } : undefined;
  const { removed, failures } = await removeAllRoutes(h.kernel);
  assert.equal(removed, 2);
  assert.deepEqual(failures, [{ prefix: P2, message: "EPERM: no" }]);
});

test("a dry run waits until changes cease, yet not for ever, and keeps nothing of each", async () => {
  const h = new Harness({ dryRun: true });
  await h.started();
  for (let i = 0; i < 100; i++) {
    h.change(`10.234.${i}.0/24`, A);
    await h.rest(5);
  }
  assert.equal(h.controller.status().plannedTotal, 0, "not while it changes");
  await h.rest();
  assert.equal(h.controller.status().plannedTotal, 0, "nor as soon as it pauses");
  await h.rest(700);
  assert.equal(h.controller.status().plannedTotal, 100);
  h.want("10.235.0.0/24", A);
  h.controller.wantedChanged();
  await h.rest(300);
  assert.equal(h.controller.status().plannedTotal, 101, "which ones need not be told");
  for (let i = 0; i < 2_200; i++) {
    h.change("10.236.0.0/24", ...(i % 2 === 0 ? [A] : [B]));
    await h.rest(5);
  }
  assert.equal(h.controller.status().plannedTotal, 102, "seen though it never came to rest");
});

test("an end in the middle of the agent's start: nothing begins after it", async () => {
  const h = withLeftovers();
  await h.controller.stop();
  assert.deepEqual(await h.controller.start(), { adopted: 0 });
  await h.rest(120_000);
  assert.deepEqual([h.kernel.opens, h.kernel.dumps, h.clock.pendingCount], [0, 0, 0]);
});

test("of two of ours for one prefix the right one is there in the end, whichever went", async () => {
  for (const beside of [
    { ...route(P1), hops: [{ gateway: undefined, link: 2, weight: 1 }] },
    { ...route(P1, { via: A }), source: address("192.168.50.50") },
  ]) {
    const h = new Harness();
    h.kernel.routes.push(route(P1, { via: A }), beside);
    h.want(P1, A);
    await h.started();
    await h.rest(500);
    assert.deepEqual(h.kernel.routes, [route(P1, { via: A })]);
    const { dumps } = h.kernel;
    await h.rest(5000);
    assert.equal(h.kernel.dumps, dumps, "and then there is rest");
  }
});
