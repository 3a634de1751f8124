/** Looks once at what this process was given, and says what is missing. */
import { hasNetAdmin } from "./capabilities.ts";
import type { Conditions } from "./conditions.ts";
import type { AgentConfig } from "./config.ts";

export function lookAround({ dryRun }: Pick<AgentConfig, "dryRun">, conditions: Conditions): void {
  if (dryRun || hasNetAdmin()) return;
  conditions.set("agent", "capability", {
    severity: "error",
    message: "CAP_NET_ADMIN is missing: routes and ipsets cannot be changed",
  });
}
