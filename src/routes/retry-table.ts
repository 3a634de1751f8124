/** Prefixes whose operation failed, and when each is to be tried again. */
import { backoffMs } from "../runtime/backoff.ts";
import type { Random } from "../runtime/clock.ts";
import { RETRY } from "./limits.ts";
import type { PrefixId, PrefixIndex } from "./prefix-index.ts";

interface Entry {
  failures: number;
  due: number;
  stale: boolean;
}

/** Entries due this soon after one that is due go with it. */
const TOGETHER_MS = 50;

export class RetryTable {
  readonly #entries = new Map<PrefixId, Entry>();
  readonly #index: PrefixIndex;
  readonly #random: Random;
  #nextDue: number | undefined;

  constructor(index: PrefixIndex, random: Random) {
    this.#index = index;
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
  failed(id: PrefixId, now: number, stale: boolean): void {
    const known = this.#entries.get(id);
    if (known === undefined) this.#index.hold(id);
    const failures = known?.failures ?? 0;
    const due = now + backoffMs(RETRY, failures, this.#random);
    this.#entries.set(id, { failures: failures + 1, due, stale });
    this.#nextDue = Math.min(this.#nextDue ?? due, due);
  }

  /** It went well, or nothing is to be done any more. */
  settled(id: PrefixId): void {
    if (this.#entries.size === 0 || !this.#entries.delete(id)) return;
    this.#index.release(id);
    if (this.#entries.size === 0) this.#nextDue = undefined;
  }

  /** Prefixes to be tried now. Their failures stay counted until they are settled. */
  takeDue(now: number): { readonly prefixes: readonly PrefixId[]; readonly stale: boolean } {
    const prefixes: PrefixId[] = [];
    let stale = false;
    let next = Number.POSITIVE_INFINITY;
    for (const [id, entry] of this.#entries) {
      if (entry.due <= now + TOGETHER_MS) {
        prefixes.push(id);
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
