/**
 * Timers that may come a little late, and so together: they run on a grid, and one timer of the
 * clock serves all that fall on the same step of it. A thousand peers with a timer of half a
 * minute each then wake the process twice a second, not forty times.
 */
import type { Clock, Timer } from "./clock.ts";

export class CoarseTimers {
  readonly #clock: Clock;
  readonly #stepMs: number;
  readonly #steps = new Map<number, Step>();

  /** `stepMs`: how late a timer may come. */
  constructor(clock: Clock, stepMs: number) {
    this.#clock = clock;
    this.#stepMs = stepMs;
  }

  /** The step of the grid for a moment of the monotonic clock, not before it. */
  stepOf(at: number): number {
    return Math.ceil(at / this.#stepMs) * this.#stepMs;
  }

  /** Runs `callback` once, at `stepOf(at)` or as soon after it as the event loop allows. */
  at(at: number, callback: () => void): Timer {
    const moment = this.stepOf(at);
    let step = this.#steps.get(moment);
    if (step === undefined) {
      step = new Step(this.#clock, moment, () => this.#steps.delete(moment));
      this.#steps.set(moment, step);
    }
    return new CoarseTimer(step, callback);
  }
}

/** One step of the grid, from its first timer on until it ran or nobody waits for it any more. */
class Step {
  readonly waiting = new Set<CoarseTimer>();
  readonly #timer: Timer;
  readonly #over: () => void;
  #ran = false;

  constructor(clock: Clock, moment: number, over: () => void) {
    this.#over = over;
    this.#timer = clock.after(moment - clock.now(), () => this.#run());
  }

  leave(timer: CoarseTimer): void {
    this.waiting.delete(timer);
    if (this.#ran || this.waiting.size > 0) return;
    this.#ran = true;
    this.#timer.cancel();
    this.#over();
  }

  #run(): void {
    this.#ran = true;
    this.#over();
    // One that is cancelled by another before its turn does not run.
    for (const timer of this.waiting) {
      this.waiting.delete(timer);
      timer.callback();
    }
  }
}

class CoarseTimer implements Timer {
  readonly callback: () => void;
  readonly #step: Step;

  constructor(step: Step, callback: () => void) {
    this.#step = step;
    this.callback = callback;
    step.waiting.add(this);
  }

  cancel(): void {
    this.#step.leave(this);
  }
}
