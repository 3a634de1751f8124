/** Nodes of both families whose addresses are turned round, or of which one family is lost. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Cluster, type ClusterNode, nodeObject, SEED_NODES } from "../support/cluster.ts";
import { type PeerRow, sessionCounts, startedCluster } from "../support/cluster-checks.ts";
import { Daemon, until } from "../support/shell.ts";

const NODES: readonly ClusterNode[] = SEED_NODES.map((node, i) => ({
  ...node,
  address6: `fd00:192:168:50::5${i}`,
  podCidr6: `fd00:10:233:4${i}::/64`,
}));
const [node1, node2, node3] = NODES as readonly [ClusterNode, ClusterNode, ClusterNode];

/** Sets the InternalIPs of a Node. */
async function setAddresses(cluster: Cluster, node: ClusterNode, ...addresses: string[]) {
  const { status } = nodeObject(node) as { status: { addresses: { type: string }[] } };
  const others = status.addresses.filter(({ type }) => type !== "InternalIP");
  const internal = addresses.map((address) => ({ type: "InternalIP", address }));
  await cluster.api("PATCH", `/api/v1/nodes/${node.name}/status`, {
    status: { addresses: [...internal, ...others] },
  });
}

/** Where the sessions that are up go, by name. */
async function sessions(cluster: Cluster, node: string): Promise<Record<string, string>> {
  const peers = await cluster.podrouterJson<PeerRow[]>(node, "peers");
  const up = peers.filter(({ state }) => state === "Established");
  return Object.fromEntries(up.map(({ name, address }) => [name, address]));
}

/** Whether a node has exactly these ways to another one's pods. */
async function reaches(cluster: Cluster, from: string, to: ClusterNode, ...families: (4 | 6)[]) {
  for (const [family, cidr, via] of [
    [4, to.podCidr, to.address],
    [6, to.podCidr6, to.address6],
  ] as const) {
    const shown = await cluster.namespaces.ip(from, `-${family} route show ${cidr} proto 17`);
    const there = shown.includes(`via ${via} dev enp1s0`);
    if (there !== families.includes(family)) return false;
  }
  return true;
}

test("the order of addresses is turned round, one Node after the other", async (t) => {
  const cluster = await startedCluster(t, { nodes: NODES });
  if (cluster === undefined) return;
  await until("both families are routed", () => reaches(cluster, "node1", node2, 4, 6));
  const before = await sessionCounts(cluster, "node1");
  const monitor = new Daemon("ip monitor", "ip", [
    ...["-n", cluster.namespaces.name("node1"), "-o", "monitor", "route"],
  ]);
  t.after(() => monitor.stop());
  await setAddresses(cluster, node2, node2.address6!, node2.address);
  // A change that is seen, behind it.
  const annotations = { "kube-router.io/pod-cidrs": "10.233.90.0/24" };
  await cluster.api("PATCH", "/api/v1/nodes/node3", { metadata: { annotations } });
  await until("it is seen", () => monitor.output.includes("10.233.90.0/24"));
  assert.deepEqual(await sessionCounts(cluster, "node1"), before, "no session was touched");
  assert.deepEqual(await sessions(cluster, "node2"), {
    node1: node1.address,
    node3: node3.address,
  });
  assert.ok(!monitor.output.includes(node2.podCidr), monitor.output);
  assert.ok(!monitor.output.includes(node2.podCidr6!.replace("/64", "")), monitor.output);
  await setAddresses(cluster, node1, node1.address6!, node1.address);
  await until("the two go by their primary addresses again", async () => {
    return (await sessions(cluster, "node1"))["node2"] === node2.address6;
  });
  await until("and have both families", () => reaches(cluster, "node1", node2, 4, 6));
  assert.deepEqual((await sessions(cluster, "node1"))["node3"], node3.address);
});

test("a Node loses the family of its primary address, and gets it back", async (t) => {
  const cluster = await startedCluster(t, { nodes: NODES });
  if (cluster === undefined) return;
  await until("both families are routed", () => reaches(cluster, "node1", node2, 4, 6));
  await setAddresses(cluster, node2, node2.address6!);
  await until("the session goes by the family that is left", async () => {
    return (await sessions(cluster, "node1"))["node2"] === node2.address6;
  });
  await until("that family alone is routed", () => reaches(cluster, "node1", node2, 6));
  await until("that way only from there, too", () => reaches(cluster, "node2", node1, 6));
  await setAddresses(cluster, node2, node2.address, node2.address6!);
  await until("both are", () => reaches(cluster, "node1", node2, 4, 6));
  await until("the session goes by the primary address again", async () => {
    return (await sessions(cluster, "node1"))["node2"] === node2.address;
  });
  await until("and both are still", () => reaches(cluster, "node1", node2, 4, 6));
});
