import type { Clock, Timer } from "./clock.ts";

/** setTimeout turns longer delays into 1 ms: longer ones are cut here and never needed. */
const DELAY_MS_MAX = 0x7fff_ffff;

/** The machine's clock. A timer that is running keeps the process alive; owners cancel theirs. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(delayMs: number, callback: () => void): Timer {
    const handle = setTimeout(callback, Math.min(Math.max(0, delayMs), DELAY_MS_MAX));
    return { cancel: () => clearTimeout(handle) };
  },
};
