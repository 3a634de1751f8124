/**
 * Keeps tunnels to nodes in other subnets, and tells the routes which next hop goes through which.
 * Level-triggered: a pass holds what is wanted against what the kernel has and removes the
 * difference, so that a crash, a lost event or a hand that meddles needs no other answer than to
 * look again. The kernel is read in full at the start, on doubt and once a minute; otherwise a
 * Node that comes or goes costs its own operations and nothing else.
 *
 * Without settings the overlay is off: what an earlier run left is taken away, once the routes have
 * left it, and nothing is listened to.
 */
import { FAMILIES, familyOf, type IpAddress, type IpFamily, isLinkLocal } from "../ip/address.ts";
import { backoffMs } from "../runtime/backoff.ts";
import type { Clock, Random } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import { PassLoop } from "../runtime/pass-loop.ts";
import { describeOperation, subjectOf } from "./describe.ts";
import {
  desiredOverlay,
  NOTHING_DESIRED,
  type OverlayProblem,
  type Target,
  TargetMemo,
} from "./desired.ts";
import { HostState } from "./host-state.ts";
import {
  CONDITIONS_MAX,
  OPERATIONS_MAX,
  OVERLAY_GAP_MS,
  OVERLAY_PERIOD_MS,
  OVERLAY_ROUNDS_MAX,
  OVERLAY_SETTLE_MS,
  PLANNED_MAX,
  RETRY,
} from "./limits.ts";
import { isOurDevice, isTunnelKind, overheadBytes } from "./names.ts";
import { isWhole, type OverlayPlan, planOverlay } from "./plan.ts";
import { GONE, type OverlayEvent, type OverlayKernel, OverlayKernelError } from "./ports.ts";
import { refusedProblem, unavailableProblem } from "./problems.ts";
import {
  itemKey,
  type OverlayOperation,
  type OverlaySettings,
  type OverlayWanted,
} from "./types.ts";
import { NOT_YET, type OverlayWay, sameWay, wayOf } from "./ways.ts";

export interface OverlayStatus {
  /** Nodes that are reached by a tunnel now. */
  readonly tunnels: Readonly<Record<IpFamily, number>>;
  /** Nodes whose tunnel is not whole. */
  readonly missing: number;
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
  /** The ways of these next hops are others now; `all`: devices changed. Must not throw. */
  readonly onWays: (nextHops: ReadonlySet<IpAddress> | "all") => void;
}

const NO_TUNNELS: OverlayStatus["tunnels"] = { 4: 0, 6: 0 };

export class OverlayController {
  readonly #settings: OverlaySettings | undefined;
  readonly #dryRun: boolean;
  readonly #deps: OverlayDeps;
  readonly #loop: PassLoop;
  #wanted: OverlayWanted | undefined;
  /** For which the ways are told. */
  #decided: OverlayWanted | undefined;
  /** Addresses of all other Nodes; undefined = not asked for yet. */
  #remotes: ReadonlySet<IpAddress> | undefined;
  /** Undefined = to be read. */
  #host: HostState | undefined;
  #readAt = Number.NEGATIVE_INFINITY;
  /** The kernel is being read: what changes now may be in the answer or not. */
  #reading = false;
  #opened = false;
  #ways: ReadonlyMap<IpAddress, OverlayWay> = new Map();
  /** Where tunnels go first, those without one: routes lead there directly, and wait for none. */
  #direct: readonly IpAddress[] = [];
  #problems: readonly OverlayProblem[] = [];
  #planned: readonly string[] = [];
  #failures = 0;
  readonly #memo = new TargetMemo();
  #repairs = 0;
  #failed = 0;
  /** Keys of the items, and names of the devices, that the kernel is changing for us. */
  readonly #underWay = new Set<string>();
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

  want(wanted: OverlayWanted): void {
    this.#wanted = wanted;
    this.#remotes = undefined;
    this.#loop.request();
  }

  /** Whether tunnels go before interfaces that lead to a node directly. */
  get first(): boolean {
    return this.#settings?.type === "full";
  }

  /** Undefined: no tunnel leads there, and none will. */
  way(nextHop: IpAddress): OverlayWay | undefined {
    const way = this.#ways.get(nextHop);
    const decided = this.#decided === this.#wanted || this.#settings === undefined;
    return way === undefined && !decided && this.#others().has(nextHop) ? NOT_YET : way;
  }

  /** What to take off the MTU of pods, whether or not a tunnel is needed at the moment. */
  overheadBytes(families: readonly IpFamily[]): number {
    const { encap } = this.#settings ?? {};
    if (encap === undefined) return 0;
    return Math.max(0, ...families.map((family) => overheadBytes(encap, family)));
  }

  conditions(): readonly OverlayProblem[] {
    const problems = this.#problems;
    if (problems.length <= CONDITIONS_MAX) return problems;
    const more = problems.length - CONDITIONS_MAX + 1;
    return [
      ...problems.slice(0, CONDITIONS_MAX - 1),
      { name: "overlay-more", severity: "warning", message: `and ${more} more about tunnels` },
    ];
  }

  /** What a dry run holds back. */
  planned(): readonly string[] {
    return this.#planned;
  }

  status(): OverlayStatus {
    const tunnels = { ...NO_TUNNELS };
    let missing = 0;
    for (const [node, way] of this.#ways) {
      if (way.ready) tunnels[familyOf(node)]++;
      else missing++;
    }
    const links = [...(this.#host?.links.values() ?? [])];
    const devices = links.filter(isOurDevice).map(({ name }) => name);
    return { tunnels, missing, devices, repairs: this.#repairs, failed: this.#failed };
  }

  /** Addresses of all other Nodes. Without tunnels nobody asks. */
  #others(): ReadonlySet<IpAddress> {
    if (this.#remotes === undefined) {
      const remotes = this.#wanted?.remotes ?? [];
      const all = remotes.flatMap((remote) => FAMILIES.map((family) => remote[family]));
      this.#remotes = new Set(all.filter((node) => node !== undefined));
    }
    return this.#remotes;
  }

  async #pass(): Promise<number> {
    const wanted = this.#wanted;
    if (wanted === undefined) return OVERLAY_PERIOD_MS;
    try {
      const outcome = await this.#settle(wanted);
      this.#failures = outcome.failed ? this.#failures + 1 : 0;
      if (outcome.failed) return this.#backoff();
      return outcome.waiting ? OVERLAY_SETTLE_MS : OVERLAY_PERIOD_MS;
    } catch (error) {
      if (!(error instanceof OverlayKernelError)) throw error;
      this.#close();
      this.#problems = [unavailableProblem(error)];
      this.#failures++;
      return this.#backoff();
    }
  }

  #backoff(): number {
    return backoffMs(RETRY, this.#failures - 1, this.#deps.random);
  }

  /** A device must be there before anything can lead through it: hence rounds. */
  async #settle(
    wanted: OverlayWanted,
  ): Promise<{ readonly failed: boolean; readonly waiting: boolean }> {
    const refused: OverlayProblem[] = [];
    for (let round = 1; ; round++) {
      const host = await this.#read();
      const desired =
        this.#settings === undefined
          ? NOTHING_DESIRED
          : desiredOverlay(this.#settings, wanted, host, this.#memo);
      const settled = this.#deps.settled() && !this.#leaves(desired.targets);
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
        const wholeOn = (target: Target) => isWhole(desired, target, host, this.#memo);
        this.#renewWays(wanted, desired.targets, wholeOn);
        this.#decided = wanted;
        if (this.#devicesChanged) this.#deps.onWays("all");
        this.#devicesChanged = false;
        return { failed: !complete, waiting: plan.waiting };
      }
    }
  }

  /** Whether some node is to be reached otherwise from now on, which the routes do not know yet. */
  #leaves(targets: readonly Target[]): boolean {
    const nodes = new Set(targets.map(({ node }) => node));
    return [...this.#ways.keys()].some((node) => !nodes.has(node) && this.#others().has(node));
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
    for (let at = 0; at < operations.length; at += OPERATIONS_MAX) {
      const slice = operations.slice(at, at + OPERATIONS_MAX);
      for (const one of slice) this.#underWay.add(subjectOf(one));
      const outcomes = await this.#deps.kernel.apply(slice).finally(() => this.#underWay.clear());
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
    }
    // With other Nodes it cannot be told what was meddled with and what is new.
    if (this.#meddled && this.#decided === this.#wanted) this.#repairs += operations.length;
    this.#meddled = false;
    return refused;
  }

  #finish(plan: OverlayPlan, problems: readonly OverlayProblem[]): void {
    this.#problems = problems;
    this.#planned = this.#dryRun
      ? plan.operations.slice(0, PLANNED_MAX).map(describeOperation)
      : [];
    this.#meddled = false;
  }

  /** Tells the routes what changed for them. */
  #renewWays(
    wanted: OverlayWanted,
    targets: readonly Target[],
    wholeOn: (target: Target) => { readonly index: number } | undefined,
  ): void {
    const ways = new Map<IpAddress, OverlayWay>();
    const changed = new Set<IpAddress>();
    let lost = false;
    for (const target of targets) {
      const before = this.#ways.get(target.node);
      const way = wayOf(target, wholeOn(target)?.index);
      const same = before !== undefined && sameWay(before, way);
      ways.set(target.node, same ? before : way);
      if (!same) changed.add(target.node);
      lost ||= before?.ready === true && !way.ready;
    }
    const joins = this.#direct.some((node) => ways.has(node));
    // A Node that came meanwhile is none of them: it is waited for until the next pass.
    const nodes = () => (wanted === this.#wanted ? [...this.#others()] : this.#direct);
    this.#direct = this.first ? nodes().filter((node) => !ways.has(node)) : [];
    // Where tunnels go first, routes have waited for those as well that get none.
    if (this.#decided !== this.#wanted) for (const node of this.#direct) changed.add(node);
    // One that is gone takes its routes with it.
    const leaves = this.#leaves(targets);
    this.#ways = ways;
    // What is lost may have taken its routes with it, without a word from the kernel.
    if (joins || leaves || lost) this.#deps.onWays("all");
    else if (changed.size > 0) this.#deps.onWays(changed);
  }

  #onEvent(event: OverlayEvent): void {
    const host = this.#host;
    if (host === undefined) {
      if (this.#reading) this.#doubt();
      return;
    }
    if (event.kind === "entry") {
      const { link, item, change } = event;
      if (!isOursAt(host, link)) return;
      // Ours, under way or done: the kernel does not say whose it is.
      if (item !== undefined && this.#underWay.has(itemKey(item))) return;
      if (item !== undefined && host.agrees(change, item)) return;
    }
    // Pods come and go: their ends have link-local addresses only, and no tunnel depends on them.
    if (event.kind === "address" && isLinkLocal(event.address)) return;
    if (event.kind === "link") {
      const { index, name } = event.link;
      if (this.#underWay.has(name)) return;
      if (event.change === "new" && host.knows(event.link)) return;
      const bears = host.addresses.some((one) => one.link === index && !isLinkLocal(one.address));
      const tunnel = isTunnelKind(host.links.get(index)?.kind);
      if (!bears && !tunnel && !TUNNEL_LIKE.test(name)) return;
    }
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

/** Names that a tunnel of ours may have. */
const TUNNEL_LIKE = /^(?:podrouter-vx|tun6?-)/;

function isAboutDevice({ kind }: OverlayOperation): boolean {
  return kind !== "put" && kind !== "drop";
}

function isOursAt(host: HostState, index: number): boolean {
  const link = host.links.get(index);
  return link !== undefined && isOurDevice(link);
}
