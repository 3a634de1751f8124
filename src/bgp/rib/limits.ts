/** Bounds of the RIB. What happens beyond each stands beside it. */

/** Rows of one prefix table; ids have 24 bits. Beyond: a new prefix is refused and counted. */
export const PREFIXES_MAX = 8_000_000;

/** Paths of one family. Beyond: a new path is refused and counted. */
export const PATHS_MAX = 16_000_000;

/** Peers that a RIB knows at once, kept stale ones included. Beyond: `peerUp` throws. */
export const PEERS_MAX = 16_384;

/**
 * Paths that one ADD-PATH peer may announce for one prefix, beside those kept from before a
 * restart. Beyond: a new one is refused, for each change of the prefix looks at all of them.
 */
export const PATHS_OF_PEER_MAX = 64;

/**
 * Route refreshes that a peer begins without ending one, and losses in its long-lived stale time,
 * by which its paths are told apart. Beyond: a further refresh does not begin anew, and a path that
 * was not heard for so long goes.
 */
export const EPOCHS_MAX = 200;

/**
 * Paths of one prefix that an ADD-PATH peer is told of. Beyond: the others are not advertised until
 * one of these goes.
 */
export const ADD_PATHS_MAX = 255;

/**
 * Different lists of statements of one policy that have set something on some route. Beyond: a
 * route that would need another list is rejected.
 */
export const OUTCOMES_MAX = 65_536;

/** Bounds of an update group's work and memory; tests make them small. */
export interface GroupLimits {
  /**
   * Changed prefixes that one step looks at: 2 to 4 ms of work. With ADD-PATH each path counts as a
   * quarter of one besides.
   */
  readonly chunkRowsMax: number;
  /** Buckets, so attribute sets, that one step fills before it ends: bounds its bytes. */
  readonly chunkBucketsMax: number;
  /**
   * Encoded bytes that a group keeps for members that read slower than others. Beyond: the slow
   * member leaves the shared stream, keeps a set of the prefixes it missed and catches up alone.
   */
  readonly sharedBytesMax: number;
}

export const GROUP_LIMITS: GroupLimits = {
  chunkRowsMax: 8192,
  chunkBucketsMax: 1024,
  sharedBytesMax: 1024 * 1024,
};

/**
 * Prefixes noted in one go, each for each member that leaves the shared stream: 3 ms. Beyond: the
 * others leave in the next goes, and the group looks at no further change until they have.
 */
export const NOTED_MAX = 262_144;

/** AS_SEQUENCE segments hold at most this many AS numbers, RFC 4271 §4.3. */
export const SEGMENT_ASNS_MAX = 255;

/** Paths looked at within the call that postponed work comes up in; the rest is for `work`. */
export const WORK_AT_ONCE = 2048;
