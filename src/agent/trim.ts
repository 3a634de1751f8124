/** Memory that a peak of work has left behind. */
import type { Clock } from "../runtime/clock.ts";

/**
 * malloc keeps what is freed for the next peak, for good, and each higher one adds to it: among
 * Nodes that come and go 17 MB of 100 after four minutes. To give it back takes milliseconds.
 */
const TRIM_MS = 15 * 60_000;

/** Has what malloc keeps given back, now and from now on. */
export function trimNowAndThen(clock: Clock, trim: () => void): void {
  trim();
  clock.after(TRIM_MS, () => trimNowAndThen(clock, trim));
}
