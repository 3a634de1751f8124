/**
 * Time that stands still until a test moves it. Timers run in order of their due time, those of
 * the same instant in the order they were set; a timer set by a timer runs in the same `advance`
 * when it falls due within it. `now()` and `wall()` show the due time while a timer runs.
 */
import { setImmediate as nextLoop } from "node:timers/promises";
import type { Clock, Timer } from "../../src/runtime/clock.ts";

interface Pending {
  readonly due: number;
  readonly order: number;
  readonly callback: () => void;
}

/** A loop of timers that are always due again would never end: beyond this it is a bug. */
const TIMERS_PER_ADVANCE_MAX = 1_000_000;

export class FakeClock implements Clock {
  #now: number;
  readonly #wallOrigin: number;
  #order = 0;
  readonly #pending = new Set<Pending>();

  /** Starts at `now` ms; `wall` is the epoch time of that moment. */
  constructor(now = 0, wall = 1_700_000_000_000) {
    this.#now = now;
    this.#wallOrigin = wall - now;
  }

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#wallOrigin + this.#now;
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer: Pending = {
      due: this.#now + Math.max(0, delayMs),
      order: this.#order++,
      callback,
    };
    this.#pending.add(timer);
    return { cancel: () => void this.#pending.delete(timer) };
  }

  /** How many timers wait. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Milliseconds until the next timer, or undefined when none waits. */
  get nextDelayMs(): number | undefined {
    const next = this.#next();
    return next === undefined ? undefined : next.due - this.#now;
  }

  /** Moves time on by `ms` and runs what falls due, synchronously. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let ran = 0; ; ran++) {
      if (ran > TIMERS_PER_ADVANCE_MAX) throw new Error("fake clock: timers that never end");
      if (!this.#runNext(end)) break;
    }
    this.#now = end;
  }

  /** As {@link advance}, and lets promises settle before, between and after the timers. */
  async advanceAsync(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (let ran = 0; ; ran++) {
      if (ran > TIMERS_PER_ADVANCE_MAX) throw new Error("fake clock: timers that never end");
      if (!this.#runNext(end)) break;
      await settle();
    }
    this.#now = end;
  }

  #runNext(end: number): boolean {
    const next = this.#next();
    if (next === undefined || next.due > end) return false;
    this.#pending.delete(next);
    this.#now = Math.max(this.#now, next.due);
    next.callback();
    return true;
  }

  #next(): Pending | undefined {
    let best: Pending | undefined;
    for (const timer of this.#pending) {
      if (best === undefined || timer.due < best.due) best = timer;
      else if (timer.due === best.due && timer.order < best.order) best = timer;
    }
    return best;
  }
}

/** Lets every promise that can settle without I/O do so. Takes no time of any clock. */
export async function settle(turns = 3): Promise<void> {
  for (let i = 0; i < turns; i++) await nextLoop();
}
