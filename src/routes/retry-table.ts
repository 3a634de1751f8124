/**
 * Prefixes whose operation failed, and when each is to be tried again.
 *
 * Columns by id, and a list of the prefixes for each due time. Due times lie on a grid, so there
 * are few of them, and what is done costs as much as there are prefixes that it is done to.
 */
import { backoffMs } from "../runtime/backoff.ts";
import type { Random } from "../runtime/clock.ts";
import { RETRIES_HURRIED_EACH, RETRIES_TAKEN_MAX, RETRY, RETRY_GRID_MS } from "./limits.ts";
import { NO_PREFIX, type PrefixId, type PrefixIndex } from "./prefix-index.ts";

const IDS_FIRST = 64;
/** Most that is counted; the back-off has come to its end long before. */
const FAILURES_MAX = 255;
/** `#due` of what does not wait. */
const TAKEN = 0;
const NO_JITTER: Random = () => 0;

export class RetryTable {
  readonly #index: PrefixIndex;
  readonly #random: Random;
  /** In a row; 0: not in the table. */
  #failures = new Uint8Array(IDS_FIRST);
  /** Monotonic ms. */
  #due = new Float64Array(IDS_FIRST);
  /** The count of listings at the failure, where that left the kernel's state in doubt; else 0. */
  #doubted = new Uint32Array(IDS_FIRST);
  /** Neighbours among those due at the same time. */
  #before = new Uint32Array(IDS_FIRST);
  #after = new Uint32Array(IDS_FIRST);
  /** The first of those due then. */
  readonly #firsts = new Map<number, PrefixId>();
  #nextDue: number | undefined;
  #size = 0;
  /** Of them, those that are not taken; and so many of these may be taken before they are due. */
  #waiting = 0;
  #hurried = 0;
  #listings = 1;
  /** Takes after which the kernel was to be listed, in a row, and when the last one was. */
  #rounds = 0;
  #roundAt = Number.NEGATIVE_INFINITY;

  constructor(index: PrefixIndex, random: Random) {
    this.#index = index;
    this.#random = random;
  }

  get size(): number {
    return this.#size;
  }

  /** When {@link takeDue} has something to give, 0 for at once; undefined when nothing waits. */
  get nextDue(): number | undefined {
    return this.#hurried > 0 ? 0 : this.#nextDue;
  }

  /** Whether it failed and was not settled since; its retry may have been taken. */
  has(id: PrefixId): boolean {
    return (this.#failures[id] ?? 0) > 0;
  }

  /**
   * Whether the kernel will be listed when its time comes, and not before: until then what is known
   * of it may be wrong, so that nothing settles it.
   */
  inDoubt(id: PrefixId): boolean {
    return this.has(id) && this.#due[id] !== TAKEN && this.#doubted[id] === this.#listings;
  }

  /**
   * Notes a failure. `stale`: the kernel must be listed again before the next try. That is dear:
   * such prefixes come in groups, the grid of their due times being as wide as the jitter of the
   * others, a quarter of the back-off; and where new ones fail all the time, the groups themselves
   * come ever more slowly.
   */
  failed(id: PrefixId, now: number, stale: boolean): void {
    this.#reach(id);
    const failures = this.#failures[id]!;
    if (failures > 0) {
      this.#unlink(id);
    } else {
      this.#index.hold(id);
      this.#size++;
    }
    this.#failures[id] = Math.min(FAILURES_MAX, failures + 1);
    this.#doubted[id] = stale ? this.#listings : 0;
    const delay = backoffMs(RETRY, failures, stale ? NO_JITTER : this.#random);
    const grid = stale ? widthOf(delay) : RETRY_GRID_MS;
    const due = Math.floor((now + delay) / grid) * grid;
    this.#link(id, stale ? Math.max(due, this.#nextRound()) : due);
  }

  /** The kernel was listed: what failed until then is in doubt no more. */
  listed(): void {
    this.#listings++;
  }

  /**
   * It went well, or nothing is to be done any more. What had been refused and is taken now says
   * that others may be: each brings two of them forward. So all are tried at once where the kernel
   * takes routes again, and two in vain where it takes this one alone.
   */
  settled(id: PrefixId): void {
    if (this.#size === 0 || !this.has(id)) return;
    const wasRefused = this.#due[id] === TAKEN && this.#doubted[id] === 0;
    if (wasRefused) this.#hurried = Math.min(this.#hurried + RETRIES_HURRIED_EACH, this.#waiting);
    this.#unlink(id);
    this.#failures[id] = 0;
    this.#size--;
    this.#index.release(id);
  }

  /**
   * Prefixes to be tried now, not too many at once: the others are still due. Their failures stay
   * counted until they are settled. `stale`: the kernel must be listed before.
   */
  takeDue(now: number): { readonly prefixes: readonly PrefixId[]; readonly stale: boolean } {
    const prefixes: PrefixId[] = [];
    let stale = false;
    while (prefixes.length < RETRIES_TAKEN_MAX) {
      const due = this.#nextDue;
      if (due === undefined) break;
      const isEarly = due > now;
      if (isEarly && this.#hurried === 0) break;
      if (isEarly) this.#hurried--;
      const id = this.#firsts.get(due)!;
      this.#unlink(id);
      prefixes.push(id);
      stale ||= this.#doubted[id] === this.#listings;
    }
    if (stale) {
      this.#rounds = now - this.#roundAt > RETRY.maxMs ? 1 : this.#rounds + 1;
      this.#roundAt = now;
    }
    return { prefixes, stale };
  }

  /** When the kernel may be listed again for retries. */
  #nextRound(): number {
    const at = this.#roundAt + widthOf(backoffMs(RETRY, this.#rounds, NO_JITTER));
    return Math.ceil(at / RETRY_GRID_MS) * RETRY_GRID_MS;
  }

  #link(id: PrefixId, due: number): void {
    const after = this.#firsts.get(due) ?? NO_PREFIX;
    if (after !== NO_PREFIX) this.#before[after] = id;
    this.#before[id] = NO_PREFIX;
    this.#after[id] = after;
    this.#due[id] = due;
    this.#waiting++;
    this.#firsts.set(due, id);
    this.#nextDue = Math.min(this.#nextDue ?? due, due);
  }

  #unlink(id: PrefixId): void {
    const due = this.#due[id]!;
    if (due === TAKEN) return;
    this.#due[id] = TAKEN;
    this.#waiting--;
    this.#hurried = Math.min(this.#hurried, this.#waiting);
    const before = this.#before[id]!;
    const after = this.#after[id]!;
    if (after !== NO_PREFIX) this.#before[after] = before;
    if (before !== NO_PREFIX) {
      this.#after[before] = after;
    } else if (after !== NO_PREFIX) {
      this.#firsts.set(due, after);
    } else {
      this.#firsts.delete(due);
      if (due === this.#nextDue) this.#nextDue = earliest(this.#firsts.keys());
    }
  }

  /** Makes room for the id. */
  #reach(id: PrefixId): void {
    if (id < this.#failures.length) return;
    const length = Math.max(this.#failures.length * 2, id + 1);
    this.#failures = grown(this.#failures, new Uint8Array(length));
    this.#due = grown(this.#due, new Float64Array(length));
    this.#doubted = grown(this.#doubted, new Uint32Array(length));
    this.#before = grown(this.#before, new Uint32Array(length));
    this.#after = grown(this.#after, new Uint32Array(length));
  }
}

function widthOf(delayMs: number): number {
  return Math.max(RETRY_GRID_MS, delayMs / 4);
}

function grown<T extends Uint8Array | Uint32Array | Float64Array>(from: T, into: T): T {
  into.set(from);
  return into;
}

/** Of at most a few hundred: the longest back-off, cut by the grid. */
function earliest(times: Iterable<number>): number | undefined {
  let first: number | undefined;
  for (const time of times) if (first === undefined || time < first) first = time;
  return first;
}
