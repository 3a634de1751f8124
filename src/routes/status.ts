/** What the controller says about itself. Plain data, made anew at each call. */
import type { RouteCondition } from "./conditions.ts";

export interface RouteCounters {
  readonly created: number;
  readonly replaced: number;
  readonly deleted: number;
  /** Operations that the kernel refused. */
  readonly failed: number;
  /** Full comparisons with the kernel. */
  readonly resyncs: number;
  /** Times that events were lost. */
  readonly overruns: number;
  /** Changes made by others to routes of ours, or to routes in the way of ours. */
  readonly foreignEvents: number;
  /** Times that the kernel could not be talked to. */
  readonly unavailable: number;
}

export interface RouteStatus {
  /** Routes of ours in the kernel. */
  readonly installed: number;
  /** Routes that an earlier run had left, as found by `start`. */
  readonly adopted: number;
  readonly converged: boolean;
  /** Prefixes that wait to be looked at or tried again. */
  readonly pending: number;
  /** The first ones; `conditionsTotal` counts all. */
  readonly conditions: readonly RouteCondition[];
  readonly conditionsTotal: number;
  /** Of the last full comparison, ms since the epoch; undefined before the first. */
  readonly lastSync: number | undefined;
  readonly counters: RouteCounters;
  /** Dry run: what would be done, in the words of `ip route`; else empty. */
  readonly planned: readonly string[];
  readonly plannedTotal: number;
}

/** The same fields, counted up by the controller. */
export class Counters implements RouteCounters {
  created = 0;
  replaced = 0;
  deleted = 0;
  failed = 0;
  resyncs = 0;
  overruns = 0;
  foreignEvents = 0;
  unavailable = 0;
}

/** What a controller has planned that carries out all. */
export const NOTHING_PLANNED = { planned: [], plannedTotal: 0 } as const;
