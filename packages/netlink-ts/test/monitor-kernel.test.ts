/** Events of the running kernel. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import {
  LinkFlag,
  type RouteEvent,
  RouteFlag,
  RouteNetlink,
  type RouteTopic,
} from "../src/index.ts";
import { Namespace } from "./support/namespace.ts";

const PATIENCE_MS = 5_000;

/** Events as they come, and a way to wait for the one that matters. */
function watch(
  t: TestContext,
  namespace: Namespace,
  topics: readonly RouteTopic[],
  bytes?: number,
) {
  const events: RouteEvent[] = [];
  const overruns: string[] = [];
  let look = (): void => undefined;
  const netlink = namespace.enter(() => new RouteNetlink());
  const options = bytes === undefined ? { topics } : { topics, receiveBufferBytes: bytes };
  const monitor = namespace.enter(() =>
    netlink.monitor(options, {
      onEvent(event) {
        events.push(event);
        look();
      },
      onOverrun(reason) {
        overruns.push(reason);
        look();
      },
    }),
  );
  t.after(() => {
    monitor.close();
    netlink.close();
  });
  const until = (what: string, holds: () => boolean) =>
    new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`never seen: ${what}`)), PATIENCE_MS);
      look = () => {
        if (!holds()) return;
        clearTimeout(late);
        resolve();
      };
      look();
    });
  return { netlink, events, overruns, until };
}

test("routes come and go by others and by us, and the port tells which", async (t) => {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return;
  namespace.veth("v0", "192.0.2.1/24");
  const { netlink, events, until } = watch(t, namespace, ["route"]);
  namespace.ip("route add 10.1.0.0/24 via 192.0.2.2 proto 17");
  namespace.ip("-6 route add fd01::/64 dev v0");
  const route = { destination: "10.1.0.0/24", protocol: 17 };
  await netlink.routes.apply([
    { kind: "replace", route: { ...route, gateway: "192.0.2.3" } },
    { kind: "delete", route },
  ]);
  const pods = () =>
    events
      // The link's own come when the kernel has made sure of its address, however late.
      .filter((event) => event.kind === "route" && !event.route.destination.startsWith("fe80::"))
      .map((event) => {
        if (event.kind !== "route") throw new Error(event.kind);
        const { destination, gateway } = event.route;
        const what = event.replaced ? "replace" : event.change;
        return `${what} ${destination} ${gateway} ${event.port === netlink.port}`;
      });
  await until("the deletion", () => pods().some((line) => line.startsWith("delete")));
  assert.deepEqual(pods(), [
    "new 10.1.0.0/24 192.0.2.2 false",
    "new fd01::/64 undefined false",
    "replace 10.1.0.0/24 192.0.2.3 true",
    "delete 10.1.0.0/24 192.0.2.3 true",
  ]);
});

test("links, addresses, rules and neighbours", async (t) => {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return;
  namespace.veth("v0", "192.0.2.1/24");
  const topics = ["link", "address", "rule", "neighbour"] as const;
  const { events, until } = watch(t, namespace, topics);
  namespace.ip("link set v0 down");
  namespace.ip("link set v0 up");
  namespace.ip("address add 192.0.2.9/24 dev v0");
  namespace.ip("rule add priority 100 lookup 300");
  namespace.ip("neighbour add 192.0.2.8 lladdr 02:00:00:00:00:08 dev v0");
  namespace.ip("address del 192.0.2.9/24 dev v0");
  namespace.ip("link delete v0");
  const lines = () =>
    events.map((event) => {
      switch (event.kind) {
        case "link":
          return `${event.change} ${event.link.name} ${(event.link.flags & LinkFlag.UP) !== 0}`;
        case "address":
          return `${event.change} ${event.address.address}`;
        case "rule":
          return `${event.change} ${event.rule.priority} ${event.rule.table}`;
        case "neighbour":
          return `${event.change} ${event.neighbour.destination}`;
        default:
          return "not asked for";
      }
    });
  await until("the end of the link", () => lines().includes("delete v0 false"));
  const seen = lines();
  const order = [
    "new v0 false",
    "new v0 true",
    "new 192.0.2.9/24",
    "new 100 300",
    "new 192.0.2.8",
    "delete 192.0.2.9/24",
    "delete v0 false",
  ];
  assert.deepEqual(
    [...new Set(seen)].filter((line) => order.includes(line)),
    order,
  );
  assert.ok(!seen.includes("not asked for"));
});

test("a burst of 10,000 routes is seen whole", async (t) => {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return;
  namespace.veth("v0", "192.0.2.1/24");
  const { netlink, events, overruns, until } = watch(t, namespace, ["route"]);
  const adds = Array.from({ length: 10_000 }, (_, i) => ({
    kind: "add" as const,
    route: { destination: `10.${i >> 8}.${i & 255}.0/24`, gateway: "192.0.2.2" },
  }));
  await netlink.routes.apply(adds);
  // Beside those of the link's own addresses, which come when the kernel has made sure of them.
  const seen = () =>
    events.filter((event) => event.kind === "route" && event.route.destination.startsWith("10."));
  await until("all of them", () => events.length >= adds.length && seen().length >= adds.length);
  assert.deepEqual(overruns, []);
  assert.equal(seen().length, adds.length);
});

test("what one socket caused can be left out", async (t) => {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return;
  namespace.veth("v0", "192.0.2.1/24");
  const netlink = namespace.enter(() => new RouteNetlink());
  const seen: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const monitor = namespace.enter(() =>
    netlink.monitor(
      { topics: ["route"], exceptPort: netlink.port },
      {
        onEvent(event) {
          if (event.kind !== "route" || !event.route.destination.startsWith("10.")) return;
          seen.push(event.route.destination);
          if (event.route.destination === "10.2.0.0/24") resolve();
        },
        onOverrun: () => assert.fail("overrun"),
      },
    ),
  );
  t.after(() => {
    monitor.close();
    netlink.close();
  });
  const ours = { destination: "10.1.0.0/24", gateway: "192.0.2.2", protocol: 17 };
  await netlink.routes.apply([{ kind: "add", route: ours }]);
  namespace.ip("route add 10.2.0.0/24 via 192.0.2.2");
  await promise;
  assert.deepEqual(seen, ["10.2.0.0/24"]);
});

test("more than the buffer holds is reported, and the monitor goes on", async (t) => {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return;
  namespace.veth("v0", "192.0.2.1/24");
  const { events, overruns, until } = watch(t, namespace, ["route"], 8_192);
  // The event loop stands still meanwhile.
  namespace.ipBatch(
    Array.from({ length: 500 }, (_, i) => `route add 10.0.${i >> 1}.${(i & 1) * 128}/25 dev v0`),
  );
  await until("the overrun", () => overruns.length > 0);
  assert.deepEqual(overruns, ["overrun"]);
  assert.ok(events.length < 500);
  namespace.ip("route add 10.9.0.0/24 dev v0");
  await until("the route after it", () =>
    events.some((event) => event.kind === "route" && event.route.destination === "10.9.0.0/24"),
  );
});

test("what happens once a loss is told comes as an event, or the loss is told again", async (t) => {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return;
  namespace.veth("v0", "192.0.2.1/24");
  const { overruns, events, until } = watch(t, namespace, ["route"], 512 * 1024);
  namespace.ipBatch(
    Array.from({ length: 3000 }, (_, i) => `route add 10.${i >> 8}.${i & 255}.0/24 dev v0`),
  );
  await until("the overrun", () => overruns.length > 0);
  // As by whoever lists everything now, and has seen this prefix already.
  namespace.ip("route add 10.99.0.0/24 dev v0");
  const isTold = () =>
    events.some((event) => event.kind === "route" && event.route.destination === "10.99.0.0/24");
  await until("the route after it", () => overruns.length > 1 || isTold());
});

test("what is left out takes no room: a flood of ours does not push others out", async (t) => {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return;
  namespace.veth("v0", "192.0.2.1/24");
  const netlink = namespace.enter(() => new RouteNetlink());
  const overruns: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const monitor = namespace.enter(() =>
    netlink.monitor(
      { topics: ["route"], exceptPort: netlink.port, receiveBufferBytes: 8_192 },
      {
        onEvent: (event) => {
          if (event.kind === "route" && event.route.destination === "10.2.0.0/24") resolve();
        },
        onOverrun: (reason) => overruns.push(reason),
      },
    ),
  );
  t.after(() => {
    monitor.close();
    netlink.close();
  });
  const flood = Array.from({ length: 3_000 }, (_, i) => ({
    kind: "add" as const,
    route: { destination: `10.${100 + (i >> 8)}.${i & 255}.0/24`, gateway: "192.0.2.2" },
  }));
  const done = netlink.routes.apply(flood);
  // The kernel works, the event loop stands still and reads nothing.
  await new Promise(setImmediate);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  await done;
  namespace.ip("route add 10.2.0.0/24 via 192.0.2.2");
  await promise;
  assert.deepEqual(overruns, []);
});

test("next hop objects of each sort, and IPv4 says nothing of routes that go with them", async (t) => {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return;
  namespace.veth("v0", "192.0.2.1/24");
  namespace.ip("address add fd00::1/64 dev v0 nodad");
  const { events, until } = watch(t, namespace, ["nextHop", "route"]);
  for (const words of [
    "nexthop add id 1 via 192.0.2.2 dev v0",
    "nexthop add id 2 dev v0 protocol 17",
    "nexthop add id 3 via fd00::2 dev v0 onlink",
    "nexthop add id 4 blackhole",
    "nexthop add id 5 group 1,7/2,9",
    "nexthop add id 6 via 192.0.2.2 fdb",
    "route add 10.1.0.0/24 nhid 1",
    "-6 route add fd01::/64 nhid 3",
    "nexthop replace id 1 via 192.0.2.3 dev v0",
    "nexthop del id 3",
    "nexthop del id 1",
    "nexthop del id 2",
  ]) {
    namespace.ip(words);
  }
  const ofObjects = () =>
    events.flatMap((event): (readonly [string, unknown])[] => {
      const change = event.replaced ? "replace" : event.change;
      if (event.kind === "nextHop") return [[change, event.nextHop]];
      if (event.kind !== "route" || event.route.nextHopId === undefined) return [];
      return [[change, `${event.route.destination} via ${event.route.gateway}`]];
    });
  await until("the end", () => ofObjects().length >= 16);
  const way = { interfaceIndex: namespace.index("v0"), protocol: 0, flags: 0 };
  const second = { ...way, id: 2, protocol: 17 };
  const third = { ...way, id: 3, gateway: "fd00::2", flags: RouteFlag.ONLINK };
  const again = { ...way, id: 1, gateway: "192.0.2.3" };
  const group = { id: 5, protocol: 0, flags: 0 };
  const lonely = { ...group, members: [{ id: 2, weight: 9 }] };
  assert.deepEqual(ofObjects(), [
    ["new", { ...way, id: 1, gateway: "192.0.2.2" }],
    ["new", second],
    ["new", third],
    ["new", { id: 4, blackhole: true, protocol: 0, flags: 0 }],
    ["new", { ...group, members: [{ id: 1, weight: 7 }, ...lonely.members] }],
    ["new", { id: 6, gateway: "192.0.2.2", forwarding: true, protocol: 0, flags: 0 }],
    ["new", "10.1.0.0/24 via 192.0.2.2"],
    ["new", "fd01::/64 via fd00::2"],
    ["replace", again],
    ["replace", "10.1.0.0/24 via 192.0.2.3"],
    ["delete", third],
    ["delete", "fd01::/64 via fd00::2"],
    ["delete", again],
    ["new", lonely],
    ["delete", second],
    ["delete", lonely],
  ]);
});
