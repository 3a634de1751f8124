/**
 * Routes of a peer that is away: how long they stay (RFC 4724 §4.2, RFC 9494 §4.2). For each family
 * the restart time, then the long-lived stale time, then they go. When the peer is back, a last
 * bound on how long it may take to send its table again.
 *
 * The long-lived stale time goes on whatever the peer does, until its End-of-RIB: so it may end
 * while the peer is back, or in the restart time of a further loss. All that is stale goes then;
 * and if the peer that was back is lost before its End-of-RIB, nothing is kept for it.
 */
import type { Clock, Timer } from "../../runtime/clock.ts";
import type { RetainedFamily, StillForwarded } from "../fsm/graceful-restart.ts";
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
  /** The restart time of a peer that is away, or the bound of one that is back. */
  readonly #timers = new Map<RouteFamily, Timer>();
  /**
   * The long-lived stale time. RFC 9494 §4.2: the peer's return neither stops nor renews it, only
   * its End-of-RIB does; nor does a further loss.
   */
  readonly #longLived = new Map<RouteFamily, Timer>();
  /** Its end came while the peer was back, and its End-of-RIB has not come since. */
  readonly #overdue = new Set<RouteFamily>();
  #isBack = false;
  #oursAreKept = false;

  constructor(clock: Clock, actions: StaleRoutesActions) {
    this.#clock = clock;
    this.#actions = actions;
  }

  /** The last session was lost so that the peer has kept our routes. */
  get oursAreKept(): boolean {
    return this.#oursAreKept;
  }

  /** Families that are kept for a peer that is away. */
  get families(): readonly RouteFamily[] {
    return [...new Set([...this.#timers.keys(), ...this.#longLived.keys()])];
  }

  /** Of the families that the session's end leaves those that may be kept, RFC 9494 §4.2. */
  keepable(retained: readonly RetainedFamily[]): readonly RetainedFamily[] {
    return retained.filter(({ family }) => !this.#overdue.has(family));
  }

  /** The session ended; these families are kept, and the peer may have kept ours. */
  peerLeft(retained: readonly RetainedFamily[], oursAreKept: boolean): void {
    this.#isBack = false;
    this.#oursAreKept = oursAreKept;
    this.#overdue.clear();
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
    this.#isBack = true;
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
    this.#overdue.delete(family);
    stop(this.#timers, family);
    stop(this.#longLived, family);
  }

  /** Forgets all timers; the routes are somebody else's to remove. */
  cancel(): void {
    this.#oursAreKept = false;
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
    if (!this.#isBack) {
      this.#expire(family);
      return;
    }
    this.done(family);
    this.#overdue.add(family);
    this.#actions.sweep(family);
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
