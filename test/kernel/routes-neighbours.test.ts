/** Gateways and peers on a link, on the running kernel: which of its routes need what. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { address } from "../routes/fake-kernel.ts";
import { RouteNode } from "../support/route-node.ts";
import { until } from "../support/shell.ts";

const A = "192.168.50.51";
const A6 = "2001:db8::51";

test("the default route of the machine can be made anew, whatever is announced", async (t) => {
  const node = RouteNode.make(t);
  if (node === undefined) return;
  const { namespace } = node;
  namespace.ip("route add default via 192.168.50.1");
  namespace.ip("-6 route add default via 2001:db8::1");
  await node.controller.start();
  node.want("192.168.50.1/32", A);
  node.want("192.168.50.0/30", A);
  node.want("192.168.50.200/32", A);
  node.want("2001:db8::1/128", A6);
  node.want("2001:db8::200/128", A6);
  await node.has([
    `192.168.50.200 via ${A} dev enp1s0`,
    `2001:db8::200 via ${A6} dev enp1s0 metric 1024 pref medium`,
  ]);
  await until("refused", () => node.controller.status().conditionsTotal === 3);
  assert.deepEqual(new Set(node.codes()), new Set(["route-refused"]));
  namespace.ip("-6 route del default");
  // "No route to host", were its gateway reached through another one.
  namespace.ip("-6 route add default via 2001:db8::1");
});

test("an administrator's new route takes its gateway back, of several next hops too", async (t) => {
  const node = RouteNode.make(t);
  if (node === undefined) return;
  await node.controller.start();
  const route = (host: number) => `192.168.50.${host} via ${A} dev enp1s0`;
  for (const host of [201, 202, 203]) node.want(`192.168.50.${host}/32`, A);
  await node.has([201, 202, 203].map(route));
  node.namespace.ip("route add 10.1.0.0/16 nexthop via 192.168.50.201 nexthop via 192.168.50.202");
  await node.has([route(203)]);
  node.namespace.ip("route add 10.2.0.0/16 via 192.168.50.203 dev enp1s0 table 100");
  node.want("10.233.65.0/24", A);
  await node.has([`10.233.65.0/24 via ${A} dev enp1s0`, route(203)]);
});

test("a link that was down gets its default route back, whatever is announced", async (t) => {
  const node = RouteNode.make(t);
  if (node === undefined) return;
  const { namespace } = node;
  namespace.ip("-6 route add default via 2001:db8::1");
  await node.controller.start();
  const elsewhere = `2001:db8:5::/48 via ${A6} dev enp1s0 metric 1024 pref medium`;
  node.want("2001:db8::1/128", A6);
  node.want("2001:db8:5::/48", A6);
  await node.has([elsewhere]);
  namespace.ip("link set enp1s0 down");
  await until("no way", () => node.controller.status().conditionsTotal === 2);
  namespace.ip("link set enp1s0 up");
  namespace.ip("address replace 2001:db8::50/64 dev enp1s0 nodad");
  // Whoever sets up the machine's network comes behind us.
  await until("refused", () => node.codes().join() === "route-refused");
  await node.has([elsewhere]);
  namespace.ip("-6 route add default via 2001:db8::1");
});

test("a peer counts while its link is up", async (t) => {
  const peers = ["192.168.60.1", "2001:db8:60::1"].map(address);
  const node = RouteNode.make(t, { guards: { protectedAddresses: [], ownPodCidrs: [], peers } });
  if (node === undefined) return;
  const { namespace } = node;
  namespace.veth("enp2s0", "192.168.60.50/24");
  namespace.ip("address add 2001:db8:60::50/64 dev enp2s0 nodad");
  await node.controller.start();
  node.want("192.168.60.1/32", A);
  node.want("2001:db8:60::1/128", A6);
  await until("refused", () => node.controller.status().conditionsTotal === 2);
  assert.deepEqual(node.routes(), []);
  namespace.ip("link set enp2s0 down");
  await node.has([
    `192.168.60.1 via ${A} dev enp1s0`,
    `2001:db8:60::1 via ${A6} dev enp1s0 metric 1024 pref medium`,
  ]);
  namespace.ip("link set enp2s0 up");
  namespace.ip("address replace 2001:db8:60::50/64 dev enp2s0 nodad");
  await node.has([]);
});

test("pods that are still on kube-bridge are reached, whoever has their CIDR", async (t) => {
  const guards = { protectedAddresses: [], ownPodCidrs: [], podLink: "kube-bridge" };
  const node = RouteNode.make(t, { guards });
  if (node === undefined) return;
  const { namespace } = node;
  namespace.ip("link add kube-bridge type bridge");
  namespace.ip("address add 10.233.64.1/24 dev kube-bridge");
  namespace.ip("address add fd00:64::1/64 dev kube-bridge nodad");
  namespace.ip("link set kube-bridge up");
  await node.controller.start();
  node.want("10.233.64.128/25", A);
  node.want("fd00:64:0:0:f000::/68", A6);
  node.want("10.233.64.0/22", A);
  const aggregate = `10.233.64.0/22 via ${A} dev enp1s0`;
  await until("refused", () => node.controller.status().conditionsTotal === 2);
  await node.has([aggregate]);
  namespace.ip("link delete kube-bridge");
  const half = `10.233.64.128/25 via ${A} dev enp1s0`;
  const six = `fd00:64:0:0:f000::/68 via ${A6} dev enp1s0 metric 1024 pref medium`;
  await node.has([aggregate, half, six]);
});

for (const mode of [1, 0]) {
  test(`gateways of routes by objects, with nexthop_compat_mode ${mode}`, async (t) => {
    const node = RouteNode.make(t);
    if (node === undefined) return;
    const { namespace } = node;
    namespace.run("sysctl", "-qw", `net.ipv4.nexthop_compat_mode=${mode}`);
    namespace.ipBatch([
      ...[1, 2, 3, 4, 5].map((n) => `nexthop add id ${n} via 192.168.50.20${n} dev enp1s0`),
      "nexthop add id 6 via 2001:db8::201 dev enp1s0",
      "nexthop add id 11 via 2001:db8::202 dev enp1s0",
      "nexthop add id 7 blackhole",
      "nexthop add id 8 group 2/3,5",
      "route add 10.1.0.0/16 nhid 1",
      "route add 10.2.0.0/16 nhid 8",
      "route add 10.3.0.0/16 nhid 7",
      "route add 2001:db8:3::/48 nhid 6",
      "route add 10.4.0.0/16 nhid 5 table 100",
    ]);
    const route = (host: number) => `192.168.50.${host} via ${A} dev enp1s0`;
    const route6 = (host: number) =>
      `2001:db8::${host} via ${A6} dev enp1s0 metric 1024 pref medium`;
    for (let host = 201; host <= 207; host++) node.want(`192.168.50.${host}/32`, A);
    for (const host of [201, 202]) node.want(`2001:db8::${host}/128`, A6);
    await node.controller.start();
    await node.has([...[204, 205, 206, 207].map(route), route6(202)]);
    await until("the others refused", () => node.controller.status().conditionsTotal === 4);
    // A group of others, an object of another gateway, a new one and its route.
    namespace.ip("nexthop replace id 8 group 2/4");
    await node.has([...[205, 206, 207].map(route), route6(202)]);
    namespace.ip("nexthop replace id 1 via 192.168.50.205 dev enp1s0");
    await node.has([...[206, 207].map(route), route6(202)]);
    namespace.ip("nexthop add id 9 via 192.168.50.206 dev enp1s0");
    namespace.ip("nexthop add id 12 via 192.168.50.207 dev enp1s0");
    namespace.ip("route add 10.5.0.0/16 nhid 9");
    await node.has([route(207), route6(202)]);
    namespace.ip("route replace 2001:db8:3::/48 nhid 11");
    await node.has([route(207)]);
    namespace.ip("nexthop del id 9");
    node.controller.converged();
    await node.has([route(207)]);
  });
}

test("an object that is for forwarding entries now, by which no route goes, is no gateway", async (t) => {
  const node = RouteNode.make(t);
  if (node === undefined) return;
  const { namespace } = node;
  namespace.run("sysctl", "-qw", "net.ipv4.nexthop_compat_mode=0");
  namespace.ipBatch([
    "nexthop add id 1 via 192.168.50.201 dev enp1s0",
    "nexthop add id 2 via 192.168.50.202 dev enp1s0",
    "nexthop add id 3 via 192.168.50.203 fdb",
    "route add 10.1.0.0/16 nhid 1",
    "route add 10.2.0.0/16 nhid 2",
  ]);
  const route = (host: number) => `192.168.50.${host} via ${A} dev enp1s0`;
  for (let host = 201; host <= 205; host++) node.want(`192.168.50.${host}/32`, A);
  await node.controller.start();
  await node.has([203, 204, 205].map(route));
  assert.deepEqual(
    (await node.kernel.dumpNextHops()).map(({ id }) => id),
    [1, 2],
  );
  namespace.ip("route del 10.1.0.0/16");
  namespace.ip("nexthop replace id 1 via 192.168.50.204 fdb");
  namespace.ip("nexthop replace id 2 via 192.168.50.205 dev enp1s0");
  await node.has([203, 204].map(route));
});
