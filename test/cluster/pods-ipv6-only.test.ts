/** Nodes and pods without any IPv4: sessions, routes, sets, packet rules and pods, all over IPv6. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { type TestContext, test } from "node:test";
import type { AgentStatus } from "../../src/agent/admin-protocol.ts";
import type { ClusterNode } from "../support/cluster.ts";
import { NODE_IPS, POD_SUBNETS, routeLine } from "../support/cluster-checks.ts";
import { startedPodCluster } from "../support/pods.ts";
import { until } from "../support/shell.ts";
import { startServer, transfer } from "../support/tcp-transfer.ts";

/** The first ends as its first pod does: what is made of the last octets must differ all the same. */
const NODES: readonly ClusterNode[] = [
  { name: "node1", address: "fd00:192:168:50::2", podCidr: "fd00:10:233:40::/64" },
  { name: "node2", address: "fd00:192:168:50::51", podCidr: "fd00:10:233:41::/64" },
];
const [node1, node2] = NODES as readonly [ClusterNode, ClusterNode];
const OUTSIDE = "fd00:192:168:50::1";
const PORT = 8080;

for (const plugin of ["bridge", "podrouter"]) {
  test(`nodes and pods with IPv6 only, by ${plugin}`, (t) => ipv6Only(t, plugin));
}

async function ipv6Only(t: TestContext, plugin: string): Promise<void> {
  const started = await startedPodCluster(t, { nodes: NODES, extra: [`--cni-plugin=${plugin}`] });
  if (started === undefined) return;
  const { cluster, pods } = started;
  const ns = cluster.namespaces;

  await t.test("the session is over IPv6 and carries nothing else", async () => {
    assert.ok((await cluster.routes("node1")).includes(routeLine(node2)));
    assert.equal((await ns.ip("node1", "-4 route show")).trim(), "", "no IPv4 here");
    const [peer] = await cluster.podrouterJson<
      { address: string; families: { family: number }[]; routerId: string }[]
    >("node1", "peers");
    assert.equal(peer?.address, node2.address);
    assert.deepEqual(
      peer.families.map(({ family }) => family),
      [6],
    );
  });

  await t.test("router ids are hashes of the addresses, and differ", async () => {
    const ids = await Promise.all(
      ["node1", "node2"].map(async (name) => {
        const [peer] = await cluster.podrouterJson<{ remoteRouterId: string }[]>(name, "peers");
        return peer?.remoteRouterId;
      }),
    );
    assert.deepEqual(ids, [hashOf(node2.address), hashOf(node1.address)]);
  });

  await t.test("rib and status show it, and nothing is wrong", async () => {
    const { stdout } = await cluster.podrouter("node1", "rib");
    assert.match(stdout, /^\*> fd00:10:233:41::\/64 +fd00:192:168:50::51 /m);
    await until("it is ready", async () => {
      const status = await cluster.podrouterJson<AgentStatus>("node1", "status");
      return status.ready && status.conditions.length === 0;
    });
  });

  await t.test("sets and packet rules of IPv6; the sets of IPv4 are empty", async () => {
    const sets = (set: string) => cluster.setMembers("node1", set);
    assert.deepEqual(
      await sets(`inet6:${POD_SUBNETS}`),
      NODES.map(({ podCidr }) => `${podCidr} timeout 0`),
    );
    assert.deepEqual(
      await sets(`inet6:${NODE_IPS}`),
      NODES.map(({ address }) => `${address} timeout 0`),
    );
    assert.deepEqual((await sets(POD_SUBNETS)) ?? [], []);
    const rules = await ns.exec("node1", "ip6tables", "-t", "nat", "-S", "POSTROUTING");
    assert.match(rules, /match-set inet6:kube-router-pod-subnets src .* -j MASQUERADE/);
    assert.equal(await ns.exec("node1", "cat", "/proc/sys/net/ipv6/conf/all/forwarding"), "1\n");
    const conflist = await readFile(cluster.cniConfFile("node1"), "utf8");
    if (plugin === "bridge") assert.match(conflist, /"subnet": "fd00:10:233:40::\/64"/);
    assert.doesNotMatch(conflist, /\d+\.\d+\.\d+\.\d+\//);
  });

  const ports = [{ hostPort: 8888, containerPort: PORT, protocol: "tcp" as const }];
  const one = await pods.add("node1", ports);
  const two = await pods.add("node1");
  const other = await pods.add("node2");

  await t.test("pods ping and talk, on one node and between nodes", async () => {
    assert.deepEqual(one.addresses, ["fd00:10:233:40::2"]);
    for (const [from, to] of [
      [one, two],
      [one, other],
      [other, two],
    ] as const) {
      const address = to.addresses[0]!;
      assert.ok(await pods.ping(from.label, address), `${from.label} pings ${address}`);
      const server = await startServer(ns, to.label, address, PORT);
      t.after(() => server.stop());
      assert.equal(await transfer(ns, from.label, address, PORT), from.addresses[0]);
      await server.stop();
    }
  });

  await t.test("pods and nodes, an outside host, a host port", async () => {
    assert.ok(await pods.ping(one.label, node1.address));
    assert.ok(await pods.ping(one.label, node2.address));
    assert.ok(await pods.ping("node2", one.addresses[0]!));
    const outside = await startServer(ns, "fabric", OUTSIDE, PORT);
    t.after(() => outside.stop());
    assert.equal(await transfer(ns, one.label, OUTSIDE, PORT), node1.address);
    await outside.stop();
    const server = await startServer(ns, one.label, "::", PORT);
    t.after(() => server.stop());
    assert.equal(await transfer(ns, "node2", node1.address, 8888), node2.address);
    await server.stop();
  });
}

/** FNV-1a of 32 bits over the address's 16 octets, as the flag's help promises kube-router users. */
function hashOf(address: string): string {
  const groups = address.replace("::", ":0:0:0:").split(":");
  let hash = 0x811c_9dc5;
  for (const group of groups) {
    const word = Number.parseInt(group, 16);
    for (const byte of [word >> 8, word & 255]) {
      hash = Math.imul(hash ^ byte, 0x0100_0193) >>> 0;
    }
  }
  return [24, 16, 8, 0].map((shift) => (hash >>> shift) & 255).join(".");
}
