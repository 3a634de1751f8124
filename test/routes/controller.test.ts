import assert from "node:assert/strict";
import { test } from "node:test";
import { prefix } from "../../src/ip/prefix.ts";
import { BATCH_OPERATIONS_MAX } from "../../src/routes/limits.ts";
import { address, line, route, STATIC } from "./fake-kernel.ts";
import { Harness } from "./harness.ts";

const P1 = "10.233.65.0/24";
const P2 = "10.233.66.0/24";
const A = "192.168.50.51";
const B = "192.168.50.52";
const viaA = route(P1, { via: A });

function lines(...routes: Parameters<typeof line>[0][]): string[] {
  return routes.map(line).sort();
}

test("what is wanted is installed, changed in place and removed", async () => {
  const h = new Harness();
  assert.equal(await h.started(), 0);
  h.change(P1, A);
  h.change("fd00:65::/64", "2001:db8::51");
  await h.rest();
  assert.deepEqual(h.kernel.ours(), lines(viaA, route("fd00:65::/64", { via: "2001:db8::51" })));
  assert.deepEqual(h.tried(), [`create ${P1}`, "create fd00:65::/64"]);
  h.change(P1, B);
  await h.rest();
  assert.deepEqual(h.tried(), [`replace ${P1}`]);
  h.change(P1);
  await h.rest();
  assert.deepEqual(h.tried(), [`delete ${P1}`]);
  h.change("fd00:65::/64");
  await h.rest();
  const { installed, counters, pending } = h.controller.status();
  assert.deepEqual([installed, pending], [0, 0]);
  assert.deepEqual(
    [counters.created, counters.replaced, counters.deleted, counters.failed, counters.resyncs],
    [2, 1, 2, 0, 1],
  );
});

test("several next hops are one route, and an unreachable one is left out", async () => {
  const h = new Harness();
  await h.started();
  h.change(P1, B, A, B);
  await h.rest();
  assert.deepEqual(h.kernel.ours(), lines(route(P1, { via: [A, B] })));
  h.change(P1, B, A, "10.99.0.1");
  await h.rest();
  assert.deepEqual(h.kernel.ours(), lines(route(P1, { via: [A, B] })));
  assert.deepEqual(h.codes(), ["next-hop-not-reachable"]);
  assert.match(h.messages(), /installed without one next hop: next hop 10\.99\.0\.1/);
});

test("marks that come together cost one look, and unchanged ones nothing", async () => {
  const h = new Harness();
  await h.started();
  for (let i = 0; i < 100; i++) h.change(P1, i % 2 === 0 ? A : B);
  await h.rest();
  assert.deepEqual(h.tried(), [`create ${P1}`]);
  h.change(P1, B);
  await h.rest();
  assert.deepEqual(h.tried(), []);
  assert.equal(h.kernel.dumps, 1);
});

test("many routes go in slices, and a change overtakes a full comparison", async () => {
  const h = new Harness();
  for (let i = 0; i < 3 * BATCH_OPERATIONS_MAX + 7; i++) h.want(`10.${i >> 8}.${i & 255}.0/24`, A);
  await h.controller.start();
  h.change("172.20.0.0/24", B);
  await h.rest();
  assert.equal(h.kernel.tried[0]?.prefix, "172.20.0.0/24");
  assert.equal(h.controller.status().installed, 3 * BATCH_OPERATIONS_MAX + 8);
  assert.ok(h.kernel.largestBatch <= BATCH_OPERATIONS_MAX);
  assert.ok(h.kernel.largestBatch > BATCH_OPERATIONS_MAX / 2);
});

test("a route that was removed or changed by hand is back at once", async () => {
  const h = new Harness();
  h.want(P1, A);
  await h.started();
  await h.rest(5000);
  h.kernel.delete((entry) => entry.prefix === P1);
  await h.rest(5);
  assert.deepEqual(h.kernel.ours(), lines(viaA));
  await h.rest(5000);
  h.kernel.replace(route(P1, { via: B }));
  await h.rest(5);
  assert.deepEqual(h.kernel.ours(), lines(viaA));
  assert.deepEqual(h.tried(), [`create ${P1}`, `create ${P1}`, `replace ${P1}`]);
});

test("a foreign route stays, is named, and yields its place when it goes", async () => {
  const h = new Harness();
  const fixed = route(P1, { via: B, protocol: STATIC });
  h.kernel.routes.push(fixed);
  await h.started();
  h.change(P1, A);
  await h.rest(300);
  assert.deepEqual(h.kernel.foreign(), [line(fixed)]);
  assert.deepEqual(h.kernel.ours(), []);
  assert.deepEqual(h.codes(), ["foreign-route"]);
  const foreign =
    /10\.233\.65\.0\/24 via 192\.168\.50\.51 .*foreign route.*via 192\.168\.50\.52 dev/;
  assert.match(h.messages(), foreign);
  assert.match(h.messages(), /dev enp1s0 proto static$/);
  h.kernel.delete((entry) => entry.protocol === STATIC);
  await h.rest(5);
  assert.deepEqual(h.kernel.ours(), lines(viaA));
  assert.deepEqual(h.codes(), []);
  assert.equal(h.controller.status().pending, 0);
});

test("a foreign route that comes in a race is not overwritten", async () => {
  const h = new Harness();
  await h.started();
  const fixed = route(P1, { via: B, protocol: STATIC });
  h.kernel.eventDelayMs = 10;
  h.kernel.beforeApply = () => {
    h.kernel.beforeApply = () => undefined;
    h.kernel.add(fixed);
  };
  h.change(P1, A);
  await h.rest(2000);
  assert.deepEqual(h.kernel.foreign(), [line(fixed)]);
  assert.deepEqual(h.kernel.ours(), []);
  assert.match(h.messages(), /proto static/);
});

test("a foreign route put beside ours makes ours give way, with no replace", async () => {
  const h = new Harness();
  h.want(P1, A);
  await h.started();
  h.tried();
  h.kernel.add(route(P1, { via: B, protocol: STATIC }), "first");
  await h.rest();
  h.change(P1, B);
  await h.rest();
  assert.deepEqual(h.tried(), [`delete ${P1}`]);
  assert.deepEqual(h.codes(), ["foreign-route"]);
});

test("foreign routes elsewhere and foreign events cost nothing", async () => {
  const h = new Harness();
  for (let i = 0; i < 50; i++) h.kernel.routes.push(route(`10.5.${i}.0/24`, { protocol: STATIC }));
  h.want(P1, A);
  await h.started();
  h.kernel.add(route("10.77.0.0/16", { protocol: STATIC, via: B }));
  await h.rest(1500);
  assert.deepEqual(h.tried(), [`create ${P1}`]);
  assert.equal(h.kernel.dumps, 1);
  assert.equal(h.controller.status().counters.foreignEvents, 0);
});

test("a next hop that cannot be reached is named, and tried when addresses change", async () => {
  const h = new Harness();
  h.want(P1, "10.99.0.2");
  h.want(P2, B);
  await h.started();
  assert.deepEqual(h.kernel.ours(), lines(route(P2, { via: B })), "the other one is in");
  assert.deepEqual(h.codes(), ["next-hop-not-reachable"]);
  assert.match(h.messages(), /10\.233\.65\.0\/24 via 10\.99\.0\.2 is not installed/);
  assert.match(h.messages(), /in no subnet of this machine/);
  h.kernel.addAddress({
    link: 2,
    address: address("10.99.0.1"),
    subnet: prefix("10.99.0.0/24"),
  });
  await h.rest(500);
  assert.equal(h.controller.status().installed, 2);
  assert.deepEqual(h.codes(), []);
  h.change(P1, "192.168.50.50");
  await h.rest(500);
  assert.match(h.messages(), /address of this machine/);
  assert.equal(h.controller.status().installed, 1, "the one to the old next hop is gone");
});

test("an address that goes leaves the routes of a link that stays", async () => {
  const h = new Harness();
  h.want(P1, A);
  await h.started();
  await h.rest(5000);
  h.tried();
  h.kernel.deleteAddress("192.168.50.50");
  await h.rest(500);
  assert.deepEqual(h.kernel.ours(), lines(viaA), "no gap while an address is renewed");
  assert.deepEqual(h.codes(), ["next-hop-not-reachable"]);
  assert.deepEqual(h.tried(), []);
});

test("lost events: everything is compared again", async () => {
  const h = new Harness();
  h.want(P1, A);
  h.want(P2, B);
  await h.started();
  await h.rest(5000);
  h.kernel.silently(() => {
    h.kernel.routes = [route(P1, { via: B })];
  });
  h.kernel.overrun();
  await h.rest(300);
  assert.deepEqual(h.kernel.ours(), lines(viaA, route(P2, { via: B })));
  assert.equal(h.controller.status().counters.overruns, 1);
});

test("even without any event the period repairs", async () => {
  const h = new Harness({ syncPeriodMs: 10_000 });
  h.want(P1, A);
  await h.started();
  h.kernel.silently(() => {
    h.kernel.routes = [];
  });
  await h.rest(9_000);
  assert.deepEqual(h.kernel.ours(), []);
  await h.rest(1_100);
  assert.deepEqual(h.kernel.ours(), lines(viaA));
});

test("an event long after operations of ours needs no listing", async () => {
  const h = new Harness();
  h.want(P1, A);
  await h.started();
  await h.rest(5000);
  h.kernel.delete((entry) => entry.prefix === P1);
  await h.rest(5000);
  assert.deepEqual(h.kernel.ours(), lines(viaA));
  assert.equal(h.kernel.dumps, 1);
});

test("a deletion older than our own operation does not fool it for long", async () => {
  const h = new Harness();
  await h.started();
  h.kernel.eventDelayMs = 50;
  h.change(P1, A);
  await h.rest(10);
  // Deleted and restored by us at the period, before the event of the deletion is read.
  h.kernel.delete((entry) => entry.prefix === P1);
  h.kernel.overrun();
  h.kernel.eventDelayMs = 0;
  await h.rest(3000);
  assert.deepEqual(h.kernel.ours(), lines(viaA));
  assert.deepEqual(h.codes(), []);
  assert.equal(h.controller.status().installed, 1);
});

test("a deletion seen before the answer of our own operation is repaired", async () => {
  const h = new Harness();
  await h.started();
  h.kernel.afterApply = () => {
    h.kernel.afterApply = () => undefined;
    h.kernel.delete((entry) => entry.prefix === P1);
    // The event is read before the answer is.
    h.clock.advance(0);
  };
  h.change(P1, A);
  await h.rest(1500);
  assert.deepEqual(h.kernel.ours(), lines(viaA));
});

test("changes while the kernel is listed are not lost", async () => {
  const h = new Harness({ syncPeriodMs: 10_000 });
  h.kernel.dumpMs = 10;
  h.want(P1, A);
  h.want(P2, B);
  const started = h.started();
  await h.rest(50);
  await started;
  h.kernel.duringDump = () => {
    h.kernel.duringDump = () => undefined;
    h.kernel.delete((entry) => entry.prefix === P1);
    h.kernel.delete((entry) => entry.prefix === P2);
  };
  await h.rest(10_100);
  assert.deepEqual(h.kernel.ours(), lines(viaA, route(P2, { via: B })));
});

test("an event that leaves open what is there now has the kernel listed at once", async () => {
  const h = new Harness();
  const to = "fd00:65::/64";
  h.want(to, "2001:db8::51", "2001:db8::52");
  await h.started();
  await h.rest(5000);
  // IPv6 loses one of two next hops, and reports only that one as a route that went.
  h.kernel.silently(() => {
    h.kernel.routes = [route(to, { via: "2001:db8::51" })];
  });
  h.kernel.report("delete", route(to, { via: "2001:db8::52" }));
  await h.rest(300);
  assert.deepEqual(h.kernel.ours(), lines(route(to, { via: ["2001:db8::51", "2001:db8::52"] })));
});

test("of marks that come together, however many, each is looked at", async () => {
  const h = new Harness();
  const marked = Array.from({ length: 200 }, (_, i) => `10.9.${i}.0/24`);
  marked.push(...Array.from({ length: 100 }, (_, i) => `fd00:${i + 1}::/64`));
  for (const to of marked) h.kernel.routes.push(route(to, { via: A, link: 2 }));
  await h.started();
  h.controller.markDirty(marked.map(prefix));
  await h.rest();
  assert.deepEqual(h.kernel.ours(), []);
  assert.equal(h.tried().length, marked.length);
});

test("marks in quick succession do not put the work off", async () => {
  const h = new Harness();
  await h.started();
  const after = h.clock.after.bind(h.clock);
  // As setTimeout does: never earlier than a millisecond from now.
  h.clock.after = (delayMs, callback) => after(Math.max(1, delayMs), callback);
  for (let i = 0; i < 10; i++) {
    h.change(P1, i % 2 === 0 ? A : B);
    await h.rest(0.5);
  }
  assert.ok(h.kernel.tried.length > 0);
});

test("new guards are held against what is installed", async () => {
  const h = new Harness();
  h.want(P1, A);
  h.want("192.168.50.0/24", A);
  await h.started();
  assert.match(h.messages(), /192\.168\.50\.0\/24 via 192\.168\.50\.51 is refused/);
  assert.deepEqual(h.kernel.ours(), lines(viaA));
  h.controller.setGuards({ protectedAddresses: [], ownPodCidrs: [prefix(P1)] });
  await h.rest();
  assert.deepEqual(h.kernel.ours(), []);
  assert.match(h.messages(), /own pod CIDR 10\.233\.65\.0\/24/);
  h.controller.setGuards({ protectedAddresses: [], ownPodCidrs: [] });
  await h.rest();
  assert.deepEqual(h.kernel.ours(), lines(viaA));
});

test("a protected address that comes or goes is held against what covers it, and only that", async () => {
  const h = new Harness();
  h.want(P1, A);
  h.want(P2, A);
  await h.started();
  let looks = 0;
  const { read } = h.desired;
  h.desired.read = (into) => {
    for (let i = 0; i < into.prefixes.count; i++) if (into.prefixes.prefixAt(i) === P2) looks++;
    read.call(h.desired, into);
  };
  const nodes = ["192.168.50.50", "192.168.50.51", "192.168.50.52"].map(address);
  const ownPodCidrs = [prefix("10.233.64.0/24")];
  const inside = address("10.233.65.7");
  h.controller.setGuards({ protectedAddresses: [...nodes, inside], ownPodCidrs });
  await h.rest();
  assert.deepEqual(h.kernel.ours(), lines(route(P2, { via: A })));
  assert.match(h.messages(), /covers the node address 10\.233\.65\.7/);
  h.controller.setGuards({ protectedAddresses: nodes, ownPodCidrs });
  await h.rest();
  assert.deepEqual(h.kernel.ours(), lines(viaA, route(P2, { via: A })));
  assert.equal(looks, 0);
});

test("stop leaves the routes and does nothing any more", async () => {
  const h = new Harness();
  h.want(P1, A);
  await h.started();
  await h.controller.stop();
  h.change(P1, B);
  h.kernel.delete((entry) => entry.prefix === P2);
  await h.rest(100_000);
  assert.deepEqual(h.kernel.ours(), lines(viaA));
  assert.equal(h.kernel.listening, false);
  assert.equal(h.clock.pendingCount, 0);
});
