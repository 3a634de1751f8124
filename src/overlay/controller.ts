/**
 * Keeps tunnels to nodes in other subnets, and tells the routes which next hop goes through which.
 * Level-triggered: a pass holds what is wanted against what the kernel has and removes the
 * difference, so that a crash, a lost event or a hand that meddles needs no other answer than to
 * look again. The kernel is read in full at the start, on doubt and once a minute; otherwise Nodes
 * that come or go cost their own operations and nothing else: see step.ts.
 *
 * Without settings the overlay is off: what an earlier run left is taken away, once the routes have
 * left it, and nothing is listened to.
 */
import type { IpAddress, IpFamily } from "../ip/address.ts";
import { backoffMs } from "../runtime/backoff.ts";
import type { Clock, Random } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import { PassLoop } from "../runtime/pass-loop.ts";
import { describeOperation, subjectOf } from "./describe.ts";
import {
  type DesiredOverlay,
  desiredOverlay,
  NOTHING_DESIRED,
  type OverlayProblem,
  type Target,
  TargetMemo,
} from "./desired.ts";
import { concernsTunnels, NewsUnderWay } from "./event-news.ts";
import { HostState } from "./host-state.ts";
import {
  OPERATIONS_MAX,
  OVERLAY_GAP_MS,
  OVERLAY_PERIOD_MS,
  OVERLAY_ROUNDS_MAX,
  OVERLAY_SETTLE_MS,
  PLANNED_MAX,
  RETRY,
  STEP_NODES_MAX,
} from "./limits.ts";
import { isOurDevice, overheadBytes } from "./names.ts";
import { isWhole, type OverlayPlan, planLacking, planOverlay } from "./plan.ts";
import { GONE, type OverlayEvent, type OverlayKernel, OverlayKernelError } from "./ports.ts";
import { listedProblems, refusedProblem, unavailableProblem } from "./problems.ts";
import { type RemoteChange, RemoteNodes, type SomeNodes } from "./remote-nodes.ts";
import { type OverlayStep, stepOverlay } from "./step.ts";
import type { OverlayOperation, OverlaySettings, OverlayWanted } from "./types.ts";
import { NOT_YET, type OverlayWay, Ways, type WaysNews, wayOf } from "./ways.ts";

export interface OverlayStatus {
  /** Nodes that are reached by a tunnel now. */
  readonly tunnels: Readonly<Record<IpFamily, number>>;
  /** Nodes whose tunnel is not whole, or that need one and get none. */
  readonly missing: number;
  /** It is known which Nodes need one. */
  readonly looked: boolean;
  /** Names of the devices that there are. */
  readonly devices: readonly string[];
  /** Changes made by others that were put right. */
  readonly repairs: number;
  /** Operations that the kernel refused. */
  readonly failed: number;
}

export interface OverlayDeps {
  readonly kernel: OverlayKernel;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Whether the routes are what they should be: whatever they do not use then may go. */
  readonly settled: () => boolean;
  /** Must not throw. */
  readonly onWays: (news: WaysNews) => void;
}

export class OverlayController {
  readonly #settings: OverlaySettings | undefined;
  readonly #dryRun: boolean;
  readonly #deps: OverlayDeps;
  readonly #loop: PassLoop;
  #wanted: OverlayWanted | undefined;
  readonly #nodes = new RemoteNodes();
  /** At the last look at everything it was as it should be. */
  #sound = false;
  /** Undefined = to be read. */
  #host: HostState | undefined;
  #readAt = Number.NEGATIVE_INFINITY;
  /** The kernel is being read: what changes now may be in the answer or not. */
  #reading = false;
  #opened = false;
  #looked = false;
  readonly #ways: Ways;
  #problems: readonly OverlayProblem[] = [];
  #planned: readonly string[] = [];
  #failures = 0;
  readonly #memo = new TargetMemo();
  #repairs = 0;
  #failed = 0;
  readonly #underWay = new NewsUnderWay();
  /** Which the routes were not told yet: a pass that fails in between keeps it. */
  #devicesChanged = false;
  /** Somebody else changed something; the next operations put it right. */
  #meddled = false;

  constructor(
    options: { readonly settings: OverlaySettings | undefined; readonly dryRun?: boolean },
    deps: OverlayDeps,
  ) {
    this.#settings = options.settings;
    this.#dryRun = options.dryRun ?? false;
    this.#deps = deps;
    this.#ways = new Ways(this.first);
    this.#loop = new PassLoop(deps.clock, () => this.#pass());
  }

  start(): void {
    this.#loop.start();
  }

  /** Tunnels stay: forwarding goes on. */
  async stop(): Promise<void> {
    await this.#loop.stop();
    this.#close();
  }

  /** `changed`: of the remotes, while all else is as before; undefined = anything. */
  want(wanted: OverlayWanted, changed?: readonly RemoteChange[]): void {
    this.#wanted = wanted;
    this.#nodes.set(wanted, changed);
    this.#loop.request();
  }

  /** Whether tunnels go before interfaces that lead to a node directly. */
  get first(): boolean {
    return this.#settings?.type === "full";
  }

  /** Undefined: no tunnel leads there, and none will. */
  way(nextHop: IpAddress): OverlayWay | undefined {
    const way = this.#ways.get(nextHop);
    const known = way !== undefined || this.whyNone(nextHop) !== undefined;
    if (known || this.#settings === undefined) return way;
    return this.#nodes.isUndecided(nextHop) && this.#nodes.has(nextHop) ? NOT_YET : undefined;
  }

  /** Why none leads there though one is needed; completes "no tunnel leads there: …". */
  whyNone(nextHop: IpAddress): string | undefined {
    return this.#ways.whyNone(nextHop);
  }

  /** What to take off the MTU of pods, whether or not a tunnel is needed at the moment. */
  overheadBytes(families: readonly IpFamily[]): number {
    const { encap } = this.#settings ?? {};
    if (encap === undefined) return 0;
    return Math.max(0, ...families.map((family) => overheadBytes(encap, family)));
  }

  conditions(): readonly OverlayProblem[] {
    return listedProblems(this.#problems);
  }

  /** What a dry run holds back. */
  planned(): readonly string[] {
    return this.#planned;
  }

  status(): OverlayStatus {
    const { own = { 4: undefined, 6: undefined } } = this.#wanted ?? {};
    const { ready: tunnels, missing } = this.#ways.counts(own);
    const links = [...(this.#host?.links.values() ?? [])];
    const devices = links.filter(isOurDevice).map(({ name }) => name);
    const [looked, repairs, failed] = [this.#looked, this.#repairs, this.#failed];
    return { tunnels, missing, looked, devices, repairs, failed };
  }

  async #pass(): Promise<number> {
    const wanted = this.#wanted;
    if (wanted === undefined) return OVERLAY_PERIOD_MS;
    try {
      if (await this.#step(wanted, this.#nodes.decide())) {
        // Whoever has come to doubt meanwhile has asked for the pass that reads.
        return Math.max(OVERLAY_GAP_MS, this.#untilRead());
      }
      const outcome = await this.#settle(wanted);
      this.#failures = outcome.failed ? this.#failures + 1 : 0;
      if (outcome.failed) return this.#backoff();
      return outcome.waiting ? OVERLAY_SETTLE_MS : OVERLAY_PERIOD_MS;
    } catch (error) {
      if (!(error instanceof OverlayKernelError)) throw error;
      this.#nodes.failed();
      this.#close();
      this.#problems = [unavailableProblem(error)];
      this.#failures++;
      return this.#backoff();
    }
  }

  #backoff(): number {
    return backoffMs(RETRY, this.#failures - 1, this.#deps.random);
  }

  /** Ms until everything is read anew. */
  #untilRead(): number {
    return this.#readAt + OVERLAY_PERIOD_MS - this.#deps.clock.now();
  }

  /** Does what follows from these nodes alone; false = everything is to be looked at. */
  async #step(wanted: OverlayWanted, touched: SomeNodes): Promise<boolean> {
    const [settings, host] = [this.#settings, this.#host];
    if (settings === undefined || host === undefined || !this.#sound) return false;
    if (touched === "all" || touched.size > STEP_NODES_MAX || this.#untilRead() <= 0) return false;
    // Some may be missing: what leads to those that went stays.
    if (wanted.complete === false) return false;
    const step = stepOverlay(settings, wanted, host, touched, this.#nodes, this.#memo);
    if (step === undefined || !(await this.#carryOut(step, host))) return false;
    const { desired, direct, gone } = step;
    for (const node of gone) this.#memo.remove(node);
    const wayTo = this.#wayTo(desired, host);
    const came = desired.targets.map((target) => {
      this.#memo.add(target);
      return [target.node, wayTo(target)] as const;
    });
    this.#nodes.decided();
    this.#tell(this.#ways.step(came, direct, desired.without, gone));
    return true;
  }

  /** In rounds, as {@link #settle}; false = something went wrong. */
  async #carryOut({ desired, removal }: OverlayStep, host: HostState): Promise<boolean> {
    for (let round = 1; round <= OVERLAY_ROUNDS_MAX; round++) {
      const { operations, problems } = planLacking(desired, host, this.#memo);
      const all = round === 1 ? [...operations, ...removal] : operations;
      if (problems.length > 0) return false;
      if (all.length === 0) return true;
      // With a new device no route has gone.
      this.#devicesChanged ||= all.some(({ kind }) => kind === "delete-device");
      if ((await this.#apply(all, host)).length > 0 || this.#host !== host) return false;
    }
    return false;
  }

  /** A device must be there before anything can lead through it: hence rounds. */
  async #settle(
    wanted: OverlayWanted,
  ): Promise<{ readonly failed: boolean; readonly waiting: boolean }> {
    const refused: OverlayProblem[] = [];
    this.#sound = false;
    for (let round = 1; ; round++) {
      const host = await this.#read();
      const desired =
        this.#settings === undefined
          ? NOTHING_DESIRED
          : desiredOverlay(this.#settings, wanted, host, this.#memo);
      const settled = this.#deps.settled() && !this.#ways.leaves(this.#memo.targets, this.#nodes);
      const plan = planOverlay(desired, wanted, host, settled, this.#memo);
      const idle = plan.operations.length === 0 || this.#dryRun;
      const last = idle || refused.length > 0 || round === OVERLAY_ROUNDS_MAX;
      let complete = idle;
      if (!last) {
        const devices = plan.operations.some(isAboutDevice);
        this.#devicesChanged ||= devices;
        refused.push(...(await this.#apply(plan.operations, host)));
        // Nothing follows from items: there is no need to look again.
        complete = !devices && refused.length === 0 && this.#host === host;
      }
      if (last || complete) {
        // With nothing left to do, what was refused is done: only its answer was lost.
        this.#finish(plan, [...desired.problems, ...plan.problems, ...(idle ? [] : refused)]);
        this.#sound = complete && !plan.waiting && this.#problems.length === 0 && !this.#dryRun;
        const fresh = this.#nodes.undecided;
        this.#nodes.decided();
        this.#tell(this.#renewWays(desired, host, fresh));
        return { failed: !complete, waiting: plan.waiting };
      }
    }
  }

  async #read(): Promise<HostState> {
    const { kernel, clock } = this.#deps;
    if (!this.#opened && this.#settings !== undefined) {
      await kernel.open({
        onEvent: (event) => this.#onEvent(event),
        onOverrun: () => this.#doubt(),
        onFailure: () => {
          this.#opened = false;
          this.#doubt();
        },
      });
      this.#opened = true;
      this.#host = undefined;
    }
    if (this.#host !== undefined && clock.now() - this.#readAt < OVERLAY_PERIOD_MS) {
      return this.#host;
    }
    // Doubts that come from here on are about this answer, too.
    this.#readAt = clock.now();
    this.#reading = true;
    try {
      const host = new HostState(await kernel.read());
      this.#host = host;
      return host;
    } finally {
      this.#reading = false;
    }
  }

  /** What was refused, in words. */
  async #apply(
    operations: readonly OverlayOperation[],
    host: HostState,
  ): Promise<readonly OverlayProblem[]> {
    const refused: OverlayProblem[] = [];
    let isDoubtful = false;
    for (let at = 0; at < operations.length; at += OPERATIONS_MAX) {
      const slice = operations.slice(at, at + OPERATIONS_MAX);
      for (const one of slice) this.#underWay.begin(subjectOf(one));
      const outcomes = await this.#deps.kernel.apply(slice).catch((error: unknown) => {
        this.#underWay.end(host);
        throw error;
      });
      slice.forEach((operation, index) => {
        const outcome = outcomes[index];
        if (outcome?.ok === true) {
          host.applied(operation, outcome.made);
          if (isAboutDevice(operation)) {
            this.#deps.log.info({ operation: describeOperation(operation) }, "tunnel changed");
          }
          return;
        }
        // The kernel's state is not what we thought.
        this.#host = undefined;
        const code = outcome?.code ?? "EIO";
        if (operation.kind !== "put" && GONE.has(code)) return;
        this.#failed++;
        refused.push(refusedProblem(operation, code, outcome?.message ?? "no answer"));
      });
      isDoubtful = this.#underWay.end(host) || isDoubtful;
    }
    // With other Nodes it cannot be told what was meddled with and what is new.
    if (this.#meddled && !this.#nodes.undecided) this.#repairs += operations.length;
    this.#meddled = false;
    // Somebody else changed the same, before us or after us.
    if (isDoubtful) this.#doubt();
    return refused;
  }

  #finish(plan: OverlayPlan, problems: readonly OverlayProblem[]): void {
    this.#looked = true;
    this.#problems = problems;
    this.#planned = this.#dryRun
      ? plan.operations.slice(0, PLANNED_MAX).map(describeOperation)
      : [];
    this.#meddled = false;
  }

  /** `fresh`: there are others than before. */
  #renewWays(desired: DesiredOverlay, host: HostState, fresh: boolean): WaysNews {
    const wayTo = this.#wayTo(desired, host);
    return this.#ways.renew(this.#memo.targets, desired.without, wayTo, this.#nodes, fresh);
  }

  #wayTo(desired: DesiredOverlay, host: HostState): (target: Target) => OverlayWay {
    return (target) => {
      const link = isWhole(desired, target, host, this.#memo)?.index;
      return wayOf(target, link, desired.hindered);
    };
  }

  /** Tells the routes what changed for them. */
  #tell(news: WaysNews): void {
    if (news === "all" || news.size > 0) this.#deps.onWays(news);
    if (this.#devicesChanged) this.#deps.onWays("all");
    this.#devicesChanged = false;
  }

  #onEvent(event: OverlayEvent): void {
    const host = this.#host;
    if (host === undefined) {
      if (this.#reading) this.#doubt();
      return;
    }
    if (this.#underWay.keep(event, host) || !concernsTunnels(event, host)) return;
    this.#meddled = true;
    this.#doubt();
  }

  #doubt(): void {
    this.#readAt = Number.NEGATIVE_INFINITY;
    this.#loop.request(OVERLAY_GAP_MS);
  }

  #close(): void {
    this.#deps.kernel.close();
    this.#opened = false;
    this.#readAt = Number.NEGATIVE_INFINITY;
  }
}

function isAboutDevice({ kind }: OverlayOperation): boolean {
  return kind !== "put" && kind !== "drop";
}
