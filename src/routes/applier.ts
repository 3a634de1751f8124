/**
 * Carries out the plans of one slice and notes what came of each prefix: condition, retry, view.
 * In a dry run they are only shown.
 */
import type { IpAddress } from "../ip/address.ts";
import { type Prefix, prefixFamily } from "../ip/prefix.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { Portion } from "./agenda.ts";
import {
  type ConditionBook,
  foreignCondition,
  kernelErrorCondition,
  type RouteCondition,
} from "./conditions.ts";
import type { KernelObserver } from "./observer.ts";
import { OperationBatch, OperationKind } from "./operation-batch.ts";
import type { PrefixPlan } from "./plan.ts";
import { type KernelFailure, KernelUnavailableError, type RouteKernel } from "./ports.ts";
import type { PrefixId } from "./prefix-index.ts";
import { PrefixSet } from "./prefix-set.ts";
import type { RetryTable } from "./retry-table.ts";
import type { Shape } from "./shapes.ts";
import type { Counters } from "./status.ts";
import type { Survey } from "./survey.ts";
import type { RouteOperation } from "./types.ts";
import { UNUSUAL } from "./view.ts";

interface Subject {
  readonly prefix: Prefix;
  readonly nextHops: readonly IpAddress[];
}

/** Operations about one prefix. */
interface Pending {
  readonly subject: Subject;
  readonly operations: readonly RouteOperation[];
  /** What stands once the operations are done. */
  readonly condition: RouteCondition | undefined;
}

/** One send. */
interface Batch {
  readonly operations: OperationBatch;
  /** What a plan of several operations is about, by the row of the first. */
  readonly plans: Map<number, Pending>;
}

interface Send extends Batch {
  readonly answer: ReturnType<RouteKernel["apply"]>;
  /** Resolves with the answer, also where that is a failure. */
  readonly answered: Promise<void>;
  hasAnswer: boolean;
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
  /** A prefix that was busy is to be looked at again. */
  onFree(id: PrefixId): void;
}

export class Applier {
  readonly #deps: ApplierDeps;
  readonly #state: ApplierState;
  readonly #reports: ApplierReports;
  /** Prefixes whose operations are under way, or about to be. */
  readonly #busy: PrefixSet;
  /** Busy ones of which something else may be wanted by now. */
  readonly #again: PrefixSet;
  /** Under way, oldest first. */
  readonly #sends: Send[] = [];
  /** Of which the answers came, to be used again. */
  readonly #spare: Batch[] = [];
  #pending: Batch = { operations: new OperationBatch(), plans: new Map() };

  constructor(deps: ApplierDeps, state: ApplierState, reports: ApplierReports) {
    this.#deps = deps;
    this.#state = state;
    this.#reports = reports;
    this.#busy = new PrefixSet(state.observer.index);
    this.#again = new PrefixSet(state.observer.index);
  }

  /** Takes the operation that makes a usual prefix right, that of a row of the portion. */
  add(portion: Portion, row: number, kind: OperationKind, shape: Shape): void {
    const id = portion.ids[row]!;
    const { prefixes, nextHops } = portion.batch;
    this.#pending.operations.add(prefixes, row, id, kind, shape, nextHops[row]!);
    this.#busy.add(id);
  }

  /** Takes the plan of any prefix; one that needs nothing is noted at once. */
  addPlan(
    portion: Portion,
    row: number,
    subject: Subject,
    plan: PrefixPlan,
    condition: RouteCondition | undefined,
  ): void {
    const { topology, view } = this.#state.observer;
    const id = portion.ids[row]!;
    const stands =
      plan.foreign.length === 0
        ? condition
        : foreignCondition(subject, plan.foreign, (link) => topology.linkName(link));
    const { operations } = plan;
    if (operations.length === 0) {
      this.settled(id, stands);
      return;
    }
    const { operations: batch, plans } = this.#pending;
    plans.set(batch.count, { subject, operations, condition: stands });
    for (const operation of operations) {
      const { kind, prefix } = operation;
      const target =
        operation.kind === "delete"
          ? operation.route
          : view.shapes.of(prefixFamily(prefix), operation.hops, operation.source);
      batch.add(portion.batch.prefixes, row, id, OperationKind[kind], target, subject.nextHops);
    }
    this.#busy.add(id);
  }

  /** By what is known of it the prefix is right, or as right as it can be now. */
  settled(id: PrefixId, condition: RouteCondition | undefined): void {
    if (condition === undefined && this.allIsWell) return;
    const { retry } = this.#state;
    this.#reports.conditions.set(id, condition);
    if (!retry.inDoubt(id)) retry.settled(id);
  }

  /** Nothing stands against any prefix. */
  get allIsWell(): boolean {
    return this.#reports.conditions.total === 0 && this.#state.retry.size === 0;
  }

  isBusy(id: PrefixId): boolean {
    return this.#busy.has(id);
  }

  /** Has a busy prefix looked at once more, when its operations are done. */
  lookAgain(id: PrefixId): void {
    this.#again.add(id);
  }

  /** Prefixes that are busy and to be looked at again. */
  get waiting(): number {
    return this.#again.size;
  }

  /** Operations that were added since the last `begin`. */
  get pending(): number {
    return this.#pending.operations.count;
  }

  /** Sends under way. */
  get batches(): number {
    return this.#sends.length;
  }

  /** Has the kernel carry out what was added, if there is something. */
  begin(): void {
    const batch = this.#pending;
    if (batch.operations.count === 0) return;
    const { survey, kernel } = this.#deps;
    if (survey !== undefined) {
      survey.add(batch.operations);
      this.#settleAll(batch);
      return;
    }
    this.#pending = this.#spare.pop() ?? { operations: new OperationBatch(), plans: new Map() };
    this.#state.observer.operating(true);
    const answer = kernel.apply(batch.operations);
    const note = () => {
      send.hasAnswer = true;
    };
    // A failure is looked at in its turn.
    const send: Send = { ...batch, answer, answered: answer.then(note, note), hasAnswer: false };
    this.#sends.push(send);
  }

  /** The oldest send has been answered: `next` does not wait. */
  get hasAnswer(): boolean {
    return this.#sends[0]?.hasAnswer === true;
  }

  /** When that becomes so. */
  answered(): Promise<void> {
    return this.#sends[0]?.answered ?? Promise.resolve();
  }

  /**
   * Waits for the oldest send and notes what came of it. Rejects with KernelUnavailableError: then
   * all is to be planned again.
   */
  async next(): Promise<void> {
    const send = this.#sends[0];
    if (send === undefined) return;
    let isLost = true;
    try {
      const failures = await send.answer;
      this.#noteAll(send, failures);
      isLost = false;
    } finally {
      this.#sends.shift();
      this.#free(send, isLost);
      if (this.#sends.length === 0) this.#state.observer.operating(false);
    }
  }

  /** Waits for all that is under way, after a failure: what it says is known by then. */
  async drain(): Promise<void> {
    this.#free(this.#pending, true);
    this.#pending = this.#spare.pop()!;
    while (this.#sends.length > 0) {
      try {
        await this.next();
      } catch (error) {
        if (!(error instanceof KernelUnavailableError)) throw error;
      }
    }
  }

  /**
   * Its prefixes are busy no more; it is used again. Lost: what came of it is not known. Then each
   * is looked at again, for one that waited for this try is found by nobody else where it is gone.
   */
  #free(batch: Batch, isLost: boolean): void {
    const { ids, count } = batch.operations;
    for (let row = 0; row < count; row++) {
      const id = ids[row]!;
      if (isLost || (this.#again.size > 0 && this.#again.has(id))) {
        this.#reports.onFree(id);
        this.#again.delete(id);
      }
      this.#busy.delete(id);
    }
    batch.operations.reset();
    batch.plans.clear();
    this.#spare.push({ operations: batch.operations, plans: batch.plans });
  }

  /** In a dry run: all that could be done is noted as done. */
  #settleAll(batch: Batch): void {
    const { ids, count } = batch.operations;
    for (let row = 0; row < count; ) {
      const plan = batch.plans.get(row);
      this.settled(ids[row]!, plan?.condition);
      row += plan?.operations.length ?? 1;
    }
    this.#free(batch, false);
    this.#pending = this.#spare.pop()!;
  }

  #noteAll({ operations, plans }: Batch, failures: ReadonlyMap<number, KernelFailure>): void {
    const { count } = operations;
    for (let row = 0; row < count; ) {
      const plan = plans.size > 0 ? plans.get(row) : undefined;
      if (plan !== undefined) {
        this.#note(operations.ids[row]!, plan, failures, row);
        row += plan.operations.length;
        continue;
      }
      if (failures.size > 0 && failures.has(row)) {
        this.#noteFailure(operations, failures, row);
      } else {
        this.#noteDone(operations, row);
        if (!this.allIsWell) this.settled(operations.ids[row]!, undefined);
      }
      row++;
    }
  }

  /** A usual operation went well. */
  #noteDone(operations: OperationBatch, row: number): void {
    const { counters, observer } = this.#state;
    const { view } = observer;
    const id = operations.ids[row]!;
    const kind = operations.kinds[row]!;
    const shape = operations.targets[row] as Shape;
    const entry = view.entry(id);
    // An event may have come in between.
    if (entry === UNUSUAL || (kind === OperationKind.delete && entry !== shape.id)) {
      view.applied(id, operations.operation(row));
    } else if (kind === OperationKind.delete) {
      view.unmake(id);
    } else {
      view.make(id, shape);
    }
    if (kind === OperationKind.create) counters.created++;
    else if (kind === OperationKind.replace) counters.replaced++;
    else counters.deleted++;
  }

  /** A usual operation failed. */
  #noteFailure(
    operations: OperationBatch,
    failures: ReadonlyMap<number, KernelFailure>,
    row: number,
  ): void {
    const operation = operations.operation(row);
    const nextHops = operations.nextHops[row]!;
    const subject = { prefix: operation.prefix, nextHops };
    const plan = { subject, operations: [operation], condition: undefined };
    this.#note(operations.ids[row]!, plan, failures, row);
  }

  /** The answers to a plan are in `failures` from `first` on. */
  #note(
    id: PrefixId,
    entry: Pending,
    failures: ReadonlyMap<number, KernelFailure>,
    first: number,
  ): void {
    const { subject, operations } = entry;
    const { counters, observer, retry } = this.#state;
    let worst: { readonly verdict: Verdict; readonly failure: KernelFailure } | undefined;
    let isStale = retry.inDoubt(id);
    for (let i = 0; i < operations.length; i++) {
      const operation = operations[i]!;
      const failure = failures.get(first + i);
      if (failure === undefined) {
        observer.view.applied(id, operation);
        counters[COUNTER[operation.kind]]++;
        // The kernel took the first that has what was named: not a gateway or a source too much.
        const isSure =
          operation.kind !== "delete" || !observer.view.mayHaveTwinOf(id, operation.route);
        if (!isSure) this.#reports.onDoubt();
        continue;
      }
      const verdict = verdictOf(operation, failure);
      if (verdict === "forbidden") throw new KernelUnavailableError(failure.code, failure.message);
      if (verdict === "done") {
        observer.view.applied(id, operation);
        this.#reports.onDoubt();
        continue;
      }
      counters.failed++;
      isStale ||= verdict !== "failed";
      if (worst === undefined || verdict === "failed") worst = { verdict, failure };
    }
    if (worst === undefined) {
      this.settled(id, entry.condition);
      return;
    }
    const { verdict, failure } = worst;
    this.#deps.log.debug({ prefix: subject.prefix, reason: failure.message }, "route refused");
    this.#reports.conditions.set(id, this.#failureCondition(id, entry, verdict, failure));
    retry.failed(id, this.#deps.clock.now(), isStale);
  }

  #failureCondition(
    id: PrefixId,
    { subject, condition }: Pending,
    verdict: Verdict,
    failure: KernelFailure,
  ): RouteCondition | undefined {
    if (verdict === "failed") return kernelErrorCondition(subject, failure);
    if (verdict === "occupied") return foreignCondition(subject, [], String);
    return condition ?? this.#reports.conditions.get(id);
  }
}

const COUNTER = { create: "created", replace: "replaced", delete: "deleted" } as const;

function verdictOf(operation: RouteOperation, { code, outcomeUnknown }: KernelFailure): Verdict {
  if (outcomeUnknown === true) return "stale";
  if (code === "EPERM" || code === "EACCES") return "forbidden";
  if (operation.kind === "create" && code === "EEXIST") return "occupied";
  if (operation.kind === "replace" && (code === "ENOENT" || code === "ESRCH")) return "stale";
  // Gone already; what the view says of the prefix should be checked, though.
  if (operation.kind === "delete" && (code === "ESRCH" || code === "ENOENT")) return "done";
  return "failed";
}
