/**
 * Adj-RIB-Out of a group without ADD-PATH, in columns by row: attribute set, source and policy
 * outcome of the one path advertised.
 */
import type { AdjRibOut, Advertised, IsMember } from "./adj-rib-out.ts";
import type { AttributeStore } from "./attribute-store.ts";
import { grown16, grown32, grownCapacity } from "./columns.ts";
import type { ExportJudge } from "./export-judge.ts";
import { OversizedPaths } from "./oversized-paths.ts";
import type { PathStore } from "./path-store.ts";
import { REJECTED } from "./policy.ts";
import type { PrefixTable, RowId } from "./prefix-table.ts";
import { EVERYONE, type UpdateBuckets } from "./update-buckets.ts";

export class PlainAdjRibOut implements AdjRibOut {
  readonly oversized = new OversizedPaths((row) => this.sources[row]!);
  looks = 0;
  private readonly table: PrefixTable;
  private readonly paths: PathStore;
  private readonly store: AttributeStore;
  private readonly judge: ExportJudge;
  private readonly isMember: IsMember;

  private attributes = new Uint32Array(16);
  private sources = new Uint16Array(16);
  /** Only where the policy can tell prefixes of equal attributes apart. */
  private outcomes: Uint32Array | undefined;
  private bySource = new Uint32Array(16);
  private used = 0;

  constructor(
    table: PrefixTable,
    paths: PathStore,
    store: AttributeStore,
    judge: ExportJudge,
    isMember: IsMember,
  ) {
    this.table = table;
    this.paths = paths;
    this.store = store;
    this.judge = judge;
    this.isMember = isMember;
    this.outcomes = judge.dependsOnPrefix ? new Uint32Array(16) : undefined;
  }

  get size(): number {
    return this.used;
  }

  sizeFrom(peer: number): number {
    return this.bySource[peer] ?? 0;
  }

  has(row: RowId): boolean {
    return row < this.attributes.length && this.attributes[row] !== 0;
  }

  isFrom(row: RowId, peer: number): boolean {
    return this.has(row) && this.sources[row] === peer;
  }

  update(row: RowId, buckets: UpdateBuckets, again: boolean): boolean {
    if (row >= this.attributes.length) this.grow(row + 1);
    this.judge.lookAgain(row);
    const best = this.table.best(row);
    const source = best === 0 ? 0 : this.paths.peer(best);
    const outcome = best === 0 ? REJECTED : this.judge.judge(best, row);
    const attributes = outcome === REJECTED ? 0 : this.paths.attributesOf(best);
    const oldAttributes = this.attributes[row]!;
    if (attributes === 0) {
      if (oldAttributes === 0) return false;
      const oldSource = this.sources[row]!;
      buckets.withdraw(row, 0, this.isMember(oldSource) ? oldSource : EVERYONE);
      this.clear(row);
      return true;
    }
    const oldSource = this.sources[row]!;
    if (
      !again &&
      attributes === oldAttributes &&
      source === oldSource &&
      (this.outcomes === undefined || this.outcomes[row] === outcome)
    ) {
      return false;
    }
    const back = this.isMember(source);
    buckets.announce(row, 0, attributes, source, outcome, back ? source : EVERYONE);
    if (back && oldAttributes !== 0 && oldSource !== source) buckets.withdraw(row, 0, -source);
    this.set(row, attributes, source, outcome);
    return true;
  }

  replay(row: RowId, peer: number, mayKnow: boolean, buckets: UpdateBuckets): void {
    const attributes = this.has(row) ? this.attributes[row]! : 0;
    const source = attributes === 0 ? 0 : this.sources[row]!;
    const outcome =
      attributes === 0 || source === peer ? REJECTED : this.outcomeOf(row, attributes, source);
    if (outcome !== REJECTED) {
      buckets.announce(row, 0, attributes, source, outcome, EVERYONE);
    } else if (mayKnow) buckets.withdraw(row, 0, EVERYONE);
  }

  noteOversized(row: RowId): void {
    if (this.has(row)) this.oversized.add(row, row);
  }

  list(row: RowId): Advertised[] {
    if (!this.has(row) || this.oversized.has(row)) return [];
    const attributes = this.attributes[row]!;
    const source = this.sources[row]!;
    this.judge.begin();
    const outcome = this.outcomeOf(row, attributes, source);
    if (outcome === REJECTED) return [];
    return [{ attributes, source, outcome, pathId: 0, receivedId: undefined }];
  }

  inherit(): void {}

  clear(row: RowId): void {
    if (!this.has(row)) return;
    const source = this.sources[row]!;
    this.oversized.delete(row);
    this.store.release(this.attributes[row]!);
    this.attributes[row] = 0;
    this.bySource[source] = this.bySource[source]! - 1;
    this.used--;
  }

  /** REJECTED only between a change of the source's kind and the group's next look at the row. */
  private outcomeOf(row: RowId, attributes: number, source: number): number {
    return this.outcomes?.[row] ?? this.judge.judgeSource(attributes, source, row);
  }

  private set(row: RowId, attributes: number, source: number, outcome: number): void {
    this.store.retain(attributes);
    this.clear(row);
    this.attributes[row] = attributes;
    this.sources[row] = source;
    if (this.outcomes !== undefined) this.outcomes[row] = outcome;
    if (source >= this.bySource.length) {
      this.bySource = grown32(this.bySource, grownCapacity(this.bySource.length, source + 1));
    }
    this.bySource[source] = this.bySource[source]! + 1;
    this.used++;
  }

  private grow(needed: number): void {
    const capacity = grownCapacity(this.attributes.length, needed);
    this.attributes = grown32(this.attributes, capacity);
    this.sources = grown16(this.sources, capacity);
    if (this.outcomes !== undefined) this.outcomes = grown32(this.outcomes, capacity);
  }
}
