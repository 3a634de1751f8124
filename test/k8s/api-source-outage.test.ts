/** What the list and watch loop does when its version is gone, or the API server away. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseAddress } from "../../src/ip/address.ts";
import { ApiNodeSource } from "../../src/k8s/api-source.ts";
import { ApiError } from "../../src/k8s/api-transport.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { Bench, node3, seed, unreachable } from "./api-source-bench.ts";
import { errorEvent, event, FakeTransport } from "./fake-transport.ts";
import { nodeMap, nodeObject, SEED, snapshot } from "./node-objects.ts";

const OWN = parseAddress("192.168.50.50")!;

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
      assert.deepEqual(bench.transport.last.query, { resourceVersion: "100" });
      bench.clock.advance(1_000);
      assert.equal(bench.transport.requests.length, 3, "one list, and no second one");
      bench.transport.last.list("900", [...seed.slice(0, 2), nodeObject("node4")]);
      assert.deepEqual(bench.names, ["node1", "node2", "node4"]);
      assert.ok(bench.transport.last.url.search.includes("resourceVersion=900"));
      assert.deepEqual(bench.warnings, []);
    });
  }

  test("the list is what the server has in memory, unless that cannot be", () => {
    const bench = Bench.synced();
    bench.transport.last.send(errorEvent(410, "too old"));
    const tooLarge = "504: Timeout: Too large resource version: 100, current: 7";
    bench.transport.last.fail(new ApiError("version", tooLarge));
    bench.untilRequest();
    assert.deepEqual(bench.transport.last.query, { limit: "500" });
    bench.transport.last.list("7", seed);
    bench.transport.last.open();
    bench.transport.last.send(errorEvent(410, "too old"));
    bench.untilRequest();
    assert.deepEqual(bench.transport.last.query, { limit: "500" }, "not the same again and again");
  });

  test("a list that never comes to its end in one piece is tried in pages at last", () => {
    const lastOf = (error: ApiError, begins: boolean) => {
      const bench = Bench.synced();
      bench.transport.last.send(errorEvent(410, "too old"));
      for (let i = 0; i < 6; i++) {
        if (i < 3) assert.deepEqual(bench.transport.last.query, { resourceVersion: "100" });
        if (begins) bench.transport.last.open();
        bench.transport.last.fail(error);
        bench.untilRequest();
      }
      return bench.transport.last.query;
    };
    assert.deepEqual(lastOf(unreachable(), true), { limit: "500" }, "cut off");
    assert.deepEqual(lastOf(new ApiError("refused", "400"), false), { limit: "500" });
    // While the server is away or short of time it is not asked for what costs it more.
    assert.deepEqual(lastOf(unreachable(), false), { resourceVersion: "100" });
    assert.deepEqual(lastOf(new ApiError("throttled", "429"), false), { resourceVersion: "100" });
  });

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

  test("after a watch that did some good the list is at once again", () => {
    const bench = Bench.synced();
    for (const version of ["900", "902"]) {
      bench.transport.last.send(errorEvent(410, "too old"));
      assert.ok(!bench.watching, "a list");
      bench.transport.last.list(version, seed);
      bench.transport.last.open();
      bench.transport.last.send(event("ADDED", nodeObject("node4"), `${version}1`));
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

  test("a watch cut by a proxy's idle limit, and accepted again at once, is none", () => {
    const bench = Bench.synced();
    for (let i = 0; i < 21; i++) {
      bench.clock.advance(35_000);
      bench.transport.last.fail(unreachable());
      assert.equal(bench.source.status().connected, true);
      // So long without a word there is a list, which is no outage either.
      if (!bench.watching) bench.transport.last.list("100", seed);
      bench.transport.last.open();
    }
    assert.deepEqual(bench.told, []);
    bench.clock.advance(35_000);
    bench.transport.last.fail(unreachable());
    bench.transport.last.fail(unreachable());
    assert.equal(bench.source.status().connected, false);
    assert.equal(bench.warnings.length, 1, "one that is not accepted again is an outage");
    bench.untilRequest();
    bench.transport.last.open();
    assert.match(bench.told.at(-1)!, /^in contact .* again$/);
  });

  test("behind a link that drops everything: tries end late, and none of them is contact", () => {
    const bench = Bench.synced();
    bench.clock.advance(60_000);
    bench.transport.last.fail(unreachable());
    const begun = bench.transport.requests.length;
    for (let i = 0; i < 5; i++) {
      // As long as TCP takes to give up.
      bench.clock.advance(10_000);
      bench.transport.last.fail(unreachable());
      assert.equal(bench.source.status().connected, false, `after ${i + 1} tries`);
      if (i > 0) assert.equal(bench.transport.requests.length, begun + i, "not at once");
      bench.untilRequest();
    }
    assert.equal(bench.warnings.length, 1);
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
    ["throttled", "watch"],
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

  describe("a server that says how long to wait (Retry-After)", () => {
    const busy = (retryAfterMs: number) => new ApiError("throttled", "429", { retryAfterMs });

    test("is not asked sooner, be it for a list or a watch", () => {
      const bench = new Bench();
      bench.transport.last.fail(busy(8_000));
      assert.equal(bench.untilRequest(), 8_000);
      bench.transport.last.list("100", seed);
      bench.transport.last.fail(busy(9_000));
      assert.equal(bench.untilRequest(), 9_000);
      assert.equal(bench.watching, true);
    });

    test("is not asked more often than one that says nothing", () => {
      const bench = new Bench();
      for (let i = 0; i < 8; i++) {
        bench.transport.last.fail(busy(1_000));
        assert.ok(bench.untilRequest() >= 1_000);
      }
      bench.transport.last.fail(busy(1_000));
      assert.equal(bench.untilRequest(), 15_000);
    });

    test("and then goes away without a word: it was for that time only", () => {
      const bench = Bench.synced();
      bench.transport.last.fail(busy(8_000));
      bench.untilRequest();
      bench.transport.last.fail(unreachable());
      assert.equal(bench.untilRequest(), 400);
    });

    test("to a thousand agents at once: they come back one after another", () => {
      const clock = new FakeClock();
      const transport = new FakeTransport();
      const source = new ApiNodeSource({ transport, clock, log: silentLog, random: () => 0.5 });
      source.start(() => {});
      transport.last.fail(busy(8_000));
      clock.advance(9_999);
      assert.equal(transport.requests.length, 1);
      clock.advance(1);
      assert.equal(transport.requests.length, 2);
    });
  });

  test("a server that is back and asks for patience is not asked for a list of all", () => {
    const bench = Bench.synced();
    for (let i = 0; i < 9; i++) {
      bench.transport.last.fail(unreachable());
      bench.untilRequest();
    }
    for (let i = 0; i < 9; i++) {
      bench.transport.last.fail(new ApiError("throttled", "429: storage is (re)initializing"));
      bench.untilRequest();
      assert.ok(bench.watching);
    }
  });

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

describe("interfaces or addresses are others", () => {
  test("a watch whose address is gone is begun anew at once, from where it was", () => {
    const bench = Bench.synced();
    const first = bench.transport.last;
    bench.source.underlayChanged();
    assert.equal(bench.transport.requests.length, 2, "the address is there: nothing happens");
    bench.own.clear();
    bench.source.underlayChanged();
    assert.ok(first.aborted);
    assert.equal(bench.watching, true);
    assert.ok(bench.transport.last.url.search.includes("resourceVersion=100"));
    assert.equal(bench.transport.resets, 1, "no kept connection is used again");
    assert.match(bench.source.status().lastError!.reason, /^192\.168\.50\.50 is on no interface/);
    bench.transport.last.send(event("DELETED", node3, "101"));
    assert.deepEqual(bench.names, ["node1", "node2"]);
  });

  test("an address of which nothing was ever known ends no watch", () => {
    const bench = new Bench();
    bench.own.clear();
    bench.transport.last.list("100", seed);
    bench.transport.last.open();
    bench.source.underlayChanged();
    assert.equal(bench.transport.requests.length, 2);
  });

  test("without an answer: tried again at once, and no sooner after that", () => {
    const bench = Bench.synced();
    bench.transport.last.fail(unreachable());
    bench.transport.last.fail(unreachable());
    bench.clock.advance(1);
    const before = bench.transport.requests.length;
    bench.source.underlayChanged();
    assert.equal(bench.transport.requests.length, before + 1);
    bench.clock.advance(4_000);
    assert.equal(bench.transport.requests.length, before + 1, "the wait is over, not doubled");
    bench.transport.last.fail(unreachable());
    assert.ok(bench.untilRequest() > 0);
    assert.equal(bench.transport.requests.length, before + 2);
  });

  test("a server that asked for patience gets it", () => {
    const bench = Bench.synced();
    bench.transport.last.fail(new ApiError("throttled", "429"));
    const before = bench.transport.requests.length;
    bench.source.underlayChanged();
    assert.equal(bench.transport.requests.length, before);
  });

  test("an address that is known to be ours only after the answer", () => {
    const bench = new Bench();
    bench.own.clear();
    bench.transport.last.list("100", seed);
    const first = bench.transport.last;
    first.open();
    bench.own.add(OWN);
    bench.source.underlayChanged();
    assert.equal(first.aborted, false);
    bench.own.clear();
    bench.source.underlayChanged();
    assert.ok(first.aborted);
  });

  test("long after an outage a lost address does not mean to wait", () => {
    const bench = Bench.synced();
    bench.transport.last.fail(unreachable());
    bench.transport.last.fail(unreachable());
    bench.untilRequest();
    bench.transport.last.open();
    bench.clock.advance(10_000);
    const before = bench.transport.requests.length;
    bench.own.clear();
    bench.source.underlayChanged();
    assert.equal(bench.transport.requests.length, before + 1);
    assert.equal(bench.watching, true);
  });

  for (const what of ["list", "watch"]) {
    test(`a ${what} without an answer is begun anew, yet slow answers have their time`, () => {
      const bench = new Bench();
      if (what === "watch") bench.transport.last.list("100", seed);
      const { requests } = bench.transport;
      const before = requests.length;
      bench.source.underlayChanged();
      assert.equal(requests.length, before, "it has only just begun");
      for (let i = 0; i < 150; i++) {
        bench.clock.advance(100);
        bench.source.underlayChanged();
      }
      // After 1, 3, 7 and 15 s.
      assert.equal(requests.length, before + 4);
      assert.equal(bench.watching, what === "watch");
      bench.transport.last.open();
      bench.clock.advance(1_000);
      bench.source.underlayChanged();
      assert.equal(requests.length, before + 4, "it was answered");
    });
  }

  test("a list whose address is gone is begun anew at once", () => {
    const bench = new Bench();
    const first = bench.transport.last;
    first.open();
    bench.own.clear();
    bench.source.underlayChanged();
    assert.ok(first.aborted);
    bench.transport.last.list("100", seed);
    assert.deepEqual(bench.names, ["node1", "node2", "node3"]);
  });

  test("stopped: nothing begins any more", async () => {
    const bench = Bench.synced();
    bench.transport.last.fail(unreachable());
    bench.transport.last.fail(unreachable());
    const before = bench.transport.requests.length;
    await bench.source.stop();
    bench.source.underlayChanged();
    bench.clock.advance(60_000);
    bench.source.underlayChanged();
    assert.equal(bench.transport.requests.length, before);
  });
});
