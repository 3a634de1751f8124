import type { Clock, Timer } from "./clock.ts";

/** 24 days: setTimeout turns longer delays into 1 ms, so they are waited for in parts. */
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
    if (delayMs > DELAY_MS_MAX) return longTimer(delayMs, callback);
    const handle = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Long-lived stale routes may be kept for 194 days (RFC 9494 §3). */
function longTimer(delayMs: number, callback: () => void): Timer {
  let part = systemClock.after(DELAY_MS_MAX, () => {
    part = systemClock.after(delayMs - DELAY_MS_MAX, callback);
  });
  return { cancel: () => part.cancel() };
}
