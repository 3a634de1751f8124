import type { Clock, Timer } from "./clock.ts";

/** setTimeout turns longer delays into 1 ms: longer ones are cut here and never needed. */
const DELAY_MS_MAX = 0x7fff_ffff;

/** The machine's clock. A timer that is running keeps the process alive; owners cancel theirs. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(delayMs: number, callback: () => void): Timer {
    if (delayMs <= 0) {
      // setTimeout makes a millisecond of it; this is the next turn of the event loop.
      const turn = setImmediate(callback);
      return { cancel: () => clearImmediate(turn) };
    }
    const handle = setTimeout(callback, Math.min(delayMs, DELAY_MS_MAX));
    return { cancel: () => clearTimeout(handle) };
  },
};
