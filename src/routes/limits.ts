/** Every bound of this folder, and what happens beyond it. */

/** Prefixes planned in one go; the time is looked at after each. */
export const PORTION_PREFIXES = 64;
/**
 * Planning ends after so long for the event loop to have its turn; the rest comes in the next.
 * Twice a turn of reading: else a table comes in faster than it goes on, and the kernel waits.
 */
export const TURN_MS = 4;
/** Operations in one send. Beyond: the next one. */
export const BATCH_OPERATIONS_MAX = 5000;
/** Sends under way at once; planning goes on when the first of them has been answered. */
export const BATCHES_MAX = 2;
/** Next hops of one route. Beyond: the lowest addresses are used, the others are left out. */
export const NEXT_HOPS_MAX = 64;
/** Next hops whose way is remembered. Beyond: all are forgotten, and found again when asked for. */
export const RESOLUTIONS_MAX = 10_000;
/** Gateways of other people's routes that are protected. Beyond: those seen later are not. */
export const GATEWAYS_MAX = 4_000;
/** Next hop objects known by what they lead to. Beyond: the gateways of more are not protected. */
export const NEXT_HOP_OBJECTS_MAX = 10_000;
/** A gateway that no route has any more counts so long yet, then until the next dump. */
export const GATEWAY_KEPT_MS = 60_000;
/** Conditions kept with their text. Beyond: the prefix is kept, and counted. */
export const CONDITIONS_KEPT_MAX = 4_000;
/** Conditions listed by `status()`. Beyond: the last one counts the routes of the rest. */
export const CONDITIONS_LISTED_MAX = 200;
/** Routes of one cause (a link that is down) listed one by one. Beyond: one line counts them. */
export const CONDITIONS_OF_A_CAUSE_MAX = 3;
/** A dry run looks at all routes again when so long, and as long as they changed, nothing did. */
export const SURVEY_QUIET_MS = 200;
/** It waits no longer than this from the first change on. */
export const SURVEY_WAIT_MAX_MS = 10_000;
/** Operations listed by `status()` of a dry run. Beyond: counted in `plannedTotal`, not listed. */
export const PLANNED_LISTED_MAX = 1000;
/** Other people's routes named in one condition. Beyond: counted in the text. */
export const FOREIGN_NAMED_MAX = 3;
/** Full comparisons asked for by events come at least this far apart. */
export const RESYNC_GAP_MS = 200;
/** An event this soon after an operation of ours may be older than it: compare in full. */
export const EVENT_AGE_MS = 1000;
/** Failed operations are tried again: the first time after, and at most every. */
export const RETRY = { firstMs: 100, maxMs: 30_000 } as const;
/** Retries that fall into the same so many milliseconds go together. */
export const RETRY_GRID_MS = 50;
/** Retries taken in one go. Beyond: in the next one, after a turn of planning. */
export const RETRIES_TAKEN_MAX = 5000;
/** A refused route that the kernel takes brings so many others forward, for they may be next. */
export const RETRIES_HURRIED_EACH = 2;
/** A full comparison with the kernel is made this often unless told otherwise. */
export const SYNC_PERIOD_MS = 60_000;
/** Events kept while a dump is read. Beyond: dropped, and the dump is made again. */
export const EVENTS_HELD_MAX = 50_000;
