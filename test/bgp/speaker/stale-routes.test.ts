/** How long routes of a peer that is away stay: RFC 4724 §4.2, RFC 9494 §4.2. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { STALE_ROUTES_MS } from "../../../src/bgp/speaker/limits.ts";
import { StaleRoutes } from "../../../src/bgp/speaker/stale-routes.ts";
import { FakeClock } from "../../support/fake-clock.ts";

/** What a peer announces that is back and has kept its forwarding. */
const BACK = { restart: [4], longLived: [4] } as const;

class Kept {
  readonly clock = new FakeClock();
  readonly log: string[] = [];
  readonly stale: StaleRoutes;

  constructor() {
    const start = this.clock.now();
    const say = (what: string) => {
      this.log.push(`${(this.clock.now() - start) / 1000} ${what}`);
    };
    this.stale = new StaleRoutes(this.clock, {
      markLongLived: (family) => say(`mark ${family}`),
      sweep: (family) => say(`sweep ${family}`),
      emptied: () => say("emptied"),
    });
  }

  left(restartSeconds: number, longLivedSeconds: number): this {
    const kept = this.stale.keepable([{ family: 4, restartSeconds, longLivedSeconds }]);
    if (kept.length === 0) this.log.push("nothing kept");
    this.stale.peerLeft(kept, false);
    return this;
  }

  seconds(count: number): this {
    this.clock.advance(count * 1000);
    return this;
  }
}

test("the restart time, then the long-lived time, then the routes go", () => {
  const both = new Kept();
  both.left(30, 600);
  both.seconds(1_000);
  assert.deepEqual(both.log, ["30 mark 4", "630 sweep 4", "630 emptied"]);
  const plain = new Kept();
  plain.left(30, 0);
  plain.seconds(1_000);
  assert.deepEqual(plain.log, ["30 sweep 4", "30 emptied"]);
  const longLivedOnly = new Kept();
  longLivedOnly.left(0, 600);
  assert.deepEqual(longLivedOnly.log, ["0 mark 4"], "at once");
  longLivedOnly.seconds(1_000);
  assert.deepEqual(longLivedOnly.log, ["0 mark 4", "600 sweep 4", "600 emptied"]);
  const short = new Kept();
  short.left(1, 0).seconds(0.9);
  assert.deepEqual(short.log, []);
  short.seconds(1);
  assert.deepEqual(short.log, ["1 sweep 4", "1 emptied"]);
});

test("a peer that is back has a bounded time to send its table, ended by its End-of-RIB", () => {
  const slow = new Kept();
  slow.left(30, 0);
  slow.seconds(10).stale.peerReturned(BACK);
  slow.seconds(1_000);
  assert.deepEqual(slow.log, [`${10 + STALE_ROUTES_MS / 1000} sweep 4`]);
  const told = new Kept();
  told.left(30, 0);
  told.seconds(10).stale.peerReturned(BACK);
  told.seconds(5).stale.done(4);
  told.seconds(1_000);
  assert.deepEqual(told.log, []);
});

test("a family that is not forwarded any more goes at once, and with it its times", () => {
  const kept = new Kept();
  kept.left(30, 600);
  kept.seconds(40).stale.peerReturned({ restart: [], longLived: [] });
  kept.left(30, 600);
  kept.seconds(1_000);
  assert.deepEqual(kept.log, [
    "30 mark 4",
    "40 sweep 4",
    "70 mark 4",
    "670 sweep 4",
    "670 emptied",
  ]);
});

test("times end with what they were for: each later loss has its own", () => {
  const longLived = () => {
    const kept = new Kept();
    kept.left(10, 100);
    kept.seconds(50).stale.peerReturned(BACK);
    return kept;
  };
  const again = (kept: Kept, log: readonly string[]) => {
    assert.deepEqual(kept.log.splice(0), log);
    kept.left(10, 100);
    kept.seconds(1_000);
    const waits = kept.log.map((line) => line.split(" ")).map(([at, what]) => [Number(at), what]);
    const [[marked] = [], [swept] = []] = waits;
    assert.deepEqual([Number(swept) - Number(marked), kept.log.length], [100, 3]);
  };
  // Lost for good, with nothing kept.
  const final = longLived();
  final.stale.peerLeft([], false);
  again(final, ["10 mark 4"]);
  // The family is not forwarded, and nothing waits for its table.
  const cold = longLived();
  cold.stale.peerReturned({ restart: [], longLived: [] });
  assert.deepEqual(cold.stale.families, []);
  cold.seconds(1_000);
  again(cold, ["10 mark 4", "50 sweep 4"]);
  const forgotten = longLived();
  forgotten.stale.cancel();
  assert.deepEqual(forgotten.stale.families, []);
  forgotten.seconds(1_000);
  again(forgotten, ["10 mark 4"]);
});

test("the peer's return does not stop the long-lived time (RFC 9494 §4.2)", () => {
  const kept = new Kept();
  kept.left(30, 100);
  kept.seconds(120).stale.peerReturned(BACK);
  kept.seconds(1_000);
  assert.deepEqual(kept.log, ["30 mark 4", "130 sweep 4"]);
});

test("lost again between the end of that time and its End-of-RIB nothing is kept (RFC 9494 §4.2)", () => {
  const late = () => {
    const kept = new Kept();
    kept.left(10, 100).seconds(50).stale.peerReturned(BACK);
    return kept.seconds(100);
  };
  const lost = late();
  lost.left(10, 100).seconds(1_000);
  assert.deepEqual(lost.log, ["10 mark 4", "110 sweep 4", "nothing kept"]);
  // What it tells after that is kept again.
  lost.stale.peerReturned(BACK);
  lost.left(10, 100).seconds(1_000);
  assert.deepEqual(lost.log.slice(3), ["1160 mark 4", "1260 sweep 4", "1260 emptied"]);
  const told = late();
  told.stale.done(4);
  told.left(10, 100).seconds(1_000);
  assert.deepEqual(told.log.slice(2), ["160 mark 4", "260 sweep 4", "260 emptied"]);
});

test("nor does a further loss renew it, before the peer has told its table (RFC 9494 §4.2)", () => {
  const kept = new Kept();
  kept.left(10, 100);
  kept.seconds(50).stale.peerReturned(BACK);
  kept.seconds(5).left(10, 100);
  kept.seconds(1_000);
  assert.deepEqual(kept.log, ["10 mark 4", "65 mark 4", "110 sweep 4", "110 emptied"]);
  const synchronized = new Kept();
  synchronized.left(10, 100);
  synchronized.seconds(50).stale.peerReturned(BACK);
  synchronized.seconds(5).stale.done(4);
  synchronized.left(10, 100);
  synchronized.seconds(1_000);
  assert.deepEqual(synchronized.log.slice(1), ["65 mark 4", "165 sweep 4", "165 emptied"]);
});

test("a loss after the peer has told its table has its own time, however many were before", () => {
  const kept = new Kept();
  kept.left(10, 100).seconds(50).stale.peerReturned(BACK);
  // Lost for longer than its restart time, with the long-lived time still running.
  kept.left(10, 100).seconds(15).stale.peerReturned(BACK);
  kept.stale.done(4);
  kept.seconds(5).left(60, 100).seconds(1_000);
  assert.deepEqual(kept.log, [
    "10 mark 4",
    "60 mark 4",
    "130 mark 4",
    "230 sweep 4",
    "230 emptied",
  ]);
});

test("nor do long-lived stale routes stay for the restart time of a further loss", () => {
  const kept = new Kept();
  kept.left(10, 100);
  kept.seconds(100).stale.peerReturned(BACK);
  kept.seconds(5).left(30, 100);
  kept.seconds(1_000);
  // Nor does what the peer had told again in between: it has not told its table.
  assert.deepEqual(kept.log, ["10 mark 4", "110 sweep 4", "110 emptied"]);
});

test("in the long-lived time its own F bit counts, before it that of graceful restart", () => {
  for (const [after, forwarded, swept] of [
    [5, { restart: [4], longLived: [] }, false],
    [5, { restart: [], longLived: [4] }, true],
    [15, { restart: [4], longLived: [] }, true],
    [15, { restart: [], longLived: [4] }, false],
  ] as const) {
    const kept = new Kept();
    kept.left(10, 100);
    kept.seconds(after).stale.peerReturned(forwarded);
    assert.equal(kept.log.includes(`${after} sweep 4`), swept, `${after} s`);
    assert.deepEqual(kept.stale.families, swept ? [] : [4]);
  }
});

/** Routes of one family that came together: when they were lost first, and what became of them. */
interface Batch {
  lostAt: number | undefined;
  markedAt: number | undefined;
  goneAt: number | undefined;
}

const RESTART_MS = 30_000;
const LONG_MS = 50_000;

const move = fc.oneof(
  { weight: 3, arbitrary: fc.record({ what: fc.constant("wait" as const), s: fc.nat(25) }) },
  fc.record({ what: fc.constantFrom("lost", "back", "told" as const), s: fc.constant(0) }),
);

test("any history: no route is kept beyond its times, nor goes before they end", () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 40 }), (moves) => {
      const clock = new FakeClock();
      const batches: Batch[] = [{ lostAt: undefined, markedAt: undefined, goneAt: undefined }];
      const stale = () => batches.filter((b) => b.lostAt !== undefined && b.goneAt === undefined);
      const end = (gone: readonly Batch[]) => {
        for (const batch of gone) batch.goneAt = clock.now();
      };
      let emptied = 0;
      let [up, keeps] = [true, false];
      /** When the long-lived time ends that runs, or ran out with the peer's table untold. */
      let longLivedEnd: number | undefined;
      const ends = new Set<number>();
      const routes = new StaleRoutes(clock, {
        markLongLived: () => {
          for (const batch of stale()) batch.markedAt ??= clock.now();
          longLivedEnd ??= clock.now() + LONG_MS;
          ends.add(longLivedEnd);
        },
        sweep: () => {
          end(stale());
          if (!up) longLivedEnd = undefined;
        },
        emptied: () => emptied++,
      });
      const replaced = new Set<Batch>();
      for (const { what, s } of [...moves, { what: "wait", s: 1_000 } as const]) {
        if (what === "wait") clock.advance(s * 1000);
        else if (what === "lost" && up) {
          up = false;
          // RFC 4724 §4.2: what was stale before goes, by the RIB, but for what is long-lived stale.
          const old = stale().filter(({ markedAt }) => markedAt === undefined);
          end(old);
          for (const batch of old) replaced.add(batch);
          for (const batch of batches) batch.lostAt ??= clock.now();
          const kept = routes.keepable([{ family: 4, restartSeconds: 30, longLivedSeconds: 50 }]);
          const isOver = longLivedEnd !== undefined && clock.now() >= longLivedEnd;
          assert.equal(kept.length, isOver ? 0 : 1);
          keeps = !isOver;
          if (isOver) {
            for (const batch of stale()) replaced.add(batch);
            end(stale());
            longLivedEnd = undefined;
          }
          routes.peerLeft(kept, false);
        } else if (what === "back" && !up) {
          up = true;
          routes.peerReturned(BACK);
          batches.push({ lostAt: undefined, markedAt: undefined, goneAt: undefined });
        } else if (what === "told" && up) {
          for (const batch of stale()) replaced.add(batch);
          end(stale());
          longLivedEnd = undefined;
          routes.done(4);
        }
        for (const { lostAt, markedAt } of stale()) {
          const since = clock.now() - lostAt!;
          const most = up ? RESTART_MS + LONG_MS + STALE_ROUTES_MS : RESTART_MS + LONG_MS;
          assert.ok(since <= most || markedAt === undefined, `kept for ${since} ms`);
          assert.ok(markedAt === undefined || clock.now() - markedAt <= LONG_MS);
          assert.ok(longLivedEnd === undefined || clock.now() < longLivedEnd, "beyond its end");
        }
      }
      for (const batch of batches) {
        if (batch.goneAt === undefined || replaced.has(batch)) continue;
        const early = batch.goneAt - batch.lostAt! < RESTART_MS;
        assert.ok(!early || ends.has(batch.goneAt), "gone within the restart time");
      }
      assert.equal(stale().length, 0);
      if (!up && keeps) assert.ok(emptied > 0);
      assert.deepEqual(routes.families, []);
    }),
    { numRuns: 2000 },
  );
});
