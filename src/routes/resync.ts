/**
 * When the kernel is listed anew, whole: once in a period, when there is doubt what it has, and
 * when it is to be tried again after it could not be talked to. A listing opens the connection to
 * the kernel where there is none. Or because it did not answer an operation: such a listing does
 * not count as one of the others, since not all is compared in full after it.
 */
import type { Clock } from "../runtime/clock.ts";
import { RESYNC_GAP_MS } from "./limits.ts";
import type { KernelObserver } from "./observer.ts";
import type { RouteKernel } from "./ports.ts";

export class Resync {
  readonly #kernel: RouteKernel;
  readonly #clock: Clock;
  readonly #periodMs: number;
  #opened = false;
  #dueAt = Number.NEGATIVE_INFINITY;
  #retries = false;
  #endedAt = Number.NEGATIVE_INFINITY;
  #lastSync: number | undefined;

  constructor(kernel: RouteKernel, clock: Clock, periodMs: number) {
    this.#kernel = kernel;
    this.#clock = clock;
    this.#periodMs = periodMs;
  }

  /** When the next one is due, monotonic ms. */
  get dueAt(): number {
    return this.#retries ? Number.NEGATIVE_INFINITY : this.#dueAt;
  }

  get isDue(): boolean {
    return this.#clock.now() >= this.dueAt;
  }

  /** When the last one ended, ms since the epoch; undefined before the first. */
  get lastSync(): number | undefined {
    return this.#lastSync;
  }

  /** Asks for one `delayMs` from now, or sooner when that is due; some time after the last. */
  request(delayMs: number): void {
    const due = Math.max(this.#clock.now() + delayMs, this.#endedAt + RESYNC_GAP_MS);
    this.#dueAt = Math.min(this.#dueAt, due);
  }

  /** Asks for one now, for nothing but operations to be tried again. */
  requestForRetries(): void {
    this.#retries = true;
  }

  /** The next one is due then, whatever was asked for before. */
  setDue(at: number): void {
    this.#dueAt = at;
  }

  /**
   * Lists everything into the observer's view. May reject: KernelUnavailableError.
   *
   * @returns whether what was refused may go through now: there is another reason for this listing
   * than retries alone, or it has found one.
   */
  async run(observer: KernelObserver): Promise<boolean> {
    const isDue = this.#clock.now() >= this.#dueAt;
    this.#retries = false;
    if (!this.#opened) {
      await this.#kernel.open(observer);
      this.#opened = true;
    }
    // What asks for one from here on asks for the next one.
    if (isDue) this.#dueAt = Number.POSITIVE_INFINITY;
    const isNews = await observer.dump();
    this.#endedAt = this.#clock.now();
    this.#dueAt = Math.min(this.#dueAt, this.#endedAt + this.#periodMs);
    this.#lastSync = this.#clock.wall();
    return isDue || isNews;
  }

  /** Closes the connection to the kernel, if there is one. */
  close(): void {
    if (this.#opened) this.#kernel.close();
    this.#opened = false;
  }
}
