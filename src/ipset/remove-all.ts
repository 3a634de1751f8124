/** Cleanup: takes our sets out of the kernel. */
import { conflictOf } from "./plan.ts";
import { SetsError, type SetsKernel } from "./ports.ts";
import { OUR_SETS, TEMPORARY } from "./types.ts";

export interface SetRemovalReport {
  readonly removed: readonly string[];
  /** Sets that are still there, and why: usually a rule refers to them. */
  readonly kept: readonly { readonly name: string; readonly why: string }[];
}

/**
 * Destroys our sets unless something refers to them. Sets of our names but other types are not
 * ours. Rejects with SetsError when the kernel has no say about sets at all.
 */
export async function removeAllSets(
  kernel: Pick<SetsKernel, "header" | "destroy">,
): Promise<SetRemovalReport> {
  const removed: string[] = [];
  const kept: { readonly name: string; readonly why: string }[] = [];
  for (const set of OUR_SETS) {
    const header = await kernel.header(set.name);
    if (header === undefined) continue;
    const conflict = conflictOf(set, header);
    if (conflict !== undefined) kept.push({ name: set.name, why: conflict });
    else await destroy(kernel, set.name, removed, kept);
  }
  if ((await kernel.header(TEMPORARY)) !== undefined) {
    await destroy(kernel, TEMPORARY, removed, kept);
  }
  return { removed, kept };
}

async function destroy(
  kernel: Pick<SetsKernel, "header" | "destroy">,
  name: string,
  removed: string[],
  kept: { readonly name: string; readonly why: string }[],
): Promise<void> {
  try {
    await kernel.destroy(name);
    removed.push(name);
  } catch (error) {
    if (!(error instanceof SetsError) || error.kind === "unavailable") throw error;
    kept.push({ name, why: error.message });
  }
}
