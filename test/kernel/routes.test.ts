/** The route controller on the running kernel, in namespaces of its own; checked with `ip`. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import type { Prefix } from "../../src/ip/prefix.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { EVENT_AGE_MS } from "../../src/routes/limits.ts";
import { removeAllRoutes } from "../../src/routes/remove-all.ts";
import { address } from "../routes/fake-kernel.ts";
import { RouteNode } from "../support/route-node.ts";
import { Daemon, until } from "../support/shell.ts";
import { ThreadTime } from "../support/yardstick.ts";

const P1 = "10.233.65.0/24";
const A = "192.168.50.51";
const B = "192.168.50.52";
const LINE_A = `${P1} via ${A} dev enp1s0`;

test("routes look as kube-router's do, in both families and with several next hops", async (t) => {
  const node = RouteNode.make(t);
  if (node === undefined) return;
  await node.controller.start();
  node.want(P1, A);
  node.want("fd00:65::/64", "2001:db8::51");
  node.want("10.233.66.0/24", A, B);
  node.want("fd00:66::/64", "2001:db8::51", "2001:db8::52");
  await until("all four", () => node.controller.status().installed === 4);
  const lines = node.namespace.ip("route").split("\n");
  assert.ok(lines.includes(`${P1} via ${A} dev enp1s0 proto 17 `), lines.join("\n"));
  assert.deepEqual(node.routes(), [
    LINE_A,
    `10.233.66.0/24 \\ nexthop via ${A} dev enp1s0 weight 1 \\ nexthop via ${B} dev enp1s0 weight 1`,
    "fd00:65::/64 via 2001:db8::51 dev enp1s0 metric 1024 pref medium",
    "fd00:66::/64 metric 1024 pref medium" +
      "\\ nexthop via 2001:db8::51 dev enp1s0 weight 1 \\ nexthop via 2001:db8::52 dev enp1s0 weight 1",
  ]);
  const { counters } = node.controller.status();
  node.controller.converged();
  await until("compared again", () => node.controller.status().counters.resyncs > counters.resyncs);
  await delay(50);
  const after = node.controller.status().counters;
  assert.deepEqual(
    { ...after, resyncs: counters.resyncs },
    counters,
    "what was made is recognised",
  );
  for (const to of [...node.desired.routes.keys()]) node.want(to);
  await node.has([]);
});

test("a changed next hop is a replace: a listener sees no deletion", async (t) => {
  const node = RouteNode.make(t);
  if (node === undefined) return;
  await node.controller.start();
  const P6 = "fd00:65::/64";
  node.want(P1, A);
  node.want(P6, "2001:db8::51");
  await until("both", () => node.controller.status().installed === 2);
  const args = ["-n", node.namespace.name, "-o", "monitor", "route"];
  let seen = "";
  const monitor = new Daemon("ip monitor", "ip", args, { onLine: (line) => (seen += `${line}\n`) });
  t.after(() => monitor.stop());
  let probe = 0;
  await until("the monitor listens", () => {
    node.namespace.ip(`route add 198.51.100.${probe++} dev enp1s0`);
    return seen.includes("198.51.100.");
  });
  for (const [v4, v6] of [
    [[B], ["2001:db8::52"]],
    [
      [A, B],
      ["2001:db8::51", "2001:db8::52"],
    ],
    [[A], ["2001:db8::51"]],
  ] as const) {
    const { replaced } = node.controller.status().counters;
    node.want(P1, ...v4);
    node.want(P6, ...v6);
    await until("both replaced", () => node.controller.status().counters.replaced === replaced + 2);
  }
  await until("all was reported", () => seen.split("\n").filter((l) => l.includes(P1)).length >= 3);
  const ours = seen.split("\n").filter((line) => line.includes(P1) || line.includes(P6));
  assert.deepEqual(
    ours.filter((line) => line.startsWith("Deleted")),
    [],
    seen,
  );
  await node.has([LINE_A, `${P6} via 2001:db8::51 dev enp1s0 metric 1024 pref medium`]);
});

test("an administrator's route stays and is named; ours comes when it goes", async (t) => {
  const node = RouteNode.make(t);
  if (node === undefined) return;
  await node.controller.start();
  node.namespace.ip(`route add ${P1} via ${B} proto static`);
  node.namespace.ip("-6 route add fd00:65::/64 via 2001:db8::52 proto static");
  node.namespace.ip(`route add 10.233.66.0/24 via ${B} proto static metric 100`);
  node.want(P1, A);
  node.want("fd00:65::/64", "2001:db8::51");
  node.want("10.233.66.0/24", A);
  await node.has([`10.233.66.0/24 via ${A} dev enp1s0`]);
  await until("both are named", () => node.controller.status().conditionsTotal === 2);
  const named = () =>
    node.controller.status().conditions.every(({ message }) => /proto static/.test(message));
  await until("with what they are", named);
  assert.deepEqual(node.codes(), ["foreign-route", "foreign-route"]);
  assert.deepEqual(node.routes("proto static"), [
    `${P1} via ${B} dev enp1s0`,
    `10.233.66.0/24 via ${B} dev enp1s0 metric 100`,
    "fd00:65::/64 via 2001:db8::52 dev enp1s0 metric 1024 pref medium",
  ]);
  node.namespace.ip(`route del ${P1} proto static`);
  node.namespace.ip("-6 route del fd00:65::/64 proto static");
  const ms = await node.has([
    LINE_A,
    `10.233.66.0/24 via ${A} dev enp1s0`,
    "fd00:65::/64 via 2001:db8::51 dev enp1s0 metric 1024 pref medium",
  ]);
  t.diagnostic(`ours came ${ms.toFixed(1)} ms after it`);
  await until("no condition stands", () => node.codes().length === 0);
});

test("an administrator's route put beside ours is never hit by a replace", async (t) => {
  const node = RouteNode.make(t);
  if (node === undefined) return;
  await node.controller.start();
  node.want(P1, A);
  await node.has([LINE_A]);
  node.namespace.ip(`route prepend ${P1} via ${B} proto static`);
  await node.has([]);
  node.want(P1, "192.168.50.53");
  await delay(50);
  await until("it is named", () => node.codes().length > 0);
  assert.deepEqual(node.routes("proto static"), [`${P1} via ${B} dev enp1s0`]);
  assert.deepEqual(node.codes(), ["foreign-route"]);
});

test("a route removed or changed by hand is back within a second", async (t) => {
  const node = RouteNode.make(t);
  if (node === undefined) return;
  await node.controller.start();
  node.want(P1, A);
  await node.has([LINE_A]);
  for (const words of [
    `route del ${P1}`,
    `route replace ${P1} via ${B} dev enp1s0 proto 17`,
    `route change ${P1} via ${A} dev enp1s0 proto 17 src 192.168.50.50`,
    "route flush proto 17",
  ]) {
    node.namespace.ip(words);
    const ms = await node.has([LINE_A]);
    t.diagnostic(`${words}: right again after ${ms.toFixed(1)} ms`);
  }
});

test("a link that goes down and up has its routes again", async (t) => {
  const node = RouteNode.make(t);
  if (node === undefined) return;
  await node.controller.start();
  node.want(P1, A);
  await node.has([LINE_A]);
  node.namespace.ip("link set enp1s0 down");
  await until("it is reported", () => node.codes().includes("next-hop-not-reachable"));
  assert.deepEqual(node.routes(), []);
  node.namespace.ip("link set enp1s0 up");
  await node.has([LINE_A], 2000);
  await until("no condition stands", () => node.codes().length === 0);
  node.namespace.ip("address del 192.168.50.50/24 dev enp1s0");
  await until("reported again", () => node.codes().includes("next-hop-not-reachable"));
  node.namespace.ip("address add 192.168.50.50/24 dev enp1s0");
  await node.has([LINE_A], 2000);
  node.namespace.ip("link set enp1s0 down");
  node.namespace.ip("link set enp1s0 up");
  await node.has([LINE_A], 2000);
});

test("the carrier alone is no reason to take routes out", async (t) => {
  const node = RouteNode.make(t);
  if (node === undefined) return;
  await node.controller.start();
  node.want(P1, A);
  await node.has([LINE_A]);
  node.namespace.ip("link set enp1s0p down");
  await delay(300);
  assert.deepEqual(node.routes(), [`${LINE_A} linkdown`]);
  node.want("10.233.66.0/24", A);
  await until("and others still come", () => node.routes().length === 2);
});

test("an IPv6 address is news when it comes, and again when it can be used", async (t) => {
  const node = RouteNode.make(t);
  if (node === undefined) return;
  await node.controller.start();
  // Duplicates are looked for in three seconds; meanwhile the kernel is listed.
  const setting = "/proc/sys/net/ipv6/conf/enp1s0/dad_transmits";
  node.namespace.enter(() => writeFileSync(setting, "3"));
  const isTentative = () =>
    node.namespace.ip("-6 address show tentative").includes(" 2001:db8:9::50/");
  node.namespace.ip("address add 2001:db8:9::50/64 dev enp1s0");
  node.namespace.ip("address add 192.0.2.50/24 dev enp1s0");
  assert.equal(isTentative(), true);
  await until("both addresses", () => node.news === 1);
  await until("that it is nobody else's", () => node.news === 2);
  assert.equal(isTentative(), false);
});

test("events that were lost do not matter", async (t) => {
  const node = RouteNode.make(t);
  if (node === undefined) return;
  await node.controller.start();
  node.want(P1, A);
  await node.has([LINE_A]);
  // All in one tick: the loop cannot read events, and the buffer is too small for them.
  const flood = Array.from({ length: 20_000 }, (_, i) => {
    const to = `10.${i >> 8}.${i & 255}.0/24`;
    return `route add ${to} via ${B} proto static`;
  });
  node.namespace.ipBatch(flood);
  node.namespace.ip(`route del ${P1}`);
  await node.has([LINE_A], 3000);
  assert.ok(node.controller.status().counters.overruns > 0, "some were lost");
  assert.equal(node.routes("proto static").length, 20_000);
});

test("a route removed while the leftovers of a flood are read is missed by nobody", async (t) => {
  const node = RouteNode.make(t);
  if (node === undefined) return;
  await node.controller.start();
  // In the kernel's list it stands before all others.
  const first = "1.2.3.0/24";
  node.want(first, A);
  await node.has([`${first} via ${A} dev enp1s0`]);
  await delay(EVENT_AGE_MS);
  const flood = Array.from({ length: 20_000 }, (_, i) => {
    return `route add 10.${i >> 8}.${i & 255}.0/24 via ${B} proto static`;
  });
  node.namespace.ipBatch(flood);
  while (node.controller.status().counters.overruns === 0) await nextTurn();
  for (let turn = 0; turn < 10; turn++) await nextTurn();
  node.namespace.ip(`route del ${first}`);
  await node.has([`${first} via ${A} dev enp1s0`], 3000);
});

test("10,000 routes in batches, and the event loop stays free", async (t) => {
  const node = RouteNode.make(t);
  if (node === undefined) return;
  await node.controller.start();
  const prefixes: Prefix[] = [];
  for (let i = 0; i < 10_000; i++) {
    const to = prefix(`10.${i >> 8}.${i & 255}.0/24`);
    node.desired.routes.set(to, { prefix: to, nextHops: [address(A)] });
    prefixes.push(to);
  }
  let longest = 0;
  const thread = new ThreadTime();
  // What others took of the processor meanwhile is no pause of ours.
  const timer = setInterval(() => {
    longest = Math.max(longest, thread.turn().cpuMs);
  }, 1);
  const began = performance.now();
  node.controller.markDirty(prefixes);
  await until("all", () => node.controller.status().installed === 10_000, 10_000, 1);
  const ms = performance.now() - began;
  clearInterval(timer);
  t.diagnostic(`10,000 routes in ${ms.toFixed(0)} ms, longest pause ${longest.toFixed(1)} ms`);
  assert.equal(node.routes().length, 10_000);
  assert.ok(longest < 200, `a pause of ${longest} ms`);
  node.desired.routes.clear();
  node.controller.markDirty(prefixes);
  await until("none", () => node.controller.status().installed === 0, 10_000, 1);
  assert.equal(node.routes().length, 0);
});

test("routes of an earlier run are adopted, kept, replaced in place and swept", async (t) => {
  const node = RouteNode.make(t);
  if (node === undefined) return;
  const { namespace } = node;
  namespace.ip(`route add ${P1} via ${A} proto 17`);
  namespace.ip(`route add 10.233.66.0/24 via ${A} proto 17`);
  namespace.ip(`route add 10.233.67.0/24 via ${A} proto 17`);
  namespace.ip("-6 route add fd00:67::/64 via 2001:db8::51 proto 17");
  namespace.ip("route add 10.233.68.0/24 dev enp1s0 proto 17 src 192.168.50.50");
  namespace.ip(`route add 10.233.69.0/24 via ${A} proto 17 metric 5`);
  namespace.ip(`route add 10.10.0.0/16 via ${A} proto 18`);
  namespace.ip(`route add 10.233.70.0/24 via ${A} proto 17 table 100`);
  assert.deepEqual(await node.controller.start(), { adopted: 6 });
  node.want(P1, A);
  node.want("10.233.66.0/24", B);
  node.want("10.233.68.0/24", B);
  await until("replaced", () => node.controller.status().counters.replaced === 2);
  assert.deepEqual(node.routes(), [
    LINE_A,
    `10.233.66.0/24 via ${B} dev enp1s0`,
    `10.233.67.0/24 via ${A} dev enp1s0`,
    `10.233.68.0/24 via ${B} dev enp1s0`,
    `10.233.69.0/24 via ${A} dev enp1s0 metric 5`,
    "fd00:67::/64 via 2001:db8::51 dev enp1s0 metric 1024 pref medium",
  ]);
  node.controller.converged();
  await node.has([
    LINE_A,
    `10.233.66.0/24 via ${B} dev enp1s0`,
    `10.233.68.0/24 via ${B} dev enp1s0`,
  ]);
  assert.equal(node.routes("proto 18").length, 1);
  assert.equal(node.routes("table 100", ["-4"]).length, 1);
  await node.controller.stop();
  assert.equal(node.routes().length, 3, "they stay");
  const { removed, failures } = await removeAllRoutes(node.kernel);
  node.kernel.close();
  assert.deepEqual([removed, failures.length, node.routes().length], [3, 0, 0]);
  assert.equal(node.routes("table 100", ["-4"]).length, 1);
});

test("a dry run changes nothing", async (t) => {
  const node = RouteNode.make(t, { dryRun: true });
  if (node === undefined) return;
  node.namespace.ip(`route add 10.233.67.0/24 via ${A} proto 17`);
  await node.controller.start();
  node.want(P1, A);
  node.controller.converged();
  await until("it is planned", () => node.controller.status().plannedTotal === 2);
  assert.deepEqual([...node.controller.status().planned].sort(), [
    `create ${P1} via ${A} dev enp1s0 proto 17`,
    `delete 10.233.67.0/24 via ${A} dev enp1s0 proto 17`,
  ]);
  assert.deepEqual(node.routes(), [`10.233.67.0/24 via ${A} dev enp1s0`]);
});
