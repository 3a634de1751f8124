/**
 * Every bound of this package, and what happens beyond it. README.md repeats them.
 */

/** Messages in one send. More operations go in further sends, one after the other. */
export const BATCH_MESSAGES_MAX = 8000;
/** Bytes in one send. A single message that is longer is refused with EMSGSIZE. */
export const BATCH_BYTES_MAX = 640 * 1024;
/** Kept free of the send buffer, which the kernel compares with the size of a send. */
export const SEND_BUFFER_SPARE_BYTES = 1024;
/**
 * What one acknowledgement costs of the receive buffer: 832 bytes were measured, twice that is
 * reckoned because of explanations. The batch is made smaller where the buffer is.
 */
export const ACKNOWLEDGEMENT_COST_BYTES = 1664;
/** Receive and send buffer asked for; the kernel doubles them. */
export const RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024;
export const SEND_BUFFER_BYTES = 512 * 1024;
/** The largest datagram read; the kernel sends at most 32 KiB. A longer one fails the request. */
export const DATAGRAM_BYTES_MAX = 256 * 1024;
/** Requests waiting for one socket. Beyond: EBUSY at once. */
export const REQUESTS_WAITING_MAX = 1024;
/** Sends of all sockets handed to other threads, of which libuv has four. Beyond: they wait. */
export const SENDS_AT_ONCE_MAX = 64;
/** Objects in the answer to one listing. Beyond: E2BIG. */
export const DUMP_ENTRIES_MAX = 4_000_000;
/** A listing that changed under the kernel's hands is asked for again this often, then EAGAIN. */
export const DUMP_TRIES_MAX = 8;
/** The second time at once, then after this, and after twice as long each time: 1.3 s in all. */
export const DUMP_PAUSE_MS = 20;
/** Datagrams of a listing read before the event loop gets its turn: some 1,000 routes. */
export const DATAGRAMS_PER_TURN = 2;
/** The same of one that changed when it was read before: some 2,000 links. */
export const DATAGRAMS_HURRIED_PER_TURN = 64;
/** The kernel answers before send returns. Were it not so: asked again this often, this long. */
export const REPLY_WAIT_MS = 10;
/** Then ETIMEDOUT: the outcome is unknown. */
export const REPLY_TIMEOUT_MS = 2000;
/** Receive buffer of a monitor: some 10,000 events of a blocked loop. Beyond: onOverrun. */
export const MONITOR_RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
/** Events read before the event loop gets its turn. */
export const MONITOR_DATAGRAMS_PER_TURN = 256;
