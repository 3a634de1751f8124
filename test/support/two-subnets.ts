/**
 * Three nodes in two subnets with a router between them that has no route to any pod, what tunnels
 * of an encapsulation look like there, and what agents leave in a node's kernel.
 */
import type { TestContext } from "node:test";
import { tunnelName } from "../../src/overlay/names.ts";
import { address as ip } from "./address.ts";
import { Cluster, type ClusterNode, clusterUnavailable } from "./cluster.ts";
import { meshUp } from "./cluster-checks.ts";
import { namespacesUnavailable } from "./namespaces.ts";
import { type Pod, type Pods, pluginsUnavailable } from "./pods.ts";
import { requireReal } from "./real.ts";
import { run, until } from "./shell.ts";

const node = (index: number, subnet: number, host: number): ClusterNode => ({
  name: `node${index}`,
  address: `192.168.${subnet}.${host}`,
  podCidr: `10.233.${63 + index}.0/24`,
  address6: `fd00:192:168:${subnet}::${host}`,
  podCidr6: `fd00:10:233:${63 + index}::/64`,
});
export const NODES = [node(1, 50, 50), node(2, 50, 51), node(3, 51, 50)] as const;

export interface Lab {
  readonly cluster: Cluster;
  readonly pods: Pods;
  /** Of node1, node2 and node3. */
  readonly three: readonly [Pod, Pod, Pod];
}

/** How tunnels of an encapsulation show. */
export interface Encapsulation {
  readonly name: "ipip" | "vxlan";
  readonly mtus: Readonly<Record<4 | 6, number>>;
  /** What tcpdump takes for tunnelled. */
  readonly filter: string;
  /** A tunnelled packet in its words. */
  readonly outer: (from: string, to: string) => RegExp;
  /** Of the devices that lead to a node. */
  readonly devices: (to: ClusterNode) => readonly [four: string, six: string];
  /** What a route says between its destination and the device, and at its end. */
  readonly gateways: (to: ClusterNode) => readonly [four: string, six: string];
  readonly onLink: string;
  /** What a route of IPv4 says after the device. */
  readonly scope: string;
  readonly kinds: readonly string[];
  /** Whom a node has tunnels to, by IPv4. */
  readonly ends: (cluster: Cluster, name: string) => Promise<readonly string[]>;
  readonly endOf: (node: ClusterNode) => string;
  /** Words of what else, on the way to a node, may be removed by others. */
  readonly parts: (to: ClusterNode) => readonly string[];
  /** A device of the kind that is nobody's business. */
  readonly another: string;
}

export const VXLAN: Encapsulation = {
  name: "vxlan",
  mtus: { 4: 1450, 6: 1430 },
  filter: "udp port 4789",
  outer: (from) => pattern(`IP6? ${dots(from)}\\.\\d+ > \\S+\\.4789: VXLAN, .* vni 77`),
  devices: () => ["podrouter-vx4", "podrouter-vx6"],
  gateways: ({ address }) => [`via ${address} `, "via fe80::\\S+ "],
  onLink: " onlink",
  scope: "",
  kinds: ["vxlan"],
  ends: async (cluster, name) => {
    const { namespaces } = cluster;
    const text = await namespaces.exec(name, "bridge", "fdb", "show", "dev", "podrouter-vx4");
    return lines(text).map((line) => line.split(" ")[0]!);
  },
  endOf: macOf,
  parts: (to) => [
    `bridge fdb del ${macOf(to)} dev podrouter-vx4`,
    `ip neigh del ${to.address} dev podrouter-vx4`,
  ],
  another: "type vxlan id 5 dstport 8472 nolearning",
};

export const IPIP: Encapsulation = {
  name: "ipip",
  mtus: { 4: 1480, 6: 1460 },
  filter: "ip proto 4 or ip6 proto 41",
  outer: (from, to) => pattern(`IP6? ${dots(from)} > ${dots(to)}: IP6? `),
  devices: ({ address, address6 }) => [tunnelName(ip(address)), tunnelName(ip(address6!))],
  gateways: () => ["", ""],
  onLink: "",
  scope: " scope link",
  kinds: ["ipip", "ip6tnl"],
  ends: async (cluster, name) => {
    const text = await cluster.namespaces.ip(name, "-o link show type ipip");
    return [...text.matchAll(/: (tun-[0-9a-f]+)@/g)].map(([, device]) => device!);
  },
  endOf: ({ address }) => tunnelName(ip(address)),
  parts: (to) => [`ip link delete ${tunnelName(ip(to.address6!))}`],
  another: "type ipip local 192.168.50.50 remote 192.0.2.1",
};

/** Of a node's VXLAN device. */
function macOf({ address }: ClusterNode): string {
  const bytes = address.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
  return ["0e", "58", ...bytes].join(":");
}

const dots = (text: string): string => text.replaceAll(".", "\\.");
const pattern = (text: string): RegExp => new RegExp(text);

/** The flags that ask for an encapsulation. */
export const overlay = ({ name }: Encapsulation): readonly string[] => [
  "--enable-overlay=true",
  `--overlay-encap=${name}`,
];

/** With a strict reverse path filter, so that a reply that took another way would be lost. */
export async function built(t: TestContext): Promise<Cluster | undefined> {
  const reason =
    (await namespacesUnavailable()) ?? (await clusterUnavailable()) ?? (await pluginsUnavailable());
  if (!requireReal(t, reason === undefined, reason ?? "")) return undefined;
  const cluster = new Cluster(NODES);
  t.after(() => cluster.remove());
  await cluster.build();
  for (const { name } of NODES) {
    await cluster.namespaces.sysctl(name, "net.ipv4.conf.all.rp_filter", "1");
  }
  await cluster.startApi();
  return cluster;
}

/** Starts all agents, or starts them again with other flags. */
export async function restarted(cluster: Cluster, extra: readonly string[]): Promise<void> {
  await Promise.all([...cluster.agents.values()].map((agent) => agent.stop()));
  for (const { name } of NODES) cluster.startAgent(name, extra);
  await meshUp(cluster, NODES);
}

export const lines = (text: string): readonly string[] =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");

/** The routes of ours to pods, both families, without the metric of IPv6. */
async function podRoutes(cluster: Cluster, name: string): Promise<readonly string[]> {
  const ns = cluster.namespaces;
  const both = [
    await ns.ip(name, "-4 route show proto 17"),
    await ns.ip(name, "-6 route show proto 17"),
  ];
  return lines(both.join("\n")).map((line) => line.replace(/ metric 1024.*$/, ""));
}

export async function routed(
  cluster: Cluster,
  name: string,
  wanted: readonly RegExp[],
): Promise<void> {
  let routes: readonly string[] = [];
  await until(`routes of ${name}`, async () => {
    routes = await podRoutes(cluster, name);
    return (
      routes.length === wanted.length &&
      wanted.every((one) => routes.some((line) => one.test(line)))
    );
  }).catch((error: unknown) => {
    throw new Error(`${routes.join("\n")}\n${cluster.agents.get(name)?.output}`, { cause: error });
  });
}

export const plain = ({ podCidr, podCidr6, address, address6 }: ClusterNode): readonly RegExp[] => [
  new RegExp(`^${podCidr} via ${address} dev enp1s0$`),
  new RegExp(`^${podCidr6} via ${address6} dev enp1s0$`),
];
export const tunnelled = (
  encap: Encapsulation,
  from: ClusterNode,
  to: ClusterNode,
): readonly RegExp[] => {
  const [four, six] = encap.devices(to);
  const [via4, via6] = encap.gateways(to);
  const { scope, onLink } = encap;
  return [
    new RegExp(`^${to.podCidr} ${via4}dev ${four}${scope} src ${from.address}${onLink}$`),
    new RegExp(`^${to.podCidr6} ${via6}dev ${six} src ${from.address6}$`),
  ];
};

/** Ours, in a namespace: devices, rules and what table 77 has. */
export async function leftovers(
  { kinds }: Encapsulation,
  cluster: Cluster,
  name: string,
): Promise<readonly string[]> {
  const ns = cluster.namespaces;
  const table = async (family: string) => {
    const inside = ["-n", ns.name(name), family, "route", "show", "table", "77"];
    return (await run("ip", inside)).stdout;
  };
  const devices: string[] = [];
  for (const kind of kinds) {
    const shown = lines(await ns.ip(name, `-o link show type ${kind}`));
    // Those that the kernel makes by itself in each namespace.
    devices.push(...shown.filter((line) => !/: (?:tunl0|ip6tnl0)@/.test(line)));
  }
  const found = [
    ...devices,
    ...lines(await ns.ip(name, "-4 rule")).filter((line) => line.includes("lookup 77")),
    ...lines(await ns.ip(name, "-6 rule")).filter((line) => line.includes("lookup 77")),
    await table("-4"),
    await table("-6"),
  ];
  return lines(found.join("\n"));
}
