/**
 * Which prefixes are to be looked at next: those that were marked, then those of a comparison of
 * all.
 */
import type { Prefix } from "../ip/prefix.ts";
import type { ConditionBook } from "./conditions.ts";
import type { DesiredRoutes } from "./ports.ts";
import type { RouteView } from "./view.ts";

export class Agenda {
  #marked = new Set<Prefix>();
  /** Marked ones that are being taken; a set that is walked to its end needs no deletions. */
  #taking: { readonly prefixes: Iterator<Prefix>; left: number } | undefined;
  /** What is left of a comparison of all. */
  #scan: Iterator<Prefix> | undefined;

  /** Marked prefixes that have not been taken. */
  get marked(): number {
    return this.#marked.size + (this.#taking?.left ?? 0);
  }

  /** A comparison of all is under way. */
  get scans(): boolean {
    return this.#scan !== undefined;
  }

  mark(prefix: Prefix): void {
    this.#marked.add(prefix);
  }

  /** Begins a comparison of all these, in place of one under way. */
  scan(prefixes: Iterator<Prefix>): void {
    this.#scan = prefixes;
  }

  /** At most `max` prefixes; none = that was all. One may be among them twice. */
  take(max: number): Prefix[] {
    const slice: Prefix[] = [];
    this.#takeMarked(slice, max);
    while (this.#scan !== undefined && slice.length < max) {
      const next = this.#scan.next();
      if (next.done === true) this.#scan = undefined;
      else slice.push(next.value);
    }
    return slice;
  }

  #takeMarked(slice: Prefix[], max: number): void {
    if (this.#taking === undefined) {
      if (this.#marked.size === 0) return;
      this.#taking = { prefixes: this.#marked.values(), left: this.#marked.size };
      this.#marked = new Set();
    }
    const { prefixes } = this.#taking;
    while (slice.length < max) {
      const next = prefixes.next();
      if (next.done === true) {
        this.#taking = undefined;
        return;
      }
      this.#taking.left--;
      slice.push(next.value);
    }
  }
}

/** Every prefix that may need something: wanted, there, or complained about. */
export function* everyPrefix(
  desired: DesiredRoutes,
  view: RouteView,
  conditions: ConditionBook,
): Generator<Prefix, void> {
  for (const route of desired.all()) yield route.prefix;
  for (const prefix of view.prefixes()) if (desired.lookup(prefix) === undefined) yield prefix;
  for (const prefix of conditions.prefixes()) {
    if (desired.lookup(prefix) === undefined && !view.has(prefix)) yield prefix;
  }
}
