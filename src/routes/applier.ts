/**
 * Carries out the plans of one slice and notes what came of each prefix: condition, retry, view.
 * In a dry run they are only shown.
 */
import type { IpAddress } from "../ip/address.ts";
import type { Prefix } from "../ip/prefix.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import {
  type ConditionBook,
  foreignCondition,
  kernelErrorCondition,
  type RouteCondition,
} from "./conditions.ts";
import type { KernelObserver } from "./observer.ts";
import type { PrefixPlan } from "./plan.ts";
import { type KernelFailure, KernelUnavailableError, type RouteKernel } from "./ports.ts";
import type { RetryTable } from "./retry-table.ts";
import type { Counters } from "./status.ts";
import type { Survey } from "./survey.ts";
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

interface Batch {
  readonly pending: readonly Pending[];
  readonly answer: ReturnType<RouteKernel["apply"]>;
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
  /** A dry run: operations go there, not to the kernel. */
  readonly survey: Survey | undefined;
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
  readonly #busy = new Set<Prefix>();
  /** Under way, oldest first. */
  readonly #batches: Batch[] = [];
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
    const { survey } = this.#deps;
    survey?.add(plan.operations);
    if (survey !== undefined || plan.operations.length === 0) {
      this.#settled(subject.prefix, stands);
    } else {
      this.#pending.push({ subject, operations: plan.operations, condition: stands });
      this.#busy.add(subject.prefix);
    }
  }

  /** Prefixes whose operations are under way, or about to be. */
  get busy(): ReadonlySet<Prefix> {
    return this.#busy;
  }

  /** Sends under way. */
  get batches(): number {
    return this.#batches.length;
  }

  /** Has the kernel carry out what was added; false when there was nothing. */
  begin(): boolean {
    const pending = this.#pending;
    if (pending.length === 0) return false;
    this.#pending = [];
    const operations: RouteOperation[] = [];
    for (const entry of pending) {
      for (const operation of entry.operations) operations.push(operation);
    }
    this.#state.observer.operating(true);
    const answer = this.#deps.kernel.apply(operations);
    // Looked at in its turn.
    answer.catch(() => undefined);
    this.#batches.push({ pending, answer });
    return true;
  }

  /**
   * Waits for the oldest send and notes what came of it. Rejects with KernelUnavailableError: then
   * all is to be planned again.
   */
  async next(): Promise<void> {
    const batch = this.#batches[0];
    if (batch === undefined) return;
    try {
      const failures = await batch.answer;
      let at = 0;
      for (const entry of batch.pending) {
        this.#note(entry, failures, at);
        at += entry.operations.length;
      }
    } finally {
      this.#batches.shift();
      for (const { subject } of batch.pending) this.#busy.delete(subject.prefix);
      if (this.#batches.length === 0) this.#state.observer.operating(false);
    }
  }

  /** Waits for all that is under way, after a failure: what it says is known by then. */
  async drain(): Promise<void> {
    for (const { subject } of this.#pending) this.#busy.delete(subject.prefix);
    this.#pending = [];
    while (this.#batches.length > 0) {
      try {
        await this.next();
      } catch (error) {
        if (!(error instanceof KernelUnavailableError)) throw error;
      }
    }
  }

  #settled(prefix: Prefix, condition: RouteCondition | undefined): void {
    this.#reports.conditions.set(prefix, condition);
    this.#state.retry.settled(prefix);
  }

  /** The entry's answers are in `failures` from `first` on. */
  #note(entry: Pending, failures: readonly (KernelFailure | undefined)[], first: number): void {
    const { subject, operations } = entry;
    const { counters, observer, retry } = this.#state;
    let worst: { readonly verdict: Verdict; readonly failure: KernelFailure } | undefined;
    for (let i = 0; i < operations.length; i++) {
      const operation = operations[i]!;
      const failure = failures[first + i];
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
