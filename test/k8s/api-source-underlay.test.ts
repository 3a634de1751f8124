/** Interfaces or addresses change while a request begins, or while the next one is waited for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../../src/k8s/api-transport.ts";
import { Bench, seed, unreachable } from "./api-source-bench.ts";

test("what has failed already does not fail once more, though no answer ever came", () => {
  const bench = new Bench();
  bench.transport.last.list("100", seed);
  bench.clock.advance(2_000);
  bench.transport.last.fail(new ApiError("busy", "500: etcd is away"));
  const before = bench.transport.requests.length;
  bench.source.underlayChanged();
  assert.equal(bench.source.status().lastError?.reason, "500: etcd is away");
  assert.equal(bench.transport.requests.length, before);
  assert.equal(bench.untilRequest(), 200, "the delay of one failure");
  assert.equal(bench.transport.requests.length, before + 1);
});

test("a try that the delay has begun is not begun a second time", () => {
  const bench = Bench.synced();
  bench.transport.last.fail(unreachable());
  bench.transport.last.fail(unreachable());
  bench.untilRequest();
  const { requests } = bench.transport;
  const before = requests.length;
  bench.source.underlayChanged();
  assert.equal(requests.length, before);
  assert.equal(requests.at(-1)!.aborted, false);
});

test("a request that has no address yet has not lost it", () => {
  const bench = new Bench();
  const first = bench.transport.last;
  first.localAddress = undefined;
  bench.source.underlayChanged();
  assert.equal(first.aborted, false);
  bench.clock.advance(1_000);
  bench.source.underlayChanged();
  assert.ok(first.aborted);
  const reason = "no answer yet, and interfaces or addresses are others now";
  assert.equal(bench.source.status().lastError?.reason, reason);
});
