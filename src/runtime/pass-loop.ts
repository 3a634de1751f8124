/**
 * Repeats a piece of work: at once when something asks for it, and again after as long as the
 * work itself says. Never two at a time; what is asked for meanwhile is done afterwards, once.
 */
import type { Clock, Timer } from "./clock.ts";

export class PassLoop {
  readonly #clock: Clock;
  readonly #pass: () => Promise<number>;
  #state: "new" | "running" | "stopped" = "new";
  #timer: Timer | undefined;
  #due = Number.POSITIVE_INFINITY;
  #busy: Promise<void> | undefined;

  /** `pass` gives the ms until the next one; what it throws is a bug and ends the process. */
  constructor(clock: Clock, pass: () => Promise<number>) {
    this.#clock = clock;
    this.#pass = pass;
  }

  /** After `stop`, as where the end comes in the middle of a start, it does nothing. */
  start(): void {
    if (this.#state === "stopped") return;
    if (this.#state !== "new") throw new Error("bug: a pass loop was started twice");
    this.#state = "running";
    this.request();
  }

  /**
   * Asks for a pass that begins `delayMs` from now, or sooner when one is due sooner. Before
   * `start` and after `stop` it does nothing.
   */
  request(delayMs = 0): void {
    if (this.#state !== "running") return;
    const due = this.#clock.now() + delayMs;
    if (due >= this.#due) return;
    this.#due = due;
    if (this.#busy === undefined) this.#schedule();
  }

  /** Ends after the pass under way. */
  async stop(): Promise<void> {
    this.#state = "stopped";
    this.#timer?.cancel();
    await this.#busy;
  }

  #schedule(): void {
    this.#timer?.cancel();
    const delayMs = Math.max(0, this.#due - this.#clock.now());
    this.#timer = this.#clock.after(delayMs, () => void this.#run());
  }

  async #run(): Promise<void> {
    this.#due = Number.POSITIVE_INFINITY;
    const pass = this.#pass();
    this.#busy = pass.then(() => undefined);
    this.request(await pass);
    this.#busy = undefined;
    if (this.#state === "running") this.#schedule();
  }
}
