/** Nodes are followed live: every change of a Node, no restart, no flap that it does not need. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import type { AgentStatus } from "../../src/agent/admin-protocol.ts";
import { type ClusterNode, nodeObject, SEED_NODES } from "../support/cluster.ts";
import {
  memberIs,
  meshUp,
  NODE_IPS,
  POD_SUBNETS,
  type RibRow,
  routedEverywhere,
  routeIs,
  routeLine,
  sessionCounts,
  startedCluster,
} from "../support/cluster-checks.ts";
import { Daemon, slowness, until } from "../support/shell.ts";

const [node1, node2, node3] = SEED_NODES as readonly [ClusterNode, ClusterNode, ClusterNode];
const PATH = "/api/v1/nodes";

/** When a line of an agent's log was written, milliseconds since 1970; NaN when it is cut. */
function timeOf(line: string): number {
  return Date.parse(/"time":"([^"]+)"/.exec(line)?.[1] ?? "");
}

test("a node that comes without an address is joined when the address comes", async (t) => {
  const cluster = await startedCluster(t, { registered: [node1, node2] });
  if (cluster === undefined) return;
  const before = await sessionCounts(cluster, "node1");
  const bare = nodeObject(node3);
  await cluster.api("POST", PATH, { ...bare, status: {} });
  await memberIs(cluster, "node1", POD_SUBNETS, node3.podCidr, true);
  await cluster.api("PATCH", `${PATH}/node3/status`, { status: bare["status"] });
  await meshUp(cluster, SEED_NODES);
  await routedEverywhere(cluster, SEED_NODES);
  await memberIs(cluster, "node2", NODE_IPS, node3.address, true);
  const after = await sessionCounts(cluster, "node1");
  assert.equal(after["node2"], before["node2"], "the session to node2 was left alone");
});

test("address, pod CIDR and annotation changes are followed", async (t) => {
  const cluster = await startedCluster(t);
  if (cluster === undefined) return;
  const before = await sessionCounts(cluster, "node1");

  await t.test("pod CIDR given by annotation", async () => {
    const patch = { metadata: { annotations: { "kube-router.io/pod-cidrs": "10.233.80.0/24" } } };
    await cluster.api("PATCH", `${PATH}/node3`, patch);
    await routeIs(cluster, "node1", routeLine(node3, "10.233.80.0/24"), true);
    await routeIs(cluster, "node1", routeLine(node3), false);
    await memberIs(cluster, "node2", POD_SUBNETS, "10.233.80.0/24", true);
    await memberIs(cluster, "node2", POD_SUBNETS, node3.podCidr, false);
    assert.deepEqual(await sessionCounts(cluster, "node1"), before, "no session was reset for it");
  });

  await t.test("annotation taken away", async () => {
    const patch = { metadata: { annotations: { "kube-router.io/pod-cidrs": null } } };
    await cluster.api("PATCH", `${PATH}/node3`, patch);
    await routeIs(cluster, "node1", routeLine(node3), true);
    await routeIs(cluster, "node1", routeLine(node3, "10.233.80.0/24"), false);
  });

  await t.test("InternalIP changed", async () => {
    const moved = { ...node3, address: "192.168.50.62" };
    await cluster.namespaces.ip("node3", "addr add 192.168.50.62/24 dev enp1s0");
    await cluster.api("PATCH", `${PATH}/node3/status`, { status: nodeObject(moved)["status"] });
    await routeIs(cluster, "node1", routeLine(moved), true);
    await routeIs(cluster, "node2", routeLine(moved), true);
    await memberIs(cluster, "node1", NODE_IPS, "192.168.50.62", true);
    await memberIs(cluster, "node1", NODE_IPS, node3.address, false);
    await routedEverywhere(cluster, [node1, node2, moved]);
    const after = await sessionCounts(cluster, "node1");
    assert.equal(after["node2"], before["node2"], "the session to node2 was left alone");
  });
});

test("a node whose address is another from one moment to the next", async (t) => {
  const cluster = await startedCluster(t);
  if (cluster === undefined) return;
  const moved = { ...node3, address: "192.168.50.62" };
  // Its watch comes from the address that goes: TCP would wait half a minute for answers there.
  await cluster.namespaces.ip("node3", `addr del ${node3.address}/24 dev enp1s0`);
  await cluster.namespaces.ip("node3", `addr add ${moved.address}/24 dev enp1s0`);
  await cluster.api("PATCH", `${PATH}/node3/status`, { status: nodeObject(moved)["status"] });
  const began = performance.now();
  await meshUp(cluster, [node1, node2, moved]);
  await routedEverywhere(cluster, [node1, node2, moved]);
  const took = performance.now() - began;
  assert.ok(took < 8_000 * (await slowness()), `took ${took} ms`);
});

test("a heartbeat does nothing at all", async (t) => {
  const cluster = await startedCluster(t);
  if (cluster === undefined) return;
  const monitor = new Daemon("ip monitor", "ip", [
    ...["-n", cluster.namespaces.name("node1"), "-o", "monitor", "route"],
  ]);
  t.after(() => monitor.stop());
  // The start has its own lines in the log: only what is logged after it counts. Conditions are
  // looked at once a second, and until the CNI configuration is written one of them names node2.
  const begun = await until("node1 has nothing left to do", async () => {
    const status = await cluster.podrouterJson<AgentStatus>("node1", "status");
    const settled = status.ready && status.conditions.length === 0;
    return settled && existsSync(cluster.cniConfFile("node1")) && Date.now();
  });
  const before = await sessionCounts(cluster, "node1");
  for (let beat = 0; beat < 5; beat++) {
    const condition = {
      type: "Ready",
      status: "True",
      lastHeartbeatTime: `2026-01-01T00:00:0${beat}Z`,
    };
    await cluster.api("PATCH", `${PATH}/node2/status`, { status: { conditions: [condition] } });
  }
  // A change that does something, last: once it is seen, the heartbeats have been passed.
  const patch = { metadata: { annotations: { "kube-router.io/pod-cidrs": "10.233.90.0/24" } } };
  await cluster.api("PATCH", `${PATH}/node3`, patch);
  await routeIs(cluster, "node1", routeLine(node3, "10.233.90.0/24"), true);
  await until("the monitor saw it", () => monitor.output.includes("10.233.90.0/24"));
  assert.ok(!monitor.output.includes(node2.podCidr), monitor.output);
  assert.deepEqual(await sessionCounts(cluster, "node1"), before);
  const lines = cluster.agents.get("node1")!.output.split("\n");
  const since = lines.filter((line) => timeOf(line) > begun).join("\n");
  assert.ok(!since.includes("node2"), `the log speaks of node2: ${since}`);
});

test("deleted and registered again, own Node included", async (t) => {
  const cluster = await startedCluster(t);
  if (cluster === undefined) return;
  await cluster.api("DELETE", `${PATH}/node3`);
  for (const node of [node1, node2]) {
    await routeIs(cluster, node.name, routeLine(node3), false, 2000);
    await memberIs(cluster, node.name, POD_SUBNETS, node3.podCidr, false);
    await memberIs(cluster, node.name, NODE_IPS, node3.address, false);
    const rib = await cluster.podrouterJson<RibRow[]>(node.name, "rib");
    assert.ok(rib.every((row) => row.prefix !== node3.podCidr));
  }
  const returned = { ...node3, podCidr: "10.233.68.0/24" };
  await cluster.api("POST", PATH, nodeObject(returned));
  await meshUp(cluster, SEED_NODES);
  await routedEverywhere(cluster, [node1, node2, returned]);
});

test("an API server that goes away and comes back empty-handed withdraws nothing", async (t) => {
  const cluster = await startedCluster(t);
  if (cluster === undefined) return;
  const monitor = new Daemon("ip monitor", "ip", [
    ...["-n", cluster.namespaces.name("node1"), "-o", "monitor", "route"],
  ]);
  t.after(() => monitor.stop());
  const before = await sessionCounts(cluster, "node1");
  await cluster.stopApi();
  await new Promise((resolve) => setTimeout(resolve, 8000));
  await routedEverywhere(cluster, SEED_NODES);

  // Back with a fresh history: every old resourceVersion is 410 Gone, and node3 is not there.
  await cluster.startApi([node1, node2]);
  await routeIs(cluster, "node1", routeLine(node3), false, 30_000);
  assert.ok(!monitor.output.includes(node2.podCidr), monitor.output);
  assert.equal((await sessionCounts(cluster, "node1"))["node2"], before["node2"]);
});

test("an agent starts with the API server away, from what it knew", async (t) => {
  const cluster = await startedCluster(t);
  if (cluster === undefined) return;
  await cluster.stopApi();
  await cluster.agents.get("node3")!.stop();
  cluster.startAgent("node3");
  await meshUp(cluster, SEED_NODES);
  await routedEverywhere(cluster, SEED_NODES);
});

test("agents that are replaced together, one of them late: no route goes", async (t) => {
  const cluster = await startedCluster(t, { nodes: [node1, node2] });
  if (cluster === undefined) return;
  await Promise.all([...cluster.agents.values()].map((agent) => agent.stop()));
  const monitor = new Daemon("ip monitor", "ip", [
    ...["-n", cluster.namespaces.name("node1"), "-o", "monitor", "route"],
  ]);
  t.after(() => monitor.stop());
  cluster.startAgent("node1");
  await until(
    "node1 waits for node2 no longer",
    async () => (await cluster.podrouterJson<AgentStatus>("node1", "status")).ready,
    60_000,
  );
  await new Promise((resolve) => setTimeout(resolve, 2000));
  await routeIs(cluster, "node1", routeLine(node2), true);
  cluster.startAgent("node2");
  await meshUp(cluster, [node1, node2]);
  await routedEverywhere(cluster, [node1, node2]);
  assert.ok(!monitor.output.includes(node2.podCidr), monitor.output);
});
