/**
 * Promises in wall time, held on machines that others use too. What is promised of a quiet machine
 * is asked of a busy one in its own measure, taken in the same test: for what happens in other
 * processes, what a run of a small program takes there just then; for what happens in this one,
 * the time for which the machine did not let it run. On a quiet machine neither gives a grace.
 */
import { RULES_REST_FACTOR } from "../../src/cni/limits.ts";

/**
 * What takes a few exchanges between processes and the kernel, and no program's start, may take as
 * long as so many runs of a small program. A quiet machine needs a quarter of a second for these.
 */
const EXCHANGES_RUNS = 100;

/**
 * Four runs of iptables listed both families, and are rested for; ten list, put right and list
 * again. Each may be one of the longest.
 */
const REPAIR_RUNS = 4 * RULES_REST_FACTOR + 10;

/** Runs of so long ago say nothing of now. */
const RUNS_KEPT = 40;

/** What a run of a program takes on this machine just now, by the last ones made in a test. */
export class Yardstick {
  readonly #lastMs: number[] = [];

  /** Makes a run and measures it, one that fails too. */
  async time<T>(run: () => Promise<T>): Promise<T> {
    const begun = performance.now();
    try {
      return await run();
    } finally {
      this.#add(performance.now() - begun);
    }
  }

  /** As {@link time}, of a run that holds the event loop. */
  timeSync<T>(run: () => T): T {
    const begun = performance.now();
    try {
      return run();
    } finally {
      this.#add(performance.now() - begun);
    }
  }

  get meanMs(): number {
    return this.#lastMs.reduce((sum, ms) => sum + ms, 0) / Math.max(1, this.#lastMs.length);
  }

  get longestMs(): number {
    return Math.max(0, ...this.#lastMs);
  }

  /** What takes `promisedMs` at most, or as long as a few exchanges: {@link EXCHANGES_RUNS}. */
  exchangesMs(promisedMs: number): number {
    return Math.max(promisedMs, EXCHANGES_RUNS * this.meanMs);
  }

  /** A flush of the packet rules is repaired in a second, or what {@link REPAIR_RUNS} take. */
  repairMs(): number {
    return Math.max(1000, REPAIR_RUNS * this.longestMs);
  }

  /** For messages: `812 ms, a run 3.2 ms, the longest 4.7 ms`. */
  told(tookMs: number): string {
    const [took, mean, longest] = [tookMs, this.meanMs, this.longestMs].map((ms) => ms.toFixed(1));
    return `${took} ms, a run ${mean} ms, the longest ${longest} ms`;
  }

  #add(ms: number): void {
    this.#lastMs.push(ms);
    if (this.#lastMs.length > RUNS_KEPT) this.#lastMs.shift();
  }
}

/** For how long this thread computes in `work`, ms: the same on a machine that others use too. */
export function threadCpuMs(work: () => unknown): number {
  const before = process.threadCpuUsage();
  work();
  const after = process.threadCpuUsage();
  return (after.user + after.system - before.user - before.system) / 1000;
}

/** A timer may be so late without anybody keeping this thread from running. */
const TIMER_LATE_MS = 2;

export interface Turn {
  /** End of the turn, on the clock of `performance.now()`. */
  readonly at: number;
  /** What this thread computed in it, ms. */
  readonly cpuMs: number;
  /** For how long in it the thread would have run, and others did, ms. */
  readonly lostMs: number;
}

/** Where the time of this thread goes, from one turn of its event loop to the next. */
export class ThreadTime {
  #at = performance.now();
  #cpu = process.threadCpuUsage();

  /** The turn since the last call, of which the thread slept `sleptMs` of its own will. */
  turn(sleptMs = 0): Turn {
    const at = performance.now();
    const cpu = process.threadCpuUsage();
    const cpuMs = (cpu.user + cpu.system - this.#cpu.user - this.#cpu.system) / 1000;
    const otherMs = at - this.#at - cpuMs;
    this.#at = at;
    this.#cpu = cpu;
    // Without sleep not cut at zero: where the kernel counts late, the next turns make up for it.
    const lostMs = sleptMs === 0 ? otherMs : Math.max(0, otherMs - sleptMs - TIMER_LATE_MS);
    return { at, cpuMs, lostMs };
  }
}
