/** Which pages are served where: probes and metrics, on one server where they share a port. */
import type { Clock, Random } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { Conditions } from "./conditions.ts";
import type { AgentConfig, ListenAt } from "./config.ts";
import { healthPage, type ReadinessCheck, readyPage } from "./health.ts";
import { HttpEndpoint, type Page } from "./http-endpoint.ts";

export interface PageParts {
  readonly conditions: Conditions;
  readonly checks: readonly ReadinessCheck[];
  readonly metrics: Page;
}

export class HttpPages {
  readonly #endpoints: readonly HttpEndpoint[];

  constructor(
    config: Pick<AgentConfig, "health" | "metrics">,
    deps: { readonly clock: Clock; readonly random: Random; readonly log: Log },
    parts: PageParts,
  ) {
    const { health, metrics } = config;
    const probes: readonly (readonly [string, Page])[] = [
      ["/healthz", healthPage],
      ["/readyz", readyPage(parts.checks, () => parts.conditions.list())],
    ];
    const figures: readonly (readonly [string, Page])[] =
      metrics === undefined ? [] : [[metrics.path, parts.metrics]];
    const endpoint = (
      name: string,
      at: ListenAt,
      pages: readonly (readonly [string, Page])[],
    ): HttpEndpoint =>
      new HttpEndpoint(at, new Map(pages), {
        ...deps,
        onProblem: (problem) =>
          parts.conditions.set(
            "http",
            name,
            problem === undefined ? undefined : { severity: "error", message: problem },
          ),
      });
    const endpoints: HttpEndpoint[] = [];
    if (health !== undefined && metrics !== undefined && sameAddress(health, metrics)) {
      endpoints.push(endpoint("health and metrics", health, [...probes, ...figures]));
    } else {
      if (health !== undefined) endpoints.push(endpoint("health", health, probes));
      if (metrics !== undefined) endpoints.push(endpoint("metrics", metrics, figures));
    }
    this.#endpoints = endpoints;
  }

  async start(): Promise<void> {
    await Promise.all(this.#endpoints.map((endpoint) => endpoint.start()));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#endpoints.map((endpoint) => endpoint.stop()));
  }
}

function sameAddress(a: ListenAt, b: ListenAt): boolean {
  return a.port === b.port && a.address === b.address;
}
