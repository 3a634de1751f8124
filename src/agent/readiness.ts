/** What must hold before this node counts as ready: one check for each part. */
import type { SetController } from "../ipset/controller.ts";
import type { NodeSource } from "../k8s/node-source.ts";
import type { RouteController } from "../routes/controller.ts";
import type { ReadinessCheck } from "./health.ts";

/** What is asked. `nodes`, `pods`: undefined = the agent runs without. */
export interface ReadinessParts {
  readonly nodes: Pick<NodeSource, "status"> | undefined;
  /** Whether Nodes are known, of the last run or of this one. */
  readonly known: () => boolean;
  readonly bgp: { notReady(): string | undefined };
  readonly routes: Pick<RouteController, "status">;
  readonly sets: Pick<SetController, "status">;
  readonly pods: { notReady(): string | undefined } | undefined;
}

export function readinessChecks(parts: ReadinessParts): readonly ReadinessCheck[] {
  return [
    { name: "nodes", problem: () => nodesNotReady(parts) },
    { name: "bgp", problem: () => parts.bgp.notReady() },
    { name: "routes", problem: () => routesNotReady(parts) },
    { name: "ipsets", problem: () => setsNotReady(parts) },
    { name: "pods", problem: () => parts.pods?.notReady() },
  ];
}

function nodesNotReady({ nodes, known }: ReadinessParts): string | undefined {
  if (nodes === undefined || known()) return undefined;
  const { origin, lastError } = nodes.status();
  return lastError?.reason ?? `no answer yet from ${origin}`;
}

function routesNotReady({ routes }: ReadinessParts): string | undefined {
  const status = routes.status();
  if (status.lastSync === undefined) return "the kernel's routes are not known yet";
  return status.conditions.find((condition) => condition.code === "kernel-unavailable")?.message;
}

function setsNotReady({ nodes, sets }: ReadinessParts): string | undefined {
  const status = sets.status();
  if (nodes === undefined || status.lastSync !== undefined) return undefined;
  return status.conditions[0]?.message ?? "the sets are not filled yet";
}
