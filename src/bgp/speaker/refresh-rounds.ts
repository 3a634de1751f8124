/**
 * Rounds of enhanced route refresh that a peer has begun, RFC 7313 §4: each has an upper bound, for
 * a peer that never ends what it began.
 */
import type { Clock, Timer } from "../../runtime/clock.ts";
import type { RouteFamily } from "../message/types.ts";
import { STALE_ROUTES_MS } from "./limits.ts";

export class RefreshRounds {
  readonly #clock: Clock;
  readonly #ended: (family: RouteFamily) => void;
  readonly #timers = new Map<RouteFamily, Timer>();

  /** `ended`: a round is over, by the peer's word or by time. */
  constructor(clock: Clock, ended: (family: RouteFamily) => void) {
    this.#clock = clock;
    this.#ended = ended;
  }

  begin(family: RouteFamily): void {
    this.#timers.get(family)?.cancel();
    const timer = this.#clock.after(STALE_ROUTES_MS, () => this.end(family));
    this.#timers.set(family, timer);
  }

  /** Nothing for a round that has not begun. */
  end(family: RouteFamily): void {
    const timer = this.#timers.get(family);
    if (timer === undefined) return;
    timer.cancel();
    this.#timers.delete(family);
    this.#ended(family);
  }

  /** Ends all without a word: the session is over. */
  cancel(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }
}
