/** Every bound of this folder, and what happens beyond it. */

/** Everything is read from the kernel anew this often; between, only what events speak of. */
export const OVERLAY_PERIOD_MS = 60_000;
/** Events are gathered this long before the kernel is read anew. */
export const OVERLAY_GAP_MS = 200;
/** Addresses of Nodes that are followed by themselves. Beyond: everything is looked at. */
export const STEP_NODES_MAX = 64;
/** What may go only once the routes have left it is looked at again after this. */
export const OVERLAY_SETTLE_MS = 500;
/** What the kernel refused is tried again: the first time after, and at most every. */
export const RETRY = { firstMs: 200, maxMs: 30_000 } as const;
/** A device leads to its entries: rounds of one pass. Beyond: the rest waits for the next pass. */
export const OVERLAY_ROUNDS_MAX = 4;
/** Operations in one call of the kernel port. Beyond: further calls, in order. */
export const OPERATIONS_MAX = 1000;
/** Lost links and next hop objects kept while routes are listed. Beyond: they are listed again. */
export const LOSSES_HELD_MAX = 1000;
/** Conditions listed. Beyond: the last one counts the rest. */
export const CONDITIONS_MAX = 50;
/** Operations of a dry run that are listed. Beyond: left out. */
export const PLANNED_MAX = 1000;
