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
