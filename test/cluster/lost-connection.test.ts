/** Agents that live on lose the connection between them: the kernel forwards all the while. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type Cluster, type ClusterNode, SEED_NODES } from "../support/cluster.ts";
import { meshUp, sessionCounts, startedCluster, toldAnew } from "../support/cluster-checks.ts";
import { Daemon, until } from "../support/shell.ts";

const [node1, node2] = SEED_NODES as readonly [ClusterNode, ClusterNode, ClusterNode];
const NODES = [node1, node2];

/** What is done to the routes of a node from now on. */
async function watchedRoutes(t: TestContext, cluster: Cluster, name: string): Promise<Daemon> {
  const ns = cluster.namespaces;
  const args = ["-n", ns.name(name), "-o", "-ts", "monitor", "route"];
  const monitor = new Daemon(`ip monitor of ${name}`, "ip", args);
  t.after(() => monitor.stop());
  await until("the monitor listens", async () => {
    for (const kind of ["add", "del"]) await ns.ip(name, `route ${kind} 198.51.100.0/24 dev lo`);
    return monitor.output.includes("198.51.100.0/24");
  });
  return monitor;
}

test("a connection between two agents that is lost takes no route away", async (t) => {
  const cluster = await startedCluster(t, { nodes: NODES });
  if (cluster === undefined) return;
  const monitors: Daemon[] = [];
  for (const { name } of NODES) monitors.push(await watchedRoutes(t, cluster, name));
  for (const sessions of [2, 3]) {
    const sockets = "( sport = :179 or dport = :179 )";
    await cluster.namespaces.exec("node1", "ss", "-K", sockets);
    for (const [{ name }, other] of [[node1, node2.name] as const, [node2, node1.name] as const]) {
      await until(`the next session of ${name}`, async () => {
        return (await sessionCounts(cluster, name))[other] === sessions;
      });
    }
    await meshUp(cluster, NODES);
    await toldAnew(cluster, node1.name, node2);
    await toldAnew(cluster, node2.name, node1);
  }
  for (const { name, output } of monitors) {
    assert.doesNotMatch(output, / proto 17 /, `${name}\n${output}`);
  }
});
