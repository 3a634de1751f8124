/** `podrouter cleanup` on a node: what it shows, asks, removes and leaves. */
import assert from "node:assert/strict";
import { access, mkdir, readFile, rmdir } from "node:fs/promises";
import { test } from "node:test";
import { type Cluster, type ClusterNode, SEED_NODES } from "../support/cluster.ts";
import { startedPodCluster } from "../support/pods.ts";
import { run } from "../support/shell.ts";

const NODES = SEED_NODES.slice(0, 2).map(
  (node, index): ClusterNode => ({
    ...node,
    address6: `fd00:192:168:50::5${index}`,
    podCidr6: `fd00:10:233:4${index}::/64`,
  }),
);

test("cleanup removes exactly what the agent made", async (t) => {
  const started = await startedPodCluster(t, { nodes: NODES });
  if (started === undefined) return;
  const { cluster } = started;
  const ns = cluster.namespaces;
  const file = cluster.cniConfFile("node1");
  const cleanup = (...args: string[]) =>
    cluster.podrouter("node1", "cleanup", `--cni-conf-file=${file}`, ...args);
  await ns.ip("node1", "route add 10.9.0.0/16 via 192.168.50.1");
  await ns.exec("node1", "ipset", "create", "somebody", "hash:ip");
  await ns.exec("node1", "iptables", "-A", "FORWARD", "-j", "ACCEPT");
  await ns.exec("node1", "ip6tables", "-t", "nat", "-A", "POSTROUTING", "-j", "RETURN");

  await t.test("not while an agent runs", async () => {
    const result = await cleanup("--yes");
    assert.equal(result.status, 1);
    assert.match(result.stderr, /an agent is running \(it answers on .*\): stop it first/);
    assert.match(await state(cluster), /proto 17/);
  });
  await cluster.agents.get("node1")!.stop();

  await t.test("not by somebody who may not", async () => {
    const before = await state(cluster);
    const without = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"];
    const inside = ["netns", "exec", ns.name("node1"), ...without];
    const program = `${process.cwd()}/bin/podrouter`;
    const result = await run("ip", [...inside, program, "cleanup", "--yes"]);
    assert.equal(result.status, 1);
    assert.equal(result.stderr, "podrouter: cleanup needs root: CAP_NET_ADMIN is missing\n");
    assert.equal(result.stdout, "");
    assert.equal(await state(cluster), before);
  });

  await t.test("not without being asked for: nobody there, or a no", async () => {
    const before = await state(cluster);
    const alone = await cleanup();
    assert.equal(alone.status, 2);
    assert.match(alone.stdout, /^To be removed:\n {2}file .*10-kuberouter\.conflist\n/m);
    assert.match(alone.stderr, /there is nobody to ask; --yes goes without/);
    assert.match(alone.stderr, /an answer that comes through a pipe is not read/);
    const asked = await onTerminal(cluster, file, "n");
    assert.match(asked, /Remove all of this\? \[y\/N\]/);
    assert.match(asked, /Nothing was removed/);
    assert.equal(await state(cluster), before);
    await access(file);
  });

  await t.test("with a yes: all of ours is gone, nothing of others", async () => {
    const shown = await onTerminal(cluster, file, "y");
    for (const line of [
      /route 10\.233\.65\.0\/24 via 192\.168\.50\.51 dev enp1s0 proto 17/,
      /route fd00:10:233:41::\/64 via fd00:192:168:50::51 dev enp1s0 proto 17/,
      /iptables -t nat -D POSTROUTING .*kube-router-pod-subnets/,
      /ip6tables -t filter -D FORWARD -i kube-bridge/,
      /ipset inet6:kube-router-node-ips/,
      /Removed:/,
    ]) {
      assert.match(shown, line);
    }
    const after = await state(cluster);
    assert.doesNotMatch(after, /proto 17|kube-router|allow (?:out|in)bound|PODROUTER/);
    assert.match(after, /10\.9\.0\.0\/16 via 192\.168\.50\.1/);
    assert.match(after, /create somebody hash:ip/);
    assert.match(after, /-A FORWARD -j ACCEPT/);
    assert.match(after, /-A POSTROUTING -j RETURN/);
    assert.match(after, /kube-bridge/);
    await assert.rejects(access(file));
  });

  await t.test("a second time there is nothing", async () => {
    const again = await cleanup("--yes");
    assert.deepEqual([again.status, again.stdout], [0, "Nothing of podrouter's is here\n"]);
  });

  await t.test("what cannot be looked at is not called clean", async () => {
    await mkdir(file);
    const blind = await cleanup("--yes");
    await rmdir(file);
    assert.equal(blind.status, 1);
    assert.match(blind.stderr, /may still be there, for it could not be looked at:\n.*conflist: /);
    assert.doesNotMatch(blind.stdout, /Nothing/);
  });

  await t.test("the next agent makes all of it again", async () => {
    cluster.startAgent("node1");
    const text = await readWhenThere(file);
    assert.match(text, /"createdBy": "podrouter"/);
  });
});

/** Routes, sets, rules and links of node1, as their programs print them. */
async function state(cluster: Cluster): Promise<string> {
  const outputs: string[] = [];
  for (const command of [
    "ip route",
    "ip -6 route",
    "ipset save",
    "iptables-save",
    "ip6tables-save",
    "ip -br link",
  ]) {
    const [program, ...args] = command.split(" ");
    outputs.push(await cluster.namespaces.exec("node1", program!, ...args));
  }
  // Counters and times change by themselves, and a new bridge learns within a second that it has
  // no carrier: of a link the name and the address count.
  return outputs
    .join("\n")
    .replace(/^#.*$/gm, "")
    .replace(/\[\d+:\d+\]/g, "")
    .replace(/^(\S+) +(?:UP|DOWN|UNKNOWN) +(\S+) <.*> *$/gm, "$1 $2");
}

/** The command on a terminal, with one line typed. */
async function onTerminal(cluster: Cluster, file: string, answer: string): Promise<string> {
  const podrouter = `${process.cwd()}/bin/podrouter`;
  const socket = `--admin-socket=${cluster.socket("node1")}`;
  const command = `${podrouter} cleanup --cni-conf-file=${file} ${socket}`;
  const typed = `(sleep 2; echo ${answer}) | script -qec "${command}" /dev/null`;
  const inside = ["netns", "exec", cluster.namespaces.name("node1")];
  const result = await run("ip", [...inside, "sh", "-c", typed]);
  return result.stdout.replaceAll("\r", "");
}

async function readWhenThere(file: string): Promise<string> {
  for (let tries = 0; ; tries++) {
    try {
      return await readFile(file, "utf8");
    } catch (error) {
      if (tries === 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
