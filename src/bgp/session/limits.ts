/** Bounds of the sessions. What happens beyond each stands beside it. */

/** One turn of work on input and output; then sockets and timers have theirs. */
export const TURN_MS = 6;

/** Messages of one peer in a row, whatever the clock says; then the next peer's. */
export const SLICE_MESSAGES_MAX = 512;

/** How often a slice looks at the clock. */
export const SLICE_CLOCK_EVERY = 16;

/** Kinds of errors counted by name for a peer; further ones count as "other". */
export const ERROR_KINDS_MAX = 64;
