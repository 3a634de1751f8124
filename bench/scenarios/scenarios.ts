/** All scenarios, in the order of the page. */
import { CHANGE_PEERS, CHANGE_PREFIXES } from "./change.ts";
import { S4, S5, S5_100K } from "./kernel.ts";
import { S3, S3_1000, S3_IDLE } from "./mesh.ts";
import { S6 } from "./node-events.ts";
import type { Scenario } from "./scenario.ts";
import { S7 } from "./sets.ts";
import { S8 } from "./start.ts";
import { S1, S2, S2O } from "./table-load.ts";

export const SCENARIOS: readonly Scenario[] = [
  ...[S1, S2, S2O, S3, S3_1000, S3_IDLE, S4, S5, S5_100K, S6, S7, S8],
  ...[CHANGE_PEERS, CHANGE_PREFIXES],
];
