/** Pods as a container runtime makes them, with the configuration that the agents wrote. */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Cluster, type ClusterNode, SEED_NODES } from "../support/cluster.ts";
import { CniError } from "../support/cni-runtime.ts";
import { type Pod, type Pods, startedPodCluster } from "../support/pods.ts";
import { requireReal } from "../support/real.ts";
import { hasProgram, run, until } from "../support/shell.ts";
import { startServer, transfer } from "../support/tcp-transfer.ts";
import { Yardstick } from "../support/yardstick.ts";

const [node1, node2] = SEED_NODES as readonly [ClusterNode, ClusterNode, ClusterNode];
const NODES = [node1, node2];
/** A host of the nodes' network that is no node. */
const OUTSIDE = "192.168.50.1";
const PORT = 8080;

/** Addresses given out on a node. */
async function leases(
  cluster: Cluster,
  node: string,
  plugin: "bridge" | "podrouter",
): Promise<string[]> {
  if (plugin === "podrouter") {
    const file = JSON.parse(await readFile(cluster.leasesFile(node), "utf8"));
    return file.leases.flatMap((lease: { addresses: string[] }) => lease.addresses).sort();
  }
  const folder = join(cluster.folder, `${node}.runtime`, "lib", "networks", "mynet");
  const names = await readdir(folder);
  return names.filter((name) => !/^(lock|last_reserved)/.test(name)).sort();
}

/** Both ways a ping and a megabyte, and the source address as the other side sees it. */
async function talks(
  t: TestContext,
  cluster: Cluster,
  pods: Pods,
  from: { readonly label: string; readonly address: string },
  to: { readonly label: string; readonly address: string },
): Promise<void> {
  assert.ok(await pods.ping(from.label, to.address), `${from.label} pings ${to.label}`);
  const server = await startServer(cluster.namespaces, to.label, to.address, PORT);
  t.after(() => server.stop());
  const source = await transfer(cluster.namespaces, from.label, to.address, PORT);
  assert.equal(source, from.address, `${from.label} → ${to.label}`);
  await server.stop();
}

const end = (pod: Pod) => ({ label: pod.label, address: pod.addresses[0]! });
const nodeEnd = ({ name, address }: ClusterNode) => ({ label: name, address });

for (const plugin of ["bridge", "podrouter"] as const) {
  const ipam = plugin === "bridge" ? "host-local" : "the agent";
  test(`pods by ${plugin}, ${ipam} and portmap`, (t) => podsOnBridge(t, plugin));
}

/** All that pods on kube-bridge can do, whoever connects them. */
async function podsOnBridge(t: TestContext, plugin: "bridge" | "podrouter"): Promise<void> {
  const started = await startedPodCluster(t, { nodes: NODES, extra: [`--cni-plugin=${plugin}`] });
  if (started === undefined) return;
  const { cluster, pods } = started;
  const ns = cluster.namespaces;
  const ports = [{ hostPort: 8888, containerPort: PORT, protocol: "tcp" as const }];
  const one = await pods.add("node1", ports);
  const two = await pods.add("node1");
  const other = await pods.add("node2");

  await t.test("ADD gives addresses of the node's range, a default route, the MTU", async () => {
    assert.deepEqual(one.addresses, ["10.233.64.2"]);
    assert.deepEqual(two.addresses, ["10.233.64.3"]);
    assert.deepEqual(other.addresses, ["10.233.65.2"]);
    assert.deepEqual(
      one.result.ips?.map(({ gateway }) => gateway),
      ["10.233.64.1"],
    );
    assert.match(await ns.ip(one.label, "route"), /^default via 10\.233\.64\.1 dev eth0/);
    assert.match(await ns.ip(one.label, "link show eth0"), /mtu 1500 .*state UP/);
    assert.match(await ns.ip(one.label, "link show lo"), /LOOPBACK,UP/);
    assert.deepEqual(await leases(cluster, "node1", plugin), ["10.233.64.2", "10.233.64.3"]);
  });

  await t.test("CHECK holds, and does not once the pod is damaged", async () => {
    // Not of `one`: the portmap plugin's CHECK wants IPv6 rules for host ports in any case.
    for (const pod of [two, other]) await pods.check(pod);
    await ns.ip(two.label, "route del default");
    await assert.rejects(pods.check(two), CniError);
    await ns.ip(two.label, "route add default via 10.233.64.1");
    await pods.check(two);
  });

  await t.test("pods of one node", () => talks(t, cluster, pods, end(one), end(two)));
  await t.test("pods of different nodes", async () => {
    await talks(t, cluster, pods, end(one), end(other));
    await talks(t, cluster, pods, end(other), end(two));
  });
  await t.test("a pod and its node", async () => {
    await talks(t, cluster, pods, end(one), nodeEnd(node1));
    await talks(t, cluster, pods, { label: "node1", address: "10.233.64.1" }, end(one));
  });
  await t.test("a pod and another node", async () => {
    await talks(t, cluster, pods, end(one), nodeEnd(node2));
    await talks(t, cluster, pods, nodeEnd(node2), end(one));
  });
  await t.test("a pod and an outside host, which sees the node's address", async () => {
    assert.ok(await pods.ping(one.label, OUTSIDE));
    const server = await startServer(ns, "fabric", OUTSIDE, PORT);
    t.after(() => server.stop());
    assert.equal(await transfer(ns, one.label, OUTSIDE, PORT), node1.address);
    assert.equal(await transfer(ns, other.label, OUTSIDE, PORT), node2.address);
    await server.stop();
  });
  await t.test("a host port: from outside, another node, a pod, and the pod itself", async () => {
    const server = await startServer(ns, one.label, "0.0.0.0", PORT);
    t.after(() => server.stop());
    assert.equal(await transfer(ns, "fabric", node1.address, 8888), OUTSIDE);
    assert.equal(await transfer(ns, "node2", node1.address, 8888), node2.address);
    assert.equal(await transfer(ns, other.label, node1.address, 8888), end(other).address);
    assert.doesNotMatch(await transfer(ns, one.label, node1.address, 8888), /failed/);
    await server.stop();
  });

  await t.test("flushed packet rules are back within a second, and pods get out", async (t) => {
    if (!requireReal(t, await hasProgram("nft"), "the program nft (nftables) is missing")) return;
    const rule = "--match-set kube-router-pod-subnets src";
    const runs = new Yardstick();
    const list = ["iptables", "-t", "nat", "-S", "POSTROUTING"] as const;
    const isThere = async () => (await runs.time(() => ns.exec("node2", ...list))).includes(rule);
    await until("the rule is there", isThere);
    const begun = performance.now();
    await ns.exec("node2", "nft", "flush", "ruleset");
    await until("the rule is back", isThere, 30_000);
    const took = performance.now() - begun;
    t.diagnostic(runs.told(took));
    assert.ok(took < runs.repairMs(), runs.told(took));
    assert.ok(await pods.ping(other.label, OUTSIDE));
    assert.ok(await pods.ping(other.label, one.addresses[0]!));
  });

  await t.test("a deleted kube-bridge is made whole under running pods", async (t) => {
    const runs = new Yardstick();
    const begun = performance.now();
    await ns.ip("node2", "link del kube-bridge");
    // Short waits for an answer: the first ping leaves before the bridge is there.
    const isReached = async () => {
      await runs.time(() => ns.exec("node2", "true"));
      return pods.ping(one.label, other.addresses[0]!, 0.2);
    };
    await until("the pod is reached again", isReached, 30_000);
    const took = performance.now() - begun;
    t.diagnostic(runs.told(took));
    assert.ok(took < runs.exchangesMs(3000), runs.told(took));
    const another = await pods.add("node2");
    await talks(t, cluster, pods, end(another), end(other));
    await pods.del(another);
  });

  await t.test("DEL frees the address and leaves nothing; a second DEL does no harm", async () => {
    await pods.del(one);
    await pods.del(one);
    assert.deepEqual(await leases(cluster, "node1", plugin), ["10.233.64.3"]);
    assert.equal((await ns.exec("node1", "iptables-save")).includes("8888"), false);
    const links = await ns.ip("node1", "-br link show master kube-bridge");
    assert.equal(links.trim().split("\n").length, 1);
    assert.ok(await pods.ping(two.label, other.addresses[0]!), "the other pod is not touched");
  });

  if (plugin === "bridge") await withoutAgent(t, cluster, pods, two, other);
  else await withoutAgentOwn(t, cluster, pods, two, other);
}

async function withoutAgent(
  t: TestContext,
  cluster: Cluster,
  pods: Pods,
  two: Pod,
  other: Pod,
): Promise<void> {
  await t.test("without the agent pods go on, come and go", async () => {
    const agent = cluster.agents.get("node1")!;
    await agent.stop("SIGKILL");
    const late = await pods.add("node1");
    await talks(t, cluster, pods, end(late), end(other));
    await pods.del(late);
    const before = await readFile(cluster.cniConfFile("node1"), "utf8");
    cluster.startAgent("node1");
    await until(
      "it is back",
      async () => (await cluster.podrouter("node1", "status")).status === 0,
    );
    assert.ok(await pods.ping(two.label, other.addresses[0]!));
    assert.equal(await readFile(cluster.cniConfFile("node1"), "utf8"), before);
  });
}

/** Pods go on; who would come or go has to wait, and nothing is forgotten. */
async function withoutAgentOwn(
  t: TestContext,
  cluster: Cluster,
  pods: Pods,
  two: Pod,
  other: Pod,
): Promise<void> {
  await t.test("without the agent pods go on, and calls are to be repeated", async () => {
    const late = await pods.add("node1");
    const agent = cluster.agents.get("node1")!;
    await agent.stop("SIGKILL");
    await talks(t, cluster, pods, end(two), end(other));
    const begun = performance.now();
    const again = (error: unknown) => error instanceof CniError && error.code === 11;
    await assert.rejects(pods.add("node1"), again);
    await assert.rejects(pods.del(late), again);
    assert.ok(performance.now() - begun < 5000);
    await pods.del({ ...late, id: "never-there" });
    cluster.startAgent("node1", ["--cni-plugin=podrouter"]);
    await until("a pod goes", () =>
      pods.del(late).then(
        () => true,
        () => false,
      ),
    );
    assert.deepEqual(await leases(cluster, "node1", "podrouter"), ["10.233.64.3"]);
    assert.ok(await pods.ping(two.label, other.addresses[0]!));
    const next = await until("a pod comes", () => pods.add("node1").catch(() => undefined));
    assert.notEqual(next.addresses[0], late.addresses[0], "no address comes again at once");
    await talks(t, cluster, pods, end(next), end(other));
  });
}

test("pods by ptp, as kindnet connects them", async (t) => {
  const started = await startedPodCluster(t, { nodes: NODES, extra: ["--cni-plugin=ptp"] });
  if (started === undefined) return;
  const { cluster, pods } = started;
  const ports = [{ hostPort: 8888, containerPort: PORT, protocol: "tcp" as const }];
  const one = await pods.add("node1", ports);
  const two = await pods.add("node1");
  const other = await pods.add("node2");
  assert.deepEqual([one.addresses, two.addresses], [["10.233.64.2"], ["10.233.64.3"]]);
  await pods.check(two);
  await talks(t, cluster, pods, end(one), end(two));
  await talks(t, cluster, pods, end(two), end(other));
  await talks(t, cluster, pods, end(one), nodeEnd(node1));
  const ns = cluster.namespaces;
  const outside = await startServer(ns, "fabric", OUTSIDE, PORT);
  t.after(() => outside.stop());
  assert.equal(await transfer(ns, one.label, OUTSIDE, PORT), node1.address);
  await outside.stop();
  const server = await startServer(ns, one.label, "0.0.0.0", PORT);
  t.after(() => server.stop());
  assert.equal(await transfer(ns, "fabric", node1.address, 8888), OUTSIDE);
  const links = await run("ip", ["-n", ns.name("node1"), "link", "show", "kube-bridge"]);
  assert.notEqual(links.status, 0, "no bridge is made");
  await pods.del(one);
  assert.equal((await ns.ip("node1", "route")).includes("10.233.64.2 "), false);
});
