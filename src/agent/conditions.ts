/**
 * What is wrong at the moment, in one place. Each part reports conditions by name; the registry
 * keeps what stands, since when, and logs a condition once when it appears, when its message
 * changes and when it goes. `podrouter status`, /readyz and a metric read it.
 *
 * Bound: CONDITIONS_MAX stand at once; further ones are counted, not kept.
 */
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";

/** `error`: something asked for is not done. `warning`: odd but done. `info`: not there yet. */
export type Severity = "info" | "warning" | "error";

/** One thing that is wrong; `name` is stable and unique within its source. */
export interface Condition {
  readonly name: string;
  readonly severity: Severity;
  /** One sentence for an operator; no secrets, no control characters. */
  readonly message: string;
}

export interface ConditionStatus extends Condition {
  /** The part that reports it: nodes, bgp, routes, … */
  readonly source: string;
  /** When it appeared, ms since the epoch. */
  readonly since: number;
}

export const CONDITIONS_MAX = 1000;

export class Conditions {
  readonly #standing = new Map<string, ConditionStatus>();
  readonly #clock: Clock;
  readonly #log: Log;
  #dropped = 0;

  constructor(deps: { readonly clock: Clock; readonly log: Log }) {
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  /** Conditions that did not fit, in all. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Reports one condition, or that it is there no more. */
  set(source: string, name: string, state: Omit<Condition, "name"> | undefined): void {
    if (state === undefined) this.#clear(keyOf(source, name));
    else this.#raise(source, { name, ...state });
  }

  /** Replaces everything that `source` reported by `all`. */
  replace(source: string, all: readonly Condition[]): void {
    const names = new Set(all.map((condition) => condition.name));
    for (const [key, standing] of this.#standing) {
      if (standing.source === source && !names.has(standing.name)) this.#clear(key);
    }
    for (const condition of all) this.#raise(source, condition);
  }

  /** What stands now, oldest first. */
  list(): readonly ConditionStatus[] {
    return [...this.#standing.values()];
  }

  #raise(source: string, condition: Condition): void {
    const key = keyOf(source, condition.name);
    const standing = this.#standing.get(key);
    if (standing?.message === condition.message && standing.severity === condition.severity) return;
    if (standing === undefined && this.#standing.size >= CONDITIONS_MAX) {
      this.#dropped++;
      return;
    }
    const since = standing?.since ?? this.#clock.wall();
    this.#standing.set(key, { ...condition, source, since });
    const fields = { source, condition: condition.name, reason: condition.message };
    const level = condition.severity === "warning" ? "warn" : condition.severity;
    this.#log[level](fields, "condition raised");
  }

  #clear(key: string): void {
    const standing = this.#standing.get(key);
    if (standing === undefined) return;
    this.#standing.delete(key);
    const seconds = Math.round((this.#clock.wall() - standing.since) / 1000);
    this.#log.info(
      { source: standing.source, condition: standing.name, seconds },
      "condition cleared",
    );
  }
}

function keyOf(source: string, name: string): string {
  return `${source}\u0000${name}`;
}
