/** The bytes of two running agents, captured by tcpdump, are the seed's. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { SEED_EXCHANGE } from "../fixtures/seed-exchange.ts";
import { SEED_NODES } from "../support/cluster.ts";
import { meshUp, routedEverywhere, startedCluster } from "../support/cluster-checks.ts";
import { readBgpMessages } from "../support/pcap-reader.ts";
import { Daemon, must, until } from "../support/shell.ts";

test("a restart of node3's agent is on the wire as in the seed, byte for byte", async (t) => {
  const nodes = SEED_NODES.map((node) =>
    node.name === "node3" ? { ...node, podCidr: "10.233.68.0/24" } : node,
  );
  const cluster = await startedCluster(t, { nodes });
  if (cluster === undefined) return;
  const file = join(cluster.folder, "restart.pcap");
  const tcpdump = new Daemon("tcpdump", "ip", [
    ...["netns", "exec", cluster.namespaces.name("node1"), "tcpdump", "-i", "enp1s0", "-U"],
    ...["-w", file, "port 179 and host 192.168.50.52"],
  ]);
  t.after(() => tcpdump.stop("SIGINT"));
  await until("tcpdump listens", () => tcpdump.output.includes("listening on"));
  await cluster.agents.get("node3")!.stop();
  cluster.startAgent("node3");
  await meshUp(cluster, nodes);
  await routedEverywhere(cluster, nodes);
  const expected = SEED_EXCHANGE.map((message) => `${message.from} ${message.hex}`).sort();
  const names = new Map(nodes.map((node) => [node.address, node.name]));
  const messages = await until("End-of-RIB from both", async () => {
    const seen = await readBgpMessages(file);
    const session = seen.findLast((message) => message.hex.length === 46)?.stream;
    const reverse = session?.split(">").reverse().join(">");
    const ours = seen.filter(({ stream }) => stream === session || stream === reverse);
    return ours.length >= expected.length ? ours : undefined;
  });
  const actual = messages.map((message) => `${names.get(message.source)} ${message.hex}`).sort();
  assert.deepEqual(actual, expected);

  await tcpdump.stop("SIGINT");
  const decoded = await must("tcpdump", ["-n", "-v", "-r", file]);
  assert.match(decoded, /Restart Flags: \[R\], Restart Time 90s/);
  assert.doesNotMatch(decoded, /\[\|bgp\]|invalid|malformed/i);
});

test("an agent that found no routes in the kernel sets neither R nor F", async (t) => {
  const cluster = await startedCluster(t);
  if (cluster === undefined) return;
  await cluster.agents.get("node3")!.stop();
  await cluster.namespaces.exec("node3", "ip", "route", "flush", "proto", "17");
  const file = join(cluster.folder, "fresh.pcap");
  const tcpdump = new Daemon("tcpdump", "ip", [
    ...["netns", "exec", cluster.namespaces.name("node1"), "tcpdump", "-i", "enp1s0", "-U"],
    ...["-w", file, "port 179 and host 192.168.50.52"],
  ]);
  t.after(() => tcpdump.stop("SIGINT"));
  await until("tcpdump listens", () => tcpdump.output.includes("listening on"));
  cluster.startAgent("node3");
  await meshUp(cluster, SEED_NODES);
  const open = await until("node3's OPEN", async () =>
    (await readBgpMessages(file)).find(
      (message) => message.source === "192.168.50.52" && message.hex.slice(36, 38) === "01",
    ),
  );
  const seed = SEED_EXCHANGE.find(
    (message) => message.from === "node3" && message.kind === "OPEN",
  )!;
  assert.equal(open.hex, seed.hex.replace("4006805a00010180", "4006005a00010100"));
});
