/** podrouter-cni as a runtime calls it, with the real agent: many at once, and the agent killed. */
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { type Cluster, type ClusterNode, SEED_NODES } from "../support/cluster.ts";
import { startedCluster } from "../support/cluster-checks.ts";
import { CniError } from "../support/cni-runtime.ts";
import { startedPodCluster } from "../support/pods.ts";
import { until } from "../support/shell.ts";

const PLUGIN = "--cni-plugin=podrouter";
const [node1] = SEED_NODES as readonly [ClusterNode, ...ClusterNode[]];
const NODE: ClusterNode = {
  ...node1,
  address6: "fd00:192:168:50::50",
  podCidr6: "fd00:10:233:40::/64",
};
const AT_ONCE = 50;
/** Of them: so many are answered before the agent is killed, and so many come too late for it. */
const ANSWERED = 10;
const TOO_LATE = 10;

async function leases(cluster: Cluster): Promise<readonly string[]> {
  const file = JSON.parse(await readFile(cluster.leasesFile("node1"), "utf8"));
  return file.leases.flatMap((lease: { addresses: string[] }) => lease.addresses).sort();
}

/** Addresses that the namespaces of pods really have. */
async function configured(cluster: Cluster, labels: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const label of labels) {
    const text = await cluster.namespaces.ip(label, "-br address show eth0").catch(() => "");
    for (const [, address] of text.matchAll(/ ([0-9a-f.:]+)\/\d+/g)) {
      if (!address!.startsWith("fe80")) found.push(address!);
    }
  }
  return found.sort();
}

test("the own plugin under load", async (t) => {
  const started = await startedPodCluster(t, { nodes: [NODE], extra: [PLUGIN] });
  if (started === undefined) return;
  const { cluster, pods } = started;
  const runtime = await pods.runtime("node1");

  await t.test("fifty at once", async () => {
    const made = await Promise.all(Array.from({ length: AT_ONCE }, () => pods.add("node1")));
    const addresses = made.flatMap((pod) => pod.addresses).sort();
    assert.equal(new Set(addresses).size, 2 * AT_ONCE);
    assert.deepEqual(await leases(cluster), addresses);
    const [first, last] = [made[0]!, made[AT_ONCE - 1]!];
    for (const address of last.addresses) assert.ok(await pods.ping(first.label, address));
    await Promise.all(made.map((pod) => pods.del(pod)));
    assert.deepEqual(await leases(cluster), []);
    assert.equal(await cluster.namespaces.ip("node1", "-br link show master kube-bridge"), "");
  });

  await t.test("the agent killed in the middle of fifty", async () => {
    const labels = Array.from({ length: AT_ONCE }, (_, index) => `mid${index}`);
    for (const label of labels) await cluster.namespaces.add(label);
    const podOf = (label: string) => ({
      id: label,
      netns: `/run/netns/${cluster.namespaces.name(label)}`,
    });
    const outcomes: ("made" | "failed")[] = [];
    const add = async (label: string, index: number) => {
      try {
        await runtime.add(podOf(label));
        outcomes[index] = "made";
      } catch (error) {
        assert.ok(error instanceof CniError && error.code === 11, String(error));
        outcomes[index] = "failed";
      }
    };
    const agent = cluster.agents.get("node1")!.child;
    const early = labels.slice(0, -TOO_LATE).map(add);
    await until(
      "some are made",
      () => outcomes.filter((it) => it === "made").length >= ANSWERED,
      30_000,
    );
    // Stopped before it is killed: however fast it is, what comes now is not answered.
    agent.kill("SIGSTOP");
    const late = labels.slice(-TOO_LATE).map((it, index) => add(it, early.length + index));
    await new Promise((resolve) => setTimeout(resolve, 100));
    agent.kill("SIGKILL");
    await Promise.all([...early, ...late]);
    assert.ok(outcomes.includes("made") && outcomes.includes("failed"), "it was in the middle");
    cluster.startAgent("node1", [PLUGIN]);
    // What runtimes do: a pod that was not made is deleted, and made again.
    for (const [index, label] of labels.entries()) {
      if (outcomes[index] === "made") continue;
      await until("DEL", () => succeeded(runtime.del(podOf(label))), 20_000);
      await until("ADD", () => succeeded(runtime.add(podOf(label))), 20_000);
    }
    const addresses = await configured(cluster, labels);
    assert.equal(addresses.length, 2 * AT_ONCE);
    assert.equal(new Set(addresses).size, 2 * AT_ONCE, "no address is given out twice");
    assert.deepEqual(await leases(cluster), addresses, "and none is lost");
    for (const label of labels) await runtime.del(podOf(label));
    assert.deepEqual(await leases(cluster), []);
  });
});

test("from bridge to podrouter while pods run, and back when they are gone", async (t) => {
  const started = await startedPodCluster(t, { nodes: [NODE] });
  if (started === undefined) return;
  const { cluster, pods } = started;
  const old = await pods.add("node1");
  await restart(cluster, [PLUGIN], "podrouter-cni");
  const fresh = await pods.add("node1");
  assert.deepEqual(old.addresses, ["10.233.64.2", "fd00:10:233:40::2"]);
  assert.deepEqual(
    fresh.addresses,
    ["10.233.64.3", "fd00:10:233:40::3"],
    "host-local's leases count",
  );
  assert.ok(await pods.ping(old.label, fresh.addresses[0]!), "both are on one bridge");
  assert.ok(await pods.ping(fresh.label, old.addresses[1]!));
  // No DEL may be lost, of a pod of the plugin before neither: nobody else would free its lease.
  await cluster.agents.get("node1")!.stop();
  const later = (error: unknown) => error instanceof CniError && error.code === 11;
  await assert.rejects(pods.del(old), later);
  await restart(cluster, [PLUGIN], "podrouter-cni");
  await until("DEL", () => succeeded(pods.del(old)));
  await pods.del(fresh);
  assert.equal(await cluster.namespaces.ip("node1", "-br link show master kube-bridge"), "");
  const left = await readdir(join(hostLocalFolder(cluster), "networks", "mynet"));
  assert.deepEqual(
    left.filter((name) => /^[\da-f]+[.:]/.test(name)),
    [],
    "it has no lease left",
  );
  await restart(cluster, [], "bridge");
  await pods.add("node1");
});

test("the sockets' files are removed: back within seconds; where that cannot be it is said", async (t) => {
  const started = await startedPodCluster(t, { nodes: [NODE], extra: [PLUGIN] });
  if (started === undefined) return;
  const { cluster, pods } = started;
  const [file, agent] = [join(cluster.folder, "node1.cni.sock"), cluster.agents.get("node1")!];
  const old = await pods.add("node1");
  await rm(file);
  await until("ADD works again", () => succeeded(pods.add("node1")), 10_000);
  const madeAnew = /the file of the CNI socket was gone: made anew/;
  await until("the log tells of it", () => madeAnew.test(agent.output));
  await rm(file);
  await mkdir(file);
  const why = `podrouter-cni can connect no pod: cannot listen on the CNI socket ${file}: that file is`;
  const status = async () => (await cluster.podrouter("node1", "status")).stdout;
  await until("it is said", async () => (await status()).includes(`Not yet: pods: ${why}`), 10_000);
  const later = (error: unknown) => error instanceof CniError && error.code === 11;
  await assert.rejects(pods.del(old), later);
  await rmdir(file);
  await rm(cluster.socket("node1"));
  await until("DEL works again", () => succeeded(pods.del(old)), 10_000);
  await until("commands too", async () => (await status()).includes("No conditions"), 10_000);
});

test("without the right to enter namespaces it says so before the first pod, and is not ready", async (t) => {
  const cluster = await startedCluster(t, { nodes: [NODE] });
  if (cluster === undefined) return;
  await cluster.agents.get("node1")!.stop();
  cluster.startAgent("node1", [PLUGIN], ["setpriv", "--bounding-set=-sys_admin"]);
  const why = "CAP_SYS_ADMIN is missing: podrouter-cni can connect no pod (deploy/own-plugin)";
  let shown = "";
  await until(
    () => shown,
    async () => {
      shown = (await cluster.podrouter("node1", "status")).stdout;
      return shown.includes(`Not yet: pods: ${why}`) && shown.includes(`pods   capability error`);
    },
  );
});

/** What host-local of the node keeps, which the runtime shows to plugins at /var/lib/cni. */
const hostLocalFolder = (cluster: Cluster) => join(cluster.folder, "node1.runtime", "lib");

/** As in the manifest of the own plugin: the agent sees host-local's folder of the node. */
const WITH_HOST_LOCAL = [
  "mount -t tmpfs tmpfs /var/lib",
  "mkdir /var/lib/cni",
  'mount --bind "$0" /var/lib/cni',
  'exec "$@"',
].join(" && ");

async function restart(cluster: Cluster, extra: readonly string[], type: string): Promise<void> {
  await cluster.agents.get("node1")!.stop();
  cluster.startAgent("node1", extra, [...["sh", "-c", WITH_HOST_LOCAL, hostLocalFolder(cluster)]]);
  await until(`the configuration names ${type}`, async () => {
    const list = JSON.parse(await readFile(cluster.cniConfFile("node1"), "utf8"));
    return list.plugins[0].type === type && list.name === "mynet";
  });
}

function succeeded(call: Promise<unknown>): Promise<boolean> {
  return call.then(
    () => true,
    () => false,
  );
}
