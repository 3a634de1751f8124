/**
 * What is wrong at the moment, in one place. Each part reports conditions by name; the registry
 * keeps what stands, since when, and logs a condition once when it appears, when its message
 * changes and when it goes. `podrouter status`, /readyz and a metric read it.
 *
 * Bounds: CONDITIONS_MAX stand at once; further ones are counted, not kept. Of one that stands
 * LINES_MAX lines in LINES_MS are logged, for some have a number in them that never rests; then
 * what it says by the end of that time.
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
const LINES_MAX = 5;
const LINES_MS = 60_000;

interface Standing {
  status: ConditionStatus;
  /** As it was logged last. */
  logged: ConditionStatus | undefined;
  /** Lines logged since `linesFrom`, monotonic ms. */
  lines: number;
  linesFrom: number;
}

export class Conditions {
  readonly #standing = new Map<string, Standing>();
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
    for (const [key, { status }] of this.#standing) {
      if (status.source === source && !names.has(status.name)) this.#clear(key);
    }
    for (const condition of all) this.#raise(source, condition);
  }

  /** What stands now, oldest first. */
  list(): readonly ConditionStatus[] {
    return Array.from(this.#standing.values(), ({ status }) => status);
  }

  #raise(source: string, condition: Condition): void {
    const key = keyOf(source, condition.name);
    let standing = this.#standing.get(key);
    if (standing === undefined) {
      if (this.#standing.size >= CONDITIONS_MAX) {
        this.#dropped++;
        return;
      }
      const status = { ...condition, source, since: this.#clock.wall() };
      standing = { status, logged: undefined, lines: 0, linesFrom: this.#clock.now() };
      this.#standing.set(key, standing);
    } else if (!saysSame(standing.status, condition)) {
      standing.status = { ...condition, source, since: standing.status.since };
    }
    if (standing.status !== standing.logged) this.#tell(standing);
  }

  /** Logs it unless that was done, or has been done too often of late. */
  #tell(standing: Standing): void {
    const { status, logged } = standing;
    if (logged === undefined || !saysSame(logged, status)) {
      const now = this.#clock.now();
      if (now - standing.linesFrom >= LINES_MS) {
        standing.lines = 0;
        standing.linesFrom = now;
      }
      if (standing.lines >= LINES_MAX) return;
      standing.lines++;
      const { source, name, severity, message } = status;
      const level = severity === "warning" ? "warn" : severity;
      this.#log[level]({ source, condition: name, reason: message }, "condition raised");
    }
    standing.logged = status;
  }

  #clear(key: string): void {
    const standing = this.#standing.get(key);
    if (standing === undefined) return;
    this.#standing.delete(key);
    const { source, name, since } = standing.status;
    const seconds = Math.round((this.#clock.wall() - since) / 1000);
    this.#log.info({ source, condition: name, seconds }, "condition cleared");
  }
}

function saysSame(a: Condition, b: Condition): boolean {
  return a.message === b.message && a.severity === b.severity;
}

function keyOf(source: string, name: string): string {
  return `${source}\u0000${name}`;
}
