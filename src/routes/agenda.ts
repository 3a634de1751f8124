/**
 * Which prefixes are to be looked at next, in portions of one family: those that were marked, those
 * whose wanted route changed, and those of a comparison of all. They take turns, so that a table of
 * one family that changes faster than the kernel takes it keeps neither the other one waiting nor a
 * comparison, and routes that the kernel refuses over and over keep no new one.
 */
import { FAMILIES, type IpFamily } from "../ip/address.ts";
import { NextHopBatch } from "../ip/next-hop-batch.ts";
import { type Prefix, prefixFamily } from "../ip/prefix.ts";
import { pushPrefix } from "../ip/prefix-batch.ts";
import type { ConditionBook } from "./conditions.ts";
import { PORTION_PREFIXES } from "./limits.ts";
import type { DesiredRoutes } from "./ports.ts";
import type { PrefixId, PrefixIndex } from "./prefix-index.ts";
import { PrefixSet } from "./prefix-set.ts";
import type { RouteView } from "./view.ts";

/** Prefixes of one family, each with its id and the next hops that are wanted now. */
export class Portion {
  readonly batch = new NextHopBatch(PORTION_PREFIXES);
  /** By row of the batch; held until the next portion is taken. */
  readonly ids = new Uint32Array(PORTION_PREFIXES);
  /** The wanted side has spoken of them. */
  spoken = false;
  /** Of a comparison that has seen to what is wanted: only what nobody wants is to be looked at. */
  unwanted = false;
  /** Of a comparison from which nothing new follows for what was refused: that is left alone. */
  sparing = false;
  readonly #index: PrefixIndex;

  constructor(index: PrefixIndex) {
    this.#index = index;
  }

  get count(): number {
    return this.batch.prefixes.count;
  }

  /** Empties it, for prefixes of one family. */
  begin(family: IpFamily): void {
    for (let row = 0; row < this.count; row++) this.#index.release(this.ids[row]!);
    this.batch.prefixes.reset(family);
    this.spoken = false;
    this.unwanted = false;
    this.sparing = false;
  }

  add(id: PrefixId): void {
    this.#index.hold(id);
    this.ids[this.count] = id;
    this.#index.copyTo(this.batch.prefixes, id);
  }

  /** Gives ids to what was put into the batch. */
  number(): void {
    const { prefixes } = this.batch;
    for (let row = 0; row < prefixes.count; row++) {
      const id = this.#index.insert(prefixes, row);
      this.#index.hold(id);
      this.ids[row] = id;
    }
  }
}

/** Whose turn it is: marked and changed ones of each family, and then the comparison. */
const SOURCES = [
  ...FAMILIES.flatMap((family) => [
    { family, marked: true },
    { family, marked: false },
  ]),
  undefined,
];

/** Steps of a comparison: what is wanted, then what else is known. */
const STEPS = [
  { family: 4, known: false },
  { family: 6, known: false },
  { family: 4, known: true },
  { family: 6, known: true },
] as const;
/** Ids passed over in one go. */
const IDS_PER_PORTION = PORTION_PREFIXES * 16;

export class Agenda {
  readonly #index: PrefixIndex;
  readonly #desired: DesiredRoutes;
  readonly #conditions: ConditionBook;
  readonly #view: () => RouteView;
  readonly #marked: PrefixSet;
  readonly #single = new NextHopBatch(1);
  readonly #queues: Record<IpFamily, PrefixId[]> = { 4: [], 6: [] };
  /** How many at the beginning of each queue were taken; cut off when they are half of it. */
  readonly #taken: Record<IpFamily, number> = { 4: 0, 6: 0 };
  /** Which of {@link SOURCES} is asked first. */
  #turn = 0;
  /** Where the comparison is; undefined when there is none. */
  #scan: { step: number; from: number; readonly sparing: boolean } | undefined;

  constructor(
    index: PrefixIndex,
    desired: DesiredRoutes,
    conditions: ConditionBook,
    view: () => RouteView,
  ) {
    this.#index = index;
    this.#desired = desired;
    this.#conditions = conditions;
    this.#view = view;
    this.#marked = new PrefixSet(index);
  }

  /** Prefixes that were marked or have changed, and were not taken. */
  get waiting(): number {
    return this.#marked.size + this.#desired.changed;
  }

  /** A comparison of all is under way. */
  get scans(): boolean {
    return this.#scan !== undefined;
  }

  /** Whether a route for this prefix is wanted now. */
  isWanted(prefix: Prefix): boolean {
    const { prefixes, nextHops } = this.#single;
    prefixes.reset(prefixFamily(prefix));
    pushPrefix(prefixes, prefix);
    this.#desired.read(this.#single);
    return nextHops[0]!.length > 0;
  }

  mark(id: PrefixId): void {
    if (this.#marked.add(id)) this.#queues[this.#index.family(id)].push(id);
  }

  /** Begins a comparison of all, in place of one under way. `sparing`: see {@link Portion}. */
  scan(sparing = false): void {
    // One that was to spare nothing has not come to its end.
    const both = sparing && this.#scan?.sparing !== false;
    this.#scan = { step: 0, from: 0, sparing: both };
  }

  /**
   * Fills a portion. False when there was nothing; an empty portion is no less one of several.
   */
  next(portion: Portion): boolean {
    for (let asked = 0; asked < SOURCES.length; asked++) {
      const source = SOURCES[this.#turn];
      this.#turn = (this.#turn + 1) % SOURCES.length;
      if (source === undefined) {
        if (this.#takeScanned(portion)) return true;
        continue;
      }
      const { family, marked } = source;
      portion.begin(family);
      if (marked ? this.#takeMarked(portion, family) : this.#takeChanged(portion)) return true;
    }
    return false;
  }

  #takeMarked(portion: Portion, family: IpFamily): boolean {
    const queue = this.#queues[family];
    if (queue.length === 0) return false;
    const from = this.#taken[family];
    const end = Math.min(queue.length, from + PORTION_PREFIXES);
    for (let at = from; at < end; at++) {
      portion.add(queue[at]!);
      this.#marked.delete(queue[at]!);
    }
    // It may never be empty, for others have their turns in between.
    const isCut = end * 2 >= queue.length;
    if (isCut) {
      queue.copyWithin(0, end);
      queue.length -= end;
    }
    this.#taken[family] = isCut ? 0 : end;
    this.#desired.read(portion.batch);
    return true;
  }

  #takeChanged(portion: Portion): boolean {
    if (this.#desired.changed === 0) return false;
    this.#desired.takeChanged(portion.batch, PORTION_PREFIXES);
    portion.number();
    portion.spoken = true;
    return portion.count > 0;
  }

  #takeScanned(portion: Portion): boolean {
    const scan = this.#scan;
    if (scan === undefined) return false;
    const { family, known } = STEPS[scan.step]!;
    portion.begin(family);
    portion.unwanted = known;
    portion.sparing = scan.sparing;
    scan.from = known ? this.#walkKnown(portion, scan.from) : this.#walkWanted(portion, scan.from);
    if (scan.from === 0 && ++scan.step === STEPS.length) this.#scan = undefined;
    return true;
  }

  #walkWanted(portion: Portion, from: number): number {
    const next = this.#desired.walk(portion.batch, from, PORTION_PREFIXES);
    portion.number();
    return next;
  }

  /** What is known of though nobody wants it; ids that nobody needs any more go. */
  #walkKnown(portion: Portion, from: number): number {
    const view = this.#view();
    const index = this.#index;
    const { family } = portion.batch.prefixes;
    const end = Math.min(index.limit, from + IDS_PER_PORTION);
    let id = Math.max(1, from);
    for (; id < end && portion.count < PORTION_PREFIXES; id++) {
      if (!index.isUsed(id) || index.family(id) !== family) continue;
      if (view.has(id) || this.#conditions.has(id)) portion.add(id);
      else index.sweep(id);
    }
    this.#desired.read(portion.batch);
    return id < index.limit ? id : 0;
  }
}
