/**
 * The two probes. /healthz says that the event loop turns, and nothing else: an API server or a
 * peer that is away must never get the agent restarted. /readyz says that this node routes: each
 * check by name, the first reason for each that fails, and every condition that stands.
 */
import type { ConditionStatus } from "./conditions.ts";
import { type Page, plain } from "./http-endpoint.ts";

/** One thing that must hold before the node counts as ready. */
export interface ReadinessCheck {
  readonly name: string;
  /** Why it does not hold, or undefined when it does. */
  problem(): string | undefined;
}

/** The body that kube-router's probe gives, so that a probe on the text goes on working. */
export const healthPage: Page = () => plain(200, "OK\n");

export function isReady(checks: readonly ReadinessCheck[]): boolean {
  return checks.every((check) => check.problem() === undefined);
}

/** What each check that fails waits for, its name before it; empty when all hold. */
export function waitingFor(checks: readonly ReadinessCheck[]): readonly string[] {
  return checks.flatMap((check) => {
    const reason = check.problem();
    return reason === undefined ? [] : [`${check.name}: ${reason}`];
  });
}

/** 200 or 503, with a line for each check and each condition, as the API server writes its own. */
export function readyPage(
  checks: readonly ReadinessCheck[],
  conditions: () => readonly ConditionStatus[],
): Page {
  return () => {
    let ready = true;
    const lines = checks.map((check) => {
      const problem = check.problem();
      if (problem === undefined) return `[+]${check.name} ok`;
      ready = false;
      return `[-]${check.name} not yet: ${problem}`;
    });
    for (const condition of conditions()) {
      lines.push(
        `[!]${condition.source} ${condition.name} (${condition.severity}): ${condition.message}`,
      );
    }
    lines.push(ready ? "ready" : "not ready");
    return plain(ready ? 200 : 503, `${lines.join("\n")}\n`);
  };
}
