/** The demo's step about equal paths: two routers outside, made of podrouter without a cluster. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Cluster } from "../../test/support/cluster.ts";
import { PODROUTER } from "../../test/support/program.ts";
import { Daemon, until } from "../../test/support/shell.ts";
import type { Report } from "./report.ts";

/** What both routers have. */
const SERVICE = "203.0.113.0/24";
const ROUTERS = [
  { name: "router1", address: "192.168.50.201" },
  { name: "router2", address: "192.168.50.202" },
] as const;

/** The Node's annotation that makes them peers, in kube-router's form. */
const PEERS = ROUTERS.map(({ address }) => `- remoteip: ${address}\n  remoteasn: 65001\n`).join("");

/** Two equal paths are one route, both are used, and one that goes leaves the other. */
export async function twoRouters(cluster: Cluster, report: Report): Promise<void> {
  report.step("two routers outside announce the same prefix");
  const daemons: Daemon[] = [];
  const addresses = ROUTERS.map(({ address }) => address).join(", ");
  try {
    for (const router of ROUTERS) daemons.push(await startRouter(cluster, router));
    const annotations = { "kube-router.io/peers": PEERS };
    await cluster.api("PATCH", "/api/v1/nodes/node1", { metadata: { annotations } });
    report.note(`Node node1 is annotated with kube-router.io/peers: ${addresses}`);
    const hops = () => nextHops(cluster);
    await until("both are next hops", async () => (await hops()).length === 2);
    const show = `ip route show ${SERVICE}`;
    const shown = async () => cluster.namespaces.exec("node1", "sh", "-c", show);
    report.terminal("node1", show, await shown());
    const { stdout } = await cluster.podrouter("node1", "rib", SERVICE);
    report.terminal("node1", `podrouter rib ${SERVICE}`, stdout);
    report.check("two equal paths are one route with two next hops", true);
    const counts = await spread(cluster);
    report.check(
      "packets to 32 addresses go both ways",
      Math.min(...counts) > 3,
      counts.join(" + "),
    );

    await writeFile(configFile(cluster, "router2"), routerConfig(cluster, ROUTERS[1], []));
    await until("one is left", async () => (await hops()).join() === ROUTERS[0].address);
    report.terminal("node1", show, await shown());
    report.check("router2 withdraws: router1 is left", true);
  } finally {
    await Promise.all(daemons.map((daemon) => daemon.stop()));
  }
}

type Router = (typeof ROUTERS)[number];

const configFile = (cluster: Cluster, name: string) => join(cluster.folder, `${name}.yaml`);

function routerConfig(cluster: Cluster, { address }: Router, prefixes: readonly string[]): string {
  return JSON.stringify({
    global: { as: 65001, routerId: address, listen: [{ address, port: 179 }] },
    policies: [{ name: "all", default: "accept" }],
    peers: [
      {
        ...{ name: "node1", address: cluster.nodes[0]?.address, remoteAs: 64512 },
        ...{ import: "all", export: "all" },
      },
    ],
    networks: prefixes.map((prefix) => ({ prefix })),
  });
}

async function startRouter(cluster: Cluster, router: Router): Promise<Daemon> {
  const { name, address } = router;
  const { namespaces } = cluster;
  await namespaces.add(name);
  await namespaces.veth(name, "eth0", "fabric", `${name}-port`);
  await namespaces.ip("fabric", `link set ${name}-port master br0`);
  await namespaces.ip(name, `addr add ${address}/24 dev eth0`);
  await namespaces.ip(name, `route add local ${SERVICE} dev lo`);
  await writeFile(configFile(cluster, name), routerConfig(cluster, router, [SERVICE]));
  return new Daemon(name, "ip", [
    ...["netns", "exec", namespaces.name(name), PODROUTER, "run"],
    `--config=${configFile(cluster, name)}`,
    `--admin-socket=${cluster.socket(name)}`,
    `--state-dir=${join(cluster.folder, `${name}.state`)}`,
  ]);
}

/** Of node1's one route to the prefix. */
async function nextHops(cluster: Cluster): Promise<readonly (string | undefined)[]> {
  const text = await cluster.namespaces.ip("node1", `-j route show ${SERVICE} proto 17`);
  const routes = JSON.parse(text) as {
    readonly gateway?: string;
    readonly nexthops?: readonly { readonly gateway: string }[];
  }[];
  if (routes.length !== 1) return [];
  return routes[0]!.nexthops?.map(({ gateway }) => gateway) ?? [routes[0]!.gateway];
}

/** How many of 32 pings each router got. */
async function spread(cluster: Cluster): Promise<readonly number[]> {
  const received = () =>
    Promise.all(
      ROUTERS.map(async ({ name }) => {
        const text = await cluster.namespaces.exec(name, "cat", "/proc/net/snmp");
        const [names, values] = text.split("\n").filter((line) => line.startsWith("Icmp:"));
        const column = names?.split(" ").indexOf("InEchos") ?? -1;
        return Number(values?.split(" ")[column]);
      }),
    );
  const before = await received();
  const pings = Array.from({ length: 32 }, (_, n) => `ping -c1 -W2 203.0.113.${n + 1}`);
  await cluster.namespaces.exec("node1", "sh", "-c", `(${pings.join(";")}) >/dev/null`);
  return (await received()).map((count, index) => count - before[index]!);
}
