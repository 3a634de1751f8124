/** Answers with status 200 that are none: of a proxy, a portal, another resource. */
import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { HttpApiTransport } from "../../src/k8s/http-transport.ts";
import { NodeStore } from "../../src/k8s/node-store.ts";
import { Bench, node3, seed } from "./api-source-bench.ts";
import { errorEvent, event } from "./fake-transport.ts";
import { nodeObject, SEED } from "./node-objects.ts";

/** A source with the seed's Nodes that lists them anew, and gets this, in pieces of that size. */
function listedAnew(text: string, size = text.length): Bench {
  const bench = Bench.synced();
  bench.transport.last.send(errorEvent(410, "too old"));
  bench.transport.last.open();
  for (let i = 0; i < text.length; i += size) bench.transport.last.raw(text.slice(i, i + size));
  bench.transport.last.end();
  return bench;
}

for (const [what, answer, reason] of [
  [
    "an object",
    { kind: "Namespace", metadata: { resourceVersion: "101" } },
    'the answer is a "Namespace", no list of Nodes',
  ],
  [
    "a list of something else",
    { kind: "PodList", metadata: { resourceVersion: "101" }, items: [] },
    'the answer is a "PodList", no list of Nodes',
  ],
  [
    "a list without items",
    { metadata: { resourceVersion: "101" } },
    "the answer is cut off or no list of Nodes",
  ],
  [
    "a list whose items are none",
    { metadata: { resourceVersion: "101" }, items: { node1: {} } },
    "the answer is cut off or no list of Nodes",
  ],
  [
    "a list of Pods that does not say so",
    { metadata: { resourceVersion: "101" }, items: [{ kind: "Pod", metadata: { name: "a" } }] },
    'the list has a "Pod" among its Nodes',
  ],
] as const) {
  test(`${what} in place of the Nodes withdraws none of them`, () => {
    const bench = listedAnew(JSON.stringify(answer));
    assert.equal(bench.source.status().lastError?.reason, reason);
    assert.deepEqual(bench.names, ["node1", "node2", "node3"]);
    bench.untilRequest();
    bench.transport.last.list("102", []);
    assert.deepEqual(bench.names, [], "a list without Nodes is one");
  });
}

test("null in place of no Nodes is a list", () => {
  const bench = listedAnew('{"kind":"NodeList","metadata":{"resourceVersion":"9"},"items":null}');
  assert.deepEqual(bench.names, []);
});

test("items whose key is written with an escape are no list without Nodes", () => {
  const items = JSON.stringify(seed);
  const bench = listedAnew(`{"metadata":{"resourceVersion":"9"},"item\\u0073":${items}}`);
  assert.deepEqual(bench.names, ["node1", "node2", "node3"]);
});

test("of a list with an item that cannot be read no known Node is gone", () => {
  const [one, two] = [JSON.stringify(seed[0]), JSON.stringify(seed[1])];
  const bench = listedAnew(`{"metadata":{"resourceVersion":"9"},"items":[${two},{x},${one}]}`);
  assert.deepEqual([...bench.names].sort(), ["node1", "node2", "node3"]);
  bench.transport.last.open();
  bench.transport.last.send(event("DELETED", node3, "10"));
  assert.deepEqual([...bench.names].sort(), ["node1", "node2"]);
});

for (const items of [
  "{}",
  "[]",
  '"a"',
  "null,5",
  '"a", {"metadata":{"name":"node1"}}',
  '{},"{"',
  '{}, "]" ',
]) {
  test(`of a list with items that are no Nodes no known one is gone: ${items}`, () => {
    for (const size of [1, 1000]) {
      const text = `{"metadata":{"resourceVersion":"9"},"items":[${items}]}`;
      const bench = listedAnew(text, size);
      assert.deepEqual([...bench.names].sort(), ["node1", "node2", "node3"]);
      assert.ok(bench.source.status().problems.length > 0);
    }
  });
}

test("a deleted object of another kind is no Node", () => {
  const store = new NodeStore();
  store.put(nodeObject("node1", SEED.node1));
  assert.equal(store.remove({ kind: "Pod", metadata: { name: "node1" } }), false);
  assert.equal(store.remove({ kind: "Node", metadata: { name: "node1" } }), true);
});

test("a watch that ends in the middle of a line is no proper end", () => {
  const bench = Bench.synced();
  bench.transport.last.send(event("MODIFIED", nodeObject("node1", SEED.node1), "101"));
  bench.transport.last.raw('{"type":"DELETED","object":{"kind":"Node","metadata":{"name":"no');
  bench.transport.last.end();
  const cut = "the watch ended in the middle of an event";
  assert.equal(bench.source.status().lastError?.reason, cut);
  bench.untilRequest();
  assert.equal(bench.transport.last.query["resourceVersion"], "101");
  assert.deepEqual(bench.names, ["node1", "node2", "node3"]);
});

test("half an event is no word: after 90 s of it there is a list", () => {
  const bench = Bench.synced();
  const before = bench.source.status().lastSync;
  bench.clock.advance(10_000);
  bench.transport.last.raw('{"type":"DELETED","object":{"kind":"Node","metadata":{"name":"no');
  assert.equal(bench.source.status().lastSync, before);
  bench.clock.advance(90_000);
  assert.ok(!bench.watching, "a proxy keeps the rest: another watch would end alike");
  bench.transport.last.list("200", [node3]);
  assert.deepEqual(bench.names, ["node3"]);
  // What is cut in two at the line feed is whole.
  bench.transport.last.open();
  bench.transport.last.raw(JSON.stringify(event("DELETED", node3, "201")));
  assert.deepEqual(bench.names, ["node3"]);
  bench.transport.last.raw("\n");
  assert.deepEqual(bench.names, []);
  assert.equal(bench.source.status().version, "201");
});

test("octets that come now and then, and never a whole event, are silence", () => {
  const bench = Bench.synced();
  const watch = bench.transport.last;
  for (const octets of ["\n", '{"type":', '"ADD']) {
    bench.clock.advance(29_000);
    watch.raw(octets);
  }
  bench.clock.advance(2_000);
  assert.ok(!watch.aborted);
  bench.clock.advance(1_000);
  assert.ok(watch.aborted);
  const silent = "the watch was silent for 90 s: no event and no bookmark";
  assert.equal(bench.source.status().lastError?.reason, silent);
  assert.ok(!bench.watching);
});

test("watches that end at once, without a word: said once, and lists in their place", () => {
  const bench = Bench.synced();
  const kind = () => (bench.watching ? "watch" : "list");
  bench.transport.last.end();
  const kinds = [kind()];
  for (let round = 0; round < 12; round++) {
    if (bench.watching) {
      bench.transport.last.open();
      bench.transport.last.end();
      bench.untilRequest();
    } else {
      bench.transport.last.list("200", [node3]);
    }
    kinds.push(kind());
  }
  assert.deepEqual(kinds.slice(0, 6), ["watch", "watch", "watch", "list", "watch", "list"]);
  assert.deepEqual(bench.names, ["node3"], "what the lists say is taken");
  const words = "watches end at once, without a word: the Nodes are listed again and again";
  assert.deepEqual(bench.told, [words]);
  assert.equal(bench.source.status().connected, true);
  // One that says something is followed as ever, and the next time is told again.
  if (!bench.watching) bench.transport.last.list("200", seed);
  bench.transport.last.open();
  bench.transport.last.send(event("MODIFIED", nodeObject("node1", SEED.node1), "201"));
  bench.transport.last.end();
  assert.ok(bench.watching);
  assert.equal(bench.told.length, 1);
  for (let end = 0; end < 4; end++) {
    bench.transport.last.open();
    bench.transport.last.end();
    bench.untilRequest();
  }
  assert.deepEqual(bench.told, [words, words]);
});

/** What comes of an answer to a GET. */
async function outcome(t: TestContext, handler: RequestListener): Promise<string> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const transport = new HttpApiTransport({
    server: new URL(`http://127.0.0.1:${port}`),
    requestOptions: async () => ({}),
    refused: () => undefined,
  });
  return new Promise((resolve) => {
    let got = "";
    transport.get("/", {
      open: () => undefined,
      data: (chunk) => {
        got += chunk.toString();
      },
      end: () => resolve(got),
      failed: ({ kind, message }) => resolve(`${kind}: ${message}`),
    });
  });
}

for (const [type, expected] of [
  ["text/html; charset=utf-8", 'answer: 200 with "text/html; charset=utf-8" in place of JSON'],
  ["application/json", "<html>"],
  ["application/json;stream=watch", "<html>"],
  [undefined, "<html>"],
] as const) {
  test(`an answer of the type ${type}`, async (t) => {
    const said = await outcome(t, (_, response) => {
      if (type !== undefined) response.setHeader("content-type", type);
      response.end("<html>");
    });
    assert.equal(said.replace(/: is a proxy.*/, ""), expected);
  });
}
