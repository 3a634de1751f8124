/** When what failed is tried again, against a Map. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { prefix } from "../../src/ip/prefix.ts";
import { RETRY } from "../../src/routes/limits.ts";
import { PrefixIndex } from "../../src/routes/prefix-index.ts";
import { RetryTable } from "../../src/routes/retry-table.ts";
import { backoffMs } from "../../src/runtime/backoff.ts";

const PREFIXES = ["10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24", "fd00:1::/64"].map(prefix);
/** What is due so soon goes with what is due now. */
const TOGETHER_MS = 50;

const step = fc.record({
  kind: fc.constantFrom("failed", "failed", "failed", "settled", "take", "wait"),
  of: fc.nat(PREFIXES.length - 1),
  stale: fc.boolean(),
  ms: fc.constantFrom(1, 49, 50, 51, 100, 5000),
});

test("what failed is due once after each failure, ever later, until it is settled", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const index = new PrefixIndex(7, () => false);
      const table = new RetryTable(index, () => 0);
      const known = new Map<number, { failures: number; due: number; stale: boolean }>();
      let now = 0;
      const waiting = () => [...known.values()].map(({ due }) => due).filter(Number.isFinite);
      for (const { kind, of, stale, ms } of steps) {
        const id = index.insertText(PREFIXES[of]!);
        if (kind === "wait") now += ms;
        else if (kind === "failed") {
          const failures = known.get(id)?.failures ?? 0;
          table.failed(id, now, stale);
          const due = now + backoffMs(RETRY, failures, () => 0);
          known.set(id, { failures: failures + 1, due, stale });
        } else if (kind === "settled") {
          table.settled(id);
          known.delete(id);
        } else {
          const due = [...known].filter(([, entry]) => entry.due <= now + TOGETHER_MS);
          const taken = table.takeDue(now);
          assert.deepEqual([...taken.prefixes].sort(), due.map(([one]) => one).sort());
          assert.equal(
            taken.stale,
            due.some(([, entry]) => entry.stale),
          );
          for (const [, entry] of due) entry.due = Number.POSITIVE_INFINITY;
          const next = Math.min(...waiting());
          assert.equal(table.nextDue, Number.isFinite(next) ? next : undefined);
        }
        assert.equal(table.size, known.size);
        if (known.size === 0) assert.equal(table.nextDue, undefined);
        // It may be early, for one that was settled since; never late.
        for (const due of waiting()) assert.ok((table.nextDue ?? Number.NaN) <= due);
      }
      for (const to of PREFIXES) {
        const id = index.insertText(to);
        index.sweep(id);
        assert.equal(index.isUsed(id), known.has(id), "its number is kept while it waits");
      }
      for (const id of known.keys()) table.settled(id);
      assert.equal(index.size, 0);
    }),
    { numRuns: 600 },
  );
});

test("one that needs a new list is enough, wherever it stands among those due", () => {
  for (const stale of [
    [true, false, false],
    [false, true, false],
    [false, false, true],
  ]) {
    const index = new PrefixIndex(7, () => false);
    const table = new RetryTable(index, () => 0);
    for (const [at, each] of stale.entries()) {
      table.failed(index.insertText(PREFIXES[at]!), 0, each);
    }
    assert.equal(table.takeDue(RETRY.firstMs).stale, true);
  }
});
