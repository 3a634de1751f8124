/**
 * All times and delays of the state machine: how often to dial, how long to hold, and the damping
 * of peers that come and go (RFC 4271 §8.1.1 DampPeerOscillations; the method is a local matter).
 *
 * Damping counts flaps. The first end of a session costs nothing, so that a peer that restarts is
 * back at once; each further one doubles the idle hold, in which connections are refused. Reaching
 * Established forgives nothing: only staying up does, one flap for each `FLAP_DECAY_MS`.
 */
import { backoffMs } from "../../runtime/backoff.ts";
import type { NegotiatedSession } from "../message/types.ts";
import type { FsmState, FsmTimers } from "./state.ts";

/** RFC 4271 §8.2.2 suggests 4 minutes until the peer's OPEN; see also OpenConfirm. */
export const OPEN_HOLD_MS = 240_000;
/** RFC 4271 §4.4: not more than one KEEPALIVE a second, however short the hold time. */
export const KEEPALIVE_MIN_MS = 1_000;
/** Dialling: the first retry after about a second, at most one try in half a minute. */
export const CONNECT_RETRY_FIRST_MS = 1_000;
export const CONNECT_RETRY_MAX_MS = 30_000;
/** A dial that is not answered is given up after this, or after the back-off if that is longer. */
export const CONNECT_TIMEOUT_MS = 5_000;
export const IDLE_HOLD_FIRST_MS = 1_000;
export const IDLE_HOLD_MAX_MS = 120_000;
/**
 * The same for a peer that keeps our routes while its connection is away, and we its own: much less
 * than restart times (90 s by default), and than a restarted peer waits for us before it gives up
 * the routes that it found in its kernel. A crash loop must not cost what graceful restart saves.
 */
export const IDLE_HOLD_GRACEFUL_MAX_MS = 4_000;
export const FLAP_DECAY_MS = 60_000;
/** Beyond this the idle hold grows no more: decay must not take hours. */
export const FLAPS_MAX = 9;
/** RFC 9687 §6: the greater of 8 minutes and twice the hold time. */
export const SEND_HOLD_MIN_MS = 480_000;

/** Moment of the next dial after `failures` tries in a row. */
export function connectRetryAt(now: number, failures: number, random: number): number {
  const options = { firstMs: CONNECT_RETRY_FIRST_MS, maxMs: CONNECT_RETRY_MAX_MS };
  return now + backoffMs(options, failures, () => random);
}

/** Moment at which a dial under way is given up. */
export function connectTimeoutAt(now: number, failures: number, random: number): number {
  return Math.max(now + CONNECT_TIMEOUT_MS, connectRetryAt(now, failures, random));
}

/** Flaps left after what the session's uptime forgave. */
export function decayedFlaps(
  { flaps, establishedAt }: Pick<FsmState, "flaps" | "establishedAt">,
  now: number,
): number {
  if (establishedAt === undefined) return flaps;
  const forgiven = Math.floor((now - establishedAt) / FLAP_DECAY_MS);
  return Math.max(0, flaps - forgiven);
}

/** How long to stay in Idle after `flaps` flaps; 0 = not at all. */
export function idleHoldMs(flaps: number, random: number, maxMs = IDLE_HOLD_MAX_MS): number {
  if (flaps <= 1) return 0;
  const options = { firstMs: IDLE_HOLD_FIRST_MS, maxMs };
  return backoffMs(options, flaps - 2, () => random);
}

/**
 * RFC 4271 §4.4: hold time zero means no KEEPALIVEs. §10: 0.75 to 1 of the interval, but where that
 * would be less than a second.
 */
export function keepaliveAt(
  now: number,
  session: NegotiatedSession,
  random: number,
): number | undefined {
  if (session.holdSeconds === 0) return undefined;
  const intervalMs = session.keepaliveSeconds * 1000 * (0.75 + 0.25 * random);
  return now + Math.max(KEEPALIVE_MIN_MS, intervalMs);
}

/** RFC 4271 §4.2: no hold timer when either side offered zero. */
export function holdAt(now: number, session: NegotiatedSession): number | undefined {
  return session.holdSeconds === 0 ? undefined : now + session.holdSeconds * 1000;
}

/** RFC 9687 §4.3: no SendHoldTimer without a hold time. */
export function sendHoldAt(now: number, session: NegotiatedSession): number | undefined {
  if (session.holdSeconds === 0) return undefined;
  return now + Math.max(SEND_HOLD_MIN_MS, 2 * session.holdSeconds * 1000);
}

/** The earliest running timer, or undefined. */
export function nextDeadline(timers: FsmTimers): number | undefined {
  let next = timers.hold;
  next = earlier(next, timers.keepalive);
  next = earlier(next, timers.connectRetry);
  next = earlier(next, timers.idleHold);
  return earlier(next, timers.sendHold);
}

/** The earlier of two moments of which either may not come. */
export function earlier(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  return b !== undefined && b < a ? b : a;
}
