/** All scenarios, in the order of the page. */
import type { Scenario } from "./scenario.ts";
import { S1, S2, S2O } from "./table-load.ts";

export const SCENARIOS: readonly Scenario[] = [S1, S2, S2O];
