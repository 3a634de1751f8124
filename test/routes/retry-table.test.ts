/** When what failed is tried again, against a Map. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Prefix, prefix } from "../../src/ip/prefix.ts";
import { RETRIES_TAKEN_MAX, RETRY, RETRY_GRID_MS } from "../../src/routes/limits.ts";
import { PrefixIndex } from "../../src/routes/prefix-index.ts";
import { RetryTable } from "../../src/routes/retry-table.ts";
import { backoffMs } from "../../src/runtime/backoff.ts";
import { threadCpuMs } from "../support/yardstick.ts";

const PREFIXES = ["10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24", "fd00:1::/64"].map(prefix);
const JITTER = 0.7;
/** Those that need a new list come in groups, and the groups no closer together than this. */
const STALE_GRID_MAX_MS = RETRY.maxMs / 4;

const step = fc.record({
  kind: fc.constantFrom("failed", "failed", "failed", "settled", "take", "wait", "listed"),
  of: fc.nat(PREFIXES.length - 1),
  stale: fc.boolean(),
  ms: fc.constantFrom(1, 49, 50, 51, 100, 5000, 40_000),
});

interface Known {
  failures: number;
  /** Infinity: taken. */
  due: number;
  /** And not listed since. */
  stale: boolean;
  refused: boolean;
}

/** The same, slowly. */
class Model {
  readonly known = new Map<number, Known>();
  #hurried = 0;
  #rounds = 0;
  #roundAt = Number.NEGATIVE_INFINITY;

  failed(id: number, now: number, stale: boolean): void {
    const failures = this.known.get(id)?.failures ?? 0;
    const delay = backoffMs(RETRY, failures, () => (stale ? 0 : JITTER));
    const due = floor(now + delay, stale ? Math.max(RETRY_GRID_MS, delay / 4) : RETRY_GRID_MS);
    const gap = Math.min(RETRY.firstMs * 2 ** this.#rounds, RETRY.maxMs) / 4;
    const round = -floor(-this.#roundAt - Math.max(RETRY_GRID_MS, gap), RETRY_GRID_MS);
    const at = stale ? Math.max(due, round) : due;
    this.known.set(id, { failures: failures + 1, due: at, stale, refused: !stale });
    this.#bound();
  }

  settled(id: number): void {
    const entry = this.known.get(id);
    this.known.delete(id);
    if (entry?.refused === true && entry.due === Number.POSITIVE_INFINITY) this.#hurried += 2;
    this.#bound();
  }

  /** Are taken; of those due at one time the table chooses. */
  take(taken: readonly number[], now: number): { readonly stale: boolean } {
    const waiting = [...this.known].filter(([, { due }]) => Number.isFinite(due));
    const early = taken.filter((id) => this.known.get(id)!.due > now);
    const isDue = waiting.filter(([, { due }]) => due <= now);
    assert.equal(early.length, Math.min(this.#hurried, waiting.length - isDue.length));
    const last = Math.max(now, ...early.map((id) => this.known.get(id)!.due));
    const left = waiting.filter(([id]) => !taken.includes(id));
    assert.ok(left.every(([, { due }]) => due > now && due >= last));
    const stale = taken.some((id) => this.known.get(id)!.stale);
    if (stale) {
      this.#rounds = now - this.#roundAt > RETRY.maxMs ? 1 : this.#rounds + 1;
      this.#roundAt = now;
    }
    for (const id of taken) this.known.get(id)!.due = Number.POSITIVE_INFINITY;
    this.#hurried -= early.length;
    this.#bound();
    return { stale };
  }

  listed(): void {
    for (const entry of this.known.values()) entry.stale = false;
  }

  /** Who is not there cannot come forward. */
  #bound(): void {
    const waiting = [...this.known.values()].filter(({ due }) => Number.isFinite(due));
    this.#hurried = Math.min(this.#hurried, waiting.length);
  }

  get nextDue(): number | undefined {
    if (this.#hurried > 0) return 0;
    const next = Math.min(...[...this.known.values()].map(({ due }) => due));
    return Number.isFinite(next) ? next : undefined;
  }
}

const floor = (ms: number, grid: number) => Math.floor(ms / grid) * grid;

test("what failed is due once after each failure, ever later, until it is settled", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const index = new PrefixIndex(7, () => false);
      const table = new RetryTable(index, () => JITTER);
      const model = new Model();
      const { known } = model;
      let now = 0;
      for (const { kind, of, stale, ms } of steps) {
        const id = index.insertText(PREFIXES[of]!);
        if (kind === "wait") now += ms;
        else if (kind === "failed") {
          table.failed(id, now, stale);
          model.failed(id, now, stale);
          const { due } = known.get(id)!;
          assert.ok(due > now && due <= now + RETRY.maxMs, `${due - now} ms`);
        } else if (kind === "settled") {
          table.settled(id);
          model.settled(id);
        } else if (kind === "listed") {
          table.listed();
          model.listed();
        } else {
          const { prefixes, stale: isStale } = table.takeDue(now);
          assert.equal(new Set(prefixes).size, prefixes.length);
          assert.deepEqual(model.take(prefixes, now), { stale: isStale });
        }
        assert.equal(table.size, known.size);
        assert.equal(table.nextDue, model.nextDue);
        for (const to of PREFIXES) {
          const one = index.findText(to);
          assert.equal(table.has(one), known.has(one));
        }
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

/** A table in which so many have failed at once, and their ids. */
function failing(count: number, stale: boolean) {
  const index = new PrefixIndex(7, () => false);
  const table = new RetryTable(index, () => 0);
  const ids = Array.from({ length: count }, (_, i) => index.insertText(numbered(i)));
  for (const id of ids) table.failed(id, 0, stale);
  return { index, table, ids };
}

const numbered = (i: number): Prefix => prefix(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}/32`);

test("many are taken bit by bit, each once, and one list does for all", () => {
  const { table, ids } = failing(2 * RETRIES_TAKEN_MAX + 1, true);
  const taken: number[] = [];
  const sizes: number[] = [];
  for (let turn = 0; turn < 4; turn++) {
    const { prefixes, stale } = table.takeDue(RETRY.firstMs);
    assert.equal(stale, turn === 0);
    table.listed();
    sizes.push(prefixes.length);
    taken.push(...prefixes);
  }
  assert.deepEqual(sizes, [RETRIES_TAKEN_MAX, RETRIES_TAKEN_MAX, 1, 0]);
  assert.deepEqual(new Set(taken), new Set(ids));
  assert.equal(table.nextDue, undefined);
  assert.equal(table.size, ids.length);
});

test("those that failed one after another and need a list are due at the same times", () => {
  const { table, ids } = failing(1000, true);
  let now = 0;
  const listings: number[] = [];
  while (now < 600_000) {
    now = table.nextDue!;
    const { prefixes, stale } = table.takeDue(now);
    if (stale) {
      listings.push(now);
      table.listed();
    }
    // The kernel takes a while for each.
    for (const id of prefixes) {
      now += 3;
      table.failed(id, now, true);
    }
  }
  const late = listings.filter((at) => at > 60_000);
  const gaps = late.slice(1).map((at, i) => at - late[i]!);
  assert.ok(Math.min(...gaps) >= STALE_GRID_MAX_MS, `${Math.min(...gaps)} ms`);
  assert.equal(table.size, ids.length);
});

test("what is taken costs what is due, however many wait", () => {
  const waiting = 200_000;
  const { index, table, ids } = failing(waiting, false);
  // All but one wait long.
  for (let i = 0; i < 9; i++) for (const id of ids) table.failed(id, 0, false);
  const lone = ids[1000]!;
  index.hold(lone);
  table.settled(lone);
  let taken = 0;
  const spent = threadCpuMs(() => {
    for (let round = 0; round < 1000; round++) {
      table.failed(lone, 0, false);
      taken += table.takeDue(RETRY.firstMs).prefixes.length;
      table.settled(lone);
    }
  });
  // And the two others that each brings forward.
  assert.equal(taken, 1000 + 2 * 999);
  // To walk over all takes a millisecond each time.
  assert.ok(spent < 200, `${spent} ms`);
});
