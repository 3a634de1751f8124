/**
 * What is wrong at the moment, in one place. Each part reports conditions by name; the registry
 * keeps what stands, since when, and logs a condition once when it appears, when its message
 * changes and when it goes. `podrouter status`, /readyz and a metric read it.
 *
 * Bounds: CONDITIONS_MAX stand at once. Beyond, one takes the place of a lesser one or is not kept,
 * and one more condition says how many are not. Of one that stands LINES_MAX lines in LINES_MS are
 * logged, for some have a number in them that never rests; then what it says by the end of that
 * time.
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
/** Says how many are not kept. */
const MORE = { name: "more-conditions", severity: "warning" } as const;
const RANKS = { info: 0, warning: 1, error: 2 } as const satisfies Record<Severity, number>;
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
  /** How many of those that stand have each rank. */
  readonly #ranked = [0, 0, 0];
  /** By source, how many of its conditions are not kept. */
  readonly #beyond = new Map<string, number>();
  #more: Standing | undefined;
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
    let beyond = 0;
    for (const condition of all) if (!this.#raise(source, condition)) beyond++;
    this.#beyond.set(source, beyond);
    this.#tellBeyond();
  }

  /** What stands now, oldest first; last that there is more. */
  list(): readonly ConditionStatus[] {
    const kept = Array.from(this.#standing.values(), ({ status }) => status);
    return this.#more === undefined ? kept : [...kept, this.#more.status];
  }

  /** Whether it stands now; false = there is no room for it. */
  #raise(source: string, condition: Condition): boolean {
    const key = keyOf(source, condition.name);
    const known = this.#standing.get(key);
    const full = known === undefined && this.#standing.size >= CONDITIONS_MAX;
    if (full && !this.#makeRoom(RANKS[condition.severity])) {
      this.#dropped++;
      return false;
    }
    if (known !== undefined) this.#count(known.status.severity, -1);
    this.#count(condition.severity, 1);
    this.#standing.set(key, this.#stands(known, source, condition));
    return true;
  }

  #stands(known: Standing | undefined, source: string, condition: Condition): Standing {
    const since = known?.status.since ?? this.#clock.wall();
    const fresh = () => ({ ...condition, source, since });
    const standing = known ?? {
      status: fresh(),
      logged: undefined,
      lines: 0,
      linesFrom: this.#clock.now(),
    };
    if (!saysSame(standing.status, condition)) standing.status = fresh();
    if (standing.status !== standing.logged) this.#tell(standing);
    return standing;
  }

  #count(severity: Severity, change: 1 | -1): void {
    this.#ranked[RANKS[severity]]! += change;
  }

  /** Takes one of a lower rank out, the lowest there is; false = there is none. */
  #makeRoom(rank: number): boolean {
    const lowest = this.#ranked.findIndex((count) => count > 0);
    if (lowest < 0 || lowest >= rank) return false;
    for (const [key, { status }] of this.#standing) {
      if (RANKS[status.severity] !== lowest) continue;
      this.#standing.delete(key);
      this.#count(status.severity, -1);
      return true;
    }
    return false;
  }

  #tellBeyond(): void {
    const count = [...this.#beyond.values()].reduce((sum, each) => sum + each, 0);
    if (count > 0) {
      const message = `${count} more conditions stand; ${CONDITIONS_MAX} are kept, errors first`;
      this.#more = this.#stands(this.#more, "agent", { ...MORE, message });
    } else if (this.#more !== undefined) {
      this.#tellCleared(this.#more.status);
      this.#more = undefined;
    }
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
    this.#count(standing.status.severity, -1);
    this.#tellCleared(standing.status);
  }

  #tellCleared({ source, name, since }: ConditionStatus): void {
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
