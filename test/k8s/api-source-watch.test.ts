/** The watch of the Nodes on a fake clock and a fake transport: every way in which it can break. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ApiNodeSource } from "../../src/k8s/api-source.ts";
import { ApiError, statusError } from "../../src/k8s/api-transport.ts";
import { WATCH_SILENCE_MS } from "../../src/k8s/node-watch.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { Bench, node3, seed, unreachable } from "./api-source-bench.ts";
import { bookmark, errorEvent, event, type FakeRequest, FakeTransport } from "./fake-transport.ts";
import { nodeObject, SEED } from "./node-objects.ts";

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

  test("who changed is told by name; of a whole list it is not known", () => {
    const transport = new FakeTransport();
    const parts = { transport, clock: new FakeClock(), log: silentLog, random: () => 0 };
    const told: unknown[] = [];
    const source = new ApiNodeSource(parts);
    assert.equal(source.status().connected, false);
    source.start((_, changed) => told.push(changed && [...changed]));
    assert.equal(source.status().connected, false);
    transport.last.list("100", seed);
    transport.last.open();
    transport.last.send(event("ADDED", nodeObject("node4"), "101"), event("DELETED", node3, "102"));
    transport.last.send(event("MODIFIED", nodeObject("node4"), "103"));
    transport.last.send(event("MODIFIED", nodeObject("node4", { uid: "other" }), "104"));
    transport.last.send(errorEvent(410, "too old"));
    transport.last.list("200", seed);
    transport.last.open();
    transport.last.send(event("DELETED", node3, "201"));
    assert.deepEqual(told, [undefined, ["node4", "node3"], ["node4"], undefined, ["node3"]]);
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

  test("a watch that said nothing was some good after 5 s, and not before", () => {
    for (const lastedMs of [4_999, 5_000]) {
      const bench = Bench.synced();
      bench.transport.last.end();
      bench.transport.last.open();
      bench.clock.advance(lastedMs);
      const before = bench.transport.requests.length;
      bench.transport.last.end();
      assert.equal(bench.transport.requests.length > before, lastedMs === 5_000);
    }
  });

  test("failures before a proper end are no ends without a word", () => {
    const bench = Bench.synced();
    for (let i = 0; i < 5; i++) {
      bench.transport.last.fail(unreachable());
      if (i > 0) bench.untilRequest();
    }
    bench.transport.last.open();
    bench.transport.last.end();
    bench.untilRequest();
    assert.ok(bench.watching);
  });

  test("how long it is to last is drawn, so that a thousand agents do not come back together", () => {
    for (const [drawn, seconds] of [
      [0.5, "450"],
      [0.999, "599"],
    ] as const) {
      const transport = new FakeTransport();
      const parts = { transport, clock: new FakeClock(), log: silentLog, random: () => drawn };
      new ApiNodeSource(parts).start(() => {});
      transport.last.list("100", seed);
      assert.equal(transport.last.query["timeoutSeconds"], seconds);
    }
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

  test("90 s without a word from its beginning: a list, which a restored server refuses", () => {
    const bench = Bench.synced();
    bench.clock.advance(WATCH_SILENCE_MS);
    assert.deepEqual(bench.transport.last.query, { resourceVersion: "100" });
    bench.transport.last.fail(
      statusError({ code: 504, message: "Timeout: Too large resource version: 100, current: 7" }),
    );
    assert.deepEqual(bench.transport.last.query, { limit: "500" });
    bench.transport.last.list("7", [node3]);
    assert.deepEqual(bench.names, ["node3"]);
    assert.equal(bench.transport.last.query["resourceVersion"], "7");
    assert.equal(bench.source.status().connected, true);
    assert.deepEqual(bench.warnings, []);
  });

  for (const [what, ends] of [
    ["a proxy cuts it", (watch: FakeRequest) => watch.fail(unreachable())],
    ["it ends properly", (watch: FakeRequest) => watch.end()],
  ] as const) {
    test(`no word in 90 s, though ${what} before that: a list`, () => {
      const bench = Bench.synced();
      for (let i = 0; i < 2; i++) {
        assert.ok(bench.watching, `after ${i} watches`);
        bench.clock.advance(50_000);
        ends(bench.transport.last);
        if (bench.watching) bench.transport.last.open();
      }
      assert.deepEqual(bench.transport.last.query, { resourceVersion: "100" });
      bench.transport.last.list("101", seed);
      bench.transport.last.open();
      bench.clock.advance(50_000);
      ends(bench.transport.last);
      assert.ok(bench.watching, "the list counts as a word");
    });
  }

  for (const [what, ends] of [
    ["cut", (watch: FakeRequest) => watch.fail(unreachable())],
    ["ended", (watch: FakeRequest) => watch.end()],
  ] as const) {
    test(`no word in 90 s, and the next watch ${what} at once: a list after the delay`, () => {
      const bench = Bench.synced();
      bench.clock.advance(WATCH_SILENCE_MS - 1_000);
      ends(bench.transport.last);
      bench.transport.last.open();
      bench.clock.advance(1_000);
      assert.ok(bench.watching);
      ends(bench.transport.last);
      assert.ok(bench.untilRequest() > 0);
      assert.deepEqual(bench.transport.last.query, { resourceVersion: "100" });
    });
  }

  test("a word now and then, or a server that is away: no list", () => {
    const bench = Bench.synced();
    for (let i = 0; i < 5; i++) {
      bench.clock.advance(50_000);
      bench.transport.last.send(bookmark("100"));
      bench.transport.last.fail(unreachable());
      bench.transport.last.open();
    }
    bench.clock.advance(10_000);
    for (let i = 0; i < 20; i++) {
      bench.transport.last.fail(unreachable());
      bench.untilRequest();
      bench.clock.advance(10_000);
      assert.ok(bench.watching);
    }
  });

  test("a word between two silences makes them two", () => {
    const bench = Bench.synced();
    for (const says of [false, true, false]) {
      bench.clock.advance(60_000);
      if (says) bench.transport.last.send(bookmark("100"));
      bench.transport.last.fail(unreachable());
      assert.ok(bench.watching);
      bench.transport.last.open();
    }
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
    for (const metadata of [{ name: 5 }, {}, null, undefined]) {
      const bench = Bench.synced();
      bench.transport.last.send({ type: "MODIFIED", object: { metadata } });
      assert.equal(bench.changes.length, 1);
      assert.equal(bench.source.status().problems.length, 1);
      assert.ok(bench.watching);
    }
  });

  for (const garbage of [
    "no json\n",
    "5\n",
    '{"type":"ADDED"}\n',
    "null\n",
    '{"type":"WHAT","object":{"metadata":{"name":"node9","resourceVersion":"150"}}}\n',
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

  test("what is no version is not taken for one", () => {
    for (const version of [150, "", "1 0", "1&watch=false", "1".repeat(65)]) {
      const bench = Bench.synced();
      bench.transport.last.send(event("ADDED", nodeObject("n4"), version as string));
      assert.equal(bench.names.length, 4);
      bench.transport.last.end();
      bench.untilRequest();
      assert.equal(bench.transport.last.query["resourceVersion"], "100");
    }
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

describe("what a watch leaves to the next one", () => {
  for (const [what, line] of [
    ["a bookmark", (i: number) => bookmark(String(101 + i))],
    ["an event without a version", () => event("ADDED", nodeObject("node4"), "")],
    ["the end of a Node without a version", () => event("DELETED", node3, "")],
  ] as const) {
    test(`${what} was some good: the next one begins at once`, () => {
      const bench = Bench.synced();
      for (let i = 0; i < 5; i++) {
        bench.clock.advance(100);
        bench.transport.last.send(line(i));
        assert.equal(bench.source.status().lastSync, bench.clock.wall());
        bench.transport.last.end();
        assert.equal(bench.transport.requests.length, 3 + i);
        bench.transport.last.open();
      }
    });
  }

  test("not what a server asked for before: an end that follows has its own delay", () => {
    const bench = Bench.synced();
    bench.transport.last.fail(new ApiError("throttled", "429", { retryAfterMs: 8_000 }));
    assert.equal(bench.untilRequest(), 8_000);
    bench.transport.last.end();
    assert.equal(bench.untilRequest(), 400);
  });

  test("not the address: it is to be seen on an interface again before its loss counts", () => {
    const bench = Bench.synced();
    bench.own.clear();
    bench.source.underlayChanged();
    assert.equal(bench.transport.requests.length, 3);
    bench.transport.last.open();
    bench.source.underlayChanged();
    assert.equal(bench.transport.requests.length, 3);
  });

  test("not how patient it was: after an answer a second is enough again", () => {
    const bench = new Bench();
    for (let i = 0; i < 80; i++) {
      bench.clock.advance(100);
      bench.source.underlayChanged();
    }
    assert.equal(bench.transport.requests.length, 4, "after 1, 3 and 7 s");
    bench.transport.last.list("100", seed);
    bench.clock.advance(999);
    bench.source.underlayChanged();
    assert.equal(bench.transport.requests.length, 5);
    bench.clock.advance(1);
    bench.source.underlayChanged();
    assert.equal(bench.transport.requests.length, 6);
  });
});
