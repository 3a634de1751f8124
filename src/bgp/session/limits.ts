/** Bounds of the sessions. What happens beyond each stands beside it. */

/** One turn of work on input and output; then sockets and timers have theirs. */
export const TURN_MS = 2;

/** Messages of one peer in a row, whatever the clock says; then the next peer's. */
export const SLICE_MESSAGES_MAX = 512;

/** A slice looks at the clock after so many octets: what is in a message is what it costs. */
export const SLICE_CLOCK_OCTETS = 1024;
/** No message counts for less. */
export const SHORT_MESSAGE_OCTETS = 64;

/** Reading goes on behind a chunk that waits and is no longer than this, until the next one. */
export const PAUSE_OCTETS = 512;

/** A dial that is not answered by then is made anew when the peer may be reached again. */
export const DIAL_ANSWER_MS = 1_000;

/** Kinds of errors counted by name for a peer; further ones count as "other". */
export const ERROR_KINDS_MAX = 64;

/**
 * File descriptors that sessions leave to everything else, or that share of the limit where it is
 * less. Beyond: a dial fails, a connection that was accepted is reset, and both are a condition.
 */
export const DESCRIPTORS_KEPT_MAX = 64;
export const DESCRIPTORS_KEPT_SHARE = 0.25;

/**
 * File descriptors that the kernel's table of them is to have room for from the start; for twice as
 * many as soon as a session has one in its upper half. A table that is full stops the whole process
 * until it has grown.
 */
export const DESCRIPTOR_TABLE_FIRST = 1024;

/** That sessions were refused for it is shown for so long: peers try again sooner. */
export const SHORTAGE_SHOWN_MS = 60_000;

/**
 * Lines of the log for sessions that came up, and as many for those that ended, in so long. Beyond:
 * debug lines, and one that counts them when the time is over.
 */
export const SESSION_LINES_MAX = 50;
export const SESSION_LINES_MS = 1_000;
