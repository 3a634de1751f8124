/**
 * A real agent from which the machine withholds something for a while: file descriptors, its disk,
 * a working iptables. What changed meanwhile is made good once it has it again, and it never ends.
 */
import assert from "node:assert/strict";
import { chmod, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Cluster, type ClusterNode, nodeObject, SEED_NODES } from "../support/cluster.ts";
import {
  memberIs,
  NODE_IPS,
  POD_SUBNETS,
  routedEverywhere,
  routeIs,
  routeLine,
  startedCluster,
} from "../support/cluster-checks.ts";
import { must, run, until } from "../support/shell.ts";

const [node1, node2] = SEED_NODES as readonly [ClusterNode, ClusterNode, ClusterNode];
const NODES = [node1, node2];
const FOURTH = { name: "node4", address: "192.168.50.53", podCidr: "10.233.67.0/24" };

/** Node1's agent once everything stands. */
async function started(t: TestContext) {
  const cluster = await startedCluster(t, { nodes: NODES });
  if (cluster === undefined) return undefined;
  await isRight(cluster);
  return cluster;
}

/** Everything that the agent of node1 has to keep is as it should be. */
async function isRight(cluster: Cluster): Promise<void> {
  const agent = cluster.agents.get("node1")!;
  try {
    await routedEverywhere(cluster, NODES);
    await memberIs(cluster, "node1", POD_SUBNETS, node2.podCidr, true);
    await memberIs(cluster, "node1", NODE_IPS, node2.address, true);
    await until(
      "the bridge",
      async () => (await inside(cluster, "ip link show kube-bridge")) !== "",
    );
    await until(
      "the masquerade rule",
      async () => (await inside(cluster, "iptables -t nat -S POSTROUTING")).includes(POD_SUBNETS),
      40_000,
    );
    await until(
      "the CNI configuration",
      async () => (await readFile(cluster.cniConfFile("node1"), "utf8")).includes(node1.podCidr),
      30_000,
    );
    await until(
      "no condition is left",
      async () => {
        const status = await cluster.podrouterJson<{ conditions: { severity: string }[] }>(
          "node1",
          "status",
        );
        const wrong = status.conditions.filter(({ severity }) => severity === "error");
        if (wrong.length > 0) throw new Error(JSON.stringify(wrong));
        return true;
      },
      40_000,
    );
  } catch (error) {
    throw new Error(`the agent said:\n${agent.output}`, { cause: error });
  }
  assert.ok(agent.running, agent.output);
}

async function inside(cluster: Cluster, command: string): Promise<string> {
  const { stdout } = await run("ip", [
    ...["netns", "exec", cluster.namespaces.name("node1")],
    ...command.split(" "),
  ]);
  return stdout;
}

/** Takes away all that the agent keeps, and makes a Node come. */
async function damage(cluster: Cluster): Promise<void> {
  await inside(cluster, `ip route del ${node2.podCidr}`);
  await inside(cluster, "iptables -t nat -F");
  await inside(cluster, `ipset flush ${POD_SUBNETS}`);
  await inside(cluster, "ip link del kube-bridge");
  await rm(cluster.cniConfFile("node1"), { force: true });
  await cluster.api("POST", "/api/v1/nodes", nodeObject(FOURTH));
}

async function pidOf(cluster: Cluster): Promise<number> {
  return (await cluster.podrouterJson<{ pid: number }>("node1", "status")).pid;
}

/** CPU time of a process in ms. */
async function cpuMs(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).replace(/^.*\) /, "").split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Waits until `podrouter status` has these words. */
async function said(cluster: Cluster, words: string): Promise<void> {
  let shown = "";
  await until(
    () => `"${words}" in: ${shown}`,
    async () => {
      shown = (await cluster.podrouter("node1", "status")).stdout;
      return shown.toLowerCase().includes(words);
    },
    25_000,
  );
}

/** Waits until that part says of nothing that it is wrong. */
async function nothingSaid(cluster: Cluster, part: string): Promise<void> {
  let shown = "";
  await until(
    () => shown,
    async () => {
      const status = await cluster.podrouterJson<{ conditions: { source: string }[] }>(
        "node1",
        "status",
      );
      const said = status.conditions.filter(({ source }) => source === part);
      shown = JSON.stringify(said);
      return said.length === 0;
    },
    5000,
  );
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test("no file descriptor to spare", async (t) => {
  const cluster = await started(t);
  if (cluster === undefined) return;
  const pid = await pidOf(cluster);
  // The lowest free one is the first that cannot be had.
  const open = (await readdir(`/proc/${pid}/fd`)).map(Number);
  const lowest = [...open.keys()].find((fd) => !open.includes(fd)) ?? open.length;
  await must("prlimit", ["--pid", String(pid), `--nofile=${lowest}:`]);
  const before = await cpuMs(pid);
  await damage(cluster);
  await pause(5000);
  const spent = (await cpuMs(pid)) - before;
  await must("prlimit", ["--pid", String(pid), "--nofile=1024:"]);
  assert.ok(spent < 3000, `${spent} ms of CPU in 5 s: it tries again and again`);
  await isRight(cluster);
  await memberIs(cluster, "node1", NODE_IPS, FOURTH.address, true);
});

test("a disk that is full, or read-only", async (t) => {
  const cluster = await started(t);
  if (cluster === undefined) return;
  await cluster.agents.get("node1")!.stop();
  const folders = ["node1.state", "node1.cni"].map((name) => join(cluster.folder, name));
  try {
    for (const folder of folders) {
      await mkdir(folder, { recursive: true });
      await must("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]);
    }
    const stateFolder = join(folders[0]!, "own");
    await writeFile(stateFolder, "in the way");
    cluster.startAgent("node1", [`--state-dir=${stateFolder}`]);
    await said(cluster, "not a directory");
    await rm(stateFolder);
    await isRight(cluster);
    await nothingSaid(cluster, "agent");
    for (const folder of folders) await run("dd", ["if=/dev/zero", `of=${join(folder, "other")}`]);
    await damage(cluster);
    await routeIs(cluster, "node1", routeLine(node2), true);
    await said(cluster, "no space left");
    for (const folder of folders) await rm(join(folder, "other"));
    await isRight(cluster);
    for (const folder of folders) await must("mount", ["-o", "remount,ro", folder]);
    await cluster.api("DELETE", `/api/v1/nodes/${FOURTH.name}`);
    await memberIs(cluster, "node1", NODE_IPS, FOURTH.address, false);
    await said(cluster, "read-only");
    for (const folder of folders) await must("mount", ["-o", "remount,rw", folder]);
    await rm(cluster.cniConfFile("node1"));
    await isRight(cluster);
  } finally {
    for (const folder of folders) await run("umount", ["-l", folder]);
  }
});

/** Stands before the real programs, and does what the file says. */
const SCRIPT = (mode: string) => `#!/bin/sh
case "$(cat ${mode} 2>/dev/null)" in
  fail) echo "iptables: Resource temporarily unavailable" >&2; exit 4 ;;
  junk) head -c 20000 /dev/urandom; exit 0 ;;
  hang) exec sleep 600 ;;
  crash) kill -SEGV $$ ;;
esac
name=$(basename "$0")
PATH=/usr/sbin:/usr/bin:/sbin:/bin exec "$name" "$@"
`;

test("an iptables that fails, says nonsense, hangs or dies", async (t) => {
  const cluster = await started(t);
  if (cluster === undefined) return;
  await cluster.agents.get("node1")!.stop();
  const folder = join(cluster.folder, "bin");
  const mode = join(cluster.folder, "mode");
  await mkdir(folder);
  for (const tool of ["iptables", "ip6tables"]) {
    for (const backend of ["", "-nft", "-legacy"]) {
      for (const what of ["", "-save", "-restore"]) {
        const path = join(folder, `${tool}${backend}${what}`);
        await writeFile(path, SCRIPT(mode));
        await chmod(path, 0o755);
      }
    }
  }
  const path = `PATH=${folder}:${process.env["PATH"]}`;
  cluster.startAgent("node1", [], ["env", path]);
  await isRight(cluster);
  for (const what of ["fail", "junk", "hang", "crash"]) {
    await t.test(what, async () => {
      await writeFile(mode, what);
      await inside(cluster, "iptables -t nat -F");
      await inside(cluster, `ip route del ${node2.podCidr}`);
      await routeIs(cluster, "node1", routeLine(node2), true);
      await said(cluster, "iptables");
      await writeFile(mode, "");
      await isRight(cluster);
    });
  }
});
