/**
 * Nodes in two subnets, no overlay, and between them a BIRD router that has a session with every
 * node and learns their pod CIDRs: the ways in which kube-router's users set that up. Pods reach
 * each other through the router with their own addresses, and nothing is tunnelled.
 *
 *   node1, node2 ─ br0 ─ router ─ br1 ─ node3      192.168.50.0/24, 192.168.51.0/24, and IPv6
 */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Cluster, type ClusterNode, clusterUnavailable } from "../support/cluster.ts";
import { namespacesUnavailable } from "../support/namespaces.ts";
import { configured, type Pod, Pods, pluginsUnavailable } from "../support/pods.ts";
import { requireReal } from "../support/real.ts";
import { Daemon, hasProgram, until } from "../support/shell.ts";
import { startServer, transfer } from "../support/tcp-transfer.ts";
import { watched } from "../support/watched-link.ts";
import { Yardstick } from "../support/yardstick.ts";

const PORT = 8080;
const ROUTER_AS = 65000;
const CLUSTER_AS = 64512;
const POD_PACKETS = "net 10.233.0.0/16 or net fd00:10:233::/48";
const TUNNELS = "udp port 4789 or ip proto 4 or ip6 proto 41 or ip proto 47";
/** From the API's answer to the router's table, on a quiet machine; what it takes is far less. */
const WITHDRAWN_MS_MAX = 2000;

interface Node extends ClusterNode {
  readonly address6: string;
  readonly podCidr6: string;
  readonly router: string;
  readonly router6: string;
  readonly as: number;
}

const node = (index: number, subnet: number, host: number): Node => ({
  name: `node${index}`,
  address: `192.168.${subnet}.${host}`,
  podCidr: `10.233.${63 + index}.0/24`,
  address6: `fd00:192:168:${subnet}::${host}`,
  podCidr6: `fd00:10:233:${63 + index}::/64`,
  router: `192.168.${subnet}.1`,
  router6: `fd00:192:168:${subnet}::1`,
  as: 64463 + subnet,
});
const NODES = [node(1, 50, 50), node(2, 50, 51), node(3, 51, 50)] as const;
const [node1, node2, node3] = NODES;

/** One way to make the router a peer of all nodes. */
interface Way {
  readonly name: string;
  readonly flags: readonly string[];
  readonly annotations: (node: Node) => Readonly<Record<string, string>>;
  /** Sessions of the router: with which AS, from which address, what more the channels say. */
  readonly routerAs: number;
  readonly nodeAs: (node: Node) => number;
  readonly source: (node: Node) => string;
  readonly session?: string;
  readonly channel?: string;
  /** Whether node1 learns node2's, node3's pods from the router: the kernel's routes otherwise. */
  readonly learns: readonly ClusterNode[];
}

const annotatedPeers = (node: Node, as: number) => ({
  "kube-router.io/peers": `- remoteip: ${node.router}\n  remoteasn: ${as}\n`,
});

const WAYS: readonly Way[] = [
  {
    // The routers' paths have the nodes' own AS in them, so nodes do not take them back: what is
    // for another subnet leaves by the default route.
    name: "full mesh, one external router by --peer-router-ips",
    flags: [`--peer-router-ips=${node1.router}`, `--peer-router-asns=${ROUTER_AS}`],
    annotations: () => ({}),
    routerAs: ROUTER_AS,
    nodeAs: () => CLUSTER_AS,
    source: () => node1.router,
    learns: [],
  },
  {
    name: "an AS a subnet by node.asn, the subnet's router by kube-router.io/peers",
    flags: ["--nodes-full-mesh=false"],
    annotations: (node) => ({
      "kube-router.io/node.asn": String(node.as),
      ...annotatedPeers(node, ROUTER_AS),
    }),
    routerAs: ROUTER_AS,
    nodeAs: (node) => node.as,
    source: (node) => node.router,
    learns: [node3],
  },
  {
    name: "no mesh, the router reflects, by kube-router.io/peers",
    flags: ["--enable-ibgp=false"],
    annotations: (node) => annotatedPeers(node, CLUSTER_AS),
    routerAs: CLUSTER_AS,
    nodeAs: () => CLUSTER_AS,
    source: (node) => node.router,
    session: "direct; rr client;",
    channel: "next hop self;",
    learns: [node2, node3],
  },
];

const birdConfig = ({ routerAs, nodeAs, source, session = "", channel = "" }: Way) => `
router id 192.168.50.1;
protocol device {}
protocol kernel kernel4 { ipv4 { export where source = RTS_BGP; }; }
protocol kernel kernel6 { ipv6 { export where source = RTS_BGP; }; }
${NODES.map(
  (node) => `protocol bgp ${node.name} {
  local ${source(node)} as ${routerAs}; neighbor ${node.address} as ${nodeAs(node)};
  connect delay time 1; connect retry time 1; error wait time 1, 2; ${session}
  ipv4 { import all; export all; ${channel} };
  ipv6 { import all; export all; ${channel} next hop address ${node.router6}; };
}`,
).join("\n")}
`;

async function built(t: TestContext, way: Way) {
  const reason =
    (await namespacesUnavailable()) ??
    (await clusterUnavailable()) ??
    (await pluginsUnavailable()) ??
    ((await hasProgram("bird")) ? undefined : "no BIRD here");
  if (!requireReal(t, reason === undefined, reason ?? "")) return undefined;
  const cluster = new Cluster(NODES);
  const daemons: Daemon[] = [];
  t.after(async () => {
    await Promise.all(daemons.map((daemon) => daemon.stop()));
    await cluster.remove();
  });
  await cluster.build();
  await cluster.startApi();
  const file = join(cluster.folder, "bird.conf");
  const control = join(cluster.folder, "bird.ctl");
  await writeFile(file, birdConfig(way));
  const inside = ["netns", "exec", cluster.namespaces.name("fabric")];
  daemons.push(new Daemon("bird", "ip", [...inside, "bird", "-f", "-c", file, "-s", control]));
  for (const node of NODES) {
    const annotations = way.annotations(node);
    await cluster.api("PATCH", `/api/v1/nodes/${node.name}`, { metadata: { annotations } });
    await cluster.namespaces.sysctl(node.name, "net.ipv4.conf.all.rp_filter", "1");
    cluster.startAgent(node.name, way.flags);
  }
  return cluster;
}

const lines = (text: string): readonly string[] =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");

/** Routes to pods in the router's kernel, both families. */
async function routerTable(cluster: Cluster): Promise<readonly string[]> {
  const ns = cluster.namespaces;
  const both = [
    await ns.ip("fabric", "-4 route show proto bird"),
    await ns.ip("fabric", "-6 route show proto bird"),
  ];
  return lines(both.join("\n")).map((line) => line.replace(/ metric .*$/, ""));
}

const viaNode = (node: Node, link: string) => [
  `${node.podCidr} via ${node.address} dev ${link}`,
  `${node.podCidr6} via ${node.address6} dev ${link}`,
];

/** Waits until the router routes the pods of exactly these nodes; measures each look. */
async function routerKnows(
  cluster: Cluster,
  nodes: readonly Node[],
  looks = new Yardstick(),
): Promise<void> {
  const wanted = nodes.flatMap((node) => viaNode(node, node === node3 ? "br1" : "br0"));
  let table: readonly string[] = [];
  await until("the router's table", async () => {
    table = await looks.time(() => routerTable(cluster));
    return table.length === wanted.length && wanted.every((line) => table.includes(line));
  }).catch((error: unknown) => {
    throw new Error(table.join("\n"), { cause: error });
  });
}

/** Waits until node1 has exactly the routes of ours that it should. */
async function node1Routes(cluster: Cluster, wanted: readonly string[]): Promise<void> {
  const ns = cluster.namespaces;
  let found: readonly string[] = [];
  await until("routes of node1", async () => {
    found = lines(
      (await ns.ip("node1", "-4 route show proto 17")) +
        (await ns.ip("node1", "-6 route show proto 17")),
    ).map((line) => line.replace(/ metric 1024.*$/, ""));
    return found.length === wanted.length && wanted.every((line) => found.includes(line));
  }).catch((error: unknown) => {
    throw new Error(`${found.join("\n")}\n${cluster.agents.get("node1")?.output}`, {
      cause: error,
    });
  });
}

/** What node1 should have of the other nodes: from the router, or from them where in its subnet. */
function wantedRoutes({ learns }: Way, others: readonly Node[]): readonly string[] {
  return others.flatMap((other) => {
    if (!learns.includes(other)) return other === node3 ? [] : viaNode(other, "enp1s0");
    return [
      `${other.podCidr} via ${node1.router} dev enp1s0`,
      `${other.podCidr6} via ${node1.router6} dev enp1s0`,
    ];
  });
}

/** Two pods of two subnets: 1 MB each way, seen with their own addresses, and no tunnel. */
async function talkUntunnelled(t: TestContext, cluster: Cluster, one: Pod, three: Pod) {
  const podPackets = await watched(t, cluster, "br1", POD_PACKETS);
  const tunnels = await watched(t, cluster, "br1", TUNNELS);
  for (const [from, to] of [
    [one, three],
    [three, one],
  ] as const) {
    for (const [index, address] of to.addresses.entries()) {
      const server = await startServer(cluster.namespaces, to.label, address, PORT);
      t.after(() => server.stop());
      const seen = await transfer(cluster.namespaces, from.label, address, PORT);
      assert.equal(seen, from.addresses[index]);
      await server.stop();
    }
  }
  await until("the router sees pods", () => podPackets().length > 0);
  assert.deepEqual(tunnels(), []);
  for (const { name } of NODES) {
    const devices = await cluster.namespaces.ip(name, "-o link show");
    assert.doesNotMatch(devices, /podrouter-vx|tun-|tun6-/);
    assert.doesNotMatch(await cluster.namespaces.ip(name, "rule"), /lookup 77/);
  }
}

for (const way of WAYS) {
  test(`routed subnets: ${way.name}`, { timeout: 600_000 }, async (t) => {
    const cluster = await built(t, way);
    if (cluster === undefined) return;
    await t.test("the router learns every pod CIDR, a node what it needs", async () => {
      await routerKnows(cluster, NODES);
      await node1Routes(cluster, wantedRoutes(way, [node2, node3]));
    });
    await t.test("pods of two subnets talk through the router, untunnelled", async (t) => {
      for (const { name } of NODES) await configured(cluster, name);
      const pods = new Pods(cluster);
      await talkUntunnelled(t, cluster, await pods.add("node1"), await pods.add("node3"));
    });
    await t.test("a Node deleted leaves the router's table at once", async (t) => {
      const { answeredAt } = await cluster.api("DELETE", `/api/v1/nodes/${node3.name}`);
      const looks = new Yardstick();
      await routerKnows(cluster, [node1, node2], looks);
      const took = performance.timeOrigin + performance.now() - answeredAt;
      t.diagnostic(looks.told(took));
      assert.ok(took < looks.exchangesMs(WITHDRAWN_MS_MAX), looks.told(took));
      await node1Routes(cluster, wantedRoutes(way, [node2]));
    });
  });
}
