/** Holds that work does not grow with the size of what does not change. */
import assert from "node:assert/strict";
import type { Steps } from "../support/steps.ts";

/** What grows on purpose. */
export interface Known {
  /** As in {@link Steps}; or a file or folder, for each function in it. */
  readonly where: string;
  /** What it grows with; left out: anything. */
  readonly at?: readonly string[];
  /** Steps for each of what there is more of. */
  readonly each: number;
  readonly why: string;
  /** By chance: nobody expects it. */
  readonly sometimes?: true;
}

/** What goes on beside what is counted. */
export const SESSIONS: readonly Known[] = [
  "src/bgp/message/",
  "src/bgp/fsm/",
  "src/bgp/session/",
].map((where) => ({
  where,
  each: 1,
  why: "KEEPALIVEs of some of the sessions are due meanwhile, with 16 octets to look at each",
  sometimes: true,
}));

/** Trees, hashes and tables that grow are a few steps deeper; who looks at each, is not below it. */
const LEEWAY = 400;
/** All functions together. */
const LEEWAY_ALL = 2500;

export class Growth {
  readonly #known: readonly Known[];
  /** Of the known: what grew indeed. */
  readonly met = new Set<Known>();

  constructor(known: readonly Known[]) {
    this.#known = known;
  }

  /** `runs`: the same work at growing sizes. */
  hold(what: string, runs: readonly { readonly size: number; readonly steps: Steps }[]): void {
    const [small] = runs;
    assert.ok(small !== undefined);
    for (const { size, steps } of runs.slice(1).reverse()) {
      const found: string[] = [];
      let all = 0;
      for (const [where, count] of steps) {
        const grown = count - (small.steps.get(where) ?? 0);
        const known = this.#knownOf(where, what);
        if (known !== undefined && grown > LEEWAY) this.met.add(known);
        const allowed = (known?.each ?? 0) * (size - small.size);
        if (grown > allowed + LEEWAY) found.push(`${where}: ${grown} more`);
        all += Math.max(0, grown - allowed);
      }
      const text: string = `${what}: from ${small.size} to ${size}`;
      assert.deepEqual(found, [], text);
      assert.ok(all <= LEEWAY_ALL, `${text}: ${all} more in all`);
    }
  }

  #knownOf(where: string, what: string): Known | undefined {
    return this.#known.find((one) => {
      const there = where === one.where || isIn(where, one.where);
      return there && one.at?.includes(what) !== false;
    });
  }
}

/** What grows no more is to be listed no more. */
export function holdKnown(all: readonly Known[], growths: readonly Growth[]): void {
  const met = new Set(growths.flatMap((growth) => [...growth.met]));
  const idle = all.filter((one) => one.sometimes !== true && !met.has(one));
  assert.deepEqual(idle, [], "grows no more");
}

/** `src/overlay/` or `src/overlay/plan.ts` hold all that is in there. */
function isIn(where: string, place: string): boolean {
  return /(?:\/|\.ts)$/.test(place) && where.startsWith(place);
}
