/** Cleanup: takes every route of ours out of the main table. */
import type { Prefix } from "../ip/prefix.ts";
import { SLICE_PREFIXES_MAX } from "./limits.ts";
import type { RouteKernel } from "./ports.ts";
import { isOurs, type RouteOperation } from "./types.ts";

export interface RemovalReport {
  readonly removed: number;
  readonly failures: readonly { readonly prefix: Prefix; readonly message: string }[];
}

/**
 * Deletes all routes of protocol 17 in the main table, both families. No controller may run.
 * Rejects with KernelUnavailableError when the kernel cannot be talked to.
 */
export async function removeAllRoutes(
  kernel: Pick<RouteKernel, "dumpRoutes" | "apply">,
): Promise<RemovalReport> {
  const operations: RouteOperation[] = [];
  await kernel.dumpRoutes((route) => {
    if (isOurs(route)) operations.push({ kind: "delete", prefix: route.prefix, route });
  });
  let removed = 0;
  const failures: { readonly prefix: Prefix; readonly message: string }[] = [];
  for (let at = 0; at < operations.length; at += SLICE_PREFIXES_MAX) {
    const slice = operations.slice(at, at + SLICE_PREFIXES_MAX);
    const outcomes = await kernel.apply(slice);
    slice.forEach(({ prefix }, index) => {
      const failure = outcomes[index];
      if (failure === undefined || failure.code === "ESRCH") removed++;
      else failures.push({ prefix, message: failure.message });
    });
  }
  return { removed, failures };
}
