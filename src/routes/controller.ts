/**
 * Keeps the kernel's routes equal to what the BGP side wants. Level-triggered: every step looks at
 * what is wanted and what is there *now* and removes the difference, so a lost event, an error or a
 * restart needs no other answer than to look again.
 *
 * There is one loop (`#work`): dump when that is due, else take portions of prefixes (in turn those
 * marked by kernel events, those that BGP changed and those of a full comparison), plan them, let
 * the kernel carry it out, and note what came of it. Nothing else ever changes the kernel.
 * Planning ends after a few milliseconds, then the event loop has its turn; and the next send is
 * planned while the kernel has the one before. From BGP's table to the kernel's message a prefix is
 * numbers in columns.
 *
 * Routes of an earlier run are adopted: until `converged` only those are deleted of which the BGP
 * side has spoken since (it wanted them, or marked them); replacing is allowed at any time.
 */
import type { IpAddress } from "../ip/address.ts";
import type { Prefix } from "../ip/prefix.ts";
import type { Clock, Timer } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import { Agenda } from "./agenda.ts";
import { Applier } from "./applier.ts";
import { Availability } from "./availability.ts";
import { ConditionBook } from "./conditions.ts";
import { GuardKeeper } from "./guard-keeper.ts";
import type { GuardSettings } from "./guards.ts";
import { BATCHES_MAX, SYNC_PERIOD_MS } from "./limits.ts";
import { KernelObserver } from "./observer.ts";
import { Planner } from "./planner.ts";
import {
  KernelUnavailableError,
  type RouteControllerDeps,
  type RouteControllerOptions,
} from "./ports.ts";
import type { PrefixId } from "./prefix-index.ts";
import { Resync } from "./resync.ts";
import { RetryTable } from "./retry-table.ts";
import { Counters, NOTHING_PLANNED, type RouteStatus } from "./status.ts";
import { Survey } from "./survey.ts";

export class RouteController {
  readonly #clock: Clock;
  readonly #availability: Availability;
  readonly #log: Log;
  readonly #resync: Resync;
  readonly #observer: KernelObserver;
  readonly #applier: Applier;
  readonly #conditions: ConditionBook;
  readonly #counters = new Counters();
  readonly #retry: RetryTable;
  /** In a dry run. */
  readonly #survey: Survey | undefined;
  readonly #agenda: Agenda;
  readonly #planner: Planner;
  readonly #guards: GuardKeeper;
  #state: "new" | "running" | "stopped" = "new";
  #converged = false;
  #adopted = 0;
  #busy: Promise<void> | undefined;
  /** While the kernel is waited for: that there is something to look at. */
  #onNews: (() => void) | undefined;
  #timer: Timer | undefined;
  #timerDue = Number.POSITIVE_INFINITY;

  constructor(options: RouteControllerOptions, deps: RouteControllerDeps) {
    this.#clock = deps.clock;
    this.#availability = new Availability(deps.clock, deps.random, deps.log);
    this.#log = deps.log;
    this.#resync = new Resync(deps.kernel, deps.clock, options.syncPeriodMs ?? SYNC_PERIOD_MS);
    this.#survey = options.dryRun === true ? new Survey() : undefined;
    this.#observer = this.#observe(deps);
    this.#guards = new GuardKeeper(options.guards, this.#observer);
    const { index } = this.#observer;
    this.#retry = new RetryTable(index, deps.random);
    this.#conditions = new ConditionBook(index);
    const view = () => this.#observer.view;
    this.#agenda = new Agenda(index, deps.desired, this.#conditions, view);
    this.#applier = new Applier(
      { ...deps, survey: this.#survey },
      { observer: this.#observer, retry: this.#retry, counters: this.#counters },
      {
        conditions: this.#conditions,
        onDoubt: () => this.#requestResync(0),
        onFree: (id) => this.#agenda.mark(id),
      },
    );
    this.#planner = new Planner({
      clock: deps.clock,
      observer: this.#observer,
      agenda: this.#agenda,
      applier: this.#applier,
      retry: this.#retry,
      tunnels: deps.tunnels,
      dryRun: this.#survey !== undefined,
    });
  }

  /**
   * Looks at the kernel and begins to keep it right. Never rejects: when the kernel cannot be
   * talked to, a condition says so and it is tried again; `adopted` is 0 then. After `stop`, 0 too.
   *
   * @returns how many routes of ours were there already.
   */
  async start(): Promise<{ readonly adopted: number }> {
    if (this.#state === "running") throw new Error("bug: the route controller was started twice");
    if (this.#state === "new") this.#state = "running";
    await this.#exclusively(async () => {
      await this.#resyncIfDue();
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
      const id = this.#observer.index.insertText(prefix);
      this.#planner.speak(id);
      if (this.#survey === undefined) this.#agenda.mark(id);
    }
    if (this.#survey !== undefined) this.wantedChanged();
    else this.#schedule();
  }

  /** The wanted side has changes to be taken; nothing else happens inside the call. */
  changesWait(): void {
    this.#schedule();
  }

  /** The wanted side changed in ways that it does not tell: everything is compared again. */
  wantedChanged(): void {
    if (this.#survey === undefined) this.#scanAll();
    else this.#survey.changed(this.#clock.now());
    this.#schedule();
  }

  /** New guards, for all routes that are judged anew; see `guardedOtherwise` for `changed`. */
  setGuards(settings: GuardSettings, changed?: ReadonlyMap<IpAddress, boolean>): void {
    this.#judge(this.#guards.set(settings, changed));
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
    for (const id of this.#conditions.waitingFor(nextHops)) this.#touch(id);
    this.#schedule();
  }

  /** Whether the routes are what is wanted now, as far as they can be. */
  settled(): boolean {
    return (
      this.#converged &&
      this.#availability.condition === undefined &&
      this.#busy === undefined &&
      this.#agenda.waiting === 0 &&
      !this.#agenda.scans &&
      !this.#resync.isDue
    );
  }

  /** What is wanted is complete from now on: routes of an earlier run that are not are removed. */
  converged(): void {
    if (this.#converged) return;
    this.#converged = true;
    this.#planner.converge();
    this.#requestResync(0);
  }

  status(): RouteStatus {
    const { view, topology } = this.#observer;
    const { condition } = this.#availability;
    const general = condition === undefined ? [] : [condition];
    return {
      installed: view.installed,
      adopted: this.#adopted,
      converged: this.#converged,
      pending: this.#agenda.waiting + this.#applier.waiting + this.#retry.size,
      conditions: [...general, ...this.#conditions.list()],
      conditionsTotal: general.length + this.#conditions.total,
      lastSync: this.#resync.lastSync,
      counters: { ...this.#counters },
      ...(this.#survey?.planned((link) => topology.linkName(link)) ?? NOTHING_PLANNED),
    };
  }

  /** Ends after what is under way. The routes stay: forwarding goes on. */
  async stop(): Promise<void> {
    this.#state = "stopped";
    this.#timer?.cancel();
    await this.#busy;
    this.#resync.close();
  }

  /** The guards say, or may say, something else of these. */
  #judge(touched: readonly Prefix[] | "all"): void {
    if (touched.length === 0) return;
    if (touched === "all" || this.#survey !== undefined) this.#scanAll();
    else for (const prefix of touched) this.#agenda.mark(this.#observer.index.insertText(prefix));
    this.#schedule();
  }

  #touch(id: PrefixId): void {
    if (this.#survey !== undefined) this.#survey.changed(this.#clock.now());
    else this.#agenda.mark(id);
    this.#schedule();
  }

  #observe({ kernel, clock, random, onTopology }: RouteControllerDeps): KernelObserver {
    return new KernelObserver(kernel, clock, Math.floor(random() * 2 ** 32), {
      isWanted: (prefix) => this.#agenda.isWanted(prefix),
      onTouched: (id) => {
        this.#counters.foreignEvents++;
        this.#touch(id);
      },
      onGateway: (gateway) => this.#judge(this.#guards.meet(gateway)),
      onDoubt: (delayMs) => this.#requestResync(delayMs),
      onTopology: (topology, news) => onTopology?.(topology, news),
      onOverrun: () => {
        this.#counters.overruns++;
        this.#log.info({}, "kernel events were lost, comparing all routes");
      },
      onFailure: (error) => {
        this.#block(error);
        this.#schedule();
      },
    });
  }

  #requestResync(delayMs: number): void {
    this.#resync.request(delayMs);
    this.#schedule();
  }

  #scanAll(sparing = false): void {
    this.#survey?.begin();
    this.#agenda.scan(sparing);
  }

  /** Sees to it that `#run` is called when the next thing is due. */
  #schedule(): void {
    if (this.#busy !== undefined) this.#onNews?.();
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
    const { blockedUntil } = this.#availability;
    if (blockedUntil !== undefined) return blockedUntil;
    const now = this.#clock.now();
    if (this.#agenda.waiting > 0) return now;
    const { dueAt: due } = this.#resync;
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
  }

  async #run(): Promise<void> {
    try {
      await this.#work();
    } finally {
      await this.#applier.drain();
    }
    // Only now is it known that the kernel also takes changes from us.
    if (this.#availability.blockedUntil === undefined) this.#availability.recover();
  }

  /** Plans one slice while the kernel carries out the one before. */
  async #work(): Promise<void> {
    while (this.#state === "running") {
      const { blockedUntil } = this.#availability;
      if (blockedUntil !== undefined && this.#clock.now() < blockedUntil) return;
      while (this.#applier.hasAnswer) await this.#applier.next();
      this.#takeRetries();
      await this.#resyncIfDue();
      if (!this.#maySurvey()) return;
      const planned = this.#planner.planTurn(this.#guards.guards);
      if (!this.#agenda.scans) this.#survey?.end();
      const { batches } = this.#applier;
      // Waiting for the kernel is a turn for the event loop, too.
      if (batches === BATCHES_MAX) await this.#applier.next();
      else if (planned) await this.#turn();
      else if (batches > 0) await this.#answerOrNews();
      else return;
    }
  }

  /** Waits until the kernel has answered, or there is something to look at. */
  async #answerOrNews(): Promise<void> {
    const news = new Promise<void>((resolve) => {
      this.#onNews = resolve;
    });
    await Promise.race([this.#applier.answered(), news]);
    this.#onNews = undefined;
  }

  async #resyncIfDue(): Promise<void> {
    if (!this.#resync.isDue) return;
    // What a dump shows must not be older than what is known to have been carried out.
    while (this.#applier.batches > 0) await this.#applier.next();
    this.#availability.unblock();
    const tryAll = await this.#resync.run(this.#observer);
    this.#retry.listed();
    this.#counters.resyncs++;
    this.#guards.renew();
    this.#scanAll(!tryAll);
  }

  #takeRetries(): void {
    const due = this.#retry.nextDue;
    if (due === undefined || due > this.#clock.now()) return;
    const { prefixes, stale } = this.#retry.takeDue(this.#clock.now());
    for (const id of prefixes) this.#agenda.mark(id);
    if (stale) this.#resync.requestForRetries();
  }

  /** In a dry run: whether it is quiet enough. Begins the next comparison if one is wanted. */
  #maySurvey(): boolean {
    const survey = this.#survey;
    if (survey === undefined) return true;
    if (this.#clock.now() < survey.workFrom) return false;
    if (!this.#agenda.scans && survey.isWanted) this.#scanAll();
    return true;
  }

  /** Lets everything else on the event loop have its turn. */
  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.after(0, resolve);
    });
  }

  #block(error: KernelUnavailableError): void {
    // A monitor that breaks closes both sockets: what that ended says nothing of why.
    if (error.code === "ECANCELED" && this.#availability.blockedUntil !== undefined) return;
    this.#counters.unavailable++;
    // A socket that failed once may be of no use any more.
    this.#resync.close();
    // Everything is compared then.
    this.#resync.setDue(this.#availability.fail(error));
  }
}
