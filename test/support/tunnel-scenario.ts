/**
 * What goes through tunnels of an encapsulation and what does not, and what is left when nobody
 * needs them any more, seen with real agents, pods and a router that looks on.
 */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { type AgentStatus, STATUS_PATH } from "../../src/agent/admin-protocol.ts";
import { nodeObject } from "./cluster.ts";
import {
  answered,
  forgetSavedNode,
  memberIs,
  meshUp,
  POD_SUBNETS,
  toldAnew,
} from "./cluster-checks.ts";
import { configured, Pods } from "./pods.ts";
import { until } from "./shell.ts";
import { startServer, transfer } from "./tcp-transfer.ts";
import {
  built,
  type Encapsulation,
  type Lab,
  leftovers as leftoversOf,
  lines,
  NODES,
  overlay,
  plain,
  restarted,
  routed,
  tunnelled as tunnelledBy,
} from "./two-subnets.ts";
import { unbroken } from "./unbroken.ts";
import { watched } from "./watched-link.ts";

const PORT = 8080;
const [node1, node2, node3] = NODES;

/** `also`: what one encapsulation alone is asked; finds the overlay off, and leaves it on. */
export async function throughTunnels(
  t: TestContext,
  encap: Encapsulation,
  also: (lab: Lab) => Promise<void>,
): Promise<void> {
  const cluster = await built(t);
  if (cluster === undefined) return;
  const OVERLAY = overlay(encap);
  const tunnelled = tunnelledBy.bind(undefined, encap);
  const leftovers = leftoversOf.bind(undefined, encap);
  const [device4, device6] = encap.devices(node3);
  const ns = cluster.namespaces;
  const pods = new Pods(cluster);
  await restarted(cluster, OVERLAY);

  await t.test("a plain route in the subnet, a tunnel out of it", async () => {
    await routed(cluster, "node1", [...plain(node2), ...tunnelled(node1, node3)]);
    await routed(cluster, "node3", [...tunnelled(node3, node1), ...tunnelled(node3, node2)]);
    const table = await ns.ip("node1", "route show table 77");
    const way = `${encap.gateways(node3)[0]}dev ${device4} proto 17${encap.scope}${encap.onLink}`;
    assert.deepEqual(lines(table), [`${node3.address} ${way}`]);
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
    const mtuOf = async (name: string, device: string) =>
      Number(/ mtu (\d+) /.exec(await ns.ip(name, `link show ${device}`))?.[1]);
    assert.equal(await mtuOf(one.label, "eth0"), encap.mtus[6]);
    assert.equal(await mtuOf("node1", device4), encap.mtus[4]);
    assert.equal(await mtuOf("node1", device6), encap.mtus[6]);
  });

  await t.test("pods in two subnets: the router sees nodes only", async (t) => {
    const podPackets = await watched(
      t,
      cluster,
      "br1",
      "net 10.233.0.0/16 or net fd00:10:233::/48",
    );
    for (const [index, address] of three.addresses.entries()) {
      const tunnelPackets = await watched(t, cluster, "br1", encap.filter);
      assert.ok(await pods.ping(one.label, address), address);
      const [from, to] = [node1, node3].map((one) => (index === 0 ? one.address : one.address6!));
      for (const outer of [encap.outer(from!, to!), encap.outer(to!, from!)]) {
        await until(`${outer}`, () => tunnelPackets().some((line) => outer.test(line)));
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
    const tunnelPackets = await watched(t, cluster, "br0", encap.filter);
    for (const address of two.addresses) assert.ok(await pods.ping(one.label, address), address);
    assert.deepEqual(tunnelPackets(), []);
  });

  await t.test("status and metrics show it", async () => {
    const { stdout } = await cluster.podrouter("node1", "status");
    const overlayLine = lines(stdout).find((line) => line.startsWith("Overlay "));
    const by = `1 by IPv4, 1 by IPv6 (${device4}, ${device6})`;
    assert.equal(overlayLine, `Overlay ${encap.name}, subnet: ${by}`);
    assert.match(stdout, /^No conditions$/m);
  });

  await t.test("what others remove comes back", async () => {
    await ns.ip("node1", "rule delete priority 32000");
    await ns.ip("node1", "route flush table 77");
    await until("rule and route again", async () => {
      const left = await leftovers(cluster, "node1");
      return left.filter((line) => line.includes("proto 17")).length === 4;
    });
    const answered = () => until("a ping again", () => pods.ping(one.label, three.addresses[0]!));
    for (const words of encap.parts(node3)) {
      const [program = "", ...rest] = words.split(" ");
      await ns.exec("node1", program, ...rest);
    }
    await answered();
    await ns.ip("node1", `link delete ${device4}`);
    await answered();
    await ns.ip("node1", `link set ${device4} down`);
    await answered();
    await routed(cluster, "node1", [...plain(node2), ...tunnelled(node1, node3)]);
  });

  await t.test("a Node that is deleted takes its tunnel with it", async () => {
    await cluster.api("DELETE", "/api/v1/nodes/node2");
    await until("gone from table 77 of node3", async () => {
      const left = await leftovers(cluster, "node3");
      return !left.some((line) => line.includes(node2.address) || line.includes(node2.address6!));
    });
    // What leads into a tunnel goes before the tunnel.
    await until("and its end", async () => {
      assert.deepEqual(await encap.ends(cluster, "node3"), [encap.endOf(node1)]);
      return true;
    });
    await cluster.api("DELETE", "/api/v1/nodes/node3");
    await until("nothing left", async () => (await leftovers(cluster, "node1")).length === 0);
    // By routes of before node3 would answer, and lose them in the middle of what comes next.
    await routed(cluster, "node3", []);
    for (const again of [node2, node3])
      await cluster.api("POST", "/api/v1/nodes", nodeObject(again));
    await meshUp(cluster, NODES);
    await routed(cluster, "node1", [...plain(node2), ...tunnelled(node1, node3)]);
    await routed(cluster, "node3", [...tunnelled(node3, node1), ...tunnelled(node3, node2)]);
    await until("a ping again", () => pods.ping(one.label, three.addresses[0]!));
  });

  const pinged = { from: one.label, to: three.addresses[0]!, watched: ["node1", "node3"] };
  await t.test("an agent that starts again cuts nobody off", async (t) => {
    await unbroken(t, cluster, { ...pinged, count: 60 }, () => restarted(cluster, OVERLAY));
    await routed(cluster, "node1", [...plain(node2), ...tunnelled(node1, node3)]);
  });

  await t.test("nor does one whose saved Nodes miss one, with the API server away", async (t) => {
    await toldAnew(cluster, "node3", node1);
    await cluster.agents.get("node1")!.stop("SIGKILL");
    await forgetSavedNode(cluster, "node1", "node3");
    await cluster.stopApi();
    await unbroken(t, cluster, { ...pinged, count: 200 }, async () => {
      cluster.startAgent("node1", OVERLAY);
      await until("node1 has heard all that it knows of", async () => {
        const [status] = await answered<AgentStatus>(cluster, "node1", STATUS_PATH);
        return status?.ready;
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
    await routed(cluster, "node2", plain(node1));
    // All: a node that still has its rule would answer through a tunnel whose other end is gone.
    for (const { name } of NODES) {
      await until(
        `nothing left on ${name}`,
        async () => (await leftovers(cluster, name)).length === 0,
      );
    }
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
    const tunnelPackets = await watched(t, cluster, "br1", encap.filter);
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

  await also({ cluster, pods, three: [one, two, three] });

  await t.test("cleanup removes tunnels, rules and table, and nothing of others", async () => {
    await ns.ip("node1", `link add other ${encap.another}`);
    await ns.ip("node1", "rule add from 192.0.2.0/24 lookup 77");
    await cluster.agents.get("node1")!.stop();
    assert.ok((await leftovers(cluster, "node1")).length > 4);
    const file = `--cni-conf-file=${cluster.cniConfFile("node1")}`;
    const { status, stdout } = await cluster.podrouter("node1", "cleanup", "--yes", file);
    assert.equal(status, 0);
    assert.ok(stdout.includes(`tunnel ${device4} (${encap.kinds[0]})`));
    const left = await leftovers(cluster, "node1");
    assert.equal(left.length, 2, left.join("\n"));
    assert.match(left[0]!, /: other[@:]/);
    assert.match(left[1]!, /from 192\.0\.2\.0\/24 lookup 77/);
  });
}
