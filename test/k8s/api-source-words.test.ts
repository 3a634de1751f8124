/** What the log says when the API server does not give the Nodes: what really happened. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError, type ApiErrorKind, statusError } from "../../src/k8s/api-transport.ts";
import { Bench, seed, unreachable } from "./api-source-bench.ts";
import { errorEvent } from "./fake-transport.ts";
import { nodeMap, SEED, snapshot } from "./node-objects.ts";

const NO_CONTACT = "no contact with the API server; the Nodes known so far are kept";
const REFUSED = "the API server does not give the Nodes; those known so far are kept";
const NOT_ASKED = "the API server cannot be asked for the Nodes; those known so far are kept";
const BEHIND = "the API server has not heard of our version: listing all Nodes that it has now";
const IN_STEP = "Nodes are in step with the API";
const tooLarge = () =>
  statusError({ code: 504, message: "Timeout: Too large resource version: 100, current: 7" });

test("a server that is behind the Nodes of the last run was in contact, and gives what it has", () => {
  const bench = new Bench(nodeMap(snapshot("node1", SEED.node1)), "100");
  bench.transport.last.fail(tooLarge());
  assert.deepEqual(bench.told, [BEHIND]);
  assert.match(bench.source.status().lastError!.reason, /^504: Timeout: Too large/);
  bench.transport.last.list("101", seed);
  assert.deepEqual(bench.told, [BEHIND, IN_STEP]);
  assert.deepEqual(bench.warnings, []);
});

test("so was one that says it in the middle of a watch, as after a restored backup", () => {
  const bench = Bench.synced();
  bench.transport.last.send(errorEvent(504, "Too large resource version: 100, current: 7"));
  bench.untilRequest();
  bench.transport.last.list("7", seed);
  bench.transport.last.open();
  assert.deepEqual(bench.told, [BEHIND]);
  assert.deepEqual(bench.warnings, []);
});

for (const [kind, words] of [
  ["unauthorized", REFUSED],
  ["forbidden", REFUSED],
  ["throttled", REFUSED],
  ["busy", REFUSED],
  ["refused", REFUSED],
  ["answer", REFUSED],
  ["credentials", NOT_ASKED],
  ["unreachable", NO_CONTACT],
] as const satisfies readonly (readonly [ApiErrorKind, string])[]) {
  test(`a list that fails as ${kind} is told as what it is, once`, () => {
    const bench = new Bench();
    for (let i = 0; i < 5; i++) {
      bench.transport.last.fail(new ApiError(kind, "the reason"));
      bench.untilRequest();
    }
    assert.deepEqual(bench.told, [words]);
    assert.deepEqual(bench.warnings, [{ server: "http://fake", reason: "the reason", kind }]);
    bench.transport.last.list("100", seed);
    const again =
      kind === "unreachable"
        ? "in contact with the API server again"
        : "the API server gives the Nodes again";
    assert.deepEqual(bench.told, [words, again, IN_STEP]);
  });
}

test("an outage that becomes a refusal is told as both, however it goes to and fro", () => {
  const bench = Bench.synced();
  for (let i = 0; i < 4; i++) {
    bench.transport.last.fail(unreachable());
    if (i === 0) bench.transport.last.fail(unreachable());
    bench.untilRequest();
    bench.transport.last.fail(new ApiError("forbidden", "403"));
    bench.untilRequest();
  }
  assert.deepEqual(bench.told, [NO_CONTACT, REFUSED]);
});

test("each outage is told, and its end once", () => {
  const bench = Bench.synced();
  const outage = () => {
    bench.clock.advance(10_000);
    bench.transport.last.fail(unreachable());
    bench.transport.last.fail(unreachable());
    bench.untilRequest();
    bench.transport.last.open();
  };
  outage();
  const again = "in contact with the API server again";
  assert.deepEqual(bench.told, [NO_CONTACT, again]);
  bench.transport.last.end();
  bench.untilRequest();
  bench.transport.last.open();
  assert.deepEqual(bench.told, [NO_CONTACT, again]);
  outage();
  assert.deepEqual(bench.told, [NO_CONTACT, again, NO_CONTACT, again]);
});

test("a version that the server has forgotten is told, and no fault", () => {
  const bench = Bench.synced();
  bench.transport.last.send(errorEvent(410, "too old"));
  const words = "the API server has forgotten our version: listing all Nodes again";
  assert.deepEqual(bench.told, [words]);
  assert.equal(bench.source.status().lastError, undefined);
});

test("what was waited for is told: an answer, more of a list, an event or a bookmark", () => {
  const bench = new Bench();
  const reason = () => bench.source.status().lastError?.reason;
  bench.clock.advance(30_000);
  assert.equal(reason(), "no answer for 30 s");
  bench.untilRequest();
  bench.transport.last.open();
  bench.transport.last.raw('{"kind":"NodeList",');
  bench.clock.advance(30_000);
  assert.equal(reason(), "the list broke off: nothing more of it for 30 s");
  bench.untilRequest();
  bench.transport.last.list("100", seed);
  bench.clock.advance(15_000);
  assert.equal(reason(), "no answer to the watch for 15 s");
  bench.untilRequest();
  bench.transport.last.open();
  bench.clock.advance(90_000);
  assert.equal(reason(), "the watch was silent for 90 s: no event and no bookmark");
});
