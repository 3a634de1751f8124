/**
 * What the agent follows and keeps on disk when a call of the file system fails, whichever: each is
 * right again within a minute or two, without another change of the file.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigFileSource, type LoadedConfig } from "../../src/agent/config-file/source.ts";
import { conflistDisk } from "../../src/cni/conflist-disk.ts";
import { ConflistFile } from "../../src/cni/conflist-file.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { FileNodeSource } from "../../src/k8s/file-source.ts";
import { decodeNodes, NodeCache } from "../../src/k8s/node-cache.ts";
import type { Nodes } from "../../src/k8s/node-source.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { nodeMap, nodeObject, snapshot } from "../k8s/node-objects.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { type Fault, FaultyPort, withEachFault, withPairsOfFaults } from "../support/faults.ts";
import { diskError, MemoryDisk } from "../support/memory-disk.ts";

const CODES = ["EMFILE", "ENOMEM", "EIO", "EACCES", "ENOSPC", "EROFS"];
const KINDS = ["refused", "lost", "stuck"] as const;
const PATH = "/memory/podrouter/file";
const SECRET = "/memory/secrets/rack";

/** A disk on which faults begin with `fail`. */
function setUp() {
  const clock = new FakeClock();
  const disk = new MemoryDisk(new FaultyPort([], clock, diskError));
  const unmount = disk.mount();
  const fail = (faults: readonly Fault[]) => {
    disk.port = new FaultyPort(faults, clock, diskError);
  };
  return { clock, disk, unmount, fail };
}

type World = ReturnType<typeof setUp>;

/** The scenario on a disk of its own; `begun` = once it runs without fault. */
async function on(
  faults: readonly Fault[],
  run: (world: World, begun: () => void) => Promise<void>,
  callsMax: number,
): Promise<number> {
  const world = setUp();
  try {
    await run(world, () => world.fail(faults));
    const { length } = world.disk.port.calls;
    assert.ok(length < callsMax, `${length} calls`);
    // Later ones may come in the end.
    return Math.min(length, 25);
  } finally {
    world.unmount();
  }
}

const peer = (name: string) =>
  `peers:\n  - { name: ${name}, address: 10.0.0.1, remoteAs: 1, passwordFile: ${SECRET} }\n`;

async function configFile({ clock, disk }: World, begun: () => void): Promise<void> {
  disk.put(PATH, peer("a"));
  disk.put(SECRET, "one");
  const configs: LoadedConfig[] = [];
  let problems: readonly string[] = [];
  const source = new ConfigFileSource(PATH, clock, {
    onConfig: (config) => configs.push(config),
    onProblems: (found) => {
      problems = found;
    },
  });
  assert.equal(await source.start(), true);
  begun();
  disk.put(PATH, peer("b"));
  await clock.advanceAsync(12_000);
  disk.put(SECRET, "two");
  await clock.advanceAsync(30_000);
  const last = configs.at(-1);
  assert.deepEqual(problems, []);
  assert.deepEqual(
    last?.file.peers.map(({ name }) => name),
    ["b"],
  );
  assert.deepEqual(last?.readSecret(SECRET), { ok: true, secret: "two" });
  assert.deepEqual(last?.stalePasswords, []);
  assert.ok(configs.length < 10, `${configs.length} times`);
  source.stop();
}

async function nodesFile({ clock, disk }: World, begun: () => void): Promise<void> {
  const text = (...names: string[]) =>
    JSON.stringify({
      kind: "List",
      apiVersion: "v1",
      items: names.map((name) => nodeObject(name)),
    });
  disk.put(PATH, text("node1"));
  begun();
  let nodes: Nodes = new Map();
  const source = new FileNodeSource({ path: PATH, clock, log: silentLog });
  source.start((now) => {
    nodes = new Map(now);
  });
  await clock.advanceAsync(15_000);
  assert.deepEqual([...nodes.keys()], ["node1"]);
  disk.put(PATH, text("node1", "node2"));
  await clock.advanceAsync(60_000);
  assert.deepEqual([...nodes.keys()], ["node1", "node2"]);
  assert.equal(source.status().connected, true);
  await source.stop();
}

async function savedNodes({ clock, disk }: World, begun: () => void): Promise<void> {
  begun();
  const cache = new NodeCache({ path: PATH, clock, log: silentLog });
  cache.save({ nodes: nodeMap(snapshot("node1")), version: "1" });
  await clock.advanceAsync(10_000);
  cache.save({ nodes: nodeMap(snapshot("node1"), snapshot("node2")), version: "2" });
  await clock.advanceAsync(130_000);
  const saved = decodeNodes(disk.files.get(PATH)!.text);
  assert.deepEqual([[...saved.nodes.keys()], saved.version], [["node1", "node2"], "2"]);
  assert.deepEqual([...disk.files.keys()], [PATH], "no temporary file");
  assert.equal(cache.problem, undefined);
  await cache.close();
}

async function conflist({ clock, disk }: World, begun: () => void): Promise<void> {
  disk.put(PATH, "");
  disk.files.delete(PATH);
  begun();
  const files = { ...conflistDisk, isProgram: async () => true };
  const keeper = new ConflistFile(
    { path: PATH, binFolder: "/memory/bin", kind: "bridge" },
    { files, clock, random: () => 0, log: silentLog },
  );
  keeper.want({ podCidrs: [prefix("10.233.64.0/24")], mtu: 1500, notYet: undefined });
  keeper.start();
  await clock.advanceAsync(40_000);
  keeper.want({ podCidrs: [prefix("10.233.65.0/24")], mtu: 1450, notYet: undefined });
  await clock.advanceAsync(40_000);
  const { text } = disk.files.get(PATH)!;
  assert.ok(text.includes("10.233.65.0/24") && text.includes("1450"), text);
  assert.deepEqual([keeper.inPlace, keeper.conditions()], [true, []]);
  assert.deepEqual([...disk.files.keys()], [PATH]);
  await keeper.stop();
}

for (const [name, run, callsMax] of [
  ["the configuration file and its passwords", configFile, 120],
  ["the nodes file", nodesFile, 90],
  ["the saved Nodes", savedNodes, 60],
  ["the CNI configuration", conflist, 120],
] as const) {
  const scenario = (faults: readonly Fault[]) => on(faults, run, callsMax);

  test(`${name}: one call that fails`, async () => {
    await withEachFault(scenario, CODES, KINDS);
  });

  test(`${name}: two of them`, async () => {
    await withPairsOfFaults(scenario, CODES, KINDS);
  });
}
