import assert from "node:assert/strict";
import {
  appendFile,
  mkdir,
  mkdtemp,
  rename,
  rm,
  symlink,
  truncate,
  unlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { FileNodeSource } from "../../src/k8s/file-source.ts";
import { NODES_FILE_BYTES_MAX } from "../../src/k8s/limits.ts";
import { parseNodesFile } from "../../src/k8s/nodes-file.ts";
import { type Log, silentLog } from "../../src/runtime/log.ts";
import { systemClock } from "../../src/runtime/system-clock.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { nodeMap, nodeObject, SEED, snapshot } from "./node-objects.ts";
import { Recorder, until } from "./recorder.ts";

const list = (...items: unknown[]) => JSON.stringify({ apiVersion: "v1", kind: "List", items });
const node1 = nodeObject("node1", SEED.node1);
const node2 = nodeObject("node2", SEED.node2);

/** How long a changed file must rest before it is read. */
const REST_MS = 50;

/** As kubectl prints it. */
const YAML = `apiVersion: v1
items:
- apiVersion: v1
  kind: Node
  metadata:
    annotations:
      kube-router.io/node.asn: "64513"
    creationTimestamp: "2023-07-27T02:57:51Z"
    name: node1
    resourceVersion: "4711"
    uid: 0e9f6c5a-0000-4000-8000-000000000001
  spec:
    podCIDR: 10.233.64.0/24
    podCIDRs:
    - 10.233.64.0/24
  status:
    addresses:
    - address: 192.168.50.50
      type: InternalIP
    - address: node1
      type: Hostname
kind: List
metadata:
  resourceVersion: ""
`;

describe("the text", () => {
  const good: [string, string, number][] = [
    ["kubectl's YAML", YAML, 1],
    ["kubectl's JSON", JSON.stringify({ kind: "List", items: [node1, node2] }, undefined, 4), 2],
    ["one Node", JSON.stringify(node1), 1],
    [
      "several documents",
      "---\nkind: Node\nmetadata: {name: a}\n---\n---\nkind: Node\nmetadata: {name: b}\n",
      2,
    ],
    ["a document with a List beside a Node", `${YAML}---\nkind: Node\nmetadata: {name: b}\n`, 2],
    ["NodeList", '{"kind":"NodeList","items":[]}', 0],
    [
      "flow YAML that begins like JSON",
      "{kind: List, items: [{kind: Node, metadata: {name: a}}]}",
      1,
    ],
  ];
  for (const [name, text, count] of good) {
    test(name, () => {
      const file = parseNodesFile(text);
      assert.ok("nodes" in file, JSON.stringify(file));
      assert.equal(file.nodes.length, count);
    });
  }

  const bad: [string, string, RegExp][] = [
    ["empty", "", /empty/],
    ["blank", "\n---\n", /empty/],
    ["broken YAML", "items:\n- a: [1\n", /^line \d+, column \d+: not YAML/],
    ["broken JSON", '{"kind":"List",\n"items":[}', /^line 2, column \d+: not JSON/],
    ["cut JSON", '{"kind":"List","items":[', /not JSON/],
    [
      "another kind",
      "kind: Pod\nmetadata: {name: x}\n",
      /expected a Node or a List of Nodes, found "Pod"/,
    ],
    ["second document", `${YAML}---\nkind: Service\n`, /document 2: expected/],
    ["a scalar, which may be a password's file", "hunter2\n", /Nodes, found text$/],
    ["a number, likewise", "12345678", /Nodes, found a number$/],
    ["a List without items", "kind: List\n", /found "List"/],
    ["an alias of nothing", "kind: List\nitems: *x\n", /alias|not YAML/],
    ["too much YAML", `# ${"x".repeat(3_000_000)}\nkind: List\nitems: []\n`, /write it as JSON/],
  ];
  for (const [name, text, expected] of bad) {
    test(`refused: ${name}`, () => {
      const file = parseNodesFile(text);
      assert.ok("problem" in file);
      assert.match(file.problem, expected);
    });
  }

  test("no text of the file is repeated in a syntax problem", () => {
    const file = parseNodesFile('kind: List\nitems:\n- password: "c2VjcmV0\n');
    assert.ok("problem" in file && !file.problem.includes("c2VjcmV0"));
    const json = parseNodesFile('{"kind": "List", "password": c2VjcmV0}}');
    assert.ok("problem" in json && !json.problem.includes("c2VjcmV0"));
  });
});

interface Bench {
  readonly folder: string;
  readonly path: string;
  readonly source: FileNodeSource;
  readonly recorder: Recorder;
  readonly warnings: string[];
}

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "podrouter-nodes-"));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

function follow(t: TestContext, folder: string, path: string, clock = systemClock): Bench {
  const warnings: string[] = [];
  const log: Log = { ...silentLog, warn: (fields) => void warnings.push(JSON.stringify(fields)) };
  const source = new FileNodeSource({ path, clock, log });
  t.after(() => source.stop());
  const recorder = new Recorder();
  source.start(recorder.onChange);
  return { folder, path, source, recorder, warnings };
}

async function bench(t: TestContext, text: string, clock?: FakeClock): Promise<Bench> {
  const folder = await folderOf(t);
  const path = join(folder, "nodes.yaml");
  await writeFile(path, text);
  const made = follow(t, folder, path, clock);
  await made.recorder.until("read", () => true);
  return made;
}

/** Waits until a change was seen, without the look every two seconds: the folder is watched. */
function seen(clock: FakeClock): Promise<void> {
  return until("the change is seen", () => clock.nextDelayMs === REST_MS);
}

/** Whether the changed file was seen so lately that it is not read yet. */
function stillResting({ nextDelayMs = 0 }: FakeClock): boolean {
  return nextDelayMs > 10 && nextDelayMs <= REST_MS;
}

/** Lets a changed file rest until it was read. */
async function rested(clock: FakeClock, holds: () => boolean): Promise<void> {
  await until("the file is read", holds, () => {
    if (clock.nextDelayMs === REST_MS) clock.advance(REST_MS);
  });
}

describe("followed live", () => {
  test("written in place, renamed over, untouched Nodes keep their object", async (t) => {
    const { path, recorder, source } = await bench(t, YAML);
    const first = recorder.last.get("node1");
    assert.equal(first!.annotations.get("node.asn"), "64513");
    await writeFile(path, `${YAML}---\nkind: Node\nmetadata: {name: node2}\n`);
    await recorder.until("node2", (all) => all.has("node2"));
    assert.equal(recorder.last.get("node1"), first);
    await writeFile(`${path}.new`, list(node1));
    await rename(`${path}.new`, path);
    await recorder.until("renamed", (all) => !all.has("node2"));
    assert.deepEqual(
      { ...source.status(), lastSync: 0 },
      {
        kind: "file",
        origin: path,
        synced: true,
        connected: true,
        lastSync: 0,
        lastError: undefined,
        nodes: 1,
        problems: [],
      },
    );
  });

  test("a ConfigMap's symlink swap, seen at once", async (t) => {
    const folder = await folderOf(t);
    await mkdir(join(folder, "..one"));
    await writeFile(join(folder, "..one", "nodes.yaml"), list(node1));
    await symlink("..one", join(folder, "..data"));
    await symlink("..data/nodes.yaml", join(folder, "nodes.yaml"));
    const clock = new FakeClock();
    const { recorder } = follow(t, folder, join(folder, "nodes.yaml"), clock);
    await recorder.until("read", (all) => all.size === 1);
    await mkdir(join(folder, "..two"));
    await writeFile(join(folder, "..two", "nodes.yaml"), list(node1, node2));
    await symlink("..two", join(folder, "..data_tmp"));
    await rename(join(folder, "..data_tmp"), join(folder, "..data"));
    await rested(clock, () => recorder.last.size === 2);
  });

  const stillWritten = {
    "a file that is still being written is left to rest, even if it is valid": async () => {},
    // Each makes the source look at the file again, which is as it was at the look before.
    "what else happens in the folder does not stand for rest": async (folder: string) => {
      for (let i = 0; i < 50; i++) await writeFile(join(folder, `other-${i}`), "");
    },
  };
  for (const [name, meanwhile] of Object.entries(stillWritten)) {
    test(name, async (t) => {
      const clock = new FakeClock();
      const { folder, path, recorder } = await bench(t, list(node1, node2), clock);
      await writeFile(path, YAML);
      await seen(clock);
      await meanwhile(folder);
      clock.advance(REST_MS - 1);
      await appendFile(path, "---\nkind: Node\nmetadata: {name: node3}\n");
      await rested(clock, () => recorder.last.has("node3"));
      assert.deepEqual(
        recorder.changes.map((all) => all.size),
        [2, 2],
      );
    });
  }

  test("a folder that never rests does not put off a change", async (t) => {
    const clock = new FakeClock();
    const { folder, path, recorder } = await bench(t, list(node1, node2), clock);
    await writeFile(path, list(node1));
    await seen(clock);
    const isTaken = () => recorder.last.size === 1;
    const begun = clock.now();
    while (!isTaken() && clock.now() - begun < 10_000) {
      await writeFile(join(folder, "other"), "");
      clock.advance(10);
      await until("a look is over", () => clock.pendingCount > 0);
    }
    assert.ok(isTaken());
  });

  test("at the start it has to rest as well, where Nodes are known that it may lack yet", async (t) => {
    const folder = await folderOf(t);
    const path = join(folder, "nodes.yaml");
    const document = (name: string) => `---\nkind: Node\nmetadata: {name: ${name}}\n`;
    await writeFile(path, document("node1"));
    const clock = new FakeClock();
    const source = new FileNodeSource({ path, clock, log: silentLog });
    t.after(() => source.stop());
    const recorder = new Recorder();
    source.start(recorder.onChange, nodeMap(snapshot("node1"), snapshot("node2")));
    await until("looked at", () => clock.nextDelayMs !== undefined);
    assert.equal(source.status().synced, false);
    await appendFile(path, document("node2"));
    await rested(clock, () => source.status().synced);
    assert.deepEqual(
      recorder.changes.map((nodes) => [...nodes.keys()]),
      [["node1", "node2"]],
    );
  });

  test("a file that never rests is read all the same", async (t) => {
    const clock = new FakeClock();
    const { path, recorder } = await bench(t, list(node1, node2), clock);
    const isTaken = () => recorder.last.size === 1;
    const begun = clock.now();
    for (let round = 0; !isTaken() && clock.now() - begun < 10_000; round++) {
      // Whole each time, and never for as long as a rest.
      await writeFile(`${path}.new`, list(node1) + " ".repeat(round));
      await rename(`${path}.new`, path);
      await until("it is seen", () => isTaken() || stillResting(clock));
      clock.advance(40);
      await until("a look is over", () => clock.pendingCount > 0);
    }
    const waited = clock.now() - begun;
    assert.ok(isTaken() && waited >= 2_000 && waited < 4_000, `${waited} ms`);
  });

  test("content that cannot be read keeps the last Nodes, is named once, and recovers", async (t) => {
    const { path, recorder, source, warnings } = await bench(t, list(node1, node2));
    await writeFile(path, "items:\n- a: [1\n");
    await until("named", () => source.status().lastError !== undefined);
    assert.match(source.status().lastError!.reason, /nodes\.yaml: line \d+, column \d+: not YAML/);
    assert.equal(source.status().connected, false);
    assert.equal(source.status().nodes, 2);
    await unlink(path);
    await until("missing", () => /no such file/.test(source.status().lastError!.reason));
    assert.equal(source.status().nodes, 2);
    assert.equal(warnings.length, 2);
    assert.equal(recorder.changes.length, 1);
    await writeFile(path, list(node1));
    await recorder.until("recovered", (all) => all.size === 1);
    assert.equal(source.status().connected, true);
  });

  test("what comes after content that cannot be had is left to rest as well", async (t) => {
    const clock = new FakeClock();
    const { path, recorder, source } = await bench(t, list(node1, node2), clock);
    await truncate(path, NODES_FILE_BYTES_MAX + 1);
    await rested(clock, () => /too large/.test(source.status().lastError?.reason ?? ""));
    for (let hour = 0; hour < 2; hour++) {
      clock.advance(3_600_000);
      await until("a look is over", () => clock.pendingCount > 0);
    }
    await writeFile(path, YAML);
    await seen(clock);
    await appendFile(path, "---\nkind: Node\nmetadata: {name: node3}\n");
    await rested(clock, () => recorder.last.has("node3"));
    assert.deepEqual(
      recorder.changes.map((all) => all.size),
      [2, 2],
    );
  });

  test("a file that is emptied and then written is never taken half", async (t) => {
    const { path, recorder } = await bench(t, list(node1, node2));
    for (let round = 0; round < 3; round++) {
      await writeFile(path, "");
      await appendFile(path, YAML);
      await appendFile(path, "---\nkind: Node\nmetadata: {name: node2}\n");
    }
    await writeFile(path, list(node1, node2, nodeObject("node3")));
    await recorder.until("the last content", (all) => all.has("node3"));
    assert.ok(recorder.changes.every((all) => all.has("node1") && all.has("node2")));
  });

  test("an empty List is a List: no Nodes", async (t) => {
    const { path, recorder } = await bench(t, list(node1));
    await writeFile(path, list());
    await recorder.until("none", (all) => all.size === 0);
  });

  test("objects that are no Nodes are named, the others are used", async (t) => {
    const { recorder, source } = await bench(t, list(node1, { kind: "Pod" }, node1));
    assert.equal(recorder.last.size, 1);
    assert.deepEqual(
      source.status().problems.map((p) => p.code),
      ["node-invalid", "node-ignored"],
    );
  });

  test("the same content again changes nothing", async (t) => {
    const { path, recorder } = await bench(t, list(node1));
    const before = recorder.changes.length;
    await writeFile(path, list(node1));
    await writeFile(path, list(node1, node2));
    await recorder.until("node2", (all) => all.has("node2"));
    assert.equal(recorder.changes.length, before + 1);
  });
});

test("no file at the start, and a folder that is none: waits for it to come", async (t) => {
  const folder = await folderOf(t);
  const path = join(folder, "later", "nodes.yaml");
  const clock = new FakeClock();
  const { recorder, source } = follow(t, folder, path, clock);
  await until("named", () => source.status().lastError !== undefined);
  assert.match(source.status().lastError!.reason, /no such file/);
  await mkdir(join(folder, "later"));
  await writeFile(path, list(node1));
  // Nothing watches a folder that was not there: the look every two seconds finds it.
  await until(
    "found",
    () => recorder.changes.length === 1,
    () => clock.advance(10),
  );
  assert.equal(source.status().synced, true);
});

test("a file beyond the bound, and a directory, are refused by name", async (t) => {
  const folder = await folderOf(t);
  const directory = follow(t, folder, folder);
  await until("named", () => directory.source.status().lastError !== undefined);
  assert.match(directory.source.status().lastError!.reason, /is a directory/);
  const path = join(folder, "big.json");
  await writeFile(path, " ".repeat(33 * 1024 * 1024));
  const big = follow(t, folder, path);
  await until("named", () => big.source.status().lastError !== undefined);
  assert.match(big.source.status().lastError!.reason, /big\.json: the file is too large/);
});

test("stopped: no timer is left", async (t) => {
  const folder = await folderOf(t);
  const path = join(folder, "nodes.yaml");
  await writeFile(path, YAML);
  const clock = new FakeClock();
  const { source, recorder } = follow(t, folder, path, clock);
  await recorder.until("read", () => true);
  await source.stop();
  assert.equal(clock.pendingCount, 0);
});
