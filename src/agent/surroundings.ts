/** Looks once at what this process was given, and says what is missing. */

import { makeFolder } from "../runtime/files.ts";
import { hasNetAdmin } from "./capabilities.ts";
import type { Conditions } from "./conditions.ts";
import type { AgentConfig } from "./config.ts";

export function lookAround(
  { stateDir, dryRun }: Pick<AgentConfig, "stateDir" | "dryRun">,
  conditions: Conditions,
): void {
  try {
    makeFolder(stateDir, 0o700);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    conditions.set("agent", "state-dir", {
      severity: "warning",
      message: `--state-dir ${stateDir} cannot be made, nothing outlives the process: ${reason}`,
    });
  }
  if (dryRun || hasNetAdmin()) return;
  conditions.set("agent", "capability", {
    severity: "error",
    message: "CAP_NET_ADMIN is missing: routes and ipsets cannot be changed",
  });
}
