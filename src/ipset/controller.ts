/**
 * Keeps our ipsets filled. Level-triggered: a pass reads each set from the kernel, plans the
 * difference and removes it. What it left there is remembered, and who says what of the contents
 * changed makes it cost only that: the difference is applied, and the number of members must then
 * be right, or else the set is read after all.
 *
 * A pass is made when the contents change, every sync period, after a failure with backoff, and
 * when the check, which only reads the headers, finds a set missing, of another type or with
 * another number of members: somebody flushed it. Nothing is touched before the first contents are
 * known, and no other set ever.
 */
import { backoffMs } from "../runtime/backoff.ts";
import type { Clock, Random, Timer } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import { sameList } from "../runtime/same-list.ts";
import { applyPlan, describePlan } from "./apply.ts";
import {
  conflictCondition,
  errorCondition,
  leftOutCondition,
  memberCondition,
  type SetCondition,
  unavailableCondition,
} from "./conditions.ts";
import { hasIpv6, type SetContents, withMembersOf } from "./desired.ts";
import { CHECK_PERIOD_MS, PLANNED_LISTED_MAX, RETRY, SYNC_PERIOD_MS } from "./limits.ts";
import { conflictOf, type LeftSet, planChange, planSet, type SetPlan } from "./plan.ts";
import { SetsError, type SetsKernel } from "./ports.ts";
import { MutableSetCounters, type SetStatus, type SetSummary } from "./status.ts";
import { OUR_SETS, TEMPORARY } from "./types.ts";
import { type SetContentsChange, type WantedSet, WantedSets } from "./wanted.ts";

export interface SetControllerOptions {
  /** Headers are looked at this often. */
  readonly checkPeriodMs?: number;
  /** Members are compared this often at least. */
  readonly syncPeriodMs?: number;
  /** Plan and report, change nothing. */
  readonly dryRun?: boolean;
}

export interface SetControllerDeps {
  readonly kernel: SetsKernel;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export class SetController {
  readonly #kernel: SetsKernel;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Log;
  readonly #checkPeriodMs: number;
  readonly #syncPeriodMs: number;
  readonly #dryRun: boolean;
  readonly #counters = new MutableSetCounters();
  #contents: SetContents | undefined;
  /** What follows from the contents; undefined = to be made of them. */
  #wanted: WantedSets | undefined;
  /** The twins are kept once they were needed, or found. */
  #ipv6: boolean | undefined;
  #conditions: readonly SetCondition[] = [];
  #planned: readonly string[] = [];
  /** What the last pass put into each set, by name, if it all went in. */
  readonly #left = new Map<string, LeftSet>();
  /**
   * What stays in each set while Nodes may be missing: nothing else knows of it once somebody has
   * flushed the set.
   */
  readonly #kept = new Map<string, ReadonlySet<string>>();
  /** What the last pass left behind, for the check. */
  #sets: readonly SetSummary[] = [];
  #lastSync: number | undefined;
  #passDue = true;
  #syncAt = 0;
  #failures = 0;
  #retryAt: number | undefined;
  #busy: Promise<void> | undefined;
  #waiters: (() => void)[] = [];
  /** How many of them had asked before the pass under way took the contents. */
  #served = 0;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: SetControllerOptions, deps: SetControllerDeps) {
    this.#kernel = deps.kernel;
    this.#clock = deps.clock;
    this.#random = deps.random;
    this.#log = deps.log;
    this.#checkPeriodMs = options.checkPeriodMs ?? CHECK_PERIOD_MS;
    this.#syncPeriodMs = options.syncPeriodMs ?? SYNC_PERIOD_MS;
    this.#dryRun = options.dryRun ?? false;
  }

  /**
   * The whole contents from now on; the first call starts the controller. `change`: all that may be
   * otherwise than at the last call; left out, that is found out. Resolves when the kernel has
   * them, or newer ones, or when that was tried in vain (a condition says so, and it is tried
   * again); never rejects.
   */
  setDesired(contents: SetContents, change?: SetContentsChange): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    // What was kept for Nodes that might have been missing is in no change.
    const told = this.#contents?.complete === contents.complete ? change : undefined;
    const changed =
      told === undefined || this.#contents === undefined
        ? !sameContents(this.#contents, contents)
        : told.podSubnets.size + told.nodeIps.size > 0;
    if (!changed && !this.#passDue && this.#busy === undefined) return Promise.resolve();
    this.#contents = contents;
    const followed = !changed || (told !== undefined && this.#wanted?.change(told) === true);
    if (!followed) this.#wanted = undefined;
    if (changed) this.#passDue = true;
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
      this.#begin();
    });
  }

  status(): SetStatus {
    return {
      sets: this.#sets,
      conditions: this.#conditions,
      lastSync: this.#lastSync,
      counters: { ...this.#counters },
      planned: this.#planned.slice(0, PLANNED_LISTED_MAX),
      plannedTotal: this.#planned.length,
    };
  }

  /** Ends after what is under way. The sets stay: rules refer to them. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#busy;
    this.#release();
  }

  /** Starts the loop unless it runs. */
  #begin(): void {
    if (this.#busy !== undefined || this.#stopped) return;
    this.#timer?.cancel();
    this.#busy = this.#run();
    void this.#busy.finally(() => {
      this.#busy = undefined;
      this.#release();
      if (this.#passDue && this.#retryAt === undefined) this.#begin();
      else this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#stopped || this.#contents === undefined) return;
    const now = this.#clock.now();
    const due = this.#retryAt ?? Math.min(this.#syncAt, now + this.#checkPeriodMs);
    this.#timer = this.#clock.after(Math.max(0, due - now), () => this.#begin());
  }

  async #run(): Promise<void> {
    const now = this.#clock.now();
    if ((this.#retryAt !== undefined && now >= this.#retryAt) || now >= this.#syncAt) {
      this.#passDue = true;
      this.#left.clear();
      this.#wanted = undefined;
    }
    try {
      if (!this.#passDue && !(await this.#looksRight())) {
        this.#counters.repairs++;
        this.#passDue = true;
        this.#left.clear();
        this.#log.info({}, "ipsets were changed by somebody else, filling them again");
      }
      if (this.#passDue) await this.#pass();
    } catch (error) {
      if (!(error instanceof SetsError)) throw error;
      this.#failed([unavailableCondition(error)]);
    }
  }

  #release(): void {
    // Who asked for newer contents waits for the next pass.
    const more = this.#passDue && this.#retryAt === undefined && !this.#stopped;
    const count = more ? this.#served : this.#waiters.length;
    for (const resolve of this.#waiters.splice(0, count)) resolve();
    this.#served = 0;
  }

  /** Compares headers only: cheap, and it sees a flush, a deletion and a lost member. */
  async #looksRight(): Promise<boolean> {
    for (const set of this.#sets) {
      const header = await this.#kernel.header(set.name);
      const foreign = header !== undefined && conflictOf(set, header) !== undefined;
      if (foreign !== set.foreign) return false;
      if (!foreign && header?.elements !== set.members) return false;
    }
    return true;
  }

  async #pass(): Promise<void> {
    if (this.#contents === undefined) return;
    this.#passDue = false;
    this.#served = this.#waiters.length;
    const readsAll = this.#left.size === 0;
    const { sets, leftOut } = this.#wanted ?? (await this.#wantAnew());
    const conditions = leftOut.map(leftOutCondition);
    const summaries: SetSummary[] = [];
    const planned: string[] = [];
    let failed = false;
    const trying = async (name: string, task: () => Promise<unknown>) => {
      try {
        await task();
      } catch (error) {
        if (!(error instanceof SetsError) || error.kind === "unavailable") throw error;
        conditions.push(errorCondition(name, error));
        failed = true;
      }
    };
    // Of an exchange that did not come to its end nothing else is left.
    if (readsAll && !this.#dryRun) await trying(TEMPORARY, () => this.#kernel.destroy(TEMPORARY));
    for (const desired of sets) {
      await trying(desired.name, async () => {
        summaries.push(await this.#settle(desired, conditions, planned));
      });
    }
    this.#sets = summaries;
    this.#planned = planned;
    this.#counters.syncs++;
    this.#lastSync = this.#clock.wall();
    // Changes in quick succession must not put the comparison off.
    if (readsAll) this.#syncAt = this.#clock.now() + this.#syncPeriodMs;
    if (failed) this.#failed(conditions);
    else {
      this.#conditions = conditions;
      this.#failures = 0;
      this.#retryAt = undefined;
    }
  }

  async #wantAnew(): Promise<WantedSets> {
    const isWanted = () => this.#contents !== undefined && hasIpv6(this.#contents);
    const twins = this.#ipv6 ?? (isWanted() || (await this.#hasTwins()));
    // Meanwhile there may be other contents.
    this.#ipv6 = twins || isWanted();
    const contents = this.#contents ?? { podSubnets: [], nodeIps: [] };
    this.#wanted = new WantedSets(contents, this.#ipv6);
    return this.#wanted;
  }

  /** Brings one set right; adds to `conditions` and `planned`. */
  async #settle(
    desired: WantedSet,
    conditions: SetCondition[],
    planned: string[],
  ): Promise<SetSummary> {
    const { name, type, family } = desired;
    if (desired.complete) this.#kept.delete(name);
    const changed = await this.#changed(desired);
    if (changed !== undefined) return { name, type, family, members: changed, foreign: false };
    const header = await this.#kernel.header(name);
    const conflict = header === undefined ? undefined : conflictOf(desired, header);
    if (conflict !== undefined) {
      conditions.push(conflictCondition(name, conflict));
      return { name, type, family, members: header?.elements, foreign: true };
    }
    const actual = header === undefined ? undefined : await this.#kernel.list(name);
    // Not as the contents are by now: there may be others than these members are of.
    const kept = desired.complete ? desired : withMembersOf(desired, actual, this.#kept.get(name));
    if (!desired.complete) this.#kept.set(name, kept.members);
    const plan = planSet(kept, actual);
    const left = { maxElements: kept.maxElements, members: new Set(kept.members) };
    desired.touched = new Set();
    if (this.#dryRun) {
      for (const line of describePlan(kept, plan)) planned.push(line);
      return { name, type, family, members: actual?.elements, foreign: false };
    }
    const refused = await applyPlan(this.#kernel, kept, plan);
    this.#count(plan);
    if (plan.kind === "rebuild") this.#log.info({ set: name, why: plan.why }, "ipset made anew");
    if (refused.length > 0) conditions.push(memberCondition(name, refused));
    else this.#left.set(name, left);
    const members = left.members.size - refused.length;
    return { name, type, family, members, foreign: false };
  }

  /**
   * Applies the difference to what the last pass left. How many members there are then; undefined =
   * the set must be read.
   */
  async #changed(desired: WantedSet): Promise<number | undefined> {
    const { name } = desired;
    const left = this.#left.get(name);
    const plan = left === undefined ? undefined : planChange(desired, left, desired.touched);
    desired.touched = new Set();
    // Until all is known to have gone well.
    this.#left.delete(name);
    if (left === undefined || plan === undefined) return undefined;
    if (!desired.complete) return undefined;
    if (plan.kind === "none") {
      this.#left.set(name, left);
      return left.members.size;
    }
    for (const member of plan.add) left.members.add(member);
    for (const member of plan.remove) left.members.delete(member);
    try {
      const refused = await applyPlan(this.#kernel, desired, plan);
      const header = refused.length > 0 ? undefined : await this.#kernel.header(name);
      if (header === undefined || conflictOf(desired, header) !== undefined) return undefined;
      if (!header.plain || header.elements !== left.members.size) return undefined;
    } catch (error) {
      if (!(error instanceof SetsError) || error.kind === "unavailable") throw error;
      return undefined;
    }
    this.#count(plan);
    this.#left.set(name, left);
    return left.members.size;
  }

  #count(plan: SetPlan): void {
    const counters = this.#counters;
    if (plan.kind === "create") counters.created++;
    if (plan.kind === "rebuild") counters.rebuilt++;
    if (plan.kind === "create" || plan.kind === "rebuild" || plan.kind === "update") {
      counters.added += plan.add.length;
    }
    if (plan.kind === "update") counters.removed += plan.remove.length;
  }

  /** Sets of an earlier run: their members would stay for ever otherwise. */
  async #hasTwins(): Promise<boolean> {
    for (const { name, family } of OUR_SETS) {
      if (family === 6 && (await this.#kernel.header(name)) !== undefined) return true;
    }
    return false;
  }

  #failed(conditions: readonly SetCondition[]): void {
    this.#conditions = conditions;
    this.#counters.failed++;
    const delay = backoffMs(RETRY, this.#failures++, this.#random);
    this.#retryAt = this.#clock.now() + delay;
    this.#log.debug({ conditions: conditions.length }, "ipsets not right yet");
  }
}

function sameContents(a: SetContents | undefined, b: SetContents): boolean {
  return (
    a !== undefined &&
    a.complete === b.complete &&
    sameList(a.podSubnets, b.podSubnets) &&
    sameList(a.nodeIps, b.nodeIps)
  );
}
