/** Cleanup: takes every route of ours out of the main table. */
import { type Prefix, prefixFamily } from "../ip/prefix.ts";
import { PrefixBatch, pushPrefix } from "../ip/prefix-batch.ts";
import { BATCH_OPERATIONS_MAX } from "./limits.ts";
import { OperationBatch, OperationKind } from "./operation-batch.ts";
import type { RouteKernel } from "./ports.ts";
import { NO_PREFIX } from "./prefix-index.ts";
import { isOurs, type KernelRoute } from "./types.ts";

export interface RemovalReport {
  readonly removed: number;
  readonly failures: readonly { readonly prefix: Prefix; readonly message: string }[];
}

/** A dump can miss a route while others delete some: so often is looked again for what is left. */
const LOOKS_MAX = 4;

/**
 * Deletes all routes of protocol 17 in the main table, both families. No controller may run.
 * Rejects with KernelUnavailableError when the kernel cannot be talked to.
 */
export async function removeAllRoutes(
  kernel: Pick<RouteKernel, "dumpRoutes" | "apply">,
): Promise<RemovalReport> {
  let report: RemovalReport = { removed: 0, failures: [] };
  for (let look = 0; look < LOOKS_MAX; look++) {
    let routes: KernelRoute[] = [];
    await kernel.dumpRoutes(() => {
      routes = [];
      return (route) => {
        if (isOurs(route)) routes.push(route);
      };
    });
    // None, or those that were refused.
    if (routes.length === report.failures.length) break;
    const { removed, failures } = await remove(kernel, routes);
    report = { removed: report.removed + removed, failures };
  }
  return report;
}

async function remove(
  kernel: Pick<RouteKernel, "apply">,
  routes: readonly KernelRoute[],
): Promise<RemovalReport> {
  const single = new PrefixBatch(1);
  let removed = 0;
  const failures: { readonly prefix: Prefix; readonly message: string }[] = [];
  for (let at = 0; at < routes.length; at += BATCH_OPERATIONS_MAX) {
    const slice = routes.slice(at, at + BATCH_OPERATIONS_MAX);
    const batch = new OperationBatch();
    for (const route of slice) {
      single.reset(prefixFamily(route.prefix));
      pushPrefix(single, route.prefix);
      batch.add(single, 0, NO_PREFIX, OperationKind.delete, route, []);
    }
    const failed = await kernel.apply(batch);
    for (const [row, { prefix }] of slice.entries()) {
      const failure = failed.get(row);
      if (failure === undefined || failure.code === "ESRCH") removed++;
      else failures.push({ prefix, message: failure.message });
    }
  }
  return { removed, failures };
}
