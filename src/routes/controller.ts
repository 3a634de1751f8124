/**
 * Keeps the kernel's routes equal to what the BGP side wants. Level-triggered: every step looks at
 * what is wanted and what is there *now* and removes the difference, so a lost event, an error or a
 * restart needs no other answer than to look again.
 *
 * There is one loop (`#work`): dump when that is due, else take a slice of prefixes (those marked
 * by BGP or by kernel events first, then those of a full comparison), plan them, let the kernel
 * carry it out, and note what came of it. Nothing else ever changes the kernel. A slice is small,
 * between two the event loop gets its turn, and one is planned while the kernel has the one before.
 *
 * Routes of an earlier run are adopted: until `converged` only those are deleted of which the BGP
 * side has spoken since (it wanted them, or marked them); replacing is allowed at any time.
 */
import type { IpAddress } from "../ip/address.ts";
import type { Prefix } from "../ip/prefix.ts";
import { backoffMs } from "../runtime/backoff.ts";
import type { Clock, Random, Timer } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import { Agenda, everyPrefix } from "./agenda.ts";
import { Applier } from "./applier.ts";
import { ConditionBook, type RouteCondition, unavailableCondition } from "./conditions.ts";
import { evaluate } from "./evaluate.ts";
import { type GuardSettings, Guards, guardedOtherwise } from "./guards.ts";
import {
  BATCHES_MAX,
  RESYNC_GAP_MS,
  RETRY_FIRST_MS,
  RETRY_MAX_MS,
  SLICE_PREFIXES_MAX,
  SYNC_PERIOD_MS,
} from "./limits.ts";
import { KernelObserver } from "./observer.ts";
import { planPrefix } from "./plan.ts";
import {
  type DesiredRoutes,
  KernelUnavailableError,
  type RouteControllerDeps,
  type RouteControllerOptions,
  type RouteKernel,
  type Tunnels,
} from "./ports.ts";
import { RetryTable } from "./retry-table.ts";
import { Counters, type RouteStatus } from "./status.ts";
import { Survey } from "./survey.ts";

export class RouteController {
  readonly #kernel: RouteKernel;
  readonly #desired: DesiredRoutes;
  readonly #tunnels: Tunnels | undefined;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Log;
  readonly #onChanged: () => void;
  readonly #syncPeriodMs: number;
  readonly #observer: KernelObserver;
  readonly #applier: Applier;
  readonly #conditions = new ConditionBook();
  readonly #counters = new Counters();
  readonly #retry: RetryTable;
  /** In a dry run. */
  readonly #survey: Survey | undefined;
  readonly #agenda = new Agenda();
  /** Prefixes that BGP has spoken of; kept only until convergence. */
  readonly #spoken = new Set<Prefix>();
  #guardSettings: GuardSettings;
  #guards: Guards;
  #state: "new" | "running" | "stopped" = "new";
  #opened = false;
  #converged = false;
  #adopted = 0;
  /** When the next dump is due; undefined before the first one succeeded. */
  #resyncAt: number | undefined;
  #dumpEnded = Number.NEGATIVE_INFINITY;
  #lastSync: number | undefined;
  #unavailable: RouteCondition | undefined;
  #unavailableTimes = 0;
  #blockedUntil: number | undefined;
  #busy: Promise<void> | undefined;
  #timer: Timer | undefined;
  #timerDue = Number.POSITIVE_INFINITY;

  constructor(options: RouteControllerOptions, deps: RouteControllerDeps) {
    this.#kernel = deps.kernel;
    this.#desired = deps.desired;
    this.#tunnels = deps.tunnels;
    this.#clock = deps.clock;
    this.#random = deps.random;
    this.#log = deps.log;
    this.#onChanged = deps.onChanged ?? (() => undefined);
    this.#syncPeriodMs = options.syncPeriodMs ?? SYNC_PERIOD_MS;
    this.#survey = options.dryRun === true ? new Survey() : undefined;
    this.#retry = new RetryTable(deps.random);
    this.#guardSettings = options.guards;
    this.#guards = new Guards(options.guards, []);
    this.#observer = new KernelObserver(deps.kernel, deps.clock, {
      isWanted: (prefix) => this.#desired.lookup(prefix) !== undefined,
      onTouched: (prefix) => {
        this.#counters.foreignEvents++;
        this.#touch(prefix);
      },
      onDoubt: (delayMs) => this.#requestResync(delayMs),
      onOverrun: () => {
        this.#counters.overruns++;
        this.#log.info({}, "kernel events were lost, comparing all routes");
      },
      onFailure: (error) => {
        this.#opened = false;
        this.#block(error);
        this.#schedule();
      },
    });
    this.#applier = new Applier(
      { ...deps, survey: this.#survey },
      { observer: this.#observer, retry: this.#retry, counters: this.#counters },
      { conditions: this.#conditions, onDoubt: () => this.#requestResync(0) },
    );
  }

  /**
   * Looks at the kernel and begins to keep it right. Never rejects: when the kernel cannot be
   * talked to, a condition says so and it is tried again; `adopted` is 0 then.
   *
   * @returns how many routes of ours were there already.
   */
  async start(): Promise<{ readonly adopted: number }> {
    if (this.#state !== "new") throw new Error("bug: the route controller was started twice");
    this.#state = "running";
    this.#resyncAt = this.#clock.now();
    await this.#exclusively(async () => {
      await this.#dumpIfDue();
      this.#adopted = this.#observer.view.countOurs();
    });
    if (this.#adopted > 0) this.#log.info({ routes: this.#adopted }, "routes adopted");
    this.#schedule();
    return { adopted: this.#adopted };
  }

  /**
   * These prefixes changed on the wanted side, or it vouches that what it says of them now holds.
   * The latter is how routes of an earlier run are given up before convergence: mark the pod CIDRs
   * of a Node that is gone.
   */
  markDirty(prefixes: Iterable<Prefix>): void {
    for (const prefix of prefixes) {
      if (this.#survey === undefined) this.#agenda.mark(prefix);
      if (!this.#converged) this.#spoken.add(prefix);
    }
    if (this.#survey !== undefined) this.wantedChanged();
    else this.#schedule();
  }

  /** The wanted side changed in ways that it does not tell: everything is compared again. */
  wantedChanged(): void {
    if (this.#survey === undefined) this.#scanAll();
    else this.#survey.changed(this.#clock.now());
    this.#schedule();
  }

  /** New guards; every route of which they may say something else is held against them. */
  setGuards(settings: GuardSettings): void {
    const touched = guardedOtherwise(this.#guardSettings, settings);
    this.#guardSettings = settings;
    if (touched !== "all" && touched.length === 0) return;
    this.#renewGuards();
    if (touched === "all" || this.#survey !== undefined) this.#scanAll();
    else for (const prefix of touched) this.#agenda.mark(prefix);
    this.#schedule();
  }

  /**
   * The ways of these next hops through tunnels are others now: routes that wait for one of them
   * are looked at again. `all`: the tunnels' interfaces changed, and the kernel may have dropped
   * routes with them.
   */
  tunnelsChanged(nextHops: ReadonlySet<IpAddress> | "all"): void {
    if (nextHops === "all") {
      this.#requestResync(0);
      return;
    }
    for (const prefix of this.#conditions.waitingFor(nextHops)) this.#touch(prefix);
    this.#schedule();
  }

  /** Whether the routes are what is wanted now, as far as they can be. */
  settled(): boolean {
    const due = this.#resyncAt ?? Number.NEGATIVE_INFINITY;
    return (
      this.#converged &&
      this.#unavailable === undefined &&
      this.#busy === undefined &&
      this.#agenda.marked === 0 &&
      !this.#agenda.scans &&
      due > this.#clock.now()
    );
  }

  /** What is wanted is complete from now on: routes of an earlier run that are not are removed. */
  converged(): void {
    if (this.#converged) return;
    this.#converged = true;
    this.#spoken.clear();
    this.#requestResync(0);
  }

  status(): RouteStatus {
    const { view, topology } = this.#observer;
    const general = this.#unavailable === undefined ? [] : [this.#unavailable];
    return {
      installed: view.installed,
      adopted: this.#adopted,
      converged: this.#converged,
      pending: this.#agenda.marked + this.#retry.size,
      conditions: [...general, ...this.#conditions.list()],
      conditionsTotal: general.length + this.#conditions.total,
      lastSync: this.#lastSync,
      counters: { ...this.#counters },
      ...(this.#survey?.planned((link) => topology.linkName(link)) ?? NOTHING_PLANNED),
    };
  }

  /** Ends after what is under way. The routes stay: forwarding goes on. */
  async stop(): Promise<void> {
    this.#state = "stopped";
    this.#timer?.cancel();
    await this.#busy;
    if (this.#opened) this.#kernel.close();
    this.#opened = false;
  }

  #touch(prefix: Prefix): void {
    if (this.#survey !== undefined) this.#survey.changed(this.#clock.now());
    else this.#agenda.mark(prefix);
    this.#schedule();
  }

  #requestResync(delayMs: number): void {
    const due = Math.max(this.#clock.now() + delayMs, this.#dumpEnded + RESYNC_GAP_MS);
    this.#resyncAt = Math.min(this.#resyncAt ?? due, due);
    this.#schedule();
  }

  #renewGuards(): void {
    this.#guards = new Guards(this.#guardSettings, this.#observer.topology.addresses);
  }

  #scanAll(): void {
    this.#survey?.begin();
    this.#agenda.scan(everyPrefix(this.#desired, this.#observer.view, this.#conditions));
  }

  /** Sees to it that `#run` is called when the next thing is due. */
  #schedule(): void {
    if (this.#state !== "running" || this.#busy !== undefined) return;
    const now = this.#clock.now();
    const due = Math.max(now, this.#nextDue());
    // One that comes in time is left alone: marks in quick succession must not push it away.
    if (this.#timerDue <= due) return;
    this.#timer?.cancel();
    this.#timerDue = due;
    this.#timer = this.#clock.after(due - now, () => {
      this.#timerDue = Number.POSITIVE_INFINITY;
      void this.#exclusively(() => this.#run());
    });
  }

  #nextDue(): number {
    if (this.#blockedUntil !== undefined) return this.#blockedUntil;
    const now = this.#clock.now();
    if (this.#agenda.marked > 0) return now;
    const due = this.#resyncAt ?? now;
    const works = this.#agenda.scans || this.#survey?.isWanted === true;
    if (works) return Math.min(due, this.#survey?.workFrom ?? now);
    return Math.min(due, this.#retry.nextDue ?? due);
  }

  /** One task at a time; afterwards the timer is set again. */
  async #exclusively(task: () => Promise<void>): Promise<void> {
    if (this.#busy !== undefined || this.#state !== "running") return;
    this.#busy = task().catch((error: unknown) => {
      if (!(error instanceof KernelUnavailableError)) throw error;
      this.#block(error);
    });
    try {
      await this.#busy;
    } finally {
      this.#busy = undefined;
    }
    this.#schedule();
    this.#onChanged();
  }

  async #run(): Promise<void> {
    try {
      await this.#work();
    } finally {
      await this.#applier.drain();
    }
    // Only now is it known that the kernel also takes changes from us.
    this.#unavailable = undefined;
    this.#unavailableTimes = 0;
  }

  /** Plans one slice while the kernel carries out the one before. */
  async #work(): Promise<void> {
    while (this.#state === "running") {
      if (this.#blockedUntil !== undefined && this.#clock.now() < this.#blockedUntil) return;
      this.#takeRetries();
      await this.#dumpIfDue();
      if (!this.#maySurvey()) return;
      const slice = this.#agenda.take(SLICE_PREFIXES_MAX);
      for (const prefix of slice) this.#plan(prefix);
      if (!this.#agenda.scans) this.#survey?.end();
      const began = this.#applier.begin();
      const { batches } = this.#applier;
      // Waiting for the kernel is a turn for the event loop, too.
      if (batches === BATCHES_MAX || (batches > 0 && !began)) await this.#applier.next();
      else if (slice.length === 0) return;
      else if (!began) await this.#turn();
    }
  }

  async #dumpIfDue(): Promise<void> {
    if (this.#resyncAt === undefined || this.#clock.now() < this.#resyncAt) return;
    // What a dump shows must not be older than what is known to have been carried out.
    while (this.#applier.batches > 0) await this.#applier.next();
    this.#blockedUntil = undefined;
    if (!this.#opened) {
      await this.#kernel.open(this.#observer);
      this.#opened = true;
    }
    // What asks for a dump from here on asks for the next one.
    this.#resyncAt = undefined;
    await this.#observer.dump();
    this.#dumpEnded = this.#clock.now();
    const next = this.#dumpEnded + this.#syncPeriodMs;
    this.#resyncAt = Math.min(this.#resyncAt ?? next, next);
    this.#lastSync = this.#clock.wall();
    this.#counters.resyncs++;
    this.#renewGuards();
    this.#scanAll();
  }

  #takeRetries(): void {
    const due = this.#retry.nextDue;
    if (due === undefined || due > this.#clock.now()) return;
    const { prefixes, stale } = this.#retry.takeDue(this.#clock.now());
    for (const prefix of prefixes) this.#agenda.mark(prefix);
    if (stale) this.#resyncAt = this.#clock.now();
  }

  /** In a dry run: whether it is quiet enough. Begins the next comparison if one is wanted. */
  #maySurvey(): boolean {
    const survey = this.#survey;
    if (survey === undefined) return true;
    if (this.#clock.now() < survey.workFrom) return false;
    if (!this.#agenda.scans && survey.isWanted) this.#scanAll();
    return true;
  }

  #plan(prefix: Prefix): void {
    if (this.#applier.busy.has(prefix)) {
      // What the kernel has for it is known when that is done.
      this.#agenda.mark(prefix);
      return;
    }
    const desired = this.#desired.lookup(prefix);
    const speaks = desired !== undefined && this.#survey === undefined;
    if (speaks && !this.#converged) this.#spoken.add(prefix);
    const { view, topology } = this.#observer;
    const { wanted, condition } = evaluate(desired, this.#guards, topology, this.#tunnels);
    const mayDelete = this.#converged || this.#spoken.has(prefix);
    const plan = planPrefix(prefix, wanted, view.at(prefix), mayDelete);
    this.#applier.add({ prefix, nextHops: desired?.nextHops ?? [] }, plan, condition);
  }

  /** Lets everything else on the event loop have its turn. */
  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.after(0, resolve);
    });
  }

  #block(error: KernelUnavailableError): void {
    const condition = unavailableCondition(error);
    if (this.#unavailable?.message !== condition.message) {
      this.#log.warn({ code: error.code, reason: error.message }, "routes cannot be kept up");
    }
    this.#unavailable = condition;
    this.#counters.unavailable++;
    const options = { firstMs: RETRY_FIRST_MS, maxMs: RETRY_MAX_MS };
    const delay = backoffMs(options, this.#unavailableTimes++, this.#random);
    this.#blockedUntil = this.#clock.now() + delay;
    // Everything is compared then, so what was under way need not be remembered.
    this.#resyncAt = this.#blockedUntil;
  }
}

const NOTHING_PLANNED = { planned: [], plannedTotal: 0 } as const;
