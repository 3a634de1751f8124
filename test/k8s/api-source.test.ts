/** The list and watch loop on a fake clock and a fake transport: lists, known Nodes, the end. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ApiNodeSource } from "../../src/k8s/api-source.ts";
import { ApiError } from "../../src/k8s/api-transport.ts";
import { nameInBeginning } from "../../src/k8s/node-list.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { Bench, seed, unreachable } from "./api-source-bench.ts";
import { event, FakeTransport } from "./fake-transport.ts";
import { nodeMap, nodeObject, SEED, snapshot } from "./node-objects.ts";

describe("list", () => {
  test("then watch from its version, with bookmarks and a drawn time limit", () => {
    const bench = new Bench();
    assert.deepEqual(bench.transport.last.query, { limit: "500", resourceVersion: "0" });
    assert.equal(bench.source.status().synced, false);
    bench.transport.last.list("100", seed);
    assert.deepEqual(bench.names, ["node1", "node2", "node3"]);
    assert.equal(bench.changes.length, 1);
    const { query } = bench.transport.last;
    assert.deepEqual(query, {
      watch: "true",
      resourceVersion: "100",
      allowWatchBookmarks: "true",
      timeoutSeconds: "300",
    });
    assert.equal(bench.source.status().synced, true);
    assert.equal(bench.source.status().connected, true);
    assert.equal(bench.source.status().nodes, 3);
  });

  test("a server that always breaks it off is asked for its memory all the same", () => {
    const bench = new Bench();
    for (let i = 0; i < 6; i++) {
      assert.deepEqual(bench.transport.last.query, { limit: "500", resourceVersion: "0" });
      bench.transport.last.open();
      bench.transport.last.fail(unreachable());
      bench.untilRequest();
    }
  });

  test("pages: nothing takes effect before the last one", () => {
    const bench = new Bench();
    bench.transport.last.list("100", seed.slice(0, 2), { continue: "abc" });
    assert.equal(bench.changes.length, 0);
    assert.deepEqual(bench.transport.last.query, { limit: "500", continue: "abc" });
    bench.transport.last.list("100", seed.slice(2), { continue: "" });
    assert.deepEqual(bench.names, ["node1", "node2", "node3"]);
    assert.equal(bench.transport.last.url.searchParams.get("resourceVersion"), "100");
  });

  test("pages that expire on the way: the newest list, then one without pages", () => {
    const bench = new Bench();
    bench.transport.last.list("100", seed.slice(0, 2), { continue: "abc" });
    bench.transport.last.fail(new ApiError("gone", "410"));
    assert.deepEqual(bench.transport.last.query, { limit: "500" });
    bench.transport.last.fail(new ApiError("gone", "410"));
    bench.clock.advance(15_000);
    assert.deepEqual(bench.transport.last.query, {});
    bench.transport.last.list("101", seed);
    assert.equal(bench.names.length, 3);
  });

  test("a list that breaks off leaves everything as it was", () => {
    const bench = new Bench(nodeMap(snapshot("node1", SEED.node1)));
    bench.transport.last.open();
    bench.transport.last.raw('{"kind":"NodeList","items":[{"metadata":{"name":"node2"}}');
    bench.transport.last.end();
    assert.equal(bench.changes.length, 0);
    assert.equal(bench.source.status().nodes, 1);
    assert.match(bench.source.status().lastError!.reason, /cut off/);
  });

  test("a list that says nothing is given up after 30 s and tried again", () => {
    const bench = new Bench();
    const first = bench.transport.last;
    bench.clock.advance(29_999);
    assert.equal(first.aborted, false);
    bench.clock.advance(1);
    assert.equal(first.aborted, true);
    bench.clock.advance(200);
    assert.equal(bench.transport.requests.length, 2);
  });

  test("a list that comes slowly is waited for as long as something comes", () => {
    const bench = new Bench();
    const first = bench.transport.last;
    bench.clock.advance(29_000);
    first.open();
    bench.clock.advance(29_000);
    first.raw('{"kind":"NodeList","items":[');
    bench.clock.advance(29_000);
    first.raw('],"metadata":{"resourceVersion":"100","continue":"abc"}}');
    first.end();
    const second = bench.transport.last;
    bench.clock.advance(29_000);
    second.open();
    bench.clock.advance(29_999);
    assert.equal(second.aborted, false);
    bench.clock.advance(1);
    assert.equal(second.aborted, true);
  });

  test("something that is no list, and a list without end", () => {
    const bench = new Bench();
    bench.transport.last.open();
    bench.transport.last.raw(`<html>${"x".repeat(100_000)}`);
    assert.match(bench.source.status().lastError!.reason, /no list of Nodes/);
    bench.clock.advance(1000);
    bench.transport.last.list("100", seed, { resourceVersion: 100 });
    assert.match(bench.source.status().lastError!.reason, /cut off or no list of Nodes/);
    bench.clock.advance(15_000);
    for (let page = 0; page < 1100; page++) {
      if (bench.source.status().lastError!.reason.includes("pages")) break;
      bench.transport.last.list("100", [], { continue: "again" });
    }
    assert.match(bench.source.status().lastError!.reason, /goes on after 1024 pages/);
    assert.equal(bench.transport.requests.length, 2 + 1024);
    assert.ok(bench.transport.requests.at(-1)!.aborted);
    assert.equal(bench.changes.length, 0);
  });

  test("objects that are no Nodes are named, the others are used", () => {
    const bench = new Bench();
    const huge = { metadata: { name: "node9" }, status: { x: "y".repeat(5_000_000) } };
    bench.transport.last.list("100", [...seed, 5, { kind: "Node", metadata: {} }, huge, seed[0]]);
    assert.equal(bench.names.length, 3);
    const said = bench.source.status().problems.map((problem) => problem.message);
    assert.equal(said.length, 4, said.join("\n"));
    assert.match(said.join("\n"), /an object of the API is text, a number or null/);
    assert.match(said.join("\n"), /Node node9: is larger than 4194304 bytes/);
    assert.match(said.join("\n"), /Node node1: is there twice/);
  });

  test("an object that is not JSON is named, the others are used", () => {
    const bench = new Bench();
    const [one, two] = [JSON.stringify(seed[0]), JSON.stringify(seed[1])];
    bench.transport.last.open();
    bench.transport.last.raw(`{"metadata":{"resourceVersion":"1"},"items":[${one},{x},${two}]}`);
    bench.transport.last.end();
    assert.deepEqual(bench.names, ["node1", "node2"]);
    const said = bench.source.status().problems.map((problem) => problem.message);
    assert.match(said.join("\n"), /^an object of the API is not JSON/);
  });

  test("a Node that has become too large stays as it was known", () => {
    const bench = new Bench(nodeMap(snapshot("node9", SEED.node3)));
    const huge = { metadata: { name: "node9" }, status: { x: "y".repeat(5_000_000) } };
    bench.transport.last.list("100", [huge]);
    assert.deepEqual(bench.names, ["node9"]);
    assert.equal(bench.changes[0]!.get("node9")!.podCidrs[0], "10.233.66.0/24");
  });
});

test("the name in the first bytes of an object is that of its metadata", () => {
  const names = [
    '{"metadata":{"name":"node1","labels":{"name":"x"}},"status":{"images":[',
    '{"kind":"Node","name":"other","metadata":{"uid":"1","name": "node2","ann',
    '{"spec":{"name":"node3"},"status":{"images":[',
    '{"metadata":{"name":"no name"},"status":{',
    '{"metadata":{"name":"node',
    "",
  ].map(nameInBeginning);
  assert.deepEqual(names, ["node1", "node2", undefined, undefined, undefined, undefined]);
});

describe("known Nodes of an earlier run", () => {
  test("an equal list changes no object; the first sync is announced all the same", () => {
    const known = nodeMap(
      ...(["node1", "node2", "node3"] as const).map((n) => snapshot(n, SEED[n])),
    );
    const bench = new Bench(known);
    bench.transport.last.list("100", seed);
    assert.equal(bench.changes.length, 1);
    for (const [name, node] of known) assert.equal(bench.changes[0]!.get(name), node);
  });

  test("what the list does not have was deleted meanwhile", () => {
    const bench = new Bench(nodeMap(snapshot("gone", SEED.node3)));
    bench.transport.last.list("100", seed.slice(0, 2));
    assert.deepEqual(bench.names, ["node1", "node2"]);
  });

  test("a server that remembers less than is known takes none of them away", () => {
    const known = nodeMap(
      ...(["node1", "node2", "node3"] as const).map((n) => snapshot(n, SEED[n])),
    );
    const bench = new Bench(known, "100");
    // It lags behind etcd, and has not heard of node3.
    for (const memory of [90, 95]) {
      const { resourceVersion } = bench.transport.last.query;
      if (resourceVersion === undefined) break;
      const text = `504: Too large resource version: ${resourceVersion}, current: ${memory}`;
      if (Number(resourceVersion) > memory)
        bench.transport.last.fail(new ApiError("version", text));
      else bench.transport.last.list(String(memory), seed.slice(0, 2));
    }
    assert.deepEqual(bench.changes, []);
    assert.equal(bench.source.status().synced, false);
    assert.deepEqual(bench.transport.last.query, { limit: "500" });
    bench.transport.last.list("101", seed);
    assert.deepEqual(bench.names, ["node1", "node2", "node3"]);
    assert.equal(bench.source.status().version, "101");
  });

  test("have no version of this run before they are in step", () => {
    const bench = new Bench(nodeMap(snapshot("node1", SEED.node1)), "100");
    const { kind, version, lastSync } = bench.source.status();
    assert.deepEqual([kind, version, lastSync], ["api", undefined, undefined]);
    bench.clock.advance(1_000);
    bench.transport.last.list("100", seed);
    const after = bench.source.status();
    assert.deepEqual([after.version, after.lastSync], ["100", bench.clock.wall()]);
  });

  test("one that remembers as much is asked for no more than its memory", () => {
    const bench = new Bench(nodeMap(snapshot("gone", SEED.node3)), "100");
    assert.deepEqual(bench.transport.last.query, { resourceVersion: "100" });
    bench.transport.last.list("100", seed);
    assert.deepEqual(bench.names, ["node1", "node2", "node3"]);
  });
});

test("stopped from within onChange: the watch that follows the list is aborted too", async () => {
  const transport = new FakeTransport();
  const clock = new FakeClock();
  const source = new ApiNodeSource({ transport, clock, log: silentLog, random: () => 0 });
  let calls = 0;
  source.start(() => {
    calls++;
    void source.stop();
  });
  transport.last.list("100", seed);
  clock.advance(1_000_000);
  assert.equal(calls, 1);
  assert.equal(transport.requests.length, 2);
  assert.equal(transport.requests[1]!.aborted, true);
  assert.equal(clock.pendingCount, 0);
});

test("stopped from within onChange: nothing of what else has come counts", () => {
  const transport = new FakeTransport();
  const clock = new FakeClock();
  const source = new ApiNodeSource({ transport, clock, log: silentLog, random: () => 0 });
  const names: string[][] = [];
  source.start((nodes) => {
    names.push([...nodes.keys()]);
    if (nodes.has("node4")) void source.stop();
  });
  transport.last.list("100", seed.slice(0, 1));
  transport.last.open();
  const line = JSON.stringify(event("ADDED", nodeObject("node4"), "101"));
  transport.last.raw(`${line}\ngarbage\n`);
  assert.deepEqual(names, [["node1"], ["node1", "node4"]]);
  assert.equal(transport.requests.length, 2);
  assert.equal(clock.pendingCount, 0);
});

test("stopped: the request is aborted, no timer is left, no call comes any more", async () => {
  for (const state of ["listing", "watching", "waiting"] as const) {
    const bench = state === "listing" ? new Bench() : Bench.synced();
    const request = bench.transport.last;
    if (state === "waiting") {
      request.fail(unreachable());
      bench.transport.last.fail(unreachable());
    }
    const resets = bench.transport.resets;
    await bench.source.stop();
    assert.equal(bench.clock.pendingCount, 0, state);
    assert.equal(bench.transport.resets, resets + 1, "no connection is kept");
    const count = bench.transport.requests.length;
    bench.clock.advance(1_000_000);
    assert.equal(bench.transport.requests.length, count, state);
    assert.equal(bench.clock.pendingCount, 0, state);
    if (state !== "waiting") assert.ok(request.aborted, state);
    assert.equal(bench.source.status().connected, false);
    await bench.source.stop();
  }
});
