/** The demo's step about pods: made by the real CNI plugins, from what the agents wrote. */
import { readFile } from "node:fs/promises";
import type { Cluster } from "../../test/support/cluster.ts";
import { configured, type Pod, Pods, pluginsUnavailable } from "../../test/support/pods.ts";
import { startServer, transfer } from "../../test/support/tcp-transfer.ts";
import type { Report } from "./report.ts";
import { carries, OUTSIDE, PORT, throughTcp } from "./traffic.ts";

const HOST_PORT = 8888;

/** Pods as a container runtime makes them: they talk, get out, and leave nothing. */
export async function podsByPlugins(cluster: Cluster, report: Report): Promise<void> {
  report.step("pods by the CNI plugins bridge, host-local and portmap, as a runtime calls them");
  const reason = await pluginsUnavailable();
  if (reason !== undefined) {
    report.leftOut("pods by the CNI plugins", reason);
    return;
  }
  for (const { name, podCidr } of cluster.nodes) {
    await configured(cluster, name);
    // The pod that was made by hand has its address without a lease.
    await (await cluster.runtime(name)).reserve("mynet", podCidr.replace(/0\/24$/, "2"));
  }
  report.check("every node has its CNI configuration, written once it routed", true);
  const text = await readFile(cluster.cniConfFile("node1"), "utf8");
  report.terminal("node1", "cat /etc/cni/net.d/10-kuberouter.conflist", text);
  const pods = new Pods(cluster);
  const ports = [{ hostPort: HOST_PORT, containerPort: PORT, protocol: "tcp" as const }];
  const one = await pods.add("node1", ports);
  const two = await pods.add("node1");
  const far = await pods.add("node2");
  const addresses = [one, two, far].map((pod) => pod.addresses[0]!);
  report.check(
    "CNI ADD on node1, node1, node2",
    addresses.join(" ") === "10.233.64.3 10.233.64.4 10.233.65.3",
    addresses.join(", "),
  );
  await carries(cluster, report, "a pod to a pod of its node", [one, two]);
  await carries(cluster, report, "a pod to a pod of another node", [one, far]);
  await getsOut(cluster, report, one);
  await isReached(cluster, report, one);
  for (const pod of [one, two, far]) await pods.del(pod);
  const links = await cluster.namespaces.ip("node1", "-br link show master kube-bridge");
  const left = links.trim().split("\n").length;
  report.check("CNI DEL leaves only the pod that was made by hand", left === 1);
}

async function getsOut(cluster: Cluster, report: Report, pod: Pod): Promise<void> {
  const rules = await cluster.namespaces.exec(
    ...(["node1", "iptables", "-t", "nat", "-S", "POSTROUTING"] as const),
  );
  const ours = rules.split("\n").filter((line) => line.includes("kube-router"));
  report.terminal("node1", "iptables -t nat -S POSTROUTING", ours.join("\n"));
  const source = await throughTcp(cluster, pod.label, "fabric", OUTSIDE);
  const [node1] = cluster.nodes;
  report.check("an outside host sees the node's address", source === node1?.address, source);
}

/** From outside, by the port of the node that the portmap plugin gives to the pod. */
async function isReached(cluster: Cluster, report: Report, pod: Pod): Promise<void> {
  const [node1] = cluster.nodes;
  const server = await startServer(cluster.namespaces, pod.label, "0.0.0.0", PORT);
  try {
    const source = await transfer(cluster.namespaces, "fabric", node1!.address, HOST_PORT);
    const name = `host port: ${node1!.address}:${HOST_PORT} leads an outside host to the pod`;
    report.check(name, source === OUTSIDE, `${source} → ${pod.addresses[0]}:${PORT}`);
  } finally {
    await server.stop();
  }
}
