/** The list and watch loop on a fake clock and a fake transport: every way in which it can break. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ApiNodeSource } from "../../src/k8s/api-source.ts";
import { ApiError } from "../../src/k8s/api-transport.ts";
import type { Nodes } from "../../src/k8s/node-source.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { bookmark, errorEvent, event, FakeTransport } from "./fake-transport.ts";
import { nodeMap, nodeObject, SEED, snapshot } from "./node-objects.ts";

const seed = (Object.keys(SEED) as (keyof typeof SEED)[]).map((name) =>
  nodeObject(name, SEED[name]),
);
const node3 = nodeObject("node3", SEED.node3);
const unreachable = () => new ApiError("unreachable", "connect ECONNREFUSED 192.168.50.1:6443");

class Bench {
  readonly clock = new FakeClock();
  readonly transport = new FakeTransport();
  readonly changes: Nodes[] = [];
  readonly warnings: unknown[] = [];
  readonly source: ApiNodeSource;

  constructor(known?: Nodes) {
    const log = {
      ...silentLog,
      warn: (fields: unknown) => void this.warnings.push(fields),
    };
    const { transport, clock } = this;
    this.source = new ApiNodeSource({ transport, clock, log, random: () => 0 });
    this.source.start((nodes) => this.changes.push(nodes), known);
  }

  /** Listed and watching from version 100. */
  static synced(): Bench {
    const bench = new Bench();
    bench.transport.last.list("100", seed);
    bench.transport.last.open();
    return bench;
  }

  get names(): string[] {
    return [...(this.changes.at(-1)?.keys() ?? [])];
  }

  /** Moves time on until there is another request; gives how long that took. */
  untilRequest(): number {
    const begun = this.clock.now();
    const before = this.transport.requests.length;
    while (this.transport.requests.length === before) {
      assert.ok(this.clock.now() - begun < 60_000, "no further request");
      this.clock.advance(10);
    }
    return this.clock.now() - begun;
  }

  /** Whether the request under way is a watch. */
  get watching(): boolean {
    return this.transport.last.query["watch"] === "true";
  }
}

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

  test("pages: nothing takes effect before the last one", () => {
    const bench = new Bench();
    bench.transport.last.list("100", seed.slice(0, 2), { continue: "abc" });
    assert.equal(bench.changes.length, 0);
    assert.deepEqual(bench.transport.last.query, { limit: "500", continue: "abc" });
    bench.transport.last.list("100", seed.slice(2));
    assert.deepEqual(bench.names, ["node1", "node2", "node3"]);
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

  test("something that is no list, and a list without end", () => {
    const bench = new Bench();
    bench.transport.last.open();
    bench.transport.last.raw(`<html>${"x".repeat(100_000)}`);
    assert.match(bench.source.status().lastError!.reason, /no list of Nodes/);
    bench.clock.advance(1000);
    for (let page = 0; page < 1100; page++) {
      if (bench.source.status().lastError!.reason.includes("pages")) break;
      bench.transport.last.list("100", [], { continue: "again" });
    }
    assert.match(bench.source.status().lastError!.reason, /goes on after 1024 pages/);
    assert.equal(bench.changes.length, 0);
  });

  test("objects that are no Nodes are named, the others are used", () => {
    const bench = new Bench();
    const huge = { metadata: { name: "node9" }, status: { x: "y".repeat(5_000_000) } };
    bench.transport.last.list("100", [...seed, 5, { kind: "Node", metadata: {} }, huge, seed[0]]);
    assert.equal(bench.names.length, 3);
    const said = bench.source.status().problems.map((problem) => problem.message);
    assert.equal(said.length, 3, said.join("\n"));
    assert.match(said.join("\n"), /Node node9: is larger than 4194304 bytes/);
    assert.match(said.join("\n"), /Node node1: is there twice/);
  });

  test("a Node that has become too large stays as it was known", () => {
    const bench = new Bench(nodeMap(snapshot("node9", SEED.node3)));
    const huge = { metadata: { name: "node9" }, status: { x: "y".repeat(5_000_000) } };
    bench.transport.last.list("100", [huge]);
    assert.deepEqual(bench.names, ["node9"]);
    assert.equal(bench.changes[0]!.get("node9")!.podCidrs[0], "10.233.66.0/24");
  });
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
});

describe("watch", () => {
  test("added, changed, deleted: at once, and untouched Nodes keep their object", () => {
    const bench = Bench.synced();
    const first = bench.changes[0]!;
    bench.transport.last.send(event("ADDED", nodeObject("node4"), "101"));
    assert.deepEqual(bench.names, ["node1", "node2", "node3", "node4"]);
    const moved = nodeObject("node4", { internal: "192.168.50.53" });
    bench.transport.last.send(event("MODIFIED", moved, "102"));
    assert.equal(bench.changes[2]!.get("node4")!.addresses[0]!.address, "192.168.50.53");
    bench.transport.last.send(event("DELETED", node3, "103"));
    assert.deepEqual(bench.names, ["node1", "node2", "node4"]);
    assert.equal(bench.changes[3]!.get("node1"), first.get("node1"));
    assert.deepEqual(
      [...first.keys()],
      ["node1", "node2", "node3"],
      "a map given is never changed",
    );
  });

  test("a heartbeat and a bookmark change nothing", () => {
    const bench = Bench.synced();
    const beat = { ...node3, status: { ...(node3["status"] as object), conditions: [{}] } };
    bench.transport.last.send(event("MODIFIED", beat, "101"), bookmark("102"));
    assert.equal(bench.changes.length, 1);
    bench.transport.last.end();
    assert.equal(bench.transport.last.query["resourceVersion"], "102");
  });

  test("events of one piece come together", () => {
    const bench = Bench.synced();
    bench.transport.last.send(
      event("DELETED", node3, "101"),
      event("ADDED", nodeObject("node3", { ...SEED.node3, cidrs: ["10.233.68.0/24"] }), "102"),
      event("ADDED", nodeObject("node4"), "103"),
    );
    assert.equal(bench.changes.length, 2);
    assert.deepEqual(bench.changes[1]!.get("node3")!.podCidrs, ["10.233.68.0/24"]);
  });

  test("a line cut in the middle counts when it is whole, and not before", () => {
    const bench = Bench.synced();
    const line = `${JSON.stringify(event("DELETED", node3, "101"))}\n`;
    bench.transport.last.raw(line.slice(0, 40));
    assert.equal(bench.changes.length, 1);
    bench.transport.last.raw(line.slice(40));
    assert.equal(bench.names.length, 2);
  });

  test("a cut line at a break is forgotten; the event comes again", () => {
    const bench = Bench.synced();
    bench.transport.last.send(bookmark("101"));
    bench.transport.last.raw('{"type":"DELETED","object":{"metadata":{"name":"no');
    bench.transport.last.fail(unreachable());
    assert.equal(bench.transport.last.query["resourceVersion"], "101");
    bench.transport.last.open();
    bench.transport.last.send(event("DELETED", node3, "102"));
    assert.equal(bench.names.length, 2);
  });

  test("a proper end: on from the last version at once", () => {
    const bench = Bench.synced();
    bench.transport.last.send(event("ADDED", nodeObject("node4"), "105"));
    bench.transport.last.end();
    assert.equal(bench.transport.last.query["resourceVersion"], "105");
    assert.equal(bench.transport.requests.length, 3);
  });

  test("ends without any good, again and again: no busy loop", () => {
    const bench = Bench.synced();
    bench.transport.last.end();
    const delays: number[] = [];
    for (let i = 0; i < 9; i++) {
      bench.transport.last.end();
      delays.push(bench.untilRequest());
    }
    assert.deepEqual(delays, [400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000, 15_000]);
  });

  test("90 s without a byte: the connection is dead, watch again from the last version", () => {
    const bench = Bench.synced();
    const first = bench.transport.last;
    bench.clock.advance(60_000);
    first.send(bookmark("107"));
    bench.clock.advance(89_999);
    assert.equal(first.aborted, false);
    bench.clock.advance(1);
    assert.equal(first.aborted, true);
    assert.equal(bench.transport.last.query["resourceVersion"], "107");
    assert.equal(bench.changes.length, 1);
  });

  test("a watch that is not accepted within 15 s", () => {
    const bench = new Bench();
    bench.transport.last.list("100", seed);
    const first = bench.transport.last;
    bench.clock.advance(15_000);
    assert.equal(first.aborted, true);
  });

  test("an object beyond the bound is named, what was known stays, the watch goes on", () => {
    const bench = Bench.synced();
    const huge = { ...node3, status: { x: "y".repeat(5_000_000) } };
    bench.transport.last.send(
      event("MODIFIED", huge, "101"),
      event("ADDED", nodeObject("n4"), "102"),
    );
    assert.deepEqual(bench.names, ["node1", "node2", "node3", "n4"]);
    assert.match(bench.source.status().problems[0]!.message, /Node node3: is larger than/);
  });

  test("an event without a usable Node is named and changes nothing", () => {
    const bench = Bench.synced();
    bench.transport.last.send({ type: "MODIFIED", object: { metadata: { name: 5 } } });
    assert.equal(bench.changes.length, 1);
    assert.equal(bench.source.status().problems.length, 1);
    assert.ok(bench.watching);
  });

  for (const garbage of [
    "no json\n",
    "5\n",
    '{"type":"ADDED"}\n',
    '{"type":"WHAT","object":{}}\n',
  ]) {
    test(`garbage ends the watch and withdraws nothing: ${JSON.stringify(garbage)}`, () => {
      const bench = Bench.synced();
      bench.transport.last.raw(garbage);
      assert.equal(bench.changes.length, 1);
      assert.equal(bench.source.status().connected, false);
      bench.clock.advance(200);
      assert.ok(bench.watching);
      assert.equal(bench.transport.last.query["resourceVersion"], "100");
    });
  }

  test("what stands before garbage in one piece still counts", () => {
    const bench = Bench.synced();
    const line = `${JSON.stringify(event("DELETED", node3, "101"))}\n`;
    bench.transport.last.raw(`${line}garbage\n${line.replace("node3", "node2")}`);
    assert.deepEqual(bench.names, ["node1", "node2"]);
  });

  test("garbage for ever: a list is tried instead", () => {
    const bench = Bench.synced();
    for (let i = 0; i < 4; i++) {
      assert.ok(bench.watching);
      bench.transport.last.raw("garbage\n");
      bench.untilRequest();
    }
    assert.equal(bench.watching, false);
  });
});

describe("410 Gone", () => {
  const ways: [string, (bench: Bench) => void][] = [
    ["as ERROR event", (bench) => bench.transport.last.send(errorEvent(410, "too old"))],
    ["as HTTP status", (bench) => bench.transport.last.fail(new ApiError("gone", "410"))],
  ];
  for (const [way, happen] of ways) {
    test(`${way}: a new list at once; what is missing in it was deleted`, () => {
      const bench = Bench.synced();
      happen(bench);
      assert.equal(bench.changes.length, 1, "nothing is withdrawn before the list is there");
      assert.deepEqual(bench.transport.last.query, { limit: "500" });
      bench.transport.last.list("900", [...seed.slice(0, 2), nodeObject("node4")]);
      assert.deepEqual(bench.names, ["node1", "node2", "node4"]);
      assert.ok(bench.transport.last.url.search.includes("resourceVersion=900"));
      assert.deepEqual(bench.warnings, []);
    });
  }

  test("an equal list after it is no change at all", () => {
    const bench = Bench.synced();
    bench.transport.last.send(errorEvent(410, "too old"));
    bench.transport.last.list("900", seed);
    assert.equal(bench.changes.length, 1);
  });

  test("again and again: no busy loop of lists", () => {
    const bench = Bench.synced();
    bench.transport.last.send(errorEvent(410, "too old"));
    for (let i = 0; i < 3; i++) {
      bench.transport.last.list("900", seed);
      bench.transport.last.open();
      bench.transport.last.send(errorEvent(410, "too old"));
      const before = bench.transport.requests.length;
      bench.clock.advance(100);
      assert.equal(bench.transport.requests.length, before);
      bench.clock.advance(15_000);
      assert.equal(bench.transport.requests.length, before + 1);
    }
  });

  test("a version of another server's life (restored backup): a new list", () => {
    const bench = Bench.synced();
    bench.transport.last.send(errorEvent(504, "Too large resource version: 100, current: 7"));
    bench.clock.advance(200);
    assert.deepEqual(bench.transport.last.query, { limit: "500" });
  });
});

describe("the API is away", () => {
  test("for a minute: nothing is withdrawn, tries spread out, and then it goes on", () => {
    const bench = Bench.synced();
    bench.clock.advance(10_000);
    bench.transport.last.fail(unreachable());
    const begun = bench.transport.requests.length;
    for (let second = 0; second < 60; second++) {
      const request = bench.transport.requests.at(-1)!;
      if (!request.aborted && bench.transport.requests.length > 0) request.fail(unreachable());
      bench.clock.advance(1000);
    }
    const tries = bench.transport.requests.length - begun;
    assert.ok(tries >= 5 && tries <= 12, `${tries} tries`);
    assert.equal(bench.changes.length, 1);
    assert.equal(bench.warnings.length, 1, "one warning an outage");
    assert.equal(bench.source.status().connected, false);
    assert.match(bench.source.status().lastError!.reason, /ECONNREFUSED/);
    bench.untilRequest();
    const { query } = bench.transport.last;
    assert.equal(query["resourceVersion"], "100");
    bench.transport.last.open();
    bench.transport.last.send(event("DELETED", node3, "150"));
    assert.equal(bench.names.length, 2);
    assert.equal(bench.source.status().connected, true);
  });

  test("from the start: tries go on, known Nodes stay", () => {
    const bench = new Bench(nodeMap(snapshot("node1", SEED.node1)));
    for (let i = 0; i < 20; i++) {
      bench.transport.last.fail(unreachable());
      bench.clock.advance(15_000);
    }
    assert.equal(bench.changes.length, 0);
    assert.equal(bench.source.status().nodes, 1);
    assert.equal(bench.source.status().synced, false);
    bench.transport.last.list("100", seed);
    assert.equal(bench.names.length, 3);
  });

  for (const [kind, expected] of [
    ["unauthorized", "watch"],
    ["forbidden", "watch"],
    ["credentials", "watch"],
    ["busy", "watch"],
    ["refused", "list"],
    ["version", "list"],
  ] as const) {
    test(`a watch refused as ${kind}: a ${expected} after a delay`, () => {
      const bench = new Bench();
      bench.transport.last.list("100", seed);
      bench.transport.last.fail(new ApiError(kind, `refused: ${kind}`));
      assert.equal(bench.transport.requests.length, 2);
      bench.clock.advance(200);
      assert.equal(bench.watching, expected === "watch");
      assert.equal(bench.source.status().lastError!.reason, `refused: ${kind}`);
      assert.equal(bench.changes.length, 1);
    });
  }

  test("jitter: half of the delay is drawn", () => {
    const clock = new FakeClock();
    const transport = new FakeTransport();
    const source = new ApiNodeSource({ transport, clock, log: silentLog, random: () => 0.999 });
    source.start(() => {});
    transport.last.fail(unreachable());
    clock.advance(99);
    assert.equal(transport.requests.length, 1);
    clock.advance(2);
    assert.equal(transport.requests.length, 2);
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

test("stopped: the request is aborted, no timer is left, no call comes any more", async () => {
  for (const state of ["listing", "watching", "waiting"] as const) {
    const bench = state === "listing" ? new Bench() : Bench.synced();
    const request = bench.transport.last;
    if (state === "waiting") {
      request.fail(unreachable());
      bench.transport.last.fail(unreachable());
    }
    await bench.source.stop();
    const count = bench.transport.requests.length;
    bench.clock.advance(1_000_000);
    assert.equal(bench.transport.requests.length, count, state);
    assert.equal(bench.clock.pendingCount, 0, state);
    if (state !== "waiting") assert.ok(request.aborted, state);
    assert.equal(bench.source.status().connected, false);
  }
});
