/** What the controller of the sets says about itself. */
import type { IpFamily } from "../ip/address.ts";
import type { SetCondition } from "./conditions.ts";
import type { SetType } from "./types.ts";

export interface SetSummary {
  readonly name: string;
  readonly type: SetType;
  readonly family: IpFamily;
  /** Number of members as the last pass left them; undefined when there is no such set. */
  readonly members: number | undefined;
  /** True when somebody else's set of another type has the name. */
  readonly foreign: boolean;
}

export interface SetCounters {
  readonly created: number;
  readonly rebuilt: number;
  readonly added: number;
  readonly removed: number;
  /** Times that the check found a set changed by somebody else. */
  readonly repairs: number;
  /** Passes that did not bring everything right. */
  readonly failed: number;
  readonly syncs: number;
}

export interface SetStatus {
  readonly sets: readonly SetSummary[];
  readonly conditions: readonly SetCondition[];
  /** Of the last pass, ms since the epoch; undefined before the first. */
  readonly lastSync: number | undefined;
  readonly counters: SetCounters;
  /** Dry run: what would be done, as `ipset` commands; else empty. */
  readonly planned: readonly string[];
  readonly plannedTotal: number;
}

/** The counters, counted up by the controller. */
export class MutableSetCounters implements SetCounters {
  created = 0;
  rebuilt = 0;
  added = 0;
  removed = 0;
  repairs = 0;
  failed = 0;
  syncs = 0;
}
