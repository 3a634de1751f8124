/**
 * Routes of a peer that is away: how long they stay (RFC 4724 §4.2, RFC 9494 §4.2). For each family
 * the restart time, then the long-lived stale time, then they go. When the peer is back, a last
 * bound on how long it may take to send its table again.
 *
 * The long-lived stale time goes on whatever the peer does, until its End-of-RIB: so it may end
 * while the peer is back, or in the restart time of a further loss. Then only what is long-lived
 * stale goes; what the peer had told again has its own restart time.
 */
import type { Clock, Timer } from "../../runtime/clock.ts";
import type { RetainedFamily, StillForwarded } from "../fsm/graceful-restart.ts";
import type { RouteFamily } from "../message/types.ts";
import { STALE_ROUTES_MS } from "./limits.ts";

export interface StaleRoutesActions {
  /** The restart time of a family is over and its long-lived time begins. */
  markLongLived(family: RouteFamily): void;
  /** What is long-lived stale goes, other stale routes stay. */
  sweepLongLived(family: RouteFamily): void;
  sweep(family: RouteFamily): void;
  /** Nothing is kept any more. */
  emptied(): void;
}

export class StaleRoutes {
  readonly #clock: Clock;
  readonly #actions: StaleRoutesActions;
  /** The restart time of a peer that is away, or the bound of one that is back. */
  readonly #timers = new Map<RouteFamily, Timer>();
  /**
   * The long-lived stale time. RFC 9494 §4.2: the peer's return neither stops nor renews it, only
   * its End-of-RIB does; nor does a further loss.
   */
  readonly #longLived = new Map<RouteFamily, Timer>();

  constructor(clock: Clock, actions: StaleRoutesActions) {
    this.#clock = clock;
    this.#actions = actions;
  }

  /** Families that are kept for a peer that is away. */
  get families(): readonly RouteFamily[] {
    return [...new Set([...this.#timers.keys(), ...this.#longLived.keys()])];
  }

  /** The session ended; these families are kept. */
  peerLeft(retained: readonly RetainedFamily[]): void {
    const kept = new Set(retained.map(({ family }) => family));
    for (const family of this.families) {
      stop(this.#timers, family);
      if (!kept.has(family)) stop(this.#longLived, family);
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
  peerReturned(forwarded: StillForwarded): void {
    for (const family of this.families) {
      const restarts = !this.#timers.has(family) || forwarded.restart.includes(family);
      const longLives = !this.#longLived.has(family) || forwarded.longLived.includes(family);
      stop(this.#timers, family);
      const end = () => {
        this.done(family);
        this.#actions.sweep(family);
      };
      if (restarts && longLives) this.#after(family, STALE_ROUTES_MS, end);
      else end();
    }
  }

  /** The peer sent its End-of-RIB, or all of the family is gone otherwise. */
  done(family: RouteFamily): void {
    stop(this.#timers, family);
    stop(this.#longLived, family);
  }

  /** Forgets all timers; the routes are somebody else's to remove. */
  cancel(): void {
    for (const family of this.families) this.done(family);
  }

  #restartOver({ family, longLivedSeconds }: RetainedFamily): void {
    stop(this.#timers, family);
    if (longLivedSeconds === 0) {
      this.#expire(family);
      return;
    }
    this.#actions.markLongLived(family);
    if (this.#longLived.has(family)) return;
    const over = () => this.#longLivedOver(family);
    this.#longLived.set(family, this.#clock.after(longLivedSeconds * 1000, over));
  }

  #longLivedOver(family: RouteFamily): void {
    this.#longLived.delete(family);
    if (this.#timers.has(family)) this.#actions.sweepLongLived(family);
    else this.#expire(family);
  }

  #expire(family: RouteFamily): void {
    this.done(family);
    this.#actions.sweep(family);
    if (this.families.length === 0) this.#actions.emptied();
  }

  #after(family: RouteFamily, ms: number, callback: () => void): void {
    this.#timers.set(family, this.#clock.after(ms, callback));
  }
}

function stop(timers: Map<RouteFamily, Timer>, family: RouteFamily): void {
  timers.get(family)?.cancel();
  timers.delete(family);
}
