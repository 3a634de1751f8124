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
  cancelled: boolean;
}

/** A loop of timers that are always due again would never end: beyond this it is a bug. */
const TIMERS_PER_ADVANCE_MAX = 20_000_000;

export class FakeClock implements Clock {
  #now: number;
  readonly #wallOrigin: number;
  #order = 0;
  /** A binary heap by due time, then order; cancelled timers leave when they come to the top. */
  readonly #heap: Pending[] = [];
  #waiting = 0;

  /**
   * Starts at `now` ms; `wall` is the epoch time of that moment. Not at zero unless told: no
   * machine's clock does, and a moment that is taken for a duration would go unnoticed.
   */
  constructor(now = 40_000_000, wall = 1_700_000_000_000) {
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
      cancelled: false,
    };
    this.#push(timer);
    this.#waiting++;
    return {
      cancel: () => {
        if (!timer.cancelled) this.#waiting--;
        timer.cancelled = true;
      },
    };
  }

  /** How many timers wait. */
  get pendingCount(): number {
    return this.#waiting;
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
    this.#pop();
    // It ran: cancelling it from now on changes nothing.
    next.cancelled = true;
    this.#waiting--;
    this.#now = Math.max(this.#now, next.due);
    next.callback();
    return true;
  }

  #next(): Pending | undefined {
    while (this.#heap[0]?.cancelled === true) this.#pop();
    return this.#heap[0];
  }

  #push(timer: Pending): void {
    const heap = this.#heap;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(timer, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function before(a: Pending, b: Pending): boolean {
  return a.due < b.due || (a.due === b.due && a.order < b.order);
}

/** Lets every promise that can settle without I/O do so. Takes no time of any clock. */
export async function settle(turns = 3): Promise<void> {
  for (let i = 0; i < turns; i++) await nextLoop();
}
