/**
 * What is kept of one peer and family beside its paths: the list of them, counts, and the state of
 * the walk that works through all of them in slices.
 *
 * Staleness costs nothing to set: each path carries the epoch in which it was heard last, and a
 * path of an older epoch is stale. So a lost session with graceful restart, or the beginning of
 * an enhanced route refresh, only counts the epoch up.
 */
import type { RouteFamily } from "../message/types.ts";
import { EPOCHS_MAX } from "./limits.ts";

/** Things to do to each path of a peer, as bits. */
export const PathTask = {
  /** Remove stale paths. */
  sweep: 1,
  /** Mark stale paths long-lived stale, RFC 9494. */
  longLive: 2,
  /** Run import again: policy or identity has changed. */
  reimport: 4,
  /** Decide, and have all update groups look again: the peer's kind or identifier has changed. */
  rerank: 8,
} as const;

/** More epochs than can lie between any two: they have 8 bits, and begin anew at 256. */
const NEVER = 256;

/** Epochs that leave time to remove the oldest paths before they would look fresh. */
const EPOCHS_SCARCE = 250;

/** Why older epochs are stale: only a restart shows to the outside. */
export type StaleReason = "none" | "restart" | "refresh";

export class AdjRibIn {
  readonly peer: number;
  readonly family: RouteFamily;
  /** First path of the peer's list, 0 = none. */
  first = 0;
  epoch = 0;
  received = 0;
  accepted = 0;
  stale = 0;
  staleReason: StaleReason = "none";
  /** Epochs of route refreshes that have not ended: who has not confirmed a path yet may still. */
  openRefreshes = 0;
  endOfRibReceived = false;
  /** Whether prefixes were refused because of the peer's limit. */
  refused = false;
  /** Whether paths were refused since it was told: of a prefix, or of all, there were too many. */
  crowded = false;
  /** Whether the prefix limit's warning was given and still holds. */
  warned = false;
  /** Next path that the walk looks at, and what it does; 0 = no walk. */
  cursor = 0;
  tasks = 0;
  /** The sweep takes paths more than this many epochs old; long-lived stale ones by the second. */
  sweepDistance = NEVER;
  sweepLongLivedDistance = NEVER;
  /** No path is more epochs old than this. */
  private oldest = 0;

  constructor(peer: number, family: RouteFamily) {
    this.peer = peer;
    this.family = family;
  }

  /** A path is left out: by the peer's own limit, or because there is no room for it. */
  refuse(byLimit: boolean): void {
    if (byLimit) this.refused = true;
    else this.crowded = true;
  }

  /**
   * What counts against the peer's limit: not what is left of an earlier session, for the peer may
   * have other prefixes, or other path identifiers, since it restarted.
   */
  get counted(): number {
    return this.staleReason === "restart" ? this.received - this.stale : this.received;
  }

  /** Whether a path of this epoch is left of an earlier session. */
  isLeft(epoch: number): boolean {
    return this.staleReason === "restart" && epoch !== this.epoch;
  }

  /** Makes every path that is there stale; after too many refreshes that were not ended, none. */
  age(reason: StaleReason): void {
    const oldest = this.stale === 0 ? 0 : this.oldest;
    if (reason === "refresh" && oldest >= EPOCHS_MAX) return;
    this.oldest = oldest + 1;
    this.epoch = (this.epoch + 1) & 255;
    this.stale = this.received;
    this.staleReason = reason;
    this.openRefreshes = reason === "refresh" ? this.openRefreshes + 1 : 0;
    // A sweep under way goes on to take what it was to take.
    this.sweepDistance = Math.min(NEVER, this.sweepDistance + 1);
    this.sweepLongLivedDistance = Math.min(NEVER, this.sweepLongLivedDistance + 1);
  }

  /** The oldest paths would soon look fresh. */
  get isWorn(): boolean {
    return this.oldest >= EPOCHS_SCARCE;
  }

  /** Adds to what the walk is to sweep. */
  addSweep(distance: number, longLivedDistance: number): void {
    this.tasks |= PathTask.sweep;
    this.sweepDistance = Math.min(this.sweepDistance, distance);
    this.sweepLongLivedDistance = Math.min(this.sweepLongLivedDistance, longLivedDistance);
  }

  /** Whether the walk is to remove a path of this epoch. */
  isSwept(epoch: number, longLived: boolean): boolean {
    return this.distance(epoch) > (longLived ? this.sweepLongLivedDistance : this.sweepDistance);
  }

  /**
   * Whether rows were chosen by what the peer was before. The walk decides them; a path that goes
   * before it came to it may leave a best that only beats this path as it is now.
   */
  get hasOtherRank(): boolean {
    return (this.tasks & PathTask.rerank) !== 0;
  }

  endWalk(): void {
    this.tasks = 0;
    const left = Math.max(this.sweepDistance, this.sweepLongLivedDistance);
    this.oldest = Math.min(this.oldest, left);
    this.sweepDistance = NEVER;
    this.sweepLongLivedDistance = NEVER;
  }

  /** Sessions since the path of this epoch was heard. */
  distance(epoch: number): number {
    return (this.epoch - epoch) & 255;
  }
}
