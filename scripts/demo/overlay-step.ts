/** The demo's third cluster: two nodes with a router between them that has no route to any pod. */
import type { Cluster, ClusterNode } from "../../test/support/cluster.ts";
import { configured, Pods, pluginsUnavailable } from "../../test/support/pods.ts";
import { Daemon, until } from "../../test/support/shell.ts";
import type { Report } from "./report.ts";
import { carries } from "./traffic.ts";

const FLAGS = ["--enable-overlay=true", "--overlay-encap=vxlan"];
const POD_NET = "10.233.0.0/16";

export const TWO_SUBNETS: readonly ClusterNode[] = [0, 1].map((index) => ({
  name: `node${index + 1}`,
  address: `192.168.${50 + index}.50`,
  podCidr: `10.233.${64 + index}.0/24`,
}));

/** Pods reach each other through a tunnel, and the router sees the nodes only. */
export async function nodesInTwoSubnets(cluster: Cluster, report: Report): Promise<void> {
  report.step("a third cluster: two nodes in two subnets, and a router that knows of no pod");
  await cluster.build();
  await cluster.startApi();
  for (const { name } of cluster.nodes) cluster.startAgent(name, FLAGS);
  report.note(`podrouter run ${FLAGS.join(" ")}`);
  const [, node2] = cluster.nodes as readonly [ClusterNode, ClusterNode];
  const inNode1 = (command: string) => cluster.namespaces.exec("node1", "sh", "-c", command);
  const way = `${node2.podCidr} via ${node2.address} dev podrouter-vx4`;
  await until("the route through the tunnel", async () =>
    (await inNode1("ip route show proto 17")).includes(way),
  );
  for (const command of ["ip route show proto 17", "ip rule", "ip route show table 77"]) {
    report.terminal("node1", command, await inNode1(command));
  }
  const { stdout } = await cluster.podrouter("node1", "status");
  report.terminal("node1", "podrouter status", stdout);
  report.check("the route to a node in another subnet goes through a tunnel", true, way);
  if ((await pluginsUnavailable()) !== undefined) return;
  for (const { name } of cluster.nodes) await configured(cluster, name);
  const pods = new Pods(cluster);
  const [near, far] = [await pods.add("node1"), await pods.add("node2")];
  const tunnelled = await watchRouter(cluster, "udp port 4789");
  const bare = await watchRouter(cluster, `net ${POD_NET}`);
  await carries(cluster, report, "a pod to a pod in another subnet", [near, far]);
  const outer = (await tunnelled()).filter((line) => line.includes(".4789: VXLAN"));
  report.terminal("router", "tcpdump -ni br1 udp port 4789", outer.slice(0, 2).join("\n"));
  report.check(
    "the router sees VXLAN between the nodes, and no address of a pod",
    outer.length > 0 && (await bare()).length === 0,
  );
  await cluster.agents.get("node1")!.stop();
  const file = `--cni-conf-file=${cluster.cniConfFile("node1")}`;
  const { status } = await cluster.podrouter("node1", "cleanup", "--yes", file);
  const left = await inNode1("ip link; ip rule; ip route; ip route show table all");
  const ours = left.split("\n").filter((line) => /podrouter-vx|lookup 77|proto 17/.test(line));
  report.check(
    "cleanup removes tunnel, rule and routes",
    status === 0 && ours.length === 0,
    ours.join("; "),
  );
}

/** What tcpdump sees on the router, the last of it, when told to. */
async function watchRouter(
  cluster: Cluster,
  filter: string,
): Promise<() => Promise<readonly string[]>> {
  const words = ["tcpdump", "-n", "-l", "--immediate-mode", "-i", "br1", filter];
  const inside = ["netns", "exec", cluster.namespaces.name("fabric")];
  const tcpdump = new Daemon("tcpdump", "ip", [...inside, ...words]);
  await until("tcpdump listens", () => tcpdump.output.includes("listening on"));
  return async () => {
    await tcpdump.stop("SIGINT");
    return tcpdump.output.split("\n").filter((line) => /^\d\d:\d\d:\d\d/.test(line));
  };
}
