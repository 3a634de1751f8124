/**
 * Carries out the plans of one slice and notes what came of each prefix: condition, retry, view.
 * In a dry run it keeps the plans for showing instead.
 */
import type { IpAddress } from "../ip/address.ts";
import type { Prefix } from "../ip/prefix.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import {
  type ConditionBook,
  describeHop,
  describeRoute,
  foreignCondition,
  kernelErrorCondition,
  type RouteCondition,
} from "./conditions.ts";
import { PLANNED_LISTED_MAX } from "./limits.ts";
import type { KernelObserver } from "./observer.ts";
import type { PrefixPlan } from "./plan.ts";
import { type KernelFailure, KernelUnavailableError, type RouteKernel } from "./ports.ts";
import type { RetryTable } from "./retry-table.ts";
import type { Counters } from "./status.ts";
import type { RouteOperation } from "./types.ts";

interface Subject {
  readonly prefix: Prefix;
  readonly nextHops: readonly IpAddress[];
}

interface Pending {
  readonly subject: Subject;
  readonly operations: readonly RouteOperation[];
  /** What stands once the operations are done. */
  readonly condition: RouteCondition | undefined;
}

/**
 * - `occupied`: a route that we did not know of has the place;
 * - `stale`: the kernel's state is not what we thought, or not known;
 * - `forbidden`: it would refuse everything.
 */
type Verdict = "done" | "occupied" | "stale" | "forbidden" | "failed";

export interface ApplierDeps {
  readonly kernel: RouteKernel;
  readonly clock: Clock;
  readonly log: Log;
  readonly dryRun: boolean;
}

export interface ApplierState {
  readonly observer: KernelObserver;
  readonly retry: RetryTable;
  readonly counters: Counters;
}

export interface ApplierReports {
  readonly conditions: ConditionBook;
  /** The view may be wrong. */
  onDoubt(): void;
}

export class Applier {
  readonly #deps: ApplierDeps;
  readonly #state: ApplierState;
  readonly #reports: ApplierReports;
  readonly #planned = new Map<Prefix, readonly RouteOperation[]>();
  #pending: Pending[] = [];

  constructor(deps: ApplierDeps, state: ApplierState, reports: ApplierReports) {
    this.#deps = deps;
    this.#state = state;
    this.#reports = reports;
  }

  /** Takes the plan of a prefix; one that needs nothing is noted at once. */
  add(subject: Subject, plan: PrefixPlan, condition: RouteCondition | undefined): void {
    const { topology } = this.#state.observer;
    const stands =
      plan.foreign.length === 0
        ? condition
        : foreignCondition(subject, plan.foreign, (link) => topology.linkName(link));
    if (this.#deps.dryRun) {
      if (plan.operations.length === 0) this.#planned.delete(subject.prefix);
      else this.#planned.set(subject.prefix, plan.operations);
    }
    if (this.#deps.dryRun || plan.operations.length === 0) {
      this.#settled(subject.prefix, stands);
    } else {
      this.#pending.push({ subject, operations: plan.operations, condition: stands });
    }
  }

  /**
   * Has the kernel carry out what was added; false when there was nothing. Rejects with
   * KernelUnavailableError: then all is to be planned again.
   */
  async apply(): Promise<boolean> {
    const pending = this.#pending;
    if (pending.length === 0) return false;
    this.#pending = [];
    const operations = pending.flatMap((entry) => entry.operations);
    const { observer } = this.#state;
    observer.operating(true);
    try {
      const failures = await this.#deps.kernel.apply(operations);
      let at = 0;
      for (const entry of pending) {
        this.#note(entry, failures.slice(at, at + entry.operations.length));
        at += entry.operations.length;
      }
    } finally {
      observer.operating(false);
    }
    return true;
  }

  /** What a dry run would do. */
  planned(linkName: (index: number) => string): {
    readonly planned: readonly string[];
    readonly plannedTotal: number;
  } {
    const planned: string[] = [];
    let plannedTotal = 0;
    for (const operations of this.#planned.values()) {
      plannedTotal += operations.length;
      for (const operation of operations) {
        if (planned.length < PLANNED_LISTED_MAX) planned.push(describe(operation, linkName));
      }
    }
    return { planned, plannedTotal };
  }

  #settled(prefix: Prefix, condition: RouteCondition | undefined): void {
    this.#reports.conditions.set(prefix, condition);
    this.#state.retry.settled(prefix);
  }

  #note(entry: Pending, failures: readonly (KernelFailure | undefined)[]): void {
    const { subject, operations } = entry;
    const { counters, observer, retry } = this.#state;
    let worst: { readonly verdict: Verdict; readonly failure: KernelFailure } | undefined;
    for (let i = 0; i < operations.length; i++) {
      const operation = operations[i]!;
      const failure = failures[i];
      if (failure === undefined) {
        observer.view.applied(operation);
        counters[COUNTER[operation.kind]]++;
        continue;
      }
      const verdict = verdictOf(operation, failure);
      if (verdict === "forbidden") throw new KernelUnavailableError(failure.code, failure.message);
      if (verdict === "done") {
        observer.view.applied(operation);
        this.#reports.onDoubt();
        continue;
      }
      counters.failed++;
      if (worst === undefined || verdict === "failed") worst = { verdict, failure };
    }
    if (worst === undefined) {
      this.#settled(subject.prefix, entry.condition);
      return;
    }
    const { verdict, failure } = worst;
    this.#deps.log.debug({ prefix: subject.prefix, reason: failure.message }, "route refused");
    this.#reports.conditions.set(subject.prefix, this.#failureCondition(entry, verdict, failure));
    retry.failed(subject.prefix, this.#deps.clock.now(), verdict !== "failed");
  }

  #failureCondition(
    { subject, condition }: Pending,
    verdict: Verdict,
    failure: KernelFailure,
  ): RouteCondition | undefined {
    if (verdict === "failed") return kernelErrorCondition(subject, failure);
    if (verdict === "occupied") return foreignCondition(subject, [], String);
    return condition ?? this.#reports.conditions.get(subject.prefix);
  }
}

const COUNTER = { create: "created", replace: "replaced", delete: "deleted" } as const;

function verdictOf(operation: RouteOperation, { code }: KernelFailure): Verdict {
  if (code === "EPERM" || code === "EACCES") return "forbidden";
  if (code === "ENOBUFS" || code === "ETIMEDOUT" || code === "ECANCELED") return "stale";
  if (operation.kind === "create" && code === "EEXIST") return "occupied";
  if (operation.kind === "replace" && (code === "ENOENT" || code === "ESRCH")) return "stale";
  // Gone already; what the view says of the prefix should be checked, though.
  if (operation.kind === "delete" && (code === "ESRCH" || code === "ENOENT")) return "done";
  return "failed";
}

function describe(operation: RouteOperation, linkName: (index: number) => string): string {
  const { kind, prefix } = operation;
  if (operation.kind === "delete") {
    return `${kind} ${prefix} ${describeRoute(operation.route, linkName)}`;
  }
  const hops = operation.hops.map((hop) => describeHop(hop, linkName)).join(" and ");
  return `${kind} ${prefix} ${hops} proto 17`;
}
