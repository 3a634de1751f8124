/** Cleanup: finds our sets in the kernel and takes them out. */
import { conflictOf } from "./plan.ts";
import { SetsError, type SetsKernel } from "./ports.ts";
import { OUR_SETS, TEMPORARY } from "./types.ts";

/** A set that stays, and why. */
export interface KeptSet {
  readonly name: string;
  readonly why: string;
}

export interface FoundSets {
  readonly own: readonly string[];
  /** Those of our names, but of another type or family. */
  readonly foreign: readonly KeptSet[];
}

export interface SetRemovalReport {
  readonly removed: readonly string[];
  /** Sets that are still there: usually a rule refers to them. */
  readonly kept: readonly KeptSet[];
}

/** Changes nothing. Rejects with SetsError when the kernel has no say about sets at all. */
export async function findOwnSets(kernel: Pick<SetsKernel, "header">): Promise<FoundSets> {
  const own: string[] = [];
  const foreign: KeptSet[] = [];
  for (const set of OUR_SETS) {
    const header = await kernel.header(set.name);
    if (header === undefined) continue;
    const why = conflictOf(set, header);
    if (why === undefined) own.push(set.name);
    else foreign.push({ name: set.name, why });
  }
  if ((await kernel.header(TEMPORARY)) !== undefined) own.push(TEMPORARY);
  return { own, foreign };
}

/** Destroys these sets unless something refers to them. Rejects as {@link findOwnSets}. */
export async function removeSets(
  kernel: Pick<SetsKernel, "destroy">,
  names: readonly string[],
): Promise<SetRemovalReport> {
  const removed: string[] = [];
  const kept: KeptSet[] = [];
  for (const name of names) {
    try {
      await kernel.destroy(name);
      removed.push(name);
    } catch (error) {
      if (!(error instanceof SetsError) || error.kind === "unavailable") throw error;
      kept.push({ name, why: error.message });
    }
  }
  return { removed, kept };
}
