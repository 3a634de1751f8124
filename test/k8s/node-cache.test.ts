import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { CachedNodeSource } from "../../src/k8s/cached-source.ts";
import { decodeNodes, encodeNodes, NodeCache } from "../../src/k8s/node-cache.ts";
import type { NodeSource, NodeSourceStatus, Nodes } from "../../src/k8s/node-source.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { FakeClock, settle } from "../support/fake-clock.ts";
import { nodeMap, SEED, snapshot } from "./node-objects.ts";
import { until } from "./recorder.ts";

const nodes = nodeMap(
  snapshot("node1", { ...SEED.node1, annotations: { "node.asn": "64513", peers: "[]" } }),
  snapshot("node2", { internal: ["192.168.50.51", "fd00::51"], external: "203.0.113.1" }),
  snapshot("node3", { ...SEED.node3, created: "nonsense", uid: "" }),
);

interface Bench {
  readonly path: string;
  readonly clock: FakeClock;
  readonly cache: NodeCache;
  readonly warnings: unknown[];
}

async function bench(t: TestContext, name = "nodes.json"): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), "podrouter-cache-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "state", name);
  const clock = new FakeClock();
  const warnings: unknown[] = [];
  const log = { ...silentLog, warn: (fields: unknown) => void warnings.push(fields) };
  return { path, clock, warnings, cache: new NodeCache({ path, clock, log }) };
}

test("what is saved reads back the same", () => {
  assert.deepEqual(decodeNodes(encodeNodes(nodes, 0)), nodes);
});

test("saved, loaded, and readable by the owner only", async (t) => {
  const { path, cache, warnings } = await bench(t);
  assert.equal(await cache.load(), undefined);
  cache.save(nodes);
  await cache.flush();
  assert.deepEqual(await cache.load(), nodes);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(join(path, "..")), ["nodes.json"]);
  assert.deepEqual(warnings, []);
});

test("writes are at most one in five seconds, and the last one wins", async (t) => {
  const { path, cache, clock } = await bench(t);
  const count = async () => decodeNodes(await readFile(path, "utf8")).size;
  cache.save(nodeMap(snapshot("a")));
  clock.advance(0);
  await cache.flush();
  assert.equal(await count(), 1);
  for (let i = 2; i <= 4; i++) {
    if (i > 2) assert.equal(clock.nextDelayMs, 5000 - (i - 2) * 1000);
    cache.save(nodeMap(...Array.from({ length: i }, (_, n) => snapshot(`n${n}`))));
    clock.advance(1000);
  }
  await settle();
  assert.equal(await count(), 1);
  clock.advance(2000);
  await cache.flush();
  assert.equal(await count(), 4);
  assert.equal(clock.pendingCount, 0);
  await rm(path);
  await cache.flush();
  await assert.rejects(stat(path), "what is on disk is not written again");
});

describe("a file that cannot be used is a warning", () => {
  for (const [what, text] of [
    ["not JSON", "{"],
    ["nothing", ""],
    ["another version", '{"version":2,"items":[]}'],
    ["no items", '{"version":1}'],
    ["damaged items", '{"version":1,"items":[{"metadata":{"name":"BAD NAME"}}]}'],
    ["half", encodeNodes(nodes, 0).slice(0, 200)],
  ] as const) {
    test(what, async (t) => {
      const { path, cache, warnings } = await bench(t);
      cache.save(nodes);
      await cache.flush();
      await writeFile(path, text);
      assert.equal(await cache.load(), undefined);
      assert.equal(warnings.length, 1);
    });
  }
});

test("a place that cannot be written is one warning, not one a save", async (t) => {
  const { path, clock, warnings } = await bench(t);
  const log = { ...silentLog, warn: (fields: unknown) => void warnings.push(fields) };
  await new NodeCache({ path, clock, log }).flush();
  const cache = new NodeCache({ path: join("/proc/self/status", "nodes.json"), clock, log });
  for (let i = 0; i < 3; i++) {
    cache.save(nodes);
    await cache.flush();
  }
  assert.equal(warnings.length, 1);
  assert.match(cache.problem ?? "", /\/proc\/self\/status\/nodes\.json: /);
});

test("a disk that has room again gets the Nodes without news", async (t) => {
  const { path, clock } = await bench(t);
  const folder = join(path, "..");
  const cache = new NodeCache({ path, clock, log: silentLog });
  await writeFile(folder, "in the way");
  cache.save(nodes);
  clock.advance(500);
  await until("tried", () => cache.problem !== undefined);
  await until("to be tried again", () => clock.pendingCount > 0);
  await rm(folder);
  clock.advance(59_000);
  assert.notEqual(cache.problem, undefined);
  clock.advance(1_000);
  await until("written", () => cache.problem === undefined);
  assert.deepEqual([...(await cache.load())!.keys()], [...nodes.keys()]);
  assert.equal(clock.pendingCount, 0);
});

class FakeSource implements NodeSource {
  onChange: ((nodes: Nodes) => void) | undefined;
  known: Nodes | undefined;
  stopped = false;
  start(onChange: (nodes: Nodes) => void, known?: Nodes): void {
    this.onChange = onChange;
    this.known = known;
  }
  async stop(): Promise<void> {
    this.stopped = true;
  }
  status(): NodeSourceStatus {
    throw new Error("not asked for");
  }
}

describe("a source with a cache", () => {
  test("first the saved Nodes, then the source, whose news are saved", async (t) => {
    const { path, cache, clock } = await bench(t);
    cache.save(nodes);
    await cache.flush();
    const inner = new FakeSource();
    const seen: Nodes[] = [];
    const source = new CachedNodeSource(inner, new NodeCache({ path, clock, log: silentLog }));
    source.start((all) => seen.push(all));
    await until("loaded", () => inner.onChange !== undefined);
    assert.deepEqual(seen, [nodes]);
    assert.equal(inner.known, seen[0]);
    inner.onChange!(nodeMap(snapshot("new")));
    assert.deepEqual([...seen[1]!.keys()], ["new"]);
    await source.stop();
    assert.equal(inner.stopped, true);
    assert.deepEqual([...(await cache.load())!.keys()], ["new"], "saved before the end");
  });

  test("nothing saved: the source alone", async (t) => {
    const { cache } = await bench(t);
    const inner = new FakeSource();
    const seen: Nodes[] = [];
    const source = new CachedNodeSource(inner, cache);
    source.start((all) => seen.push(all));
    await until("started", () => inner.onChange !== undefined);
    assert.deepEqual(seen, []);
    assert.equal(inner.known, undefined);
    await source.stop();
  });

  test("stopped before it was loaded", async (t) => {
    const { cache } = await bench(t);
    const inner = new FakeSource();
    const source = new CachedNodeSource(inner, cache);
    source.start(() => assert.fail("called after the end"));
    await source.stop();
    assert.equal(inner.onChange, undefined);
  });
});
