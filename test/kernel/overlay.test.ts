/**
 * The tunnels' keeper and the routes through tunnels on the running kernel, in namespaces of their
 * own; checked with `ip` and `bridge`. Nothing is sent here: test/cluster/overlay.test.ts does.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Namespace } from "../../packages/netlink-ts/test/support/namespace.ts";
import { prefix } from "../../src/ip/prefix.ts";
import type { OverlayController } from "../../src/overlay/controller.ts";
import { OVERLAY_GAP_MS } from "../../src/overlay/limits.ts";
import type { DeviceKind } from "../../src/overlay/types.ts";
import { RouteController } from "../../src/routes/controller.ts";
import { NetlinkKernel } from "../../src/routes/netlink-kernel.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { systemClock } from "../../src/runtime/system-clock.ts";
import { ip } from "../overlay/fake-overlay.ts";
import { FakeDesired } from "../routes/harness.ts";
import {
  keeper,
  machine,
  machineWithTunnels,
  standing,
  VXLAN,
  wanted,
} from "../support/overlay-node.ts";
import { until } from "../support/shell.ts";

const NODES = 300;

const count = (text: string, pattern: RegExp): number =>
  text.split("\n").filter((line) => pattern.test(line)).length;

/** What there is of each kind of item. */
function items(namespace: Namespace) {
  const all = (words: string) =>
    namespace.ip("link").includes("podrouter") ? namespace.ip(words) : "";
  const table = (family: string) => {
    try {
      return namespace.ip(`${family} route show table 77`);
    } catch {
      return "";
    }
  };
  return {
    forwarding: count(namespace.run("bridge", "fdb", "show"), /^0e:.* dst \S+ self permanent/),
    neighbours: count(all("neigh show dev podrouter-vx4"), /PERMANENT/),
    neighbours6: count(all("-6 neigh show dev podrouter-vx6"), /^fe80.*PERMANENT/),
    routes: count(table("-4"), /dev podrouter-vx4 proto 17/),
    routes6: count(table("-6"), /via fe80.* dev podrouter-vx6 proto 17/),
    rules: count(namespace.ip("rule") + namespace.ip("-6 rule"), /lookup 77 proto 17/),
  };
}

const full = (nodes: number) => ({
  forwarding: nodes * 2,
  neighbours: nodes,
  neighbours6: nodes,
  routes: nodes,
  routes6: nodes,
  rules: 2,
});
const NONE = { ...full(0), rules: 0 };

test("hundreds of nodes, a restart that finds all right, and nothing left at the end", async (t) => {
  const on = await machine(t);
  if (on === undefined) return;
  const { namespace, kernel } = on;
  const first = await standing(t, kernel, NODES);
  assert.deepEqual(items(namespace), full(NODES));
  assert.match(namespace.ip("-d link show podrouter-vx4"), /alias podrouter overlay/);
  assert.match(
    namespace.ip("-d link show podrouter-vx6"),
    /mtu 1430 [\s\S]*vxlan id 77 local fd00:50::50 .*dstport 4789 .*nolearning/,
  );
  const before = first.operations();
  const readBefore = first.reads();
  first.overlay.want(wanted(NODES - 1));
  await until("one less", () => first.overlay.status().tunnels[6] === NODES - 1);
  await until("its entries are gone", () => items(namespace).routes6 === NODES - 1);
  assert.equal(first.operations() - before, 6);
  // What we do ourselves is no reason to look at everything again, nor to count a repair.
  await new Promise((resolve) => setTimeout(resolve, OVERLAY_GAP_MS * 2));
  assert.equal(first.reads() - readBefore, 0);
  assert.ok(first.reads() <= 2, `${first.reads()} reads`);
  assert.equal(first.overlay.status().repairs, 0);
  await first.overlay.stop();

  const second = await standing(t, kernel, NODES - 1);
  assert.equal(second.operations(), 0);
  await second.overlay.stop();

  const off = keeper(t, kernel);
  off.overlay.want(wanted(NODES - 1));
  await until("nothing left", () => !namespace.ip("link").includes("podrouter"));
  await until("no rule left", () => items(namespace).rules === 0);
  assert.deepEqual(items(namespace), NONE);
});

test("no router advertisement is taken from a VXLAN, new or found", async (t) => {
  const on = await machine(t);
  if (on === undefined) return;
  const { namespace, kernel } = on;
  const accept = (device: string) => `/proc/sys/net/ipv6/conf/${device}/accept_ra`;
  const taken = () =>
    ["podrouter-vx4", "podrouter-vx6"].map((name) => namespace.run("cat", accept(name)).trim());
  namespace.run("sh", "-c", `echo 2 > ${accept("default")}`);
  const first = await standing(t, kernel, 3);
  assert.deepEqual(taken(), ["0", "0"]);
  await first.overlay.stop();
  namespace.run("sh", "-c", `echo 1 > ${accept("podrouter-vx4")}`);
  const second = await standing(t, kernel, 3);
  assert.deepEqual([taken(), second.overlay.conditions()], [["0", "0"], []]);
  await new Promise((resolve) => setTimeout(resolve, OVERLAY_GAP_MS * 2));
  assert.equal(second.operations(), 1);
});

test("routes of table 77 by a next hop object: ours is put right, a stranger's awaited", async (t) => {
  const on = await machineWithTunnels(t);
  if (on === undefined) return;
  const { namespace, overlay, answered } = on;
  const isFull = () => {
    return JSON.stringify(items(namespace)) === JSON.stringify(full(3)) && answered();
  };
  for (const [family, to, via] of [
    ["-4", "10.1.0.1/32", "via 192.168.50.9 dev enp1s0"],
    ["-6", "fd00:1::1/128", "via fd00:50::9 dev enp1s0"],
  ]) {
    namespace.ip(`nexthop add id 5 ${via}`);
    // The same way as ours, which then would go with the object.
    const way = family === "-4" ? "via 10.1.0.1 dev podrouter-vx4 onlink" : via;
    namespace.ip(`nexthop add id 6 ${way}`);
    namespace.ip(`${family} route replace ${to} nhid 6 table 77 proto 17`);
    await until(`ours again: ${to}`, () => {
      return isFull() && !namespace.ip(`${family} route show table 77`).includes("nhid");
    });
    namespace.ip(`${family} route replace ${to} nhid 5 table 77 proto 98`);
    await until("it is left alone", () => overlay.conditions().length === 1);
    namespace.ip("nexthop del id 5");
    await until(`it is gone: ${to}`, isFull);
    await until("all is well", () => overlay.conditions().length === 0);
    namespace.ip("nexthop del id 6");
  }
});

test("whatever somebody removes is back", async (t) => {
  const on = await machineWithTunnels(t);
  if (on === undefined) return;
  const { namespace, overlay, answered } = on;
  for (const words of [
    "rule delete priority 32000",
    "-6 rule delete priority 32000",
    "route flush table 77",
    "neigh flush dev podrouter-vx4 nud permanent",
    "-6 route delete fd00:1::1 table 77",
    "link set podrouter-vx6 down",
    "link delete podrouter-vx4",
    "link set podrouter-vx4 mtu 1300",
  ]) {
    namespace.ip(words);
    await until(`all is right after: ip ${words}`, () => {
      const links = namespace.ip("link");
      const right = JSON.stringify(items(namespace)) === JSON.stringify(full(3));
      const up = /vx4: .*,UP.* mtu 1450/.test(links) && /vx6: .*,UP.* mtu 1430/.test(links);
      return right && up && answered();
    });
  }
  const allForwarding = () => items(namespace).forwarding === 6 && answered();
  namespace.run("bridge", "fdb", "del", "0e:58:0a:01:00:01", "dev", "podrouter-vx4");
  await until("the forwarding entry", allForwarding);
  const entry = ["0e:58:0a:01:00:01", "dev", "podrouter-vx4", "dst", "10.1.0.1"];
  for (const [what, value] of [
    ["port", "8472"],
    ["vni", "78"],
    ["via", "enp1s0"],
  ] as const) {
    namespace.run("bridge", "fdb", "replace", ...entry, what, value);
    await until(`the entry without ${what}`, allForwarding);
  }
  const surplus = ["0e:58:0a:01:09:09", "dev", "podrouter-vx4", "dst", "10.1.9.9"];
  namespace.run("bridge", "fdb", "add", ...surplus, "port", "8472");
  await until("no entry too much", () => {
    return count(namespace.run("bridge", "fdb", "show"), /^0e:/) === 6 && answered();
  });
  assert.ok(overlay.status().repairs >= 13);
  assert.deepEqual(overlay.conditions(), []);
});

test("what keeps packets of a VXLAN from getting through is put right, what does not is left", async (t) => {
  const on = await machineWithTunnels(t);
  if (on === undefined) return;
  const { namespace, overlay, answered } = on;
  const shown = (device: string) => namespace.ip(`-d link show ${device}`);
  const index = shown("podrouter-vx4").split(":")[0];
  for (const device of ["podrouter-vx4", "podrouter-vx6"]) {
    for (const words of ["ttl 1", "df set", "df inherit", "learning", "ttl 3 df set learning"]) {
      namespace.ip(`link set ${device} type vxlan ${words}`);
      await until(`all is right after: ${words}`, () => {
        const text = shown(device);
        const right = / nolearning .*ttl auto ageing 300 /.test(text);
        return right && !/ df (set|inherit) /.test(text) && answered();
      });
    }
  }
  const { repairs } = overlay.status();
  assert.ok(repairs >= 10, `${repairs} repairs`);
  namespace.ip("link set podrouter-vx4 type vxlan tos 0x10 ageing 100");
  await new Promise((resolve) => setTimeout(resolve, OVERLAY_GAP_MS * 2));
  assert.match(shown("podrouter-vx4"), /tos 0x10 ttl auto ageing 100 /);
  assert.equal(shown("podrouter-vx4").split(":")[0], index, "none was made anew");
  assert.deepEqual([items(namespace), overlay.status().repairs], [full(3), repairs]);
  assert.deepEqual(overlay.conditions(), []);
});

test("a rule that is like ours but for one word is not ours, and ours stands beside it", async (t) => {
  const on = await machine(t);
  if (on === undefined) return;
  const { namespace, kernel } = on;
  const likes = ["iif enp1s0", "oif enp1s0", "fwmark 7", "ipproto tcp", "uidrange 1-2"];
  const add = (words: string) => namespace.ip(`${words} lookup 77 priority 32000 protocol 17`);
  for (const like of likes) add(`rule add from 10.233.64.0/24 ${like}`);
  // Beside this one the kernel takes none without "to".
  add("-6 rule add from fd00:10:64::/64 to fd00:1::/64");
  const { overlay } = await standing(t, kernel, 3);
  assert.equal(count(namespace.ip("rule"), /from \S+ lookup 77 proto 17\s*$/), 1);
  assert.equal(items(namespace).rules, likes.length + 2);
  assert.deepEqual(
    overlay.conditions().map(({ message }) => message.replace(/: E?EXIST.*|: File.*/i, "")),
    ["the kernel refuses `rule add from fd00:10:64::/64 lookup 77`"],
  );
  namespace.ip("-6 rule delete priority 32000");
  await until("ours is there", () => overlay.conditions().length === 0);
  assert.equal(count(namespace.ip("-6 rule"), /from \S+ lookup 77 proto 17\s*$/), 1);
});

test("a blackhole of ours in table 77 gives way, to a route or to nothing", async (t) => {
  const on = await machine(t);
  if (on === undefined) return;
  const { namespace, kernel } = on;
  for (const to of ["10.1.0.1/32", "10.8.8.8/32", "fd00:1::1/128", "fd00:8::8/128"]) {
    namespace.ip(`route add blackhole ${to} table 77 proto 17`);
  }
  const { overlay } = await standing(t, kernel, 3);
  assert.deepEqual([items(namespace), overlay.conditions()], [full(3), []]);
  const all = namespace.ip("route show table 77") + namespace.ip("-6 route show table 77");
  assert.doesNotMatch(all, /blackhole/);
});

test("what the kernel can make is found out without making it", async (t) => {
  const on = await machine(t);
  if (on === undefined) return;
  const { namespace, kernel } = on;
  for (const kind of ["ipip", "ip6tnl"] as const satisfies readonly DeviceKind[]) {
    const real = (() => {
      try {
        namespace.ip(
          `link add real type ${kind} remote ${kind === "ipip" ? "192.0.2.1" : "fd00::1"}`,
        );
        namespace.ip("link delete real");
        return true;
      } catch {
        return false;
      }
    })();
    assert.equal(await kernel.supports(kind), real, kind);
  }
  assert.doesNotMatch(namespace.ip("link"), /podrouter/);
});

/** Wants routes to go by, and keeps them, by way of the tunnels. */
function routesThrough(t: TestContext, namespace: Namespace, overlay: OverlayController) {
  const desired = new FakeDesired();
  const want = (destination: string, ...nextHops: readonly string[]) => {
    const to = prefix(destination);
    desired.routes.set(to, { prefix: to, nextHops: nextHops.map(ip) });
  };
  const routes = new RouteController(
    { guards: { protectedAddresses: [], ownPodCidrs: [] } },
    {
      ...{ kernel: new NetlinkKernel({ around: (make) => namespace.enter(make) }), desired },
      ...{ tunnels: overlay, clock: systemClock, random: () => 0.5, log: silentLog },
    },
  );
  t.after(() => routes.stop());
  const shown = () => `${namespace.ip("route")}${namespace.ip("-6 route")}`.replace(/\s+/g, " ");
  return { routes, want, shown };
}

test("a device that is down for a moment has its routes again, those of its nodes too", async (t) => {
  const on = await machineWithTunnels(t);
  if (on === undefined) return;
  const { namespace, overlay } = on;
  const { routes, want, shown } = routesThrough(t, namespace, overlay);
  want("10.233.65.0/24", "10.1.0.0");
  want("fd00:10:65::/64", "fd00:1::1");
  await routes.start();
  await until("both routes", () => routes.status().installed === 2);
  for (const name of ["podrouter-vx4", "podrouter-vx6"]) {
    // Up again before the tunnels' keeper looks.
    namespace.ipBatch([`link set ${name} down`, `link set ${name} up`]);
    await until(`all is right after ${name}`, () => {
      const right = JSON.stringify(items(namespace)) === JSON.stringify(full(3));
      const [v4, v6] = [/65\.0\/24 via \S+ dev podrouter-vx4 /, /fd00:10:65\S+ via \S+ dev podr/];
      return right && v4.test(shown()) && v6.test(shown());
    });
  }
});

test("a route through tunnels is read back as it was written: alone, shared, of both families", async (t) => {
  const on = await machineWithTunnels(t);
  if (on === undefined) return;
  const { namespace, overlay } = on;
  const { routes, want, shown } = routesThrough(t, namespace, overlay);
  want("10.233.65.0/24", "10.1.0.0");
  want("10.233.66.0/24", "10.1.0.1", "10.1.0.2");
  want("10.233.67.0/24", "10.1.0.1", "192.168.50.51");
  want("fd00:10:65::/64", "fd00:1::1");
  want("fd00:10:66::/64", "fd00:1::1", "fd00:1::2");
  await routes.start();
  await until("all routes", () => routes.status().installed === 5);
  assert.deepEqual(routes.status().conditions, []);
  const text = shown();
  for (const line of [
    /10\.233\.65\.0\/24 via 10\.1\.0\.0 dev podrouter-vx4 proto 17 src 192\.168\.50\.50 onlink/,
    /10\.233\.66\.0\/24 proto 17 src 192\.168\.50\.50 nexthop via 10\.1\.0\.1 dev podrouter-vx4 weight 1 onlink/,
    /10\.233\.67\.0\/24 .*nexthop via 192\.168\.50\.51 dev enp1s0 weight 1 /,
    /fd00:10:65::\/64 via fe80::\S+ dev podrouter-vx6 proto 17 src fd00:50::50/,
  ]) {
    assert.match(text, line);
  }
  const { created, replaced } = routes.status().counters;
  const { resyncs } = routes.status().counters;
  routes.tunnelsChanged("all");
  await until("looked at again", () => routes.status().counters.resyncs > resyncs);
  await until("at rest", () => routes.status().pending === 0);
  assert.deepEqual(
    [routes.status().counters.created, routes.status().counters.replaced],
    [created, replaced],
  );
  assert.equal(replaced, 0);
});

test("a node on the link of an address of DHCPv6, as its router says, gets no tunnel", async (t) => {
  const set = await machine(t);
  if (set === undefined) return;
  const { namespace, kernel } = set;
  namespace.ip("address del fd00:50::50/64 dev enp1s0");
  namespace.ip("address add fd00:50::50/128 dev enp1s0 nodad");
  const beside = { 4: undefined, 6: ip("fd00:50::51") };
  const { overlay } = keeper(t, kernel, VXLAN);
  overlay.want({ ...wanted(0), remotes: [beside] });
  await until("a tunnel, for want of a subnet", () => overlay.way(beside[6])?.ready === true);
  namespace.ip("-6 route add fd00:50::/64 dev enp1s0 proto ra metric 100");
  await until("none", () => overlay.way(beside[6]) === undefined);
});
