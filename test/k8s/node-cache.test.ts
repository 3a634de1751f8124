import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { CachedNodeSource } from "../../src/k8s/cached-source.ts";
import { decodeNodes, encodeNodes, NodeCache, type SavedNodes } from "../../src/k8s/node-cache.ts";
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
const saved: SavedNodes = { nodes, version: "4711" };

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
  for (const one of [saved, { nodes, version: undefined }]) {
    assert.deepEqual(decodeNodes(encodeNodes(one, 0)), one);
  }
  const odd = JSON.stringify({
    ...JSON.parse(encodeNodes(saved, 0)),
    resourceVersion: "1&watch=1",
  });
  assert.deepEqual(decodeNodes(odd), { nodes, version: undefined });
});

test("saved, loaded, and readable by the owner only", async (t) => {
  const { path, cache, warnings } = await bench(t);
  assert.equal(await cache.load(), undefined);
  cache.save(saved);
  await cache.flush();
  assert.deepEqual(await cache.load(), saved);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(join(path, "..")), ["nodes.json"]);
  assert.deepEqual(warnings, []);
});

test("writes are at most one in five seconds, and the last one wins", async (t) => {
  const { path, cache, clock } = await bench(t);
  const count = async () => decodeNodes(await readFile(path, "utf8")).nodes.size;
  cache.save({ ...saved, nodes: nodeMap(snapshot("a")) });
  clock.advance(0);
  await cache.flush();
  assert.equal(await count(), 1);
  for (let i = 2; i <= 4; i++) {
    if (i > 2) assert.equal(clock.nextDelayMs, 5000 - (i - 2) * 1000);
    const some = nodeMap(...Array.from({ length: i }, (_, n) => snapshot(`n${n}`)));
    cache.save({ ...saved, nodes: some });
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
    ["half", encodeNodes(saved, 0).slice(0, 200)],
  ] as const) {
    test(what, async (t) => {
      const { path, cache, warnings } = await bench(t);
      cache.save(saved);
      await cache.flush();
      await writeFile(path, text);
      assert.equal(await cache.load(), undefined);
      assert.equal(warnings.length, 1);
      assert.ok(cache.unusable?.startsWith(`${path}: `), cache.unusable);
    });
  }
  test("a folder in its place, which is named once", async (t) => {
    const { path, cache, warnings } = await bench(t);
    await mkdir(path, { recursive: true });
    assert.equal(await cache.load(), undefined);
    assert.equal(cache.unusable, `${path}: is a directory`);
    assert.deepEqual(warnings, [{ file: path, reason: "is a directory" }]);
  });
  test("but one that is not there yet is none", async (t) => {
    const { cache } = await bench(t);
    assert.deepEqual([await cache.load(), cache.unusable], [undefined, undefined]);
  });
});

test("a place that cannot be written is one warning, not one a save", async (t) => {
  const { path, clock, warnings } = await bench(t);
  const log = { ...silentLog, warn: (fields: unknown) => void warnings.push(fields) };
  await new NodeCache({ path, clock, log }).flush();
  const cache = new NodeCache({ path: join("/proc/self/status", "nodes.json"), clock, log });
  for (let i = 0; i < 3; i++) {
    cache.save(saved);
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
  cache.save(saved);
  clock.advance(500);
  await until("tried", () => cache.problem !== undefined);
  await until("to be tried again", () => clock.pendingCount > 0);
  await rm(folder);
  clock.advance(59_000);
  assert.notEqual(cache.problem, undefined);
  clock.advance(1_000);
  await until("written", () => cache.problem === undefined);
  assert.deepEqual([...(await cache.load())!.nodes.keys()], [...nodes.keys()]);
  assert.equal(clock.pendingCount, 0);
});

class FakeSource implements NodeSource {
  onChange: ((nodes: Nodes) => void) | undefined;
  known: Nodes | undefined;
  knownVersion: string | undefined;
  version = "";
  stopped = false;
  start(onChange: (nodes: Nodes) => void, known?: Nodes, version?: string): void {
    this.onChange = onChange;
    this.known = known;
    this.knownVersion = version;
  }
  async stop(): Promise<void> {
    this.stopped = true;
  }
  status(): NodeSourceStatus {
    const nothing = { lastSync: undefined, lastError: undefined, nodes: 0, problems: [] };
    const { version } = this;
    return { kind: "api", origin: "fake", synced: true, connected: true, version, ...nothing };
  }
}

describe("a source with a cache", () => {
  test("first the saved Nodes, then the source, whose news are saved", async (t) => {
    const { path, cache, clock } = await bench(t);
    cache.save(saved);
    await cache.flush();
    const inner = new FakeSource();
    const seen: Nodes[] = [];
    const source = new CachedNodeSource(inner, new NodeCache({ path, clock, log: silentLog }));
    source.start((all) => seen.push(all));
    await until("loaded", () => inner.onChange !== undefined);
    assert.deepEqual(seen, [nodes]);
    assert.equal(inner.known, seen[0]);
    assert.equal(inner.knownVersion, "4711");
    inner.version = "4712";
    inner.onChange!(nodeMap(snapshot("new")));
    assert.deepEqual([...seen[1]!.keys()], ["new"]);
    await source.stop();
    assert.equal(inner.stopped, true);
    const now = await cache.load();
    assert.deepEqual([...now!.nodes.keys()], ["new"], "saved before the end");
    assert.equal(now!.version, "4712");
  });

  test("nothing saved: the source alone", async (t) => {
    const { cache } = await bench(t);
    const inner = new FakeSource();
    const seen: Nodes[] = [];
    const source = new CachedNodeSource(inner, cache);
    source.start((all) => seen.push(all));
    await until("started", () => inner.onChange !== undefined);
    assert.deepEqual(seen, []);
    assert.deepEqual([inner.known, inner.knownVersion], [undefined, undefined]);
    await source.stop();
  });

  test("what of a run before cannot be used is in the status", async (t) => {
    const { path, cache } = await bench(t);
    cache.save(saved);
    await cache.flush();
    await writeFile(path, "{");
    const inner = new FakeSource();
    const source = new CachedNodeSource(inner, cache);
    source.start(() => assert.fail("there are no Nodes"));
    await until("started", () => inner.onChange !== undefined);
    assert.equal(source.status().notLoaded, `${path}: not JSON`);
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
