/**
 * Plans portions of prefixes: what is wanted against what there is, into operations.
 *
 * Nearly all prefixes are usual: one route of ours or none is there, one that has a way and that
 * the guards allow is wanted, or none. Of those what to do is read off two numbers here. Anything
 * else goes the straightforward way, `evaluate` and `planPrefix`, which decide the same for the
 * usual ones.
 */
import type { IpAddress, IpFamily } from "../ip/address.ts";
import type { Clock } from "../runtime/clock.ts";
import { type Agenda, Portion } from "./agenda.ts";
import type { Applier } from "./applier.ts";
import { evaluate, waysOf } from "./evaluate.ts";
import type { Guards } from "./guards.ts";
import { BATCH_OPERATIONS_MAX, BATCHES_MAX, PORTION_PREFIXES, TURN_MS } from "./limits.ts";
import type { KernelObserver } from "./observer.ts";
import { OperationKind } from "./operation-batch.ts";
import { planPrefix } from "./plan.ts";
import type { Tunnels } from "./ports.ts";
import type { PrefixId } from "./prefix-index.ts";
import { PrefixSet } from "./prefix-set.ts";
import type { RetryTable } from "./retry-table.ts";
import type { Shape } from "./shapes.ts";
import { type AddressWords, addressWords } from "./sorted-addresses.ts";
import { UNUSUAL } from "./view.ts";

/** Where a list of next hops leads. */
interface Usual {
  readonly nextHops: readonly IpAddress[];
  readonly family: IpFamily;
  /** Undefined: a case for the straightforward way. */
  readonly shape: Shape | undefined;
  readonly words: AddressWords;
}

export interface PlannerDeps {
  readonly clock: Clock;
  readonly observer: KernelObserver;
  readonly agenda: Agenda;
  readonly applier: Applier;
  readonly retry: RetryTable;
  readonly tunnels: Tunnels | undefined;
  readonly dryRun: boolean;
}

export class Planner {
  readonly #deps: PlannerDeps;
  readonly #portion: Portion;
  /** By the list of next hops itself; of one turn, for what next hops lead to may change. */
  readonly #usual = new Map<readonly IpAddress[], Usual>();
  /** Prefixes that BGP has spoken of; kept only until convergence. */
  readonly #spoken: PrefixSet;
  #converged = false;

  constructor(deps: PlannerDeps) {
    this.#deps = deps;
    this.#portion = new Portion(deps.observer.index);
    this.#spoken = new PrefixSet(deps.observer.index);
  }

  /** BGP has spoken of this prefix: what it does not want there may go. */
  speak(id: PrefixId): void {
    if (!this.#converged) this.#spoken.add(id);
  }

  /** BGP has spoken of all. */
  converge(): void {
    this.#converged = true;
    this.#spoken.clear();
  }

  /**
   * Plans and begins sends, as long as the kernel may have more and a turn of the event loop lasts.
   * False: there is nothing more to plan.
   */
  planTurn(guards: Guards): boolean {
    const { clock, applier } = this.#deps;
    const end = clock.now() + TURN_MS;
    let planned: boolean;
    do {
      planned = this.#planSome(guards, end);
      applier.begin();
    } while (planned && applier.batches < BATCHES_MAX && clock.now() < end);
    return planned;
  }

  /** Plans as much as there is, fits a send and is done until `end`; false: there was nothing. */
  #planSome(guards: Guards, end: number): boolean {
    const { clock, agenda, applier } = this.#deps;
    const portion = this.#portion;
    let any = false;
    this.#usual.clear();
    while (agenda.next(portion)) {
      any = true;
      if (!this.#converged && !this.#deps.dryRun) this.#noteSpoken();
      this.plan(portion, guards);
      if (applier.pending > BATCH_OPERATIONS_MAX - PORTION_PREFIXES || clock.now() >= end) break;
    }
    portion.begin(4);
    return any;
  }

  plan(portion: Portion, guards: Guards): void {
    const { prefixes, nextHops: lists } = portion.batch;
    const { family } = prefixes;
    const { applier, observer, retry } = this.#deps;
    const { view } = observer;
    // Neighbours mostly go the same way.
    let usual: Usual | undefined;
    for (let row = 0; row < prefixes.count; row++) {
      const id = portion.ids[row]!;
      const nextHops = lists[row]!;
      if (portion.unwanted && nextHops.length > 0) continue;
      if (applier.isBusy(id)) {
        // What the kernel has for it is known when that is done. With one that spares, which
        // follows a listing, it was begun in full knowledge.
        if (!portion.sparing) applier.lookAgain(id);
        continue;
      }
      // Its own time comes, or its mark is in the agenda.
      const spared = portion.sparing && retry.has(id);
      const entry = view.entry(id);
      if (entry === UNUSUAL) {
        this.#planUnusual(portion, row, guards, spared);
      } else if (nextHops.length === 0) {
        if (entry === 0 || !this.#mayDelete(id)) applier.settled(id, undefined);
        else if (!spared) applier.add(portion, row, OperationKind.delete, view.shapes.at(entry));
      } else {
        if (nextHops !== usual?.nextHops) usual = this.#usualOf(family, nextHops);
        const { shape, words } = usual;
        if (shape === undefined || !guards.allows(prefixes, row, words)) {
          this.#planUnusual(portion, row, guards, spared);
        } else if (entry === shape.id) {
          applier.settled(id, undefined);
        } else if (!spared) {
          const kind = entry === 0 ? OperationKind.create : OperationKind.replace;
          applier.add(portion, row, kind, shape);
        }
      }
    }
  }

  #usualOf(family: IpFamily, nextHops: readonly IpAddress[]): Usual {
    let usual = this.#usual.get(nextHops);
    if (usual === undefined || usual.family !== family) {
      const { observer, tunnels } = this.#deps;
      const { topology, view } = observer;
      const { hops, source, bad, ...ways } = waysOf(family, nextHops, topology, tunnels);
      const shape = bad === undefined ? view.shapes.of(family, hops, source) : undefined;
      const words = addressWords(shape === undefined ? [] : ways.nextHops);
      usual = { nextHops, family, shape, words };
      this.#usual.set(nextHops, usual);
    }
    return usual;
  }

  /** The straightforward way, for anything. */
  #planUnusual(portion: Portion, row: number, guards: Guards, spared: boolean): void {
    const id = portion.ids[row]!;
    const nextHops = portion.batch.nextHops[row]!;
    const { observer, applier, tunnels } = this.#deps;
    const { view, topology, index } = observer;
    const prefix = index.prefix(id);
    const desired = nextHops.length === 0 ? undefined : { prefix, nextHops };
    const { wanted, condition } = evaluate(desired, guards, topology, tunnels);
    const plan = planPrefix(prefix, wanted, view.at(id), this.#mayDelete(id));
    if (spared && plan.operations.length > 0) return;
    applier.addPlan(portion, row, { prefix, nextHops }, plan, condition);
  }

  #mayDelete(id: PrefixId): boolean {
    return this.#converged || this.#spoken.has(id);
  }

  #noteSpoken(): void {
    const { ids, spoken, count, batch } = this.#portion;
    for (let row = 0; row < count; row++) {
      if (spoken || batch.nextHops[row]!.length > 0) this.#spoken.add(ids[row]!);
    }
  }
}
