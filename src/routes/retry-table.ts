/** Prefixes whose operation failed, and when each is to be tried again. */
import type { Prefix } from "../ip/prefix.ts";
import { backoffMs } from "../runtime/backoff.ts";
import type { Random } from "../runtime/clock.ts";
import { RETRY_FIRST_MS, RETRY_MAX_MS } from "./limits.ts";

interface Entry {
  failures: number;
  due: number;
  stale: boolean;
}

/** Entries due this soon after one that is due go with it. */
const TOGETHER_MS = 50;

export class RetryTable {
  readonly #entries = new Map<Prefix, Entry>();
  readonly #random: Random;
  #nextDue: number | undefined;

  constructor(random: Random) {
    this.#random = random;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** When {@link takeDue} has something to give; undefined when nothing waits. */
  get nextDue(): number | undefined {
    return this.#nextDue;
  }

  /** Notes a failure. `stale`: the kernel must be listed again before the next try. */
  failed(prefix: Prefix, now: number, stale: boolean): void {
    const failures = this.#entries.get(prefix)?.failures ?? 0;
    const options = { firstMs: RETRY_FIRST_MS, maxMs: RETRY_MAX_MS };
    const due = now + backoffMs(options, failures, this.#random);
    this.#entries.set(prefix, { failures: failures + 1, due, stale });
    this.#nextDue = Math.min(this.#nextDue ?? due, due);
  }

  /** It went well, or nothing is to be done any more. */
  settled(prefix: Prefix): void {
    if (this.#entries.delete(prefix) && this.#entries.size === 0) this.#nextDue = undefined;
  }

  /** Prefixes to be tried now. Their failures stay counted until they are settled. */
  takeDue(now: number): { readonly prefixes: readonly Prefix[]; readonly stale: boolean } {
    const prefixes: Prefix[] = [];
    let stale = false;
    let next = Number.POSITIVE_INFINITY;
    for (const [prefix, entry] of this.#entries) {
      if (entry.due <= now + TOGETHER_MS) {
        prefixes.push(prefix);
        stale ||= entry.stale;
        entry.due = Number.POSITIVE_INFINITY;
      } else {
        next = Math.min(next, entry.due);
      }
    }
    this.#nextDue = next === Number.POSITIVE_INFINITY ? undefined : next;
    return { prefixes, stale };
  }
}
