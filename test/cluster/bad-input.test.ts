/** Each thing that is wrong is named in one clear sentence; the rest keeps working. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { type Cluster, type ClusterNode, nodeObject, SEED_NODES } from "../support/cluster.ts";
import {
  memberIs,
  POD_SUBNETS,
  routedEverywhere,
  routeIs,
  routeLine,
  sessionCounts,
  startedCluster,
} from "../support/cluster-checks.ts";
import { PODROUTER } from "../support/program.ts";
import { Daemon, until } from "../support/shell.ts";

const [node1, node2] = SEED_NODES as readonly [ClusterNode, ClusterNode, ClusterNode];
const PATH = "/api/v1/nodes";
const fourth = { name: "node4", address: "192.168.50.53", podCidr: "10.233.67.0/24" };

/** Waits until `podrouter status` names all of `words` in one line. */
async function condition(cluster: Cluster, ...words: string[]): Promise<void> {
  let shown = "";
  await until(`a condition with ${words.join(", ")}`, async () => {
    shown = (await cluster.podrouter("node1", "status")).stdout;
    return shown.split("\n").some((line) => words.every((word) => line.includes(word)));
  }).catch((error: unknown) => {
    throw new Error(`status says:\n${shown}`, { cause: error });
  });
}

test("nonsense in Node objects is named and touches nothing else", async (t) => {
  const cluster = await startedCluster(t);
  if (cluster === undefined) return;
  const before = await sessionCounts(cluster, "node1");
  const cases: readonly (readonly [string, Record<string, unknown>, readonly string[]])[] = [
    ["pod CIDR that is none", { podCidr: "10.233.67.0/99" }, ["node4", "10.233.67.0/99"]],
    ["pod CIDR of another Node", { podCidr: node2.podCidr }, ["node4", node2.podCidr, "node2"]],
    ["default route", { podCidr: "0.0.0.0/0" }, ["node4", "0.0.0.0/0"]],
    ["the node network", { podCidr: "192.168.0.0/16" }, ["node4", "192.168.0.0/16"]],
    ["address that is none", { address: "192.168.50.999" }, ["node4", "192.168.50.999"]],
  ];
  for (const [name, change, words] of cases) {
    await t.test(name, async () => {
      await cluster.api("POST", PATH, nodeObject({ ...fourth, ...change } as ClusterNode));
      await condition(cluster, ...words);
      await routedEverywhere(cluster, SEED_NODES);
      assert.deepEqual(
        await cluster
          .setMembers("node1", POD_SUBNETS)
          .then((members) =>
            members?.filter((member) => /^(0\.0\.0\.0|192\.168\.0\.0)/.test(member)),
          ),
        [],
      );
      await cluster.api("DELETE", `${PATH}/node4`);
    });
  }
  await t.test("BFD in the annotation of peers", async () => {
    const peers = "- remoteip: 192.168.50.99\n  remoteasn: 65001\n  bfd: { enabled: true }\n";
    const annotate = (value: string | null) =>
      cluster.api("PATCH", `${PATH}/node1`, {
        metadata: { annotations: { "kube-router.io/peers": value } },
      });
    await annotate(peers);
    await condition(cluster, "warning", "BFD", "192.168.50.99", "runs without it");
    await annotate(null);
  });
  const after = await sessionCounts(cluster, "node1");
  assert.equal(after["node2"], before["node2"]);
  assert.equal(after["node3"], before["node3"]);
});

test("malformed BGP gets its NOTIFICATION and touches no other session", async (t) => {
  const cluster = await startedCluster(t, {
    registered: SEED_NODES.slice(0, 2),
    nodes: SEED_NODES.slice(0, 2),
  });
  if (cluster === undefined) return;
  const before = await sessionCounts(cluster, "node1");
  await cluster.namespaces.add("stranger");
  await cluster.namespaces.veth("stranger", "enp1s0", "fabric", "port9");
  await cluster.namespaces.ip("fabric", "link set port9 master br0");
  await cluster.namespaces.ip("stranger", "addr add 192.168.50.53/24 dev enp1s0");
  const send = (hex: string) =>
    cluster.namespaces.exec(
      "stranger",
      process.execPath,
      "-e",
      `const s = require("node:net").connect(179, "192.168.50.50");
       let got = ""; s.on("data", (d) => { got += d.toString("hex"); });
       s.on("error", () => {}); s.on("close", () => { process.stdout.write(got); process.exit(0); });
       s.on("connect", () => s.write(Buffer.from("${hex}", "hex")));
       setTimeout(() => { process.stdout.write(got); process.exit(0); }, 3000);`,
    );
  const open = `${"ff".repeat(16)}001d0104fc00005ac0a8323500`;
  assert.equal(await send(open), "", "an unknown source is refused before any message");

  await cluster.api("POST", PATH, nodeObject(fourth));
  await until("node1 knows node4", async () => {
    const counts = await sessionCounts(cluster, "node1");
    return counts["node4"] !== undefined;
  });
  const marker = await send(`${"00".repeat(16)}001d0104fc00005ac0a8323500`);
  assert.match(marker, /0015030101/, "NOTIFICATION 1/1: connection not synchronized");
  const version = await send(`${"ff".repeat(16)}001d0105fc00005ac0a8323500`);
  assert.match(version, /00170302010004/, "NOTIFICATION 2/1 with the version that we support");
  // A peer that fails again and again is held off for a while: try until it is let in.
  const hold = `${"ff".repeat(16)}001d0104fc000001c0a8323500`;
  const unacceptable = async () => (await send(hold)).includes("0015030206");
  await until("NOTIFICATION 2/6: unacceptable hold time", unacceptable, 20_000);
  const after = await sessionCounts(cluster, "node1");
  assert.equal(after["node2"], before["node2"]);
  await routeIs(cluster, "node1", routeLine(node2), true);
});

test("what stops an agent from working is one sentence", async (t) => {
  const cluster = await startedCluster(t, { nodes: [node1, node2] });
  if (cluster === undefined) return;
  const agent = cluster.agents.get("node2")!;
  await agent.stop();

  await t.test("port 179 taken", async () => {
    const squatter = new Daemon("squatter", "ip", [
      ...["netns", "exec", cluster.namespaces.name("node2"), process.execPath, "-e"],
      `require("node:net").createServer().listen(179, "192.168.50.51", () => console.log("on"))`,
    ]);
    t.after(() => squatter.stop());
    await until("the port is taken", () => squatter.output.includes("on"));
    const started = cluster.startAgent("node2");
    await until("it says so", () => /179/.test(started.output) && /in use/i.test(started.output));
    assert.ok(started.running, "it keeps running");
    await memberIs(cluster, "node2", POD_SUBNETS, node1.podCidr, true);
    await squatter.stop();
    await routedEverywhere(cluster, [node1, node2]);
    await started.stop();
  });

  await t.test("kubeconfig that cannot be read", async () => {
    const broken = join(cluster.folder, "broken");
    await writeFile(broken, "clusters: [\n");
    for (const [number, file] of ["/nonexistent/kubeconfig", broken].entries()) {
      const empty = `--state-dir=${join(cluster.folder, `empty${number}`)}`;
      const alone = cluster.startAgent("node2", [`--kubeconfig=${file}`, empty]);
      assert.equal(await alone.exited, 2);
      assert.ok(alone.output.includes(file), alone.output);
      // With the Nodes of the last run there is something to work with meanwhile.
      const started = cluster.startAgent("node2", [`--kubeconfig=${file}`]);
      await until("it says so", () => started.output.includes(`--kubeconfig ${file}`));
      await routedEverywhere(cluster, [node1, node2]);
      assert.ok(started.running, "it keeps running");
      await started.stop();
    }
  });

  await t.test("missing NET_ADMIN", async () => {
    const started = new Daemon(
      "unprivileged",
      "ip",
      [
        ...["netns", "exec", cluster.namespaces.name("node2")],
        ...["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"],
        PODROUTER,
        ...cluster.agentArguments()("node2"),
      ],
      { env: { NODE_NAME: "node2" } },
    );
    t.after(() => started.stop());
    await until("it says so", () => /NET_ADMIN/.test(started.output));
    assert.ok(started.running, "BGP keeps running");
    await started.stop();
  });

  await t.test("a second agent on the same socket", async () => {
    const first = cluster.startAgent("node2");
    // Its routes are still there from the run before: only an answer shows that it has the socket.
    await until("the first one answers", async () => {
      return (await cluster.podrouter("node2", "status")).status === 0;
    });
    const second = cluster.startAgent("node2");
    assert.notEqual(await second.exited, 0);
    assert.ok(second.output.includes(cluster.socket("node2")), second.output);
    assert.ok(first.running);
    await first.stop();
  });
});
