/**
 * Nodes in two subnets with a router between them that has no route to any pod, with IP in IP: all
 * that test/cluster/overlay.test.ts has of VXLAN, and what is of IP in IP alone.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { ClusterNode } from "../support/cluster.ts";
import { machine } from "../support/overlay-node.ts";
import { must, run, until } from "../support/shell.ts";
import { throughTunnels } from "../support/tunnel-scenario.ts";
import {
  IPIP,
  type Lab,
  leftovers,
  NODES,
  overlay,
  plain,
  restarted,
  routed,
  tunnelled,
  VXLAN,
} from "../support/two-subnets.ts";
import { watched } from "../support/watched-link.ts";

const TEST_MS_MAX = 1_800_000;
const [node1, node2, node3] = NODES;

test("nodes in two subnets, through IP in IP", { timeout: TEST_MS_MAX }, async (t: TestContext) => {
  if ((await machine(t, "ipip")) === undefined) return;
  // A node of Kubernetes has it, and without it the agents have a condition.
  await must("modprobe", ["br_netfilter"]);
  await throughTunnels(t, IPIP, async (lab) => {
    await restarted(lab.cluster, overlay(IPIP));
    await routed(lab.cluster, "node1", [...plain(node2), ...tunnelled(IPIP, node1, node3)]);
    await t.test("a narrow link on the way is found, and pods hear of it", () => narrow(lab));
    await t.test("to VXLAN and back: nothing of the other stays", () => changed(lab));
    await t.test("tunnels that kube-router left are used", (t) => borrowed(t, lab));
  });
});

/** A packet that may not be broken up, of so many bytes with its IP header, once. */
async function fits({ cluster, three }: Lab, index: 0 | 1, bytes: number): Promise<boolean> {
  const headers = index === 0 ? 28 : 48;
  const inside = ["netns", "exec", cluster.namespaces.name(three[0].label)];
  const words = ["ping", "-c", "1", "-W", "2", "-M", "do", "-s", `${bytes - headers}`];
  return (await run("ip", [...inside, ...words, three[2].addresses[index]!])).status === 0;
}

async function narrow(lab: Lab): Promise<void> {
  const ns = lab.cluster.namespaces;
  // The way back is another agent's, which has just started as well.
  for (const index of [0, 1] as const) {
    await until(`family ${index} goes through`, () => fits(lab, index, 1460));
  }
  await ns.ip("fabric", "link set br1 mtu 1400");
  for (const [index, width] of [
    [0, 1380],
    [1, 1360],
  ] as const) {
    // The first is lost on the way, the second at the tunnel, which by then has heard.
    await until(`family ${index} learns`, async () => {
      if (await fits(lab, index, 1460)) return false;
      const words = ["route", "get", lab.three[2].addresses[index]!];
      return (await ns.ip(lab.three[0].label, words.join(" "))).includes(` mtu ${width}`);
    });
    assert.ok(await fits(lab, index, width), `${width} bytes`);
  }
  await ns.ip("fabric", "link set br1 mtu 1500");
  for (const name of [lab.three[0].label, "node1", "node2", "node3"]) {
    for (const family of ["-4", "-6"]) await ns.ip(name, `${family} route flush cache`);
  }
}

async function changed({ cluster, pods, three: [one, , three] }: Lab): Promise<void> {
  for (const [encap, before] of [
    [VXLAN, IPIP],
    [IPIP, VXLAN],
  ] as const) {
    await restarted(cluster, overlay(encap));
    await routed(cluster, "node1", [...plain(node2), ...tunnelled(encap, node1, node3)]);
    await routed(cluster, "node3", [
      ...tunnelled(encap, node3, node1),
      ...tunnelled(encap, node3, node2),
    ]);
    for (const { name } of NODES) {
      await until(`nothing of ${before.name} on ${name}`, async () => {
        const left = await leftovers(before, cluster, name);
        return left.every((line) => /^32000:|^(?:192|fd00)\S+ /.test(line));
      });
    }
    for (const address of three.addresses) assert.ok(await pods.ping(one.label, address), address);
  }
}

/** All of kube-router's are there when the agents start, with its names. */
async function borrowed(t: TestContext, lab: Lab): Promise<void> {
  const { cluster, pods, three } = lab;
  const ns = cluster.namespaces;
  await Promise.all([...cluster.agents.values()].map((agent) => agent.stop()));
  for (const [from, to] of [
    [node1, node3],
    [node3, node1],
  ] as const) {
    const [four, six] = IPIP.devices(to);
    for (const name of [four, six]) await ns.ip(from.name, `link delete ${name}`);
    const ends = `local ${from.address} remote ${to.address}`;
    await ns.ip(from.name, `link add tun-0123456789a type ipip ${ends}`);
    const ends6 = `local ${from.address6} remote ${to.address6}`;
    await ns.ip(from.name, `link add tun-0123456789b type ip6tnl mode ip6ip6 ${ends6}`);
    for (const name of ["a", "b"]) await ns.ip(from.name, `link set tun-0123456789${name} up`);
  }
  await restarted(cluster, overlay(IPIP));
  const theirs = (from: ClusterNode, to: ClusterNode) =>
    tunnelled(IPIP, from, to).map(
      (route) => new RegExp(route.source.replace(/tun6?-[0-9a-f]+/, "tun-0123456789[ab]")),
    );
  await routed(cluster, "node1", [...plain(node2), ...theirs(node1, node3)]);
  await routed(cluster, "node3", [...theirs(node3, node1), ...tunnelled(IPIP, node3, node2)]);
  const podPackets = await watched(t, cluster, "br1", "net 10.233.0.0/16 or net fd00:10:233::/48");
  for (const address of three[2].addresses) {
    assert.ok(await pods.ping(three[0].label, address), address);
  }
  assert.deepEqual(podPackets(), []);
  for (const { name } of [node1, node3]) {
    for (const letter of ["a", "b"]) await ns.ip(name, `link delete tun-0123456789${letter}`);
  }
  await routed(cluster, "node1", [...plain(node2), ...tunnelled(IPIP, node1, node3)]);
  await until("a ping again", () => pods.ping(three[0].label, three[2].addresses[0]!));
}
