/** Every bound of this folder, and what happens beyond it. */

/** Parameters of the sets, the same that kube-router gives them. */
export const HASH_SIZE = 1024;
export const ELEMENTS_MAX = 65_536;
/**
 * Members of one set. Up to ELEMENTS_MAX it is made with the parameters above; with more it is made
 * anew, for the next power of two that leaves a quarter free, and exchanged with the old one.
 * Beyond this bound: the first ones in order are kept, a condition says how many are left out.
 */
export const MEMBERS_MAX = 1_048_576;
/** Members named in one condition. Beyond: counted. */
export const MEMBERS_NAMED_MAX = 3;
/** Operations listed by `status()` of a dry run. Beyond: counted in `plannedTotal`. */
export const PLANNED_LISTED_MAX = 1000;
/** The sets are looked at (existence, type, number of members) this often unless told. */
export const CHECK_PERIOD_MS = 2000;
/**
 * And compared member by member this often unless told, as an agent is by --routes-sync-period: who
 * puts one member in the place of another is not noticed before.
 */
export const SYNC_PERIOD_MS = 60_000;
/** After a failure: tried again first after, and at most every. */
export const RETRY = { firstMs: 200, maxMs: 60_000 } as const;
