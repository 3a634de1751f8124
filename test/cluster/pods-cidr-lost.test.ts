/** What running pods keep while their Node has no pod CIDR, and when it has it again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ClusterNode, nodeObject, SEED_NODES } from "../support/cluster.ts";
import { routeIs, routeLine } from "../support/cluster-checks.ts";
import { startedPodCluster } from "../support/pods.ts";
import { until } from "../support/shell.ts";

const [node1, node2] = SEED_NODES as readonly [ClusterNode, ClusterNode, ClusterNode];
const NODES = [node1, node2];

test("the only pod CIDR goes and comes back: pods that run keep bridge and gateway", async (t) => {
  const started = await startedPodCluster(t, { nodes: NODES });
  if (started === undefined) return;
  const { cluster, pods } = started;
  const ns = cluster.namespaces;
  const far = await pods.add("node1");
  const one = await pods.add("node2");
  const two = await pods.add("node2");
  const [address] = one.addresses as readonly [string];
  const without = { ...nodeObject(node2), spec: {} };
  const has = (lines: string) =>
    until(`kube-bridge has ${lines}`, async () =>
      (await ns.ip("node2", "addr show kube-bridge")).includes(lines),
    );
  const loses = async () => {
    await cluster.api("PUT", "/api/v1/nodes/node2", without);
    await routeIs(cluster, "node1", routeLine(node2), false);
  };
  const returns = async () => {
    await cluster.api("PUT", "/api/v1/nodes/node2", nodeObject(node2));
    await routeIs(cluster, "node1", routeLine(node2), true);
  };
  const talks = async () => {
    await until("its node reaches the pod", () => pods.ping("node2", address, 0.2));
    await until("it reaches its gateway", () => pods.ping(one.label, "10.233.65.1", 0.2));
    assert.ok(await pods.ping(one.label, two.addresses[0]!));
  };

  await loses();
  await ns.ip("node2", "link del kube-bridge");
  await has("inet 10.233.65.1/24");
  await talks();
  await returns();
  await until("from afar", () => pods.ping(far.label, address, 0.2));

  // The address alone, by somebody who may have another Node in mind: only with the CIDR again.
  await loses();
  await ns.ip("node2", "addr del 10.233.65.1/24 dev kube-bridge");
  await until("seen", async () => !(await ns.ip("node2", "route")).includes("10.233.65.0/24"));
  await ns.ip("node2", "link set kube-bridge mtu 1400");
  await until("looked at", async () =>
    (await ns.ip("node2", "link")).includes(
      "kube-bridge: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500",
    ),
  );
  assert.doesNotMatch(await ns.ip("node2", "addr show kube-bridge"), /inet 10/);
  await returns();
  await has("inet 10.233.65.1/24");
  await talks();
  await until("from afar again", () => pods.ping(far.label, address, 0.2));
  await until("no condition", async () =>
    (await cluster.podrouter("node2", "status")).stdout.includes("No conditions"),
  );
});
