/** Times and bounds of the speaker. What happens beyond each stands beside it. */

/** Peers at once, the RIB's bound with room for those on their way out. Beyond: left out. */
export const PEERS_MAX = 8_192;

/** Kinds of OPENs kept; of more the one that was made first is made again. */
export const INTRODUCTIONS_MAX = 8;

/** Bytes of UPDATEs fetched for a peer in one go; more comes in the next. */
export const OUTPUT_BATCH_BYTES = 64 * 1024;

/** Best routes told in one call of a listener; more come in the next. */
export const BEST_BATCH_ROUTES = 1024;

/** Units of postponed RIB work between two looks at the clock. */
export const RIB_WORK_UNITS = 2048;

/**
 * First dials are spread over this time for each peer, about what a session costs to bring up, so
 * that connections are not asked for faster than we can serve them; in all at most a second.
 */
export const START_SPREAD_MS_EACH = 0.15;
export const START_SPREAD_MS_MAX = 1_000;

/**
 * Of two speakers that start together the one with the lower identifier lets the other dial first:
 * the other one's connection would win the collision anyway. Long enough for an exchange of
 * OPENs, and a little more for each peer that is dialled, up to the bound. Not longer: the other
 * one may have dialled before we knew it, and was refused.
 */
export const LOWER_ID_PATIENCE_MS_MIN = 10;
export const LOWER_ID_PATIENCE_MS_EACH = 1;
export const LOWER_ID_PATIENCE_MS_MAX = 150;

/**
 * A peer that came back has this long to send its table again, End-of-RIB included; then what is
 * still stale goes. Longer than the 360 s for which kube-router may hold its own routes back.
 */
export const STALE_ROUTES_MS = 390_000;

/** After a restart, peers that have not come up by then are not waited for, RFC 4724 §4.1. */
export const DEFERRAL_ABSENT_MS = 3_000;

/** Peers that are not up this long after the start do not keep us from being converged. */
export const CONVERGED_ABSENT_MS = 15_000;

/** A peer without graceful restart promises no End-of-RIB: this long after it came up will do. */
export const NO_END_OF_RIB_MS = 3_000;

/**
 * A listener that failed is tried again after a second, later every five: where this program takes
 * another one's place, the peers keep the routes for little more than a minute.
 */
export const LISTEN_RETRY = { firstMs: 1_000, maxMs: 5_000 } as const;

/** After we ended a session ourselves the peer needs a moment to see it before we dial again. */
export const RESET_DELAY_MS = 100;

/**
 * The longest wait before a peer is dialled, or accepted, whose link comes and goes: sessions and
 * tables are not exchanged at the pace of a bad cable.
 */
export const LINK_HOLD_MAX_MS = 4_000;

/** How often to ask whether somebody is still waited for, in the first seconds. */
export const WAITING_CHECK_MS = 500;
