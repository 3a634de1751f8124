/** Pods with addresses of both families: one session carries both, sets and rules hold both. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type ClusterNode, SEED_NODES } from "../support/cluster.ts";
import { NODE_IPS, POD_SUBNETS } from "../support/cluster-checks.ts";
import { startedPodCluster } from "../support/pods.ts";
import { until } from "../support/shell.ts";
import { startServer, transfer } from "../support/tcp-transfer.ts";

const NODES: readonly ClusterNode[] = SEED_NODES.slice(0, 2).map((node, index) => ({
  ...node,
  address6: `fd00:192:168:50::5${index}`,
  podCidr6: `fd00:10:233:4${index}::/64`,
}));
const [node1, node2] = NODES as readonly [ClusterNode, ClusterNode];
const OUTSIDE6 = "fd00:192:168:50::1";
const PORT = 8080;

for (const plugin of ["bridge", "podrouter"]) {
  test(`dual stack pods by ${plugin}`, (t) => dualStack(t, plugin));
}

async function dualStack(t: TestContext, plugin: string): Promise<void> {
  const started = await startedPodCluster(t, { nodes: NODES, extra: [`--cni-plugin=${plugin}`] });
  if (started === undefined) return;
  const { cluster, pods } = started;
  const ns = cluster.namespaces;

  await t.test("one session a peer, routes and sets of both families", async () => {
    const peers = await cluster.podrouterJson<unknown[]>("node1", "peers");
    assert.equal(peers.length, 1);
    for (const [name, to] of [["node1", node2] as const, ["node2", node1] as const]) {
      await until("the IPv6 route", async () =>
        (await ns.ip(name, "-6 route show proto 17")).includes(
          `${to.podCidr6} via ${to.address6} dev enp1s0`,
        ),
      );
    }
    const cidrs = NODES.map(({ podCidr6 }) => `${podCidr6} timeout 0`).sort();
    const addresses = NODES.map(({ address6 }) => `${address6} timeout 0`).sort();
    assert.deepEqual(await cluster.setMembers("node1", `inet6:${POD_SUBNETS}`), cidrs);
    assert.deepEqual(await cluster.setMembers("node1", `inet6:${NODE_IPS}`), addresses);
    const rules = await ns.exec("node1", "ip6tables", "-t", "nat", "-S", "POSTROUTING");
    assert.match(rules, /match-set inet6:kube-router-pod-subnets src .* -j MASQUERADE/);
    const accepts = await ns.exec("node1", "ip6tables", "-S", "FORWARD");
    assert.equal(accepts.split("\n").filter((line) => line.includes("kube-bridge")).length, 2);
  });

  const ports = [{ hostPort: 8888, containerPort: PORT, protocol: "tcp" as const }];
  const one = await pods.add("node1", ports);
  const two = await pods.add("node1");
  const other = await pods.add("node2");

  await t.test("each pod has an address of each family, IPv4 first as in the Node", async () => {
    assert.deepEqual(one.addresses, ["10.233.64.2", "fd00:10:233:40::2"]);
    assert.deepEqual(other.addresses, ["10.233.65.2", "fd00:10:233:41::2"]);
    // Not of `one`: the portmap plugin looks for its IPv4 rules in IPv6 too.
    for (const pod of [two, other]) await pods.check(pod);
  });

  for (const [name, from, to] of [
    ["pods of one node", one, two],
    ["pods of different nodes", one, other],
  ] as const) {
    await t.test(`${name}, in both families`, async () => {
      for (const [index, address] of to.addresses.entries()) {
        assert.ok(await pods.ping(from.label, address), address);
        const server = await startServer(ns, to.label, address, PORT);
        t.after(() => server.stop());
        assert.equal(await transfer(ns, from.label, address, PORT), from.addresses[index]);
        await server.stop();
      }
    });
  }

  await t.test("pods and nodes", async () => {
    assert.ok(await pods.ping(one.label, node1.address6!));
    assert.ok(await pods.ping(one.label, node2.address6!));
    assert.ok(await pods.ping("node2", one.addresses[1]!));
  });

  await t.test("an outside host sees the node's IPv6 address", async () => {
    const server = await startServer(ns, "fabric", OUTSIDE6, PORT);
    t.after(() => server.stop());
    assert.equal(await transfer(ns, one.label, OUTSIDE6, PORT), node1.address6);
    await server.stop();
  });

  await t.test("a host port, in both families", async () => {
    for (const [address, any, source] of [
      [node1.address, "0.0.0.0", node2.address],
      [node1.address6!, "::", node2.address6!],
    ] as const) {
      const server = await startServer(ns, one.label, any, PORT);
      t.after(() => server.stop());
      assert.equal(await transfer(ns, "node2", address, 8888), source);
      await server.stop();
    }
  });
}
