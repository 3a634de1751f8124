import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffMs } from "../../src/runtime/backoff.ts";

test("the delay doubles up to its limit, and jitter only shortens it", () => {
  const options = { firstMs: 100, maxMs: 1000 };
  const delays = [0, 1, 2, 3, 4, 1e6].map((failures) => backoffMs(options, failures, () => 0));
  assert.deepEqual(delays, [100, 200, 400, 800, 1000, 1000]);
  assert.equal(
    backoffMs(options, 0, () => 1),
    75,
  );
  assert.equal(
    backoffMs({ ...options, jitter: 0.5 }, 1, () => 0.5),
    150,
  );
});
