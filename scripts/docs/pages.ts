/** Every generated page, by its path in the repository. */
import { flagsPage } from "./flags-page.ts";
import { interopPage } from "./interop-page.ts";
import { limitsPage } from "./limits-page.ts";
import { metricsPage } from "./metrics-page.ts";

export async function generatedPages(): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ["docs/flags.md", flagsPage()],
    ["docs/interop.md", interopPage()],
    ["docs/limits.md", limitsPage()],
    ["docs/metrics.md", await metricsPage()],
  ]);
}
