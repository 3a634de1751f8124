/** Bounds of the RIB. What happens beyond each stands beside it. */

/** Rows of one prefix table; ids have 24 bits. Beyond: a new prefix is refused and counted. */
export const PREFIXES_MAX = 8_000_000;

/** Paths of one family. Beyond: a new path is refused and counted. */
export const PATHS_MAX = 16_000_000;

/** Peers that a RIB knows at once, kept stale ones included. Beyond: `peerUp` throws. */
export const PEERS_MAX = 16_384;

/** Paths of one prefix that an ADD-PATH peer is told of. Beyond: the others are not advertised. */
export const ADD_PATHS_MAX = 255;

/** Changed prefixes that one step of an update group looks at: about 5 ms of work. */
export const CHUNK_ROWS_MAX = 16_384;

/** Encoded bytes that one step stops after; the rest of its prefixes waits for the next step. */
export const CHUNK_BYTES_MAX = 256 * 1024;

/**
 * Encoded bytes that a group keeps for members that read slower than others. Beyond: the slow
 * member leaves the shared stream, keeps a set of the prefixes it missed and catches up alone.
 */
export const SHARED_BYTES_MAX = 1024 * 1024;

/** AS_SEQUENCE segments hold at most this many AS numbers, RFC 4271 §4.3. */
export const SEGMENT_ASNS_MAX = 255;
