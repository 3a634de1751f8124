/** The demo's second cluster: two nodes with addresses of both families, and what is left of one. */
import type { Cluster, ClusterNode } from "../../test/support/cluster.ts";
import {
  NODE_IPS,
  type PeerRow,
  POD_SUBNETS,
  routedEverywhere,
} from "../../test/support/cluster-checks.ts";
import { configured, Pods, pluginsUnavailable } from "../../test/support/pods.ts";
import { run, until } from "../../test/support/shell.ts";
import type { Report } from "./report.ts";
import { carries } from "./traffic.ts";

export const DUAL_STACK_NODES: readonly ClusterNode[] = [0, 1].map((index) => ({
  name: `node${index + 1}`,
  address: `192.168.50.${50 + index}`,
  podCidr: `10.233.${64 + index}.0/24`,
  address6: `fd00:192:168:50::5${index}`,
  podCidr6: `fd00:10:233:4${index}::/64`,
}));

/** One session carries both families; pods have an address of each. */
export async function bothFamilies(cluster: Cluster, report: Report): Promise<void> {
  report.step("a second cluster: two nodes with IPv4 and IPv6");
  await cluster.build();
  await cluster.startApi();
  for (const { name } of cluster.nodes) cluster.startAgent(name, ["--maximum-paths=2"]);
  await until("the session is established", () => sessionIsUp(cluster));
  await routedEverywhere(cluster, cluster.nodes);
  const [node1, node2] = cluster.nodes as readonly [ClusterNode, ClusterNode];
  const inNode1 = (command: string) => cluster.namespaces.exec("node1", "sh", "-c", command);
  const route = `${node2.podCidr6} via ${node2.address6} dev enp1s0`;
  await until("the IPv6 route", async () => (await inNode1("ip -6 route")).includes(route));
  report.check("one session carries both families", true);
  for (const command of ["ip route show proto 17", "ip -6 route show proto 17"]) {
    report.terminal("node1", command, await inNode1(command));
  }
  const members = await cluster.setMembers("node1", `inet6:${POD_SUBNETS}`);
  const addresses = await cluster.setMembers("node1", `inet6:${NODE_IPS}`);
  report.check(
    `inet6:${POD_SUBNETS} and inet6:${NODE_IPS} hold both nodes`,
    members?.length === 2 && addresses?.includes(`${node1.address6} timeout 0`) === true,
  );
  await podsOfBoth(cluster, report);
}

async function sessionIsUp(cluster: Cluster): Promise<boolean> {
  const peers = await cluster.podrouterJson<PeerRow[]>("node1", "peers");
  return peers.some(({ name, state }) => name === "node2" && state === "Established");
}

async function podsOfBoth(cluster: Cluster, report: Report): Promise<void> {
  if ((await pluginsUnavailable()) !== undefined) return;
  for (const { name } of cluster.nodes) await configured(cluster, name);
  const pods = new Pods(cluster);
  const [one, far] = [await pods.add("node1"), await pods.add("node2")];
  report.check(
    "CNI ADD gives an address of each family",
    one.addresses.length === 2,
    one.addresses.join(", "),
  );
  const to = far.addresses[1]!;
  const inside = ["netns", "exec", cluster.namespaces.name(one.label)];
  const { status, stdout } = await run("ip", [...inside, "ping", "-6", "-c", "1", "-W", "2", to]);
  const time = /time=(\S+ ms)/.exec(stdout)?.[1] ?? "no answer";
  report.check(`ping6 from a pod of node1 to ${to}`, status === 0, time);
  await carries(cluster, report, "a pod to a pod of another node", [one, far]);
  for (const pod of [one, far]) await pods.del(pod);
}

/** An agent's whole work on a node is taken away, and nothing else. */
export async function cleanUp(cluster: Cluster, report: Report): Promise<void> {
  report.step("podrouter leaves node1");
  await cluster.agents.get("node1")!.stop();
  await cluster.namespaces.ip("node1", "route add 10.9.0.0/16 via 192.168.50.1");
  const file = `--cni-conf-file=${cluster.cniConfFile("node1")}`;
  const { status, stdout } = await cluster.podrouter("node1", "cleanup", "--yes", file);
  const removed = stdout.slice(stdout.indexOf("Removed:"));
  report.terminal("node1", `podrouter cleanup --yes ${file}`, removed);
  const left = await cluster.namespaces.exec(
    ...(["node1", "sh", "-c"] as const),
    "ip route; ip -6 route; ipset list -n; iptables-save; ip6tables-save",
  );
  const ours = left.split("\n").filter((line) => /proto 17|kube-router/.test(line));
  report.check(
    "no route, set or packet rule of ours is left",
    status === 0 && ours.length === 0,
    ours.join("; "),
  );
  report.check("a route that was not ours is still there", left.includes("10.9.0.0/16 via"));
}
