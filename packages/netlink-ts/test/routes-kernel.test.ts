/** Routes against the running kernel, in namespaces of their own; checked with the ip program. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Errno,
  RouteNetlink,
  type RouteOperation,
  RouteProtocol,
  RouteScope,
  RouteTable,
  RouteType,
} from "../src/index.ts";
import { Namespace } from "./support/namespace.ts";

const BGP = 17;

/** A namespace with `v0` 192.0.2.1/24 and a netlink in it. */
function setUp(t: Parameters<typeof Namespace.make>[0]) {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return undefined;
  namespace.veth("v0", "192.0.2.1/24");
  const netlink = namespace.enter(() => new RouteNetlink());
  t.after(() => netlink.close());
  return { namespace, netlink, v0: namespace.index("v0") };
}

function manyRoutes(count: number, interfaceIndex: number): RouteOperation[] {
  return Array.from({ length: count }, (_, i) => ({
    kind: "add",
    route: {
      destination: `10.${i >> 8}.${i & 255}.0/24`,
      gateway: "192.0.2.2",
      interfaceIndex,
      protocol: BGP,
    },
  }));
}

test("a route is what ip shows, and is listed as it was given", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { namespace, netlink, v0 } = set;
  const outcomes = await netlink.routes.apply(manyRoutes(1, v0));
  assert.deepEqual(outcomes, [undefined]);
  assert.equal(namespace.ip("route show proto 17").trim(), "10.0.0.0/24 via 192.0.2.2 dev v0");
  assert.deepEqual(await netlink.routes.list({ protocol: BGP }), [
    {
      destination: "10.0.0.0/24",
      gateway: "192.0.2.2",
      interfaceIndex: v0,
      table: RouteTable.MAIN,
      protocol: BGP,
      scope: RouteScope.UNIVERSE,
      type: RouteType.UNICAST,
      tos: 0,
      flags: 0,
    },
  ]);
});

test("10,000 routes are added, listed and deleted; a second add fails 10,000 times", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { namespace, netlink, v0 } = set;
  const adds = manyRoutes(10_000, v0);
  const added = await netlink.routes.apply(adds);
  assert.equal(added.length, adds.length);
  assert.ok(added.every((outcome) => outcome === undefined));
  assert.equal(namespace.ip("-o route show proto 17").trim().split("\n").length, adds.length);
  const listed = await netlink.routes.list({ family: 4, protocol: BGP, table: RouteTable.MAIN });
  assert.deepEqual(
    new Set(listed.map((route) => route.destination)),
    new Set(adds.map((add) => add.route.destination)),
  );
  const again = await netlink.routes.apply(adds);
  assert.ok(again.every((outcome) => outcome?.errno === Errno.EEXIST));
  assert.equal(again[9_999]?.code, "EEXIST");
  const deleted = await netlink.routes.apply(
    adds.map(({ route: { destination } }) => ({
      kind: "delete",
      route: { destination, protocol: BGP },
    })),
  );
  assert.ok(deleted.every((outcome) => outcome === undefined));
  assert.equal(namespace.ip("route show proto 17"), "");
});

test("a delete with our protocol leaves another's route alone", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { namespace, netlink } = set;
  namespace.ip("route add 10.9.0.0/24 via 192.0.2.2 proto static");
  const key = { destination: "10.9.0.0/24" };
  const [foreign, any] = await netlink.routes.apply([
    { kind: "delete", route: { ...key, protocol: BGP } },
    { kind: "delete", route: { ...key, protocol: RouteProtocol.STATIC } },
  ]);
  assert.equal(foreign?.code, "ESRCH");
  assert.equal(any, undefined);
});

test("multipath, both families, other gateways, tables and types are what ip shows", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { namespace, netlink, v0 } = set;
  namespace.ip("-6 address add fd00::1/64 dev v0 nodad");
  const hops = (first: string, second: string) => [
    { gateway: first, interfaceIndex: v0, weight: 1 },
    { gateway: second, interfaceIndex: v0, weight: 3 },
  ];
  const routes = [
    { destination: "10.1.0.0/16", nextHops: hops("192.0.2.2", "192.0.2.3") },
    { destination: "fd01::/48", nextHops: hops("fd00::2", "fd00::3") },
    { destination: "fd02::/48", gateway: "fd00::2" },
    { destination: "10.2.0.0/16", gateway: "fd00::2", interfaceIndex: v0 },
    { destination: "10.3.0.0/16", gateway: "192.0.2.2", table: 300, mtu: 1400, priority: 5 },
    { destination: "0.0.0.0/0", gateway: "192.0.2.2", preferredSource: "192.0.2.1" },
    { destination: "10.4.0.0/16", type: RouteType.BLACKHOLE },
    { destination: "fd04::/48", type: RouteType.UNREACHABLE },
    { destination: "10.5.0.0/16", gateway: "203.0.113.1", interfaceIndex: v0, flags: 4 },
    { destination: "10.6.0.0/16", interfaceIndex: v0 },
  ].map((route) => ({ ...route, protocol: BGP }));
  const outcomes = await netlink.routes.apply(routes.map((route) => ({ kind: "add", route })));
  assert.deepEqual(outcomes, new Array(routes.length).fill(undefined));
  const lines = (words: string) =>
    namespace
      .ip(words)
      .trim()
      .split("\n")
      .map((line) => line.replace(/\s+/g, " ").trim());
  assert.deepEqual(lines("route show proto 17 table all"), [
    "10.3.0.0/16 via 192.0.2.2 dev v0 table 300 metric 5 mtu 1400",
    "default via 192.0.2.2 dev v0 src 192.0.2.1",
    "10.1.0.0/16",
    "nexthop via 192.0.2.2 dev v0 weight 1",
    "nexthop via 192.0.2.3 dev v0 weight 3",
    "10.2.0.0/16 via inet6 fd00::2 dev v0",
    "blackhole 10.4.0.0/16",
    "10.5.0.0/16 via 203.0.113.1 dev v0 onlink",
    "10.6.0.0/16 dev v0 scope link",
    "fd01::/48 metric 1024 pref medium",
    "nexthop via fd00::2 dev v0 weight 1",
    "nexthop via fd00::3 dev v0 weight 3",
    "fd02::/48 via fd00::2 dev v0 metric 1024 pref medium",
    "unreachable fd04::/48 dev lo metric 1024 pref medium",
  ]);
  const listed = await netlink.routes.list({ protocol: BGP });
  assert.equal(listed.length, routes.length);
  for (const route of routes) {
    const found = listed.find(({ destination }) => destination === route.destination);
    assert.partialDeepStrictEqual(found, route);
  }
  assert.deepEqual(
    (await netlink.routes.list({ table: 300 })).map(({ destination }) => destination),
    ["10.3.0.0/16"],
  );
  assert.deepEqual(await netlink.routes.list({ table: 4242 }), []);
  assert.equal((await netlink.routes.list({ family: 6, protocol: BGP })).length, 3);
  // What was listed can be given back to delete exactly that.
  const deleted = await netlink.routes.apply(listed.map((route) => ({ kind: "delete", route })));
  assert.deepEqual(deleted, new Array(routes.length).fill(undefined));
  assert.deepEqual(await netlink.routes.list({ protocol: BGP }), []);
});

test("a replace takes the place of the route with the same metric", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { namespace, netlink } = set;
  const route = { destination: "10.1.0.0/24", protocol: BGP };
  await netlink.routes.apply([
    { kind: "replace", route: { ...route, gateway: "192.0.2.2" } },
    { kind: "replace", route: { ...route, gateway: "192.0.2.3" } },
    { kind: "replace", route: { ...route, gateway: "192.0.2.4", priority: 7 } },
  ]);
  assert.deepEqual(namespace.ip("route show proto 17").trim().split(/ *\n/), [
    "10.1.0.0/24 via 192.0.2.3 dev v0",
    "10.1.0.0/24 via 192.0.2.4 dev v0 metric 7",
  ]);
});

test("a change needs a route to take the place of", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { namespace, netlink } = set;
  namespace.ip("address add 2001:db8::1/64 dev v0 nodad");
  const route = { destination: "10.1.0.0/24", protocol: BGP };
  const route6 = { destination: "fd00:1::/64", protocol: BGP };
  const outcomes = await netlink.routes.apply([
    { kind: "change", route: { ...route, gateway: "192.0.2.2" } },
    { kind: "change", route: { ...route6, gateway: "2001:db8::2" } },
    { kind: "add", route: { ...route, gateway: "192.0.2.2" } },
    { kind: "add", route: { ...route6, gateway: "2001:db8::2" } },
    { kind: "change", route: { ...route, gateway: "192.0.2.3" } },
    { kind: "change", route: { ...route6, gateway: "2001:db8::3" } },
  ]);
  assert.deepEqual(
    outcomes.map((outcome) => outcome?.errno),
    [Errno.ENOENT, Errno.ENOENT, undefined, undefined, undefined, undefined],
  );
  assert.equal(namespace.ip("route show proto 17").trim(), "10.1.0.0/24 via 192.0.2.3 dev v0");
  assert.match(namespace.ip("-6 route show proto 17"), /^fd00:1::\/64 via 2001:db8::3 dev v0/);
});

test("a refusal carries the kernel's explanation, and the rest of the batch is done", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { netlink } = set;
  const outcomes = await netlink.routes.apply([
    { kind: "add", route: { destination: "10.1.0.0/24", gateway: "203.0.113.1" } },
    { kind: "add", route: { destination: "10.2.0.1/24", gateway: "192.0.2.2" } },
    { kind: "add", route: { destination: "no prefix", gateway: "192.0.2.2" } },
    { kind: "add", route: { destination: "10.3.0.0/24", gateway: "192.0.2.2", protocol: BGP } },
  ]);
  assert.deepEqual(
    outcomes.map((outcome) => outcome?.message),
    [
      "ENETUNREACH: Nexthop has invalid gateway",
      "EINVAL: Invalid prefix for given prefix length",
      'EINVAL: not an IP address: "no prefix"',
      undefined,
    ],
  );
  assert.equal((await netlink.routes.list({ protocol: BGP })).length, 1);
});

test("a whole batch of refusals with explanations fits the receive buffer", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const adds = manyRoutes(3_000, 0).map(({ kind, route }) => ({
    kind,
    route: { destination: route.destination, gateway: "203.0.113.1" },
  }));
  const outcomes = await set.netlink.routes.apply(adds);
  assert.ok(outcomes.every((outcome) => outcome?.message.endsWith("has invalid gateway")));
});

test("a lookup says which way the kernel would send", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { netlink, v0 } = set;
  await netlink.routes.apply(manyRoutes(1, v0));
  const { gateway, interfaceIndex, preferredSource } = await netlink.routes.lookup("10.0.0.9");
  assert.deepEqual([gateway, interfaceIndex, preferredSource], ["192.0.2.2", v0, "192.0.2.1"]);
  await assert.rejects(netlink.routes.lookup("203.0.113.1"), { code: "ENETUNREACH" });
  set.namespace.ip("address add 2001:db8::1/64 dev v0 nodad");
  const near = await netlink.routes.lookup("2001:db8::9");
  assert.deepEqual([near.gateway, near.interfaceIndex], [undefined, v0]);
  await assert.rejects(netlink.routes.lookup("2001:db9::1"), { code: "ENETUNREACH" });
});

test("what a route has beside its fields is told, of its ways too", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { namespace, netlink } = set;
  namespace.ip("address add 2001:db8::1/64 dev v0 nodad");
  const [v4, v6] = ["via 192.0.2.2 dev v0", "via 2001:db8::2 dev v0"];
  const expected: readonly (readonly [string, string, readonly string[] | undefined])[] = [
    ["10.0.1.0/24", v4, undefined],
    ["10.0.2.0/24", `${v4} mtu 1400`, undefined],
    ["10.0.3.0/24", `${v4} mtu 1400 advmss 500 realm 5`, ["metrics", "realms"]],
    ["10.0.4.0/24", `encap ip id 5 dst 192.0.2.9 ${v4}`, ["encapsulation"]],
    ["10.0.5.0/24", `nexthop ${v4} nexthop realm 5 via 192.0.2.3 dev v0`, ["realms"]],
    ["fd00:1::/64", v6, undefined],
    ["fd00:2::/64", `${v6} expires 600 pref low`, ["expiry", "preference"]],
  ];
  for (const [to, words] of expected) namespace.ip(`route add ${to} proto ${BGP} ${words}`);
  const listed = await netlink.routes.list({ protocol: BGP });
  assert.deepEqual(
    listed.map(({ destination, extras }) => [destination, extras]),
    expected.map(([to, , extras]) => [to, extras]),
  );
});

test("next hop objects are listed with what they lead to, more than one part of them", async (t) => {
  const set = setUp(t);
  if (set === undefined) return;
  const { namespace, netlink, v0 } = set;
  assert.deepEqual(await netlink.nextHops.list(), []);
  const ids = Array.from({ length: 2000 }, (_, i) => i + 10);
  namespace.ipBatch([
    "nexthop add id 1 via 192.0.2.2 dev v0",
    "nexthop add id 2 blackhole",
    "nexthop add id 3 dev v0",
    "nexthop add id 4 group 1/3,200",
    ...ids.map((id) => `nexthop add id ${id} via 192.0.2.3 dev v0`),
  ]);
  const own = { protocol: RouteProtocol.UNSPEC, flags: 0 };
  const members = [1, 3].map((id) => ({ id, weight: id === 1 ? 1 : 200 }));
  const listed = await netlink.nextHops.list();
  assert.deepEqual(listed.slice(0, 4), [
    { ...own, id: 1, gateway: "192.0.2.2", interfaceIndex: v0 },
    { ...own, id: 2, blackhole: true },
    { ...own, id: 3, interfaceIndex: v0 },
    { ...own, id: 4, members },
  ]);
  assert.deepEqual(
    listed.slice(4).map(({ id }) => id),
    ids,
  );
});
