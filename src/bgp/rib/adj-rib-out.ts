/**
 * What an update group has told its members: only so much that a change can be told from no
 * change, and that nothing is withdrawn that was never announced.
 */
import type { OversizedPaths } from "./oversized-paths.ts";
import type { RowId } from "./prefix-table.ts";
import type { UpdateBuckets } from "./update-buckets.ts";

/** One path as it was advertised. */
export interface Advertised {
  readonly attributes: number;
  readonly source: number;
  readonly outcome: number;
  /** ADD-PATH identifier that was sent; 0 without ADD-PATH. */
  readonly pathId: number;
  /** That which the source gave the path; undefined where it is not kept: then the best is told. */
  readonly receivedId: number | undefined;
}

/** The state of a group towards its members; two forms, with and without ADD-PATH. */
export interface AdjRibOut {
  /** Paths advertised: without ADD-PATH one for each prefix. */
  readonly size: number;
  /** Paths that `update` and `replay` looked at since it was set to 0, if a prefix has several. */
  looks: number;
  /** Paths advertised that came from `peer`, which therefore was not told. */
  sizeFrom(peer: number): number;
  /** Of those advertised, what was withdrawn instead, for want of room. */
  readonly oversized: OversizedPaths;
  /** A path that is advertised was withdrawn instead: no message has room for it. */
  noteOversized(row: RowId, pathId: number): void;
  /** Whether anything is advertised of the row. */
  has(row: RowId): boolean;
  /** Whether something is advertised of the row whose path came from `peer`. */
  isFrom(row: RowId, peer: number): boolean;
  /**
   * Brings the row up to date with the Loc-RIB; puts the difference into `buckets`, with `again`
   * also what is the same as before.
   */
  update(row: RowId, buckets: UpdateBuckets, again: boolean): boolean;
  /**
   * Puts into `buckets` what `peer` has to be told of the row; with `mayKnow`, also withdrawals
   * of what it may have been told before.
   */
  replay(row: RowId, peer: number, mayKnow: boolean, buckets: UpdateBuckets): void;
  /** What is advertised of the row and had room, for listings. */
  list(row: RowId): Advertised[];
  /** Prepares for a member that knows what `other` had advertised of the row. */
  inherit(row: RowId, other: AdjRibOut): void;
  /** Forgets the row. */
  clear(row: RowId): void;
}

/** Whether a peer is a member of the group. */
export type IsMember = (peer: number) => boolean;

/**
 * What it cost to look at so many prefixes, in prefixes. Paths of one lie together, and each is a
 * quarter; to note one for a member that misses it is a bit here and a count there, a 32nd.
 */
export function costOf({ looks }: AdjRibOut, prefixes: number, noted: number): number {
  return prefixes + (looks >>> 2) + (noted >>> 5);
}
