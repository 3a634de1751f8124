/**
 * Nodes in two subnets with a router between them that has no route to any pod: what goes through
 * VXLAN, what does not, and what is left when nobody needs it any more. All nodes have both
 * families, and a strict reverse path filter, so that a reply that took another way would be lost.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { AgentStatus } from "../../src/agent/admin-protocol.ts";
import { Cluster, type ClusterNode, clusterUnavailable, nodeObject } from "../support/cluster.ts";
import { forgetSavedNode, memberIs, meshUp, POD_SUBNETS } from "../support/cluster-checks.ts";
import { Namespaces, namespacesUnavailable } from "../support/namespaces.ts";
import { configured, Pods, pluginsUnavailable } from "../support/pods.ts";
import { requireReal } from "../support/real.ts";
import { run, until } from "../support/shell.ts";
import { startServer, transfer } from "../support/tcp-transfer.ts";
import { unbroken } from "../support/unbroken.ts";
import { watched } from "../support/watched-link.ts";

const PODROUTER = join(import.meta.dirname, "..", "..", "bin", "podrouter");
const PORT = 8080;
const OVERLAY = ["--enable-overlay=true", "--overlay-encap=vxlan"];

const node = (index: number, subnet: number, host: number): ClusterNode => ({
  name: `node${index}`,
  address: `192.168.${subnet}.${host}`,
  podCidr: `10.233.${63 + index}.0/24`,
  address6: `fd00:192:168:${subnet}::${host}`,
  podCidr6: `fd00:10:233:${63 + index}::/64`,
});
const NODES = [node(1, 50, 50), node(2, 50, 51), node(3, 51, 50)] as const;
const [node1, node2, node3] = NODES;

async function built(t: TestContext): Promise<Cluster | undefined> {
  const reason =
    (await namespacesUnavailable()) ?? (await clusterUnavailable()) ?? (await pluginsUnavailable());
  if (!requireReal(t, reason === undefined, reason ?? "")) return undefined;
  const cluster = new Cluster(NODES);
  t.after(() => cluster.remove());
  await cluster.build();
  for (const { name } of NODES) {
    await cluster.namespaces.sysctl(name, "net.ipv4.conf.all.rp_filter", "1");
  }
  await cluster.startApi();
  return cluster;
}

/** Starts all agents, or starts them again with other flags. */
async function restarted(cluster: Cluster, extra: readonly string[]): Promise<void> {
  await Promise.all([...cluster.agents.values()].map((agent) => agent.stop()));
  for (const { name } of NODES) cluster.startAgent(name, extra);
  await meshUp(cluster, NODES);
}

const lines = (text: string): readonly string[] =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");

/** The routes of ours to pods, both families, without the metric of IPv6. */
async function podRoutes(cluster: Cluster, name: string): Promise<readonly string[]> {
  const ns = cluster.namespaces;
  const both = [
    await ns.ip(name, "-4 route show proto 17"),
    await ns.ip(name, "-6 route show proto 17"),
  ];
  return lines(both.join("\n")).map((line) => line.replace(/ metric 1024.*$/, ""));
}

async function routed(cluster: Cluster, name: string, wanted: readonly RegExp[]): Promise<void> {
  let routes: readonly string[] = [];
  await until(`routes of ${name}`, async () => {
    routes = await podRoutes(cluster, name);
    return (
      routes.length === wanted.length &&
      wanted.every((one) => routes.some((line) => one.test(line)))
    );
  }).catch((error: unknown) => {
    throw new Error(`${routes.join("\n")}\n${cluster.agents.get(name)?.output}`, { cause: error });
  });
}

const plain = ({ podCidr, podCidr6, address, address6 }: ClusterNode): readonly RegExp[] => [
  new RegExp(`^${podCidr} via ${address} dev enp1s0$`),
  new RegExp(`^${podCidr6} via ${address6} dev enp1s0$`),
];
const tunnelled = (from: ClusterNode, to: ClusterNode): readonly RegExp[] => [
  new RegExp(`^${to.podCidr} via ${to.address} dev podrouter-vx4 src ${from.address} onlink$`),
  new RegExp(`^${to.podCidr6} via fe80::\\S+ dev podrouter-vx6 src ${from.address6}$`),
];

/** Ours, in a namespace: devices, rules and what table 77 has. */
async function leftovers(cluster: Cluster, name: string): Promise<readonly string[]> {
  const ns = cluster.namespaces;
  const table = async (family: string) => {
    const inside = ["-n", ns.name(name), family, "route", "show", "table", "77"];
    return (await run("ip", inside)).stdout;
  };
  const found = [
    await ns.ip(name, "-o link show type vxlan"),
    ...lines(await ns.ip(name, "-4 rule")).filter((line) => line.includes("lookup 77")),
    ...lines(await ns.ip(name, "-6 rule")).filter((line) => line.includes("lookup 77")),
    await table("-4"),
    await table("-6"),
  ];
  return lines(found.join("\n"));
}

test("nodes in two subnets, through VXLAN", { timeout: 600_000 }, async (t: TestContext) => {
  const cluster = await built(t);
  if (cluster === undefined) return;
  const ns = cluster.namespaces;
  const pods = new Pods(cluster);
  await restarted(cluster, OVERLAY);

  await t.test("a plain route in the subnet, a tunnel out of it", async () => {
    await routed(cluster, "node1", [...plain(node2), ...tunnelled(node1, node3)]);
    await routed(cluster, "node3", [...tunnelled(node3, node1), ...tunnelled(node3, node2)]);
    const table = await ns.ip("node1", "route show table 77");
    assert.deepEqual(lines(table), [
      `${node3.address} via ${node3.address} dev podrouter-vx4 proto 17 onlink`,
    ]);
    assert.match(
      await ns.ip("node1", "rule"),
      /32000:\s+from 10\.233\.64\.0\/24 lookup 77 proto 17/,
    );
    assert.match(await ns.ip("node1", "-6 rule"), /from fd00:10:233:64::\/64 lookup 77 proto 17/);
  });

  for (const { name } of NODES) await configured(cluster, name);
  const [one, two, three] = [
    await pods.add("node1"),
    await pods.add("node2"),
    await pods.add("node3"),
  ];

  await t.test("pods have room for the larger of the two headers", async () => {
    assert.match(await ns.ip(one.label, "link show eth0"), /mtu 1430 /);
    assert.match(await ns.ip("node1", "link show podrouter-vx4"), /mtu 1450 /);
    assert.match(await ns.ip("node1", "link show podrouter-vx6"), /mtu 1430 /);
  });

  await t.test("pods in two subnets: the router sees nodes only", async (t) => {
    const podPackets = await watched(
      t,
      cluster,
      "br1",
      "net 10.233.0.0/16 or net fd00:10:233::/48",
    );
    for (const [index, address] of three.addresses.entries()) {
      const tunnelPackets = await watched(t, cluster, "br1", "udp port 4789");
      assert.ok(await pods.ping(one.label, address), address);
      const [from, to] = [node1, node3].map((one) => (index === 0 ? one.address : one.address6!));
      for (const way of [`${from}.`, `${to}.`]) {
        const outer = new RegExp(
          `IP6? ${way.replaceAll(".", "\\.")}\\d+ > \\S+\\.4789: VXLAN, .* vni 77`,
        );
        await until(way, () => tunnelPackets().some((line) => outer.test(line)));
      }
      const server = await startServer(ns, three.label, address, PORT);
      t.after(() => server.stop());
      assert.equal(await transfer(ns, one.label, address, PORT), one.addresses[index]);
      await server.stop();
    }
    assert.deepEqual(podPackets(), []);
  });

  await t.test("pods and nodes of two subnets: replies take the same way", async (t) => {
    const podPackets = await watched(
      t,
      cluster,
      "br1",
      "net 10.233.0.0/16 or net fd00:10:233::/48",
    );
    for (const [index, address] of three.addresses.entries()) {
      const node = index === 0 ? node3.address : node3.address6!;
      assert.ok(await pods.ping("node1", address), `node1 to ${address}`);
      assert.ok(await pods.ping(one.label, node), `pod to ${node}`);
      const server = await startServer(ns, three.label, address, PORT);
      t.after(() => server.stop());
      const own = index === 0 ? node1.address : node1.address6!;
      assert.equal(await transfer(ns, "node1", address, PORT), own);
      await server.stop();
      const host = await startServer(ns, "node3", node, PORT);
      t.after(() => host.stop());
      assert.equal(await transfer(ns, one.label, node, PORT), one.addresses[index]);
      await host.stop();
    }
    assert.deepEqual(podPackets(), []);
  });

  await t.test("pods of one subnet go untunnelled", async (t) => {
    const tunnelPackets = await watched(t, cluster, "br0", "udp port 4789");
    for (const address of two.addresses) assert.ok(await pods.ping(one.label, address), address);
    assert.deepEqual(tunnelPackets(), []);
  });

  await t.test("status and metrics show it", async () => {
    const { stdout } = await cluster.podrouter("node1", "status");
    assert.match(
      stdout,
      /^Overlay vxlan, subnet: 1 by IPv4, 1 by IPv6 \(podrouter-vx4, podrouter-vx6\)$/m,
    );
    assert.match(stdout, /^No conditions$/m);
  });

  await t.test("what others remove comes back", async () => {
    await ns.ip("node1", "rule delete priority 32000");
    await ns.ip("node1", "route flush table 77");
    await until("rule and route again", async () => {
      const left = await leftovers(cluster, "node1");
      return left.filter((line) => line.includes("proto 17")).length === 4;
    });
    await ns.exec("node1", "bridge", "fdb", "del", macOf(node3), "dev", "podrouter-vx4");
    await ns.ip("node1", `neigh del ${node3.address} dev podrouter-vx4`);
    await until("a ping again", () => pods.ping(one.label, three.addresses[0]!));
    await ns.ip("node1", "link delete podrouter-vx4");
    await until("a ping again", () => pods.ping(one.label, three.addresses[0]!));
    await ns.ip("node1", "link set podrouter-vx4 down");
    await until("a ping again", () => pods.ping(one.label, three.addresses[0]!));
    await routed(cluster, "node1", [...plain(node2), ...tunnelled(node1, node3)]);
  });

  await t.test("a Node that is deleted takes its tunnel with it", async () => {
    await cluster.api("DELETE", "/api/v1/nodes/node2");
    await until("gone from table 77 of node3", async () => {
      const left = await leftovers(cluster, "node3");
      return !left.some((line) => line.includes(node2.address) || line.includes(node2.address6!));
    });
    const entries = await ns.exec("node3", "bridge", "fdb", "show", "dev", "podrouter-vx4");
    assert.deepEqual(
      lines(entries).map((line) => line.split(" ")[0]),
      [macOf(node1)],
    );
    await cluster.api("DELETE", "/api/v1/nodes/node3");
    await until("nothing left", async () => (await leftovers(cluster, "node1")).length === 0);
    for (const again of [node2, node3])
      await cluster.api("POST", "/api/v1/nodes", nodeObject(again));
    await meshUp(cluster, NODES);
    await until("a ping again", () => pods.ping(one.label, three.addresses[0]!));
  });

  const pinged = { from: one.label, to: three.addresses[0]!, watched: ["node1", "node3"] };
  await t.test("an agent that starts again cuts nobody off", async (t) => {
    await unbroken(t, cluster, { ...pinged, count: 60 }, () => restarted(cluster, OVERLAY));
    await routed(cluster, "node1", [...plain(node2), ...tunnelled(node1, node3)]);
  });

  await t.test("nor does one whose saved Nodes miss one, with the API server away", async (t) => {
    await cluster.agents.get("node1")!.stop("SIGKILL");
    await forgetSavedNode(cluster, "node1", "node3");
    await cluster.stopApi();
    await unbroken(t, cluster, { ...pinged, count: 200 }, async () => {
      cluster.startAgent("node1", OVERLAY);
      await until("node1 has heard all that it knows of", async () => {
        return (await cluster.podrouterJson<AgentStatus>("node1", "status")).ready;
      });
      await memberIs(cluster, "node1", POD_SUBNETS, node3.podCidr, true);
      await cluster.startApi();
      await meshUp(cluster, NODES);
    });
    await memberIs(cluster, "node1", POD_SUBNETS, node3.podCidr, true);
    await routed(cluster, "node1", [...plain(node2), ...tunnelled(node1, node3)]);
  });

  await t.test("type full: all nodes by tunnel", async (t) => {
    await restarted(cluster, [...OVERLAY, "--overlay-type=full"]);
    await routed(cluster, "node1", [...tunnelled(node1, node2), ...tunnelled(node1, node3)]);
    for (const { name } of NODES) {
      await routed(
        cluster,
        name,
        NODES.filter((to) => to.name !== name).flatMap((to) =>
          tunnelled(NODES.find((from) => from.name === name)!, to),
        ),
      );
    }
    const podPackets = await watched(
      t,
      cluster,
      "br0",
      "net 10.233.0.0/16 or net fd00:10:233::/48",
    );
    for (const to of [...two.addresses, ...three.addresses, node2.address]) {
      assert.ok(await pods.ping(one.label, to), to);
    }
    for (const to of two.addresses) assert.ok(await pods.ping("node1", to), to);
    assert.deepEqual(podPackets(), []);
  });

  await t.test("off: what is in another subnet is not reached, and says so", async () => {
    await restarted(cluster, []);
    await routed(cluster, "node1", plain(node2));
    await until("nothing left", async () => (await leftovers(cluster, "node1")).length === 0);
    await until("the condition", async () => {
      const { stdout } = await cluster.podrouter("node1", "status");
      assert.doesNotMatch(stdout, /Overlay/);
      return stdout.includes("next hop 192.168.51.50 not reachable: it is in no subnet");
    });
    assert.ok(await pods.ping(one.label, two.addresses[0]!));
  });

  await t.test("off, and a router that knows the pods: nothing is tunnelled", async (t) => {
    for (const { podCidr, podCidr6, address, address6 } of NODES) {
      await ns.ip("fabric", `route add ${podCidr} via ${address}`);
      await ns.ip("fabric", `route add ${podCidr6} via ${address6}`);
    }
    const tunnelPackets = await watched(t, cluster, "br1", "udp port 4789");
    const podPackets = await watched(
      t,
      cluster,
      "br1",
      "net 10.233.0.0/16 or net fd00:10:233::/48",
    );
    for (const address of three.addresses) assert.ok(await pods.ping(one.label, address), address);
    await until("the router sees pods", () => podPackets().length >= 4);
    assert.deepEqual(tunnelPackets(), []);
    assert.deepEqual(await leftovers(cluster, "node1"), []);
    for (const { podCidr, podCidr6 } of NODES) {
      await ns.ip("fabric", `route del ${podCidr}`);
      await ns.ip("fabric", `route del ${podCidr6}`);
    }
  });

  await t.test("somebody else's VXLAN with our VNI and port is one clear condition", async () => {
    const words = "link add vx type vxlan id 77 dstport 4789 local 192.168.50.50 nolearning";
    await ns.ip("node1", words);
    await restarted(cluster, OVERLAY);
    await until("the condition", async () => {
      const { stdout } = await cluster.podrouter("node1", "status");
      return stdout.includes("the VXLAN device vx of somebody else has VNI 77 and UDP port 4789");
    });
    const { stdout } = await cluster.podrouter("node1", "status");
    assert.equal(lines(stdout).filter((line) => line.startsWith("overlay ")).length, 1);
    await ns.ip("node1", "link delete vx");
    await until("a ping again", () => pods.ping(one.label, three.addresses[0]!));
    // IPv6 has a socket of its own and was not in its way.
    assert.match(await ns.ip("node1", "link show type vxlan"), /podrouter-vx6/);
  });

  await t.test("cleanup removes tunnels, rules and table, and nothing of others", async () => {
    await ns.ip("node1", "link add vx type vxlan id 5 dstport 8472 nolearning");
    await ns.ip("node1", "rule add from 192.0.2.0/24 lookup 77");
    await cluster.agents.get("node1")!.stop();
    assert.ok((await leftovers(cluster, "node1")).length > 4);
    const file = `--cni-conf-file=${cluster.cniConfFile("node1")}`;
    const { status, stdout } = await cluster.podrouter("node1", "cleanup", "--yes", file);
    assert.equal(status, 0);
    assert.match(stdout, /tunnel podrouter-vx4 \(vxlan\)/);
    const left = await leftovers(cluster, "node1");
    assert.equal(left.length, 2, left.join("\n"));
    assert.match(left[0]!, /: vx: /);
    assert.match(left[1]!, /from 192\.0\.2\.0\/24 lookup 77/);
  });
});

test("an encapsulation that the kernel lacks ends the start in one sentence", async (t) => {
  const reason = await namespacesUnavailable();
  if (!requireReal(t, reason === undefined, reason ?? "")) return;
  const ns = new Namespaces();
  const folder = await mkdtemp(join(tmpdir(), "podrouter-overlay-"));
  t.after(async () => {
    await ns.remove();
    await rm(folder, { recursive: true });
  });
  await ns.add("node");
  const inside = ["netns", "exec", ns.name("node")];
  const probe = ["ip", "link", "add", "probe", "type", "ipip", "remote", "192.0.2.1"];
  if ((await run("ip", [...inside, ...probe])).status === 0) {
    t.skip("this kernel has ipip");
    return;
  }
  const file = join(folder, "nodes.json");
  await writeFile(file, JSON.stringify({ kind: "List", apiVersion: "v1", items: [] }));
  const result = await run("ip", [
    ...inside,
    PODROUTER,
    ...["run", "--enable-overlay", "--hostname-override=node1", `--nodes-file=${file}`],
    ...[`--admin-socket=${join(folder, "admin.sock")}`, `--state-dir=${join(folder, "state")}`],
    "--log-format=text",
  ]);
  assert.equal(result.status, 2);
  assert.match(
    result.stderr,
    /--overlay-encap=ipip: this kernel has no ipip devices: load its module \(modprobe ipip\), or/,
  );
  // Asking has made nothing.
  assert.doesNotMatch(await ns.ip("node", "link"), /probe/);
});

/** Of a node's VXLAN device. */
function macOf({ address }: ClusterNode): string {
  const bytes = address.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
  return ["0e", "58", ...bytes].join(":");
}
