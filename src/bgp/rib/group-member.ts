/**
 * How far one peer is with what its update group says. Either it is *in step*: it reads the shared
 * stream at `block`/`segment`. Or it *catches up* by itself: rows from `walk` on are still to be
 * told, and the rows in `missed`, of which it may have heard something else before.
 */
import { RowSet } from "./row-set.ts";

export class GroupMember {
  readonly peer: number;
  inStep = false;
  /** Position in the shared stream: block, and segment in it. */
  block = 0;
  segment = 0;
  /** First row that the walk has yet to tell; the walk is over at the table's end. */
  walk = 1;
  walking = true;
  /** It has heard of no row from `walk` on, so a change there need not be noted. */
  fresh = true;
  readonly missed = new RowSet();
  /** Where to go on in `missed`. */
  missedCursor = 1;
  /** End-of-RIB is due once the group's queue has passed this position. */
  endOfRibAfter = 0;
  endOfRibSent = false;
  /** A route refresh to answer, and whether its beginning has been marked, RFC 7313. */
  refresh: "none" | "wanted" | "running" = "none";
  enhancedRefresh = false;

  constructor(peer: number) {
    this.peer = peer;
  }
}

/** How many of them miss what the group tells now: not those that have yet to hear of anything. */
export function behindOf(members: Iterable<GroupMember>): number {
  let count = 0;
  for (const { inStep, walking, fresh } of members) if (!inStep && !(walking && fresh)) count++;
  return count;
}
