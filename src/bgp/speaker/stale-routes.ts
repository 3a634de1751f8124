/**
 * Routes of a peer that is away: how long they stay (RFC 4724 §4.2, RFC 9494 §4.2). For each family
 * the restart time, then the long-lived stale time, then they go. When the peer is back, a last
 * bound on how long it may take to send its table again.
 */
import type { Clock, Timer } from "../../runtime/clock.ts";
import type { RetainedFamily } from "../fsm/graceful-restart.ts";
import type { RouteFamily } from "../message/types.ts";
import { STALE_ROUTES_MS } from "./limits.ts";

export interface StaleRoutesActions {
  /** The restart time of a family is over and its long-lived time begins. */
  markLongLived(family: RouteFamily): void;
  sweep(family: RouteFamily): void;
  /** Nothing is kept any more. */
  emptied(): void;
}

export class StaleRoutes {
  readonly #clock: Clock;
  readonly #actions: StaleRoutesActions;
  readonly #timers = new Map<RouteFamily, Timer>();
  /**
   * When the long-lived stale time of a family is over, monotonic ms. RFC 9494 §4.2: the peer's
   * return neither stops nor renews it, only its End-of-RIB does; nor does a further loss.
   */
  readonly #longLivedEnds = new Map<RouteFamily, number>();

  constructor(clock: Clock, actions: StaleRoutesActions) {
    this.#clock = clock;
    this.#actions = actions;
  }

  /** Families that are kept for a peer that is away. */
  get families(): readonly RouteFamily[] {
    return [...this.#timers.keys()];
  }

  /** The session ended; these families are kept. */
  peerLeft(retained: readonly RetainedFamily[]): void {
    this.#cancelTimers();
    const kept = new Set(retained.map(({ family }) => family));
    for (const family of this.#longLivedEnds.keys()) {
      if (!kept.has(family)) this.#longLivedEnds.delete(family);
    }
    for (const entry of retained) {
      if (entry.restartSeconds > 0) {
        this.#after(entry.family, entry.restartSeconds * 1000, () => this.#restartOver(entry));
      } else {
        this.#restartOver(entry);
      }
    }
  }

  /** The session is up again; routes of `forwarded` families may stay until they are replaced. */
  peerReturned(forwarded: readonly RouteFamily[]): void {
    const kept = this.families;
    this.#cancelTimers();
    for (const family of kept) {
      if (!forwarded.includes(family)) {
        this.done(family);
        this.#actions.sweep(family);
        continue;
      }
      const longLivedMs = this.#longLivedLeft(family) ?? STALE_ROUTES_MS;
      this.#after(family, Math.min(STALE_ROUTES_MS, longLivedMs), () => {
        this.done(family);
        this.#actions.sweep(family);
      });
    }
  }

  /** The peer sent its End-of-RIB, or all of the family is gone otherwise. */
  done(family: RouteFamily): void {
    this.#timers.get(family)?.cancel();
    this.#timers.delete(family);
    this.#longLivedEnds.delete(family);
  }

  /** Forgets all timers; the routes are somebody else's to remove. */
  cancel(): void {
    this.#cancelTimers();
    this.#longLivedEnds.clear();
  }

  #cancelTimers(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  /** Ms of the long-lived stale time that are left; undefined when it does not run. */
  #longLivedLeft(family: RouteFamily): number | undefined {
    const end = this.#longLivedEnds.get(family);
    return end === undefined ? undefined : Math.max(0, end - this.#clock.now());
  }

  #restartOver({ family, longLivedSeconds }: RetainedFamily): void {
    if (longLivedSeconds === 0) {
      this.#expire(family);
      return;
    }
    this.#actions.markLongLived(family);
    const left = this.#longLivedLeft(family) ?? longLivedSeconds * 1000;
    this.#longLivedEnds.set(family, this.#clock.now() + left);
    this.#after(family, left, () => this.#expire(family));
  }

  #expire(family: RouteFamily): void {
    this.done(family);
    this.#actions.sweep(family);
    if (this.#timers.size === 0) this.#actions.emptied();
  }

  #after(family: RouteFamily, ms: number, callback: () => void): void {
    this.#timers.set(family, this.#clock.after(ms, callback));
  }
}
