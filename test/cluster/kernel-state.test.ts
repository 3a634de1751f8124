/** What the agent owns in the kernel it keeps; what it does not own it never touches. */
import assert from "node:assert/strict";
import { access, rm } from "node:fs/promises";
import { test } from "node:test";
import { type AgentStatus, STATUS_PATH } from "../../src/agent/admin-protocol.ts";
import { askAgent } from "../../src/cli/agent-client.ts";
import { type ClusterNode, nodeObject, SEED_NODES } from "../support/cluster.ts";
import {
  memberIs,
  meshUp,
  NODE_IPS,
  POD_SUBNETS,
  routedEverywhere,
  routeIs,
  routeLine,
  startedCluster,
} from "../support/cluster-checks.ts";
import { requireReal } from "../support/real.ts";
import { Daemon, hasProgram, run, until } from "../support/shell.ts";

const [, node2, node3] = SEED_NODES as readonly [ClusterNode, ClusterNode, ClusterNode];

test("routes and sets are repaired, and foreign ones are left alone", async (t) => {
  const cluster = await startedCluster(t);
  if (cluster === undefined) return;
  const ns = cluster.namespaces;

  await t.test("a route removed by hand is back within a second", async () => {
    await ns.ip("node1", `route del ${node2.podCidr} proto 17`);
    await routeIs(cluster, "node1", routeLine(node2), true, 1000);
  });

  await t.test("routes are back after the link went down and up", async () => {
    await ns.ip("node1", "link set enp1s0 down");
    await until(
      "the kernel dropped them",
      async () => (await cluster.routes("node1")).length === 0,
    );
    await ns.ip("node1", "link set enp1s0 up");
    await routeIs(cluster, "node1", routeLine(node2), true, 2000);
    await routeIs(cluster, "node1", routeLine(node3), true, 2000);
  });

  await t.test("a set that was flushed is filled again", async () => {
    await ns.exec("node1", "ipset", "flush", POD_SUBNETS);
    await memberIs(cluster, "node1", POD_SUBNETS, node3.podCidr, true);
    await ns.exec("node1", "ipset", "del", NODE_IPS, node2.address);
    await memberIs(cluster, "node1", NODE_IPS, node2.address, true);
  });

  await t.test("other sets, other routes and rules that refer to our sets stay", async () => {
    await ns.exec("node1", "ipset", "create", "administrators", "hash:ip");
    await ns.exec("node1", "ipset", "add", "administrators", "198.51.100.1");
    await ns.ip("node1", "route add 198.51.100.0/24 via 192.168.50.1 proto static");
    const rule = ["-m", "set", "--match-set", POD_SUBNETS, "src", "-j", "ACCEPT"];
    await ns.exec("node1", "iptables", "-A", "FORWARD", ...rule);
    await cluster.api("DELETE", "/api/v1/nodes/node3");
    await routeIs(cluster, "node1", routeLine(node3), false);
    await memberIs(cluster, "node1", POD_SUBNETS, node3.podCidr, false);
    const members = await cluster.setMembers("node1", "administrators");
    assert.deepEqual(members, ["198.51.100.1"]);
    const routes = await cluster.routes("node1");
    assert.ok(routes.includes("198.51.100.0/24 via 192.168.50.1 dev enp1s0 proto static"));
    const rules = await ns.exec("node1", "iptables", "-S", "FORWARD");
    assert.match(rules, /--match-set kube-router-pod-subnets src -j ACCEPT/);
  });
});

test("an administrator's route for the same prefix stays, is reported, and yields later", async (t) => {
  const cluster = await startedCluster(t);
  if (cluster === undefined) return;
  const ns = cluster.namespaces;
  const foreign = `${node3.podCidr} via 192.168.50.1 dev enp1s0 proto static`;
  await cluster.api("DELETE", "/api/v1/nodes/node3");
  await routeIs(cluster, "node1", routeLine(node3), false);
  await ns.ip("node1", `route add ${node3.podCidr} via 192.168.50.1 proto static`);
  await cluster.api("POST", "/api/v1/nodes", nodeObject(node3));
  await routeIs(cluster, "node2", routeLine(node3), true);
  const reported = () =>
    until("the agent reports it", async () => {
      const status = await cluster.podrouter("node1", "status");
      return status.stdout.includes(node3.podCidr) && /foreign/i.test(status.stdout);
    });
  await reported();
  assert.ok((await cluster.routes("node1")).includes(foreign), "the static route stays");
  await ns.ip("node1", `route del ${node3.podCidr} proto static`);
  const after = await until("the agent counts its own again", async () => {
    for await (const row of askAgent<AgentStatus>(cluster.socket("node1"), STATUS_PATH)) {
      if (row.routesInstalled === 2) return row;
    }
    return undefined;
  });
  const stale = after.conditions.filter(({ message }) => message.includes(node3.podCidr));
  assert.deepEqual(stale, [], "what a status says is all of one moment");
  await routeIs(cluster, "node1", routeLine(node3), true, 1000);

  // Put before ours while the agent is away, and ours is to lead elsewhere: a replace would hit it.
  await cluster.agents.get("node1")!.stop("SIGKILL");
  await ns.ip("node1", `route replace ${node3.podCidr} via ${node2.address} proto 17`);
  await ns.ip("node1", `route prepend ${node3.podCidr} via 192.168.50.1 proto static`);
  cluster.startAgent("node1");
  await reported();
  const there = (await cluster.routes("node1")).filter((line) => line.startsWith(node3.podCidr));
  assert.deepEqual(there, [foreign], "it stays, and ours gives way");
});

test("a killed agent leaves forwarding alone, and what went meanwhile is swept after", async (t) => {
  const cluster = await startedCluster(t);
  if (cluster === undefined) return;
  const agent = cluster.agents.get("node1")!;
  await agent.stop("SIGKILL");
  assert.ok((await cluster.routes("node1")).includes(routeLine(node3)), "routes outlive the agent");
  await cluster.api("DELETE", "/api/v1/nodes/node3");
  const monitor = new Daemon("ip monitor", "ip", [
    ...["-n", cluster.namespaces.name("node1"), "-o", "monitor", "route"],
  ]);
  t.after(() => monitor.stop());
  cluster.startAgent("node1");
  await routeIs(cluster, "node1", routeLine(node3), false, 30_000);
  await memberIs(cluster, "node1", POD_SUBNETS, node3.podCidr, false);
  await meshUp(cluster, SEED_NODES.slice(0, 2));
  assert.ok(!monitor.output.includes(`Deleted ${node2.podCidr}`), "node2's route was never gone");
  await routedEverywhere(cluster, SEED_NODES.slice(0, 2));
});

test("--dry-run shows everything and changes nothing", async (t) => {
  if (!requireReal(t, await hasProgram("nft"), "the program nft (nftables) is missing")) return;
  const cluster = await startedCluster(t);
  if (cluster === undefined) return;
  await cluster.agents.get("node1")!.stop();
  await cluster.namespaces.exec("node1", "ip", "route", "flush", "proto", "17");
  // The rules that refer to the sets go with all of nftables.
  await cluster.namespaces.exec("node1", "nft", "flush", "ruleset");
  for (const set of [POD_SUBNETS, NODE_IPS]) {
    await cluster.namespaces.exec("node1", "ipset", "destroy", set);
  }
  await cluster.namespaces.ip("node1", "link del kube-bridge");
  await rm(cluster.cniConfFile("node1"), { force: true });
  cluster.startAgent("node1", ["--dry-run"]);
  await meshUp(cluster, SEED_NODES);
  await until("the RIB has all three", async () => {
    const rib = await cluster.podrouterJson<unknown[]>("node1", "rib");
    return rib.length === 3;
  });
  const routes = await cluster.routes("node1");
  assert.ok(routes.every((route) => !route.includes("proto 17")));
  const sets = await run("ip", [
    ...["netns", "exec", cluster.namespaces.name("node1"), "ipset", "list", "-n"],
  ]);
  assert.equal(sets.stdout.trim(), "");
  // Links, rules and file are planned each by itself.
  for (const expected of [
    /^ip link add kube-bridge .*mtu 1500 type bridge$/,
    /^iptables -t nat -A POSTROUTING .* MASQUERADE/,
    /^write /,
  ]) {
    let planned: readonly string[] = [];
    await until(
      () => `${expected} in:\n${planned.join("\n")}`,
      async () => {
        ({ planned } = await cluster.podrouterJson<{ planned: string[] }>("node1", "status"));
        return planned.some((line) => expected.test(line));
      },
    );
  }
  assert.equal(await cluster.namespaces.exec("node1", "nft", "list", "ruleset"), "");
  await assert.rejects(access(cluster.cniConfFile("node1")));
  await assert.rejects(cluster.namespaces.ip("node1", "link show kube-bridge"));
});
