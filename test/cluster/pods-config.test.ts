/** The CNI configuration and the egress of a node, followed live; and what is wrong with them. */
import assert from "node:assert/strict";
import { access, mkdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { type Cluster, type ClusterNode, nodeObject, SEED_NODES } from "../support/cluster.ts";
import { routeIs, routeLine, toldAnew } from "../support/cluster-checks.ts";
import { configured, startedPodCluster } from "../support/pods.ts";
import { until } from "../support/shell.ts";
import { startServer, transfer } from "../support/tcp-transfer.ts";

const [node1, node2] = SEED_NODES as readonly [ClusterNode, ClusterNode, ClusterNode];
const NODES = [node1, node2];
const OUTSIDE = "192.168.50.1";
const PORT = 8080;

interface Status {
  readonly ready: boolean;
  readonly conditions: readonly {
    readonly source: string;
    readonly name: string;
    readonly severity: string;
    readonly message: string;
  }[];
}

const missing = (path: string) =>
  access(path).then(
    () => false,
    () => true,
  );

/** Waits until a condition of that name stands with such a message. */
async function condition(
  cluster: Cluster,
  node: string,
  name: string,
  message: RegExp,
): Promise<void> {
  let shown = "";
  await until(`the condition ${name}`, async () => {
    const { conditions } = await cluster.podrouterJson<Status>(node, "status");
    shown = JSON.stringify(conditions);
    return conditions.some((one) => one.name === name && message.test(one.message));
  }).catch((error: unknown) => {
    throw new Error(shown, { cause: error });
  });
}

/** Waits until no condition about pods stands. */
async function noCondition(cluster: Cluster, node: string): Promise<void> {
  let shown = "";
  await until("no condition about pods", async () => {
    const { conditions } = await cluster.podrouterJson<Status>(node, "status");
    shown = JSON.stringify(conditions);
    return !conditions.some(({ source }) => source === "pods");
  }).catch((error: unknown) => {
    throw new Error(shown, { cause: error });
  });
}

/**
 * Waits until that is the only condition about pods of a node, and sees that it is told everywhere
 * in the same words: once in `podrouter status`, once on /readyz, once in the log.
 */
async function onlyCondition(
  cluster: Cluster,
  node: string,
  name: string,
  message: RegExp,
): Promise<void> {
  let shown = "";
  const found = await until(`the only condition is ${name}`, async () => {
    const { conditions } = await cluster.podrouterJson<Status>(node, "status");
    shown = JSON.stringify(conditions);
    const [one, ...more] = conditions.filter(({ source }) => source === "pods");
    return more.length === 0 && one?.name === name && message.test(one.message) && one;
  }).catch((error: unknown) => {
    throw new Error(shown, { cause: error });
  });
  const page = (await readyz(cluster, node)).split("\n");
  const isError = found.severity === "error";
  assert.deepEqual(
    page.filter((line) => /^\[[!-]\]pods /.test(line)),
    [
      ...(isError ? [`[-]pods not yet: ${found.message}`] : []),
      `[!]pods ${name} (${found.severity}): ${found.message}`,
    ],
  );
  assert.equal(page.includes("ready"), !isError);
  // The log goes out some milliseconds after the condition can be asked for.
  const raised = await until("the log tells of it", () => {
    const log = cluster.agents.get(node)!.output.split("\n");
    const lines = log.filter((line) => line.includes(`"condition":"${name}"`));
    return lines.length > 0 && lines;
  });
  assert.deepEqual(
    raised.map((line) => (JSON.parse(line) as { reason?: string }).reason),
    [found.message],
  );
}

async function readyz(cluster: Cluster, node: string): Promise<string> {
  const url = "http://127.0.0.1:20244/readyz";
  const script = `fetch("${url}").then((r) => r.text()).then((t) => process.stdout.write(t))`;
  return cluster.namespaces.exec(node, process.execPath, "-e", script);
}

test("the configuration comes only when the node routes", async (t) => {
  const started = await startedPodCluster(t, { nodes: NODES });
  if (started === undefined) return;
  const { cluster } = started;
  for (const { name } of NODES) await cluster.agents.get(name)!.stop();
  await cluster.namespaces.ip("node1", "route flush proto 17");
  const file = cluster.cniConfFile("node1");
  await rm(file);
  cluster.startAgent("node1");
  await condition(
    cluster,
    "node1",
    "cni-conf-waits",
    /10-kuberouter\.conflist is not written yet: no complete table yet from node2/,
  );
  assert.ok(await missing(file));
  cluster.startAgent("node2");
  let routed = false;
  await until("the configuration is written", async () => {
    const there = !(await missing(file));
    if (!there) routed = (await cluster.routes("node1")).includes(routeLine(node2));
    return there;
  });
  const routes = await cluster.routes("node1");
  assert.ok(routed || routes.includes(routeLine(node2)), "the route is not there yet");
  await noCondition(cluster, "node1");
});

test("another pod CIDR: new pods get its addresses, old ones keep their gateway", async (t) => {
  const started = await startedPodCluster(t, { nodes: NODES });
  if (started === undefined) return;
  const { cluster, pods } = started;
  const file = cluster.cniConfFile("node2");
  type Conflist = { disableCheck?: boolean; plugins: { ipam?: { ranges: unknown } }[] };
  const read = async () => JSON.parse(await readFile(file, "utf8")) as Conflist;
  await writeFile(`${file}.new`, JSON.stringify({ ...(await read()), disableCheck: true }));
  await rename(`${file}.new`, file);
  const old = await pods.add("node2");
  const far = await pods.add("node1");
  await cluster.api("DELETE", "/api/v1/nodes/node2");
  await until("node1 has no route", async () => {
    return !(await cluster.routes("node1")).some((route) => route.startsWith(node2.podCidr));
  });
  const returned = { ...node2, podCidr: "10.233.68.0/24" };
  await cluster.api("POST", "/api/v1/nodes", nodeObject(returned));
  await until("the range is the new one", async () => {
    const ranges = JSON.stringify((await read()).plugins[0]?.ipam?.ranges);
    return ranges === '[[{"subnet":"10.233.68.0/24"}]]';
  });
  assert.equal((await read()).disableCheck, true);
  await condition(
    cluster,
    "node2",
    "pod-bridge-address",
    /10\.233\.65\.1\/24, which is in no pod CIDR/,
  );
  const fresh = await pods.add("node2");
  assert.deepEqual(fresh.addresses, ["10.233.68.2"]);
  await until("node1 routes it", () => pods.ping(far.label, "10.233.68.2"));

  // The plugin took the old gateway away, and would again: the agent puts it behind the new one.
  const addresses = async () =>
    [...(await cluster.namespaces.ip("node2", "-4 addr show kube-bridge")).matchAll(/inet (\S+)/g)]
      .map((match) => match[1])
      .join(" ");
  const gateways = (expected: string) =>
    until(`kube-bridge has ${expected}`, async () => (await addresses()) === expected);
  await gateways("10.233.68.1/24 10.233.65.1/24");
  assert.ok(await pods.ping("node2", old.addresses[0]!), "kubelet's probes");
  assert.ok(await pods.ping(old.label, fresh.addresses[0]!));
  assert.ok(await pods.ping(fresh.label, old.addresses[0]!));
  const another = await pods.add("node2");
  assert.equal(await addresses(), "10.233.68.1/24 10.233.65.1/24", "not even for a moment");
  await pods.del(another);

  await pods.del(old);
  await gateways("10.233.68.1/24");
  await noCondition(cluster, "node2");
});

test("an old gateway gives way to another Node that has the old pod CIDR", async (t) => {
  const started = await startedPodCluster(t, { nodes: NODES });
  if (started === undefined) return;
  const { cluster, pods } = started;
  const far = await pods.add("node1");
  const old = await pods.add("node2");
  const moved = { ...node2, podCidr: "10.233.68.0/24" };
  await cluster.api("DELETE", "/api/v1/nodes/node2");
  await cluster.api("POST", "/api/v1/nodes", nodeObject(moved));
  await condition(cluster, "node2", "pod-bridge-address", /10\.233\.65\.1\/24/);
  await cluster.api("DELETE", "/api/v1/nodes/node1");
  await cluster.api("POST", "/api/v1/nodes", nodeObject({ ...node1, podCidr: node2.podCidr }));
  await routeIs(cluster, "node2", routeLine(node1, node2.podCidr), true);
  await noCondition(cluster, "node2");
  await pods.del(far);
  await pods.del(old);
});

test("egress: excluded destinations, off, and on again", async (t) => {
  const started = await startedPodCluster(t, {
    nodes: NODES,
    extra: [`--masquerade-exclude=${OUTSIDE}/32`],
  });
  if (started === undefined) return;
  const { cluster, pods } = started;
  const ns = cluster.namespaces;
  for (const { podCidr, address } of NODES) {
    await ns.ip("fabric", `route add ${podCidr} via ${address}`);
  }
  await ns.ip("fabric", "addr add 198.51.100.1/32 dev br0");
  const pod = await pods.add("node1");
  const servers = [
    await startServer(ns, "fabric", OUTSIDE, PORT),
    await startServer(ns, "fabric", "198.51.100.1", PORT),
  ];
  for (const server of servers) t.after(() => server.stop());
  const seen = async () => [
    await transfer(ns, pod.label, OUTSIDE, PORT),
    await transfer(ns, pod.label, "198.51.100.1", PORT),
  ];
  const [own] = pod.addresses;
  assert.deepEqual(await seen(), [own, node1.address]);
  const restart = async (...extra: string[]) => {
    await cluster.agents.get("node1")!.stop();
    cluster.startAgent("node1", extra);
  };
  const rules = () => ns.exec("node1", "iptables-save", "-t", "nat");
  await restart("--enable-pod-egress=false");
  await until("the rules are gone", async () => !(await rules()).includes("pod-subnets"));
  assert.equal((await rules()).includes("PODROUTER"), false);
  assert.deepEqual(await seen(), [own, own]);
  await restart();
  await until("the rule is back", async () => (await rules()).includes("pod-subnets"));
  assert.deepEqual(await seen(), [node1.address, node1.address]);
});

test("each thing that is wrong is one condition, and running pods stay connected", async (t) => {
  const started = await startedPodCluster(t, { nodes: NODES });
  if (started === undefined) return;
  const { cluster, pods } = started;
  const file = cluster.cniConfFile("node1");
  const one = await pods.add("node1");
  const other = await pods.add("node2");
  const connected = async () => {
    assert.ok(await pods.ping(one.label, other.addresses[0]!));
    assert.ok(await pods.ping(other.label, one.addresses[0]!));
  };
  await noCondition(cluster, "node1");
  const good = await readFile(file, "utf8");

  await t.test("a configuration that is not JSON", async () => {
    await writeFile(file, "{ bridge");
    await onlyCondition(
      cluster,
      "node1",
      "cni-conf-not-understood",
      /10-kuberouter\.conflist is not JSON: it is left as it is/,
    );
    assert.equal(await readFile(file, "utf8"), "{ bridge");
    await connected();
    await writeFile(file, good);
    await noCondition(cluster, "node1");
  });

  await t.test("another CNI's file that sorts first", async () => {
    const first = join(dirname(file), "05-cilium.conflist");
    await writeFile(first, "{}");
    await onlyCondition(
      cluster,
      "node1",
      "cni-conf-shadowed",
      /05-cilium\.conflist in .* sorts before 10-kuberouter\.conflist/,
    );
    await connected();
    await rm(first);
    await noCondition(cluster, "node1");
  });

  await t.test("missing plugins", async () => {
    const bin = cluster.cniBinFolder;
    await rename(join(bin, "portmap"), join(bin, "elsewhere"));
    // Looked for at the next look at the file.
    await writeFile(file, `${good} `);
    await onlyCondition(
      cluster,
      "node1",
      "cni-plugins-missing",
      /no pod can be made: portmap not found in .*cni-bin \(--cni-bin-dir\)/,
    );
    await connected();
    await rename(join(bin, "elsewhere"), join(bin, "portmap"));
    await writeFile(file, good);
    await noCondition(cluster, "node1");
  });

  await t.test("a foreign kube-bridge", async () => {
    const ns = cluster.namespaces;
    await ns.ip(
      "node1",
      "link add eth9 type vxlan id 9 dstport 4789 remote 192.168.50.51 dev enp1s0",
    );
    await ns.ip("node1", "link set eth9 master kube-bridge");
    await onlyCondition(
      cluster,
      "node1",
      "pod-bridge-foreign",
      /its port eth9 is no pod's: it is left as it is/,
    );
    await connected();
    await ns.ip("node1", "link del eth9");
    await noCondition(cluster, "node1");
  });

  await t.test("a read-only folder", () => readOnlyFolder(cluster, connected));
  await t.test("no iptables", () => withoutIptables(cluster, connected));
});

/** The agent of node1 where its CNI folder can only be read. */
async function readOnlyFolder(cluster: Cluster, connected: () => Promise<void>): Promise<void> {
  const folder = join(cluster.folder, "read-only");
  await mkdir(folder);
  await cluster.agents.get("node1")!.stop();
  const file = join(folder, basename(cluster.cniConfFile("node1")));
  // In a mount namespace of its own, as all of `ip netns exec`.
  const mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"';
  cluster.startAgent("node1", [`--cni-conf-file=${file}`], ["sh", "-c", mount, folder]);
  await onlyCondition(
    cluster,
    "node1",
    "cni-conf-file",
    /read-only\/10-kuberouter\.conflist: the file system is read-only$/,
  );
  await connected();
  await restarted(cluster);
}

/** The agent of node1 with a PATH that has no iptables. */
async function withoutIptables(cluster: Cluster, connected: () => Promise<void>): Promise<void> {
  const programs = join(cluster.folder, "few-programs");
  await mkdir(programs);
  for (const name of ["dirname", "readlink"]) {
    await symlink(join("/usr/bin", name), join(programs, name));
  }
  await cluster.agents.get("node1")!.stop();
  cluster.startAgent("node1", [], ["env", `PATH=${programs}`]);
  await onlyCondition(
    cluster,
    "node1",
    "iptables-missing",
    /the packet rules for pods cannot be kept: iptables is not installed/,
  );
  await connected();
  await restarted(cluster);
}

async function restarted(cluster: Cluster): Promise<void> {
  await toldAnew(cluster, "node2", node1);
  await cluster.agents.get("node1")!.stop();
  cluster.startAgent("node1");
  await configured(cluster, "node1");
  await noCondition(cluster, "node1");
  await toldAnew(cluster, "node2", node1);
}
