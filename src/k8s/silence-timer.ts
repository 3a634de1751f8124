import type { Clock, Timer } from "../runtime/clock.ts";

/**
 * Notices that nothing has arrived for a while: the only sign of a connection whose other end is
 * gone without a word. Touching it costs a clock reading, not a timer.
 */
export class SilenceTimer {
  private readonly clock: Clock;
  private readonly onSilence: () => void;
  private limitMs: number;
  private last: number;
  private timer: Timer;

  constructor(clock: Clock, limitMs: number, onSilence: () => void) {
    this.clock = clock;
    this.limitMs = limitMs;
    this.onSilence = onSilence;
    this.last = clock.now();
    this.timer = clock.after(limitMs, () => this.check());
  }

  /** Something arrived. */
  touch(): void {
    this.last = this.clock.now();
  }

  /** Another limit from now on. */
  restart(limitMs: number): void {
    this.timer.cancel();
    this.limitMs = limitMs;
    this.touch();
    this.timer = this.clock.after(limitMs, () => this.check());
  }

  stop(): void {
    this.timer.cancel();
  }

  private check(): void {
    const remaining = this.last + this.limitMs - this.clock.now();
    if (remaining > 0) this.timer = this.clock.after(remaining, () => this.check());
    else this.onSilence();
  }
}
