/** What the parts that keep the kernel say together: counts for the metrics, plans of a dry run. */
import type { SetStatus } from "../ipset/status.ts";
import type { RouteStatus } from "../routes/status.ts";
import type { KernelCounts } from "./metrics.ts";
import type { OverlayPart } from "./overlay-part.ts";
import type { PodsPart } from "./pods-part.ts";

export interface KernelParts {
  readonly routes: RouteStatus;
  readonly sets: SetStatus;
  readonly overlay: Pick<OverlayPart, "counts" | "planned">;
  readonly pods: Pick<PodsPart, "planned" | "ruleRepairs"> | undefined;
}

export function kernelCounts({ routes, sets, overlay, pods }: KernelParts): KernelCounts {
  const { installed, counters } = routes;
  return {
    routesInstalled: installed,
    routesAdded: counters.created,
    routesReplaced: counters.replaced,
    routesRemoved: counters.deleted,
    routesFailed: counters.failed,
    routesForeign: counters.foreignEvents,
    setMembersAdded: sets.counters.added,
    setMembersRemoved: sets.counters.removed,
    ...overlay.counts(),
    ruleRepairs: pods?.ruleRepairs ?? 0,
  };
}

/** What is in the kernel, and what a dry run holds back. */
export function kernelSummary({ routes, sets, overlay, pods }: KernelParts) {
  const others = [...overlay.planned(), ...(pods?.planned() ?? [])];
  return {
    routesInstalled: routes.installed,
    planned: [
      ...sets.planned.map((line) => `ipset ${line}`),
      ...routes.planned.map((line) => `route ${line}`),
      ...others,
    ],
    plannedTotal: sets.plannedTotal + routes.plannedTotal + others.length,
  };
}
