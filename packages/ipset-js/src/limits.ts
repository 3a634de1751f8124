/** Every bound of this package, and what happens beyond it. README.md repeats them. */

/** Entries that one message changes on the event loop; a longer one is sent by another thread. */
export const ENTRIES_AT_ONCE_MAX = 16;
/** Bytes of entries in one message: the length of a nest is a u16. More go in further messages. */
export const ENTRIES_BYTES_MAX = 60_000;
/** What one entry takes in a message with all that it may have; none is larger. */
export const ENTRY_BYTES_MAX = 84 + 4 + 256;
/** Refused entries after which a change is given up: the rest is reported with ECANCELED. */
export const ENTRY_FAILURES_MAX = 64;
/** What the kernel counts in: longer timeouts are refused. */
export const TIMEOUT_SECONDS_MAX = 2_147_483;
/** Bytes of a comment; a longer one is refused. */
export const COMMENT_BYTES_MAX = 255;
