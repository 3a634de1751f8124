import assert from "node:assert/strict";
import { test } from "node:test";
import { RESYNC_GAP_MS } from "../../src/routes/limits.ts";
import { KernelUnavailableError } from "../../src/routes/ports.ts";
import { line, lost as lostAnswer, refusal, route, STATIC } from "./fake-kernel.ts";
import { Harness } from "./harness.ts";

const P1 = "10.233.65.0/24";
const P2 = "10.233.66.0/24";
const A = "192.168.50.51";
const B = "192.168.50.52";

test("a route that the kernel refuses is named, stops no other and is tried ever more slowly", async () => {
  const h = new Harness();
  h.want(P1, A);
  h.want(P2, B);
  h.kernel.refuse = ({ prefix }) =>
    prefix === P1 ? { code: "EINVAL", message: "EINVAL: some reason" } : undefined;
  await h.started();
  assert.equal(h.controller.status().installed, 1);
  assert.deepEqual(h.codes(), ["kernel-error"]);
  assert.match(h.messages(), /10\.233\.65\.0\/24 via 192\.168\.50\.51 .*some reason/);
  await h.rest(60_000);
  const tries = h.kernel.tried.filter(({ prefix }) => prefix === P1).length;
  assert.ok(tries >= 8 && tries <= 13, `${tries} tries in a minute`);
  assert.equal(h.controller.status().counters.failed, tries);
  h.kernel.refuse = () => undefined;
  await h.rest(31_000);
  assert.equal(h.controller.status().installed, 2);
  assert.deepEqual(h.codes(), []);
  assert.equal(h.controller.status().pending, 0);
});

test("a new failure waits for no old one", async () => {
  const h = new Harness();
  h.want(P1, A);
  h.kernel.refuse = ({ prefix }) =>
    prefix === P1 ? { code: "EINVAL", message: "EINVAL" } : undefined;
  await h.started();
  await h.rest(50_000);
  let refusals = 1;
  h.kernel.refuse = ({ prefix }) =>
    prefix === P1 || refusals-- > 0 ? { code: "EINVAL", message: "EINVAL" } : undefined;
  h.change(P2, B);
  await h.rest(200);
  assert.equal(h.controller.status().installed, 1);
});

test("no permission: one condition, everything comes once it is there", async () => {
  const h = new Harness();
  for (let i = 0; i < 50; i++) h.want(`10.8.${i}.0/24`, A);
  h.kernel.refuse = () => ({ code: "EPERM", message: "EPERM: operation not permitted" });
  await h.started();
  assert.deepEqual(h.codes(), ["kernel-unavailable"]);
  assert.match(h.messages(), /EPERM: operation not permitted \(is CAP_NET_ADMIN missing\?\)/);
  assert.equal(h.controller.status().conditionsTotal, 1);
  const before = h.kernel.tried.length;
  await h.rest(60_000);
  assert.ok(h.kernel.tried.length - before < 50 * 15, "backs off");
  assert.deepEqual(h.codes(), ["kernel-unavailable"], "and does not flap");
  h.kernel.refuse = () => undefined;
  await h.rest(31_000);
  assert.equal(h.controller.status().installed, 50);
  assert.deepEqual(h.codes(), []);
});

test("a kernel that cannot be talked to at the start is tried until it can", async () => {
  const h = new Harness();
  h.kernel.unavailable = new KernelUnavailableError("EAFNOSUPPORT", "EAFNOSUPPORT: no netlink");
  h.want(P1, A);
  assert.equal(await h.started(), 0);
  assert.match(h.messages(), /no netlink/);
  await h.rest(10_000);
  h.kernel.unavailable = undefined;
  await h.rest(31_000);
  assert.equal(h.controller.status().installed, 1);
  assert.deepEqual(h.codes(), []);
});

test("a monitor that breaks is opened again, and what it missed is repaired", async () => {
  const h = new Harness();
  h.want(P1, A);
  await h.started();
  h.kernel.fail();
  h.kernel.routes = [];
  await h.rest(300);
  assert.equal(h.kernel.opens, 2);
  assert.equal(h.controller.status().installed, 1);
  assert.equal(h.controller.status().counters.unavailable, 1);
  h.kernel.delete(() => true);
  await h.rest(5);
  assert.equal(h.controller.status().installed, 1, "it listens again");
});

test("a monitor that breaks while the kernel is at work: said until it is opened again", async () => {
  const h = new Harness();
  await h.started();
  h.kernel.answerMs = 20;
  h.change(P1, A);
  await h.rest(5);
  h.kernel.fail();
  await h.rest(25);
  assert.deepEqual(
    h.codes(),
    ["kernel-unavailable"],
    "the answer to our operation changes nothing",
  );
  await h.rest(400);
  assert.deepEqual(h.codes(), []);
  assert.equal(h.kernel.opens, 2);
});

test("a monitor that breaks under a call says why, not that this has ended the call", async () => {
  for (const call of ["apply", "dump"] as const) {
    const h = new Harness();
    await h.started();
    // As the adapter does: both sockets are closed then.
    const breaks = () => {
      h.kernel.fail();
      throw new KernelUnavailableError("ECANCELED", "ECANCELED: the socket is closed");
    };
    if (call === "apply") h.kernel.afterApply = breaks;
    else h.kernel.duringDump = breaks;
    h.change(P1, A);
    if (call === "dump") h.kernel.overrun();
    await h.rest(call === "dump" ? RESYNC_GAP_MS + 20 : 20);
    assert.match(h.messages(), /EIO: the socket broke/, call);
    assert.equal(h.controller.status().counters.unavailable, 1, call);
    h.kernel.afterApply = () => undefined;
    h.kernel.duringDump = () => undefined;
    await h.rest(400);
    assert.deepEqual(h.codes(), []);
    assert.equal(h.controller.status().installed, 1);
  }
});

test("a socket that breaks under an operation loses nothing", async () => {
  const h = new Harness();
  await h.started();
  h.kernel.unavailable = new KernelUnavailableError("EIO", "EIO: broke");
  h.change(P1, A);
  await h.rest();
  assert.deepEqual(h.codes(), ["kernel-unavailable"]);
  h.kernel.unavailable = undefined;
  await h.rest(1000);
  assert.equal(h.controller.status().installed, 1);
});

test("an outcome that is not known is looked up", async () => {
  const h = new Harness();
  let lost = true;
  h.kernel.refuse = () => {
    if (!lost) return undefined;
    lost = false;
    h.kernel.routes.push(route(P1, { via: A }));
    return lostAnswer();
  };
  h.want(P1, A);
  await h.started();
  await h.rest(500);
  assert.deepEqual(h.tried(), [`create ${P1}`], "it was there: nothing to do again");
  assert.deepEqual(h.codes(), []);
  assert.equal(h.controller.status().pending, 0);
});

test("a replace of what is gone becomes a create", async () => {
  const h = new Harness();
  h.want(P1, A);
  await h.started();
  h.kernel.silently(() => {
    h.kernel.routes = [];
  });
  h.change(P1, B);
  await h.rest(500);
  assert.deepEqual(h.tried(), [`create ${P1}`, `replace ${P1}`, `create ${P1}`]);
  assert.deepEqual(h.codes(), []);
});

test("a delete of what is gone is done", async () => {
  const h = new Harness();
  h.want(P1, A);
  await h.started();
  h.kernel.silently(() => {
    h.kernel.routes = [];
  });
  h.change(P1);
  await h.rest(500);
  assert.equal(h.controller.status().counters.failed, 0);
  assert.deepEqual(h.codes(), []);
  assert.equal(h.controller.status().installed, 0);
});

for (const [code, ...said] of [
  // What is said after a create, a replace and a delete that the kernel answers so.
  ["EINVAL", "kernel-error", "kernel-error", "kernel-error"],
  ["EEXIST", "foreign-route", "kernel-error", "kernel-error"],
  ["ENOENT", "kernel-error", undefined, undefined],
  ["ESRCH", "kernel-error", undefined, undefined],
  ["lost ENOBUFS", undefined, undefined, undefined],
  ["lost ETIMEDOUT", undefined, undefined, undefined],
  ["ENOBUFS", "kernel-error", "kernel-error", "kernel-error"],
  ["EPERM", "kernel-unavailable", "kernel-unavailable", "kernel-unavailable"],
  ["EACCES", "kernel-unavailable", "kernel-unavailable", "kernel-unavailable"],
] as const) {
  test(`what ${code} means for each operation`, async () => {
    for (const [i, kind] of (["create", "replace", "delete"] as const).entries()) {
      const h = new Harness();
      if (kind !== "create") h.want(P1, A);
      await h.started();
      h.kernel.refuse = () => refusal(code);
      h.change(P1, ...(kind === "delete" ? [] : [B]));
      await h.rest();
      assert.equal(h.kernel.tried.at(-1)?.kind, kind);
      assert.deepEqual(h.codes(), said[i] === undefined ? [] : [said[i]], kind);
      h.kernel.refuse = () => undefined;
      await h.rest(5000);
      assert.deepEqual(h.codes(), [], `${kind}, later`);
      const left = kind === "delete" ? [] : [line(route(P1, { via: B }))];
      assert.deepEqual(h.kernel.ours(), left);
    }
  });
}

test("of several answers for one prefix the worst is said", async () => {
  for (const codes of [
    ["lost ENOBUFS", "EINVAL"],
    ["EINVAL", "lost ENOBUFS"],
  ]) {
    const h = new Harness();
    h.kernel.routes.push(route(P1, { via: A, metric: 5 }), route(P1, { via: A, metric: 6 }));
    h.controller.converged();
    h.kernel.refuse = (operation) => {
      if (operation.kind !== "delete") return undefined;
      return refusal(codes[operation.route.metric - 5]!);
    };
    await h.started();
    assert.deepEqual(h.codes(), ["kernel-error"]);
    assert.match(h.messages(), /EINVAL/);
  }
});

test("what somebody adds while the kernel is at work on the prefix is known beside ours", async () => {
  const h = new Harness();
  await h.started();
  h.kernel.answerMs = 10;
  h.change(P1, A);
  await h.rest(2);
  h.kernel.add(route(P1, { via: B, protocol: STATIC, metric: 7 }));
  await h.rest(20);
  assert.equal(h.controller.status().installed, 1);
  h.change(P1);
  await h.rest(20);
  assert.equal(h.controller.status().installed, 0);
  assert.deepEqual(h.tried(), [`create ${P1}`, `delete ${P1}`]);
});

test("conditions are listed up to a bound and counted beyond it", async () => {
  const h = new Harness();
  for (let i = 0; i < 600; i++) h.want(`10.${i >> 8}.${i & 255}.0/24`, "10.99.0.1");
  for (let i = 0; i < 250; i++) h.want(`10.233.64.${i}/32`, "192.168.50.51");
  await h.started();
  const { conditions, conditionsTotal } = h.controller.status();
  assert.equal(conditionsTotal, 850);
  assert.equal(conditions.length, 200);
  const [first] = conditions.filter(({ code }) => code === "next-hop-not-reachable");
  assert.match(first?.message ?? "", /^600 routes are not installed: next hop not reachable/);
});

test("a bug is no outage: it is not swallowed", async () => {
  const h = new Harness();
  h.kernel.duringDump = () => {
    throw new TypeError("a bug");
  };
  await assert.rejects(h.controller.start(), /a bug/);
});
