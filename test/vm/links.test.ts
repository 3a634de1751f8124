/**
 * Routes over the links that machines have: VLANs over bonds, bridges, VRFs, addresses on devices
 * that lead nowhere. On the running kernel, where that has such links.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { requireReal } from "../support/real.ts";
import { RouteNode } from "../support/route-node.ts";
import { until } from "../support/shell.ts";

const TO = "10.233.65.0/24";
const NEXT_HOP = "10.0.0.2";

/** A node with two more wires, e0 and e1, that are up; undefined where the kernel lacks a kind. */
async function nodeWith(t: TestContext, ...kinds: string[]): Promise<RouteNode | undefined> {
  const node = RouteNode.make(t);
  if (node === undefined) return undefined;
  for (const kind of kinds) {
    const there = tries(node, `link add probe0 ${kind}`);
    if (there) node.namespace.ip("link delete probe0");
    if (!requireReal(t, there, `this kernel has no link of type ${kind}`)) return undefined;
  }
  for (const wire of ["e0", "e1"]) {
    node.namespace.ip(`link add ${wire} type veth peer name ${wire}p`);
    node.namespace.ipBatch([`link set ${wire} up`, `link set ${wire}p up`]);
  }
  await node.controller.start();
  node.controller.converged();
  return node;
}

function tries(node: RouteNode, words: string): boolean {
  try {
    node.namespace.ip(words);
    return true;
  } catch {
    return false;
  }
}

/** Waits until it complains of these and of nothing else. */
function says(node: RouteNode, ...what: readonly RegExp[]): Promise<true> {
  const words = () => node.controller.status().conditions.map(({ message }) => message);
  return until(
    () => `${what.join("; ")}, but ${words().join("; ")}`,
    () => {
      const all = words();
      return all.length === what.length && what.every((one, i) => one.test(all[i]!));
    },
  ) as Promise<true>;
}

const over = (link: string) => [`${TO} via ${NEXT_HOP} dev ${link}`];

const VRF = "type vrf table 10";
const IN_VRF = /interface e0, which has its subnet, is in a VRF/;

test("a subnet in a VRF is no way, though it be the only one, or the one made first", async (t) => {
  const node = await nodeWith(t, VRF);
  if (node === undefined) return;
  const { namespace } = node;
  namespace.ipBatch([
    `link add blue ${VRF}`,
    "link set blue up",
    "link set e0 master blue",
    "addr add 10.0.0.77/24 dev e0",
  ]);
  node.want(TO, NEXT_HOP);
  await says(node, IN_VRF);
  assert.deepEqual(node.routes(), []);
  // Address spaces of VRFs overlap: the next hop's very address may be ours there.
  namespace.ip(`addr add ${NEXT_HOP}/24 dev e0`);
  namespace.ip("addr add 10.0.0.1/24 dev e1");
  await node.has(over("e1"));
  await says(node);
});

test("a link goes into a VRF and comes out again: routes leave it, and are back", async (t) => {
  const node = await nodeWith(t, VRF);
  if (node === undefined) return;
  const { namespace } = node;
  namespace.ipBatch([`link add blue ${VRF}`, "link set blue up", "addr add 10.0.0.1/24 dev e0"]);
  node.want(TO, NEXT_HOP);
  await node.has(over("e0"));
  namespace.ip("link set e0 master blue");
  await says(node, IN_VRF);
  assert.deepEqual(node.routes(), []);
  namespace.ip("link set e0 nomaster");
  await node.has(over("e0"));
  // One that is down tells nothing by going up or down.
  namespace.ip("link set e0 down");
  namespace.ip("link set e0 master blue");
  namespace.ip("link set e0 up");
  await says(node, IN_VRF);
  assert.deepEqual(node.routes(), []);
});

const BOND = "type bond mode active-backup miimon 20";

test("a VLAN over a bond: slaves, parent and VLAN may go and come back", async (t) => {
  const node = await nodeWith(t, BOND, "link enp1s0 type vlan id 100");
  if (node === undefined) return;
  const { namespace } = node;
  const stranger = "192.0.2.0/24 via 192.168.50.9 dev enp1s0 proto static";
  const vlan = [
    "link add link bond0 name bond0.100 type vlan id 100",
    "link set bond0.100 up",
    "addr add 10.0.0.1/24 dev bond0.100",
  ];
  namespace.ipBatch([
    `route add ${stranger}`,
    `link add bond0 ${BOND}`,
    ...["e0", "e1"].flatMap((wire) => [`link set ${wire} down`, `link set ${wire} master bond0`]),
    "link set bond0 up",
    ...vlan,
  ]);
  node.want(TO, NEXT_HOP);
  await node.has(over("bond0.100"));
  const active = () => {
    return namespace.run("cat", "/sys/class/net/bond0/bonding/active_slave").trim();
  };
  await until("the first slave", () => active() === "e0");
  const { counters } = node.controller.status();
  namespace.ip("link set e0p down");
  await until("the other slave", () => active() === "e1");
  assert.deepEqual(node.controller.status().counters, counters, "nothing to be done, or looked at");
  namespace.ip("link set bond0 down");
  await says(node, /interface bond0\.100 is down/);
  assert.deepEqual(node.routes(), []);
  namespace.ip("link set bond0 up");
  await node.has(over("bond0.100"));
  const index = namespace.index("bond0.100");
  namespace.ipBatch(["link delete bond0.100", ...vlan]);
  assert.notEqual(namespace.index("bond0.100"), index);
  await node.has(over("bond0.100"));
  namespace.ipBatch([
    "link set bond0.100 down",
    "link set bond0.100 name storage",
    "link set storage up",
  ]);
  await node.has(over("storage"));
  assert.deepEqual(node.routes("proto static"), [stranger.replace(" proto static", "")]);
});

for (const kind of ["macvlan mode bridge", "ipvlan mode l2"]) {
  test(`${kind}: a way like any other, whatever becomes of its parent`, async (t) => {
    const node = await nodeWith(t, `link enp1s0 type ${kind}`);
    if (node === undefined) return;
    const { namespace } = node;
    namespace.ipBatch([
      `link add over0 link e0 type ${kind}`,
      "link set over0 up",
      "addr add 10.0.0.1/24 dev over0",
    ]);
    node.want(TO, NEXT_HOP);
    await node.has(over("over0"));
    namespace.ip("link set e0 down");
    namespace.ip("link set e0 up");
    await node.has(over("over0"));
    namespace.ip("link delete e0");
    await says(node, /no subnet of this machine/);
    assert.deepEqual(node.routes(), []);
  });
}

test("a bridge takes the address of its port over, VLAN filter and all", async (t) => {
  const filtering = "type bridge vlan_filtering 1";
  const node = await nodeWith(t, filtering);
  if (node === undefined) return;
  const { namespace } = node;
  namespace.ip("addr add 10.0.0.1/24 dev e0");
  node.want(TO, NEXT_HOP);
  await node.has(over("e0"));
  namespace.ipBatch([
    `link add br0 ${filtering}`,
    "link set br0 up",
    "link set e0 master br0",
    "addr del 10.0.0.1/24 dev e0",
    "addr add 10.0.0.1/24 dev br0",
  ]);
  await node.has(over("br0"));
  const { counters } = node.controller.status();
  // What is told of a port in the bridge's own words is no news of a link.
  namespace.run("bridge", "vlan", "add", "vid", "100", "dev", "e0");
  namespace.run("bridge", "link", "set", "dev", "e0", "cost", "7");
  namespace.ip("link set e0 nomaster");
  namespace.ip("link set e0 master br0");
  await node.has(over("br0"));
  const { created, replaced, deleted } = node.controller.status().counters;
  const before = [counters.created, counters.replaced, counters.deleted];
  assert.deepEqual([created, replaced, deleted], before);
});

test("a next hop that only a route leads to is told, and its route is nobody's but ours", async (t) => {
  const node = await nodeWith(t, "type dummy");
  if (node === undefined) return;
  const { namespace } = node;
  namespace.ipBatch([
    "link add node0 type dummy",
    "link set node0 up",
    "addr add 10.0.0.1/32 dev node0",
    "addr add 10.0.0.1/32 dev lo",
    "addr add 172.16.0.1/24 dev e0",
    `route add ${NEXT_HOP}/32 via 172.16.0.2 proto static`,
  ]);
  node.want(TO, NEXT_HOP);
  await says(node, /next hop 10\.0\.0\.2 not reachable: it is in no subnet of this machine/);
  assert.deepEqual(node.routes(), []);
  // As the other end of a point-to-point address it is on the link.
  namespace.ip(`addr add 10.0.0.1/32 peer ${NEXT_HOP}/32 dev e1`);
  await node.has(over("e1"));
  assert.deepEqual(node.routes("proto static"), [`${NEXT_HOP} via 172.16.0.2 dev e0`]);
});

test("the addresses of services on IPVS's device are no ways, and their coming is no news", async (t) => {
  const node = await nodeWith(t, "type dummy");
  if (node === undefined) return;
  const { namespace } = node;
  const services = (from: number, count: number, change: "add" | "del") =>
    Array.from({ length: count }, (_, i) => {
      return `addr ${change} 10.96.${(from + i) >> 8}.${(from + i) & 255}/32 dev kube-ipvs0`;
    });
  namespace.ipBatch([
    "link add kube-ipvs0 type dummy",
    "link add nodelocaldns type dummy",
    "link set nodelocaldns up",
    "addr add 169.254.20.10/32 dev nodelocaldns",
    ...services(0, 500, "add"),
    "addr add 10.0.0.1/24 dev e0",
  ]);
  node.want(TO, NEXT_HOP);
  node.want("10.233.66.0/24", "10.96.0.7");
  node.want("10.233.67.0/24", "169.254.20.11");
  node.want("10.96.1.0/24", NEXT_HOP);
  await node.has(over("e0"));
  await says(
    node,
    /10\.233\.66\.0\/24 .* address of this machine/,
    /10\.233\.67\.0\/24 .* no subnet of this machine/,
    /10\.96\.1\.0\/24 .* covers the node address 10\.96\.1\.0$/,
  );
  const { news } = node;
  namespace.ipBatch([...services(1000, 300, "add"), ...services(0, 500, "del")]);
  await node.has(over("e0").concat(`10.96.1.0/24 via ${NEXT_HOP} dev e0`).sort().reverse());
  assert.equal(node.news, news);
});
