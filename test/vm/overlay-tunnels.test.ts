/**
 * IP in IP on a kernel that has it, in namespaces of their own: what the tunnels' keeper makes,
 * what it mends, and what it leaves alone. Nothing is sent here: test/vm/overlay-ipip.test.ts does.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Namespace } from "../../packages/netlink-ts/test/support/namespace.ts";
import { OVERLAY_GAP_MS } from "../../src/overlay/limits.ts";
import { tunnelName } from "../../src/overlay/names.ts";
import { findOwnOverlay, removeOwnOverlay } from "../../src/overlay/remove-all.ts";
import { ip } from "../overlay/fake-overlay.ts";
import {
  IPIP,
  keeper,
  machine,
  machineWithTunnels,
  standing,
  VXLAN,
  wanted,
} from "../support/overlay-node.ts";
import { until } from "../support/shell.ts";

const NODES = 30;
const ENDS4 = "local 192.168.50.50 remote 10.1.0.0";
const ENDS6 = "local fd00:50::50 remote fd00:1::1";
const [TUN4, TUN6] = ["tun-0a010000", tunnelName(ip("fd00:1::1"))];

const count = (text: string, pattern: RegExp): number =>
  text.split("\n").filter((line) => pattern.test(line)).length;

/** Table 77 of both families; the kernel knows none before the first route. */
function table(namespace: Namespace): string {
  return ["-4", "-6"]
    .map((family) => {
      try {
        return namespace.ip(`${family} route show table 77`);
      } catch {
        return "";
      }
    })
    .join("");
}

/** What there is: devices that are up, routes over them, rules. */
function items(namespace: Namespace) {
  const routes = table(namespace);
  return {
    devices: count(namespace.ip("-o link"), /: tun-[0-9a-f]{8}@NONE: <.*UP.* mtu 1480 /),
    devices6: count(namespace.ip("-o link"), /: tun6-[0-9a-f]{10}@NONE: <.*UP.* mtu 1460 /),
    routes: count(routes, /^10\S+ dev tun-[0-9a-f]{8} proto 17/),
    routes6: count(routes, /^fd00\S+ dev tun6-[0-9a-f]{10} proto 17/),
    rules: count(namespace.ip("rule") + namespace.ip("-6 rule"), /lookup 77 proto 17/),
  };
}

const full = (nodes: number) => ({
  ...{ devices: nodes, devices6: nodes, routes: nodes, routes6: nodes },
  rules: nodes === 0 ? 0 : 2,
});
const isFull = (namespace: Namespace, nodes: number) =>
  JSON.stringify(items(namespace)) === JSON.stringify(full(nodes));

test("a tunnel a node: a restart finds all right, and nothing is left at the end", async (t) => {
  const on = await machine(t, "ipip");
  if (on === undefined) return;
  const { namespace, kernel } = on;
  const first = await standing(t, kernel, NODES, IPIP);
  assert.deepEqual([items(namespace), first.overlay.conditions()], [full(NODES), []]);
  assert.ok(first.reads() <= 2, `${first.reads()} reads`);
  const shown4 = namespace.ip(`-d link show ${TUN4}`);
  assert.match(shown4, /ipip (ipip )?remote 10\.1\.0\.0 local 192\.168\.50\.50 ttl 64 pmtudisc/);
  assert.match(shown4, /alias podrouter overlay/);
  const shown6 = namespace.ip(`-d link show ${TUN6}`);
  assert.match(
    shown6,
    /ip6tnl ip6ip6 remote fd00:1::1 local fd00:50::50 hoplimit 64 encaplimit none/,
  );
  assert.match(shown6, /alias podrouter overlay/);
  const before = first.operations();
  const readBefore = first.reads();
  first.overlay.want(wanted(NODES - 1));
  await until("its tunnels are gone", () => isFull(namespace, NODES - 1));
  // The kernel takes the routes of table 77 away with the two devices.
  assert.equal(first.operations() - before, 2);
  await new Promise((resolve) => setTimeout(resolve, OVERLAY_GAP_MS * 2));
  // What the kernel takes away by itself it says, of IPv6: one look at that is right.
  assert.ok(first.reads() - readBefore <= 1);
  assert.equal(first.overlay.status().repairs, 0);
  await first.overlay.stop();

  const second = await standing(t, kernel, NODES - 1, IPIP);
  assert.equal(second.operations(), 0);
  await second.overlay.stop();

  const off = keeper(t, kernel);
  off.overlay.want(wanted(NODES - 1));
  // The kernel takes its time for each device that goes.
  await until("nothing left", () => isFull(namespace, 0), 60_000);
  assert.doesNotMatch(namespace.ip("link"), /tun6?-/);
  assert.equal(table(namespace), "");
});

test("whatever somebody removes or changes is put right", async (t) => {
  const on = await machineWithTunnels(t, IPIP);
  if (on === undefined) return;
  const { namespace, overlay, answered } = on;
  for (const words of [
    "rule delete priority 32000",
    "route flush table 77",
    "-6 route flush table 77",
    ...[TUN4, TUN6].flatMap((name) => [
      `link set ${name} down`,
      `link delete ${name}`,
      `link set ${name} mtu 1300`,
      `link set ${name} alias mine`,
    ]),
    `tunnel change ${TUN4} mode ipip local 192.168.50.50 remote 10.1.9.9`,
    `-6 tunnel change ${TUN6} mode ip6ip6 local fd00:50::50 remote fd00:1::99`,
    `tunnel change ${TUN4} mode ipip ${ENDS4} ttl 5`,
    `-6 tunnel change ${TUN6} mode ip6ip6 ${ENDS6} hoplimit 5`,
  ]) {
    namespace.ip(words);
    await until(
      () => `all is right after: ip ${words}\n${namespace.ip("-d link")}${table(namespace)}`,
      () => {
        const links = namespace.ip("-d link");
        const right = [
          /ipip (ipip )?remote 10\.1\.0\.0 local 192\.168\.50\.50 ttl 64 pmtudisc/,
          /ip6ip6 remote fd00:1::1 local fd00:50::50 hoplimit 64 encaplimit none/,
        ].every((one) => one.test(links));
        const ours = count(links, /alias podrouter overlay/) === 6;
        return right && isFull(namespace, 3) && ours && answered();
      },
    );
  }
  // The width of the node's interface is that of its tunnels.
  namespace.ip("link set enp1s0 mtu 1400");
  const narrow = () => count(namespace.ip("-o link"), / tun.* mtu 13[68]0 /) === 6;
  await until("narrower", () => narrow() && answered());
  namespace.ip("link set enp1s0 mtu 1500");
  await until("as wide as before", () => isFull(namespace, 3) && answered());
  assert.deepEqual(overlay.conditions(), []);
  assert.ok(overlay.status().repairs >= 15);
});

test("a tunnel of somebody else with our ends is used, and ours is there once it is gone", async (t) => {
  const on = await machine(t, "ipip");
  if (on === undefined) return;
  const { namespace, kernel } = on;
  // The first is a name of kube-router's.
  const theirs = ["tun-0123456789a", "stray6"] as const;
  namespace.ip(`link add ${theirs[0]} type ipip ${ENDS4}`);
  namespace.ip(`link add ${theirs[1]} type ip6tnl mode ip6ip6 ${ENDS6}`);
  for (const name of theirs) namespace.ip(`link set ${name} up`);
  const { overlay } = await standing(t, kernel, 3, IPIP);
  assert.deepEqual(overlay.conditions(), []);
  const indexOf = (node: string) => {
    const way = overlay.way(ip(node));
    return way?.ready === true ? way.hop.link : undefined;
  };
  assert.equal(indexOf("10.1.0.0"), namespace.index(theirs[0]));
  assert.equal(indexOf("fd00:1::1"), namespace.index(theirs[1]));
  assert.match(table(namespace), new RegExp(`^10.1.0.0 dev ${theirs[0]} proto 17`, "m"));
  assert.match(table(namespace), new RegExp(`^fd00:1::1 dev ${theirs[1]} proto 17`, "m"));
  assert.doesNotMatch(namespace.ip("link"), new RegExp(`${TUN4}|${TUN6}`));
  // Its owner switches it off for a moment.
  for (const [name, node] of [
    [theirs[0], "10.1.0.0"],
    [theirs[1], "fd00:1::1"],
  ] as const) {
    namespace.ip(`link set ${name} down`);
    await until(`${name} is no way`, () => indexOf(node) === undefined);
    namespace.ip(`link set ${name} up`);
    await until(`${name} is one again`, () => indexOf(node) === namespace.index(name));
    await until("its route of table 77", () => table(namespace).includes(`dev ${name} proto 17`));
    namespace.ip(`link delete ${name}`);
  }
  await until("ours", () => isFull(namespace, 3));
  // The kernel has it before the keeper has heard that it does.
  await until("the way over ours", () => indexOf("fd00:1::1") === namespace.index(TUN6));
});

test("a tunnel of somebody else that carries other packets is named, and not used", async (t) => {
  const on = await machine(t, "ipip");
  if (on === undefined) return;
  const { namespace, kernel } = on;
  namespace.ip(`link add stray6 type ip6tnl mode ipip6 ${ENDS6}`);
  namespace.ip("link set stray6 up");
  const { overlay } = keeper(t, kernel, IPIP);
  overlay.want(wanted(3));
  await until("the others", () => overlay.status().tunnels[6] === 2);
  assert.deepEqual(
    overlay.conditions().map(({ name }) => name),
    ["overlay-device stray6"],
  );
  namespace.ip("link delete stray6");
  await until("ours", () => isFull(namespace, 3));
  // One of ours that somebody turns into such.
  namespace.ip(`-6 tunnel change ${TUN6} mode ipip6 local fd00:50::50 remote fd00:1::1`);
  await until("as before", () => / ip6ip6 /.test(namespace.ip(`-d link show ${TUN6}`)));
  await until("all", () => isFull(namespace, 3) && overlay.conditions().length === 0);
});

test("from IP in IP to VXLAN and back: nothing of the old one stays", async (t) => {
  const on = await machine(t, "ipip");
  if (on === undefined) return;
  const { namespace, kernel } = on;
  for (const settings of [IPIP, VXLAN, IPIP]) {
    const { overlay } = await standing(t, kernel, 3, settings);
    const other = settings === IPIP ? /podrouter-vx/ : /tun6?-/;
    await until(`nothing of the other than ${settings.encap}`, () => {
      return !other.test(namespace.ip("link"));
    });
    const over = settings === IPIP ? /dev tun6?-\S+ proto 17/ : /dev podrouter-vx\d proto 17/;
    assert.deepEqual([count(table(namespace), over), count(table(namespace), /./)], [6, 6]);
    assert.deepEqual(overlay.conditions(), []);
    await overlay.stop();
  }
  await until("all of IP in IP", () => isFull(namespace, 3));
});

test("cleanup takes ours, and leaves the kernel's own devices and those of others", async (t) => {
  const on = await machineWithTunnels(t, IPIP);
  if (on === undefined) return;
  const { namespace, kernel, overlay } = on;
  namespace.ip("link add tun-0123456789a type ipip local 192.168.50.50 remote 10.9.9.9");
  // A name that is like ours, of a device that is not.
  namespace.ip("link add tun-0a090909 type ipip local 192.168.50.50 remote 10.9.9.8");
  await overlay.stop();
  const found = await findOwnOverlay(kernel);
  assert.ok(found.lines.includes(`tunnel ${TUN4} (ipip)`));
  assert.ok(found.lines.includes(`tunnel ${TUN6} (ip6tnl)`));
  assert.deepEqual(await removeOwnOverlay(kernel, found), []);
  assert.deepEqual(items(namespace), { ...full(0), devices: 0 });
  const left = [...namespace.ip("-o link").matchAll(/^\d+: ([^:@]+)/gm)].map(([, name]) => name);
  assert.deepEqual(
    left.filter((name) => /tun/.test(name!)).filter((name) => !/^tunl0$/.test(name!)),
    ["tun-0123456789a", "tun-0a090909"],
  );
});
