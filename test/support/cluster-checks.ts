/** What cluster tests wait for and read, shared by them and the demo. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import type { TestContext } from "node:test";
import { PEERS_PATH } from "../../src/agent/admin-protocol.ts";
import { askAgent } from "../../src/cli/agent-client.ts";
import { Cluster, type ClusterNode, clusterUnavailable, SEED_NODES } from "./cluster.ts";
import { namespacesUnavailable } from "./namespaces.ts";
import { requireReal } from "./real.ts";
import { until } from "./shell.ts";

export const POD_SUBNETS = "kube-router-pod-subnets";
export const NODE_IPS = "kube-router-node-ips";

export interface PeerRow {
  readonly name: string;
  readonly address: string;
  readonly state: string;
  readonly established: number;
  readonly flaps: number;
  readonly received: { readonly update: number };
}

export interface RibRow {
  readonly prefix: string;
  readonly nextHop: string;
  readonly stale: boolean;
}

/** The kernel's line for a node's pod CIDR, as `ip route` prints it. */
export const routeLine = (node: ClusterNode, cidr: string = node.podCidr): string =>
  `${cidr} via ${node.address} dev enp1s0 proto 17`;

/** A running cluster with all sessions up and all routes in; removed when the test ends. */
export async function startedCluster(
  t: TestContext,
  options: {
    readonly nodes?: readonly ClusterNode[];
    readonly registered?: readonly ClusterNode[];
    readonly extra?: readonly string[];
  } = {},
): Promise<Cluster | undefined> {
  const reason = (await namespacesUnavailable()) ?? (await clusterUnavailable());
  if (!requireReal(t, reason === undefined, reason ?? "")) return undefined;
  const nodes = options.nodes ?? SEED_NODES;
  const registered = options.registered ?? nodes;
  const cluster = new Cluster(nodes);
  t.after(() => cluster.remove());
  await cluster.build();
  await cluster.startApi(registered);
  for (const node of nodes) cluster.startAgent(node.name, options.extra);
  await meshUp(cluster, registered);
  await routedEverywhere(cluster, registered);
  return cluster;
}

/** Rows that an agent answers, without a client that starts: for what is asked until it is so. */
export async function answered<T>(cluster: Cluster, node: string, path: string): Promise<T[]> {
  const rows: T[] = [];
  for await (const row of askAgent<T>(cluster.socket(node), path)) rows.push(row);
  return rows;
}

/** Waits until each of these nodes has a session with each other of them. */
export async function meshUp(cluster: Cluster, nodes: readonly ClusterNode[]): Promise<void> {
  for (const node of nodes) {
    await until(
      () => `all sessions of ${node.name}: ${cluster.agents.get(node.name)?.output}`,
      async () => {
        const peers = await answered<PeerRow>(cluster, node.name, PEERS_PATH);
        return peers.filter((peer) => peer.state === "Established").length === nodes.length - 1;
      },
    );
  }
}

/** Waits until each of these nodes has a kernel route to each other's pod CIDR. */
export async function routedEverywhere(
  cluster: Cluster,
  nodes: readonly ClusterNode[],
): Promise<void> {
  for (const node of nodes) {
    await until(`routes of ${node.name}`, async () => {
      const routes = await cluster.routes(node.name);
      return nodes.every((other) => other === node || routes.includes(routeLine(other)));
    });
  }
}

/** Waits for one exact line of `ip route`, there or gone. */
export async function routeIs(
  cluster: Cluster,
  node: string,
  line: string,
  there: boolean,
  timeoutMs = 10_000,
): Promise<void> {
  await until(
    `${node}: "${line}" is ${there ? "there" : "gone"}`,
    async () => (await cluster.routes(node)).includes(line) === there,
    timeoutMs,
  );
}

/** Waits until a set has, or has not, a member. */
export async function memberIs(
  cluster: Cluster,
  node: string,
  set: string,
  member: string,
  there: boolean,
): Promise<void> {
  await until(`${node}: ${member} in ${set}: ${there}`, async () => {
    const members = await cluster.setMembers(node, set);
    return (members?.includes(`${member} timeout 0`) ?? false) === there;
  });
}

interface NamedObject {
  readonly metadata: { readonly name: string };
}

/** As if the agent of `node`, which does not run, had ended before it saved the other one. */
export async function forgetSavedNode(
  cluster: Cluster,
  node: string,
  other: string,
): Promise<void> {
  const file = cluster.savedNodesFile(node);
  const saved = JSON.parse(await readFile(file, "utf8"));
  const items = saved.items.filter(({ metadata }: NamedObject) => metadata.name !== other);
  assert.equal(items.length, saved.items.length - 1, `${other} in ${file}`);
  await writeFile(file, JSON.stringify({ ...saved, items }));
}

/** How often each session of a node has come up, by peer name: what must not change. */
export async function sessionCounts(
  cluster: Cluster,
  node: string,
): Promise<Readonly<Record<string, number>>> {
  const peers = await cluster.podrouterJson<PeerRow[]>(node, "peers");
  return Object.fromEntries(peers.map((peer) => [peer.name, peer.established]));
}

/**
 * Waits until a node has the routes of another one anew. Of a session that ends before, the peer
 * must remove what it kept (RFC 4724 §4.2, consecutive restarts), and pods are cut off until the
 * next.
 */
export async function toldAnew(cluster: Cluster, node: string, by: ClusterNode): Promise<void> {
  await until(`${node} has the routes of ${by.name} anew`, async () => {
    const rows = await cluster.podrouterJson<readonly RibRow[]>(node, "rib");
    return rows.some(({ prefix, stale }) => prefix === by.podCidr && !stale);
  });
}
