/**
 * Adj-RIB-Out of a group with ADD-PATH, RFC 7911: all usable paths of a prefix are advertised, each
 * with an identifier of ours. Entries form a chain by row, keyed by source and the identifier that
 * the source gave; ours is the smallest number that the row has free, and stays while the entry
 * does, or goes over to a path that had found none free. `highest` remembers the largest number
 * ever given for a row, so that a member that catches up can be told of all that may have gone.
 *
 * Where a row has many paths, a look at it takes a step for each and no more: entries are found by
 * a hash and identifiers by bits, both made for the look.
 */
import type { AdjRibOut, Advertised, IsMember } from "./adj-rib-out.ts";
import type { AttributeStore } from "./attribute-store.ts";
import { grown8, grown16, grown32, grownCapacity } from "./columns.ts";
import type { Decision } from "./decision.ts";
import type { ExportJudge } from "./export-judge.ts";
import { ADD_PATHS_MAX } from "./limits.ts";
import { OversizedPaths } from "./oversized-paths.ts";
import { NO_PATH, type PathId, type PathStore } from "./path-store.ts";
import { REJECTED } from "./policy.ts";
import type { PrefixTable, RowId } from "./prefix-table.ts";
import { EVERYONE, type UpdateBuckets } from "./update-buckets.ts";

/** Words with a bit for each identifier and one for none. */
const ID_WORDS = (ADD_PATHS_MAX + 1) / 32;
/** Slots for the entries of one row: at most a quarter is in use. */
const SLOT_BITS = 10;
const SLOT_MASK = 2 ** SLOT_BITS - 1;

/** What the state compares itself with. */
export interface AddPathInputs {
  readonly table: PrefixTable;
  readonly paths: PathStore;
  readonly store: AttributeStore;
  readonly decision: Decision;
  readonly judge: ExportJudge;
  readonly isMember: IsMember;
}

export class AddPathAdjRibOut implements AdjRibOut {
  /** By number of the entry. */
  readonly oversized = new OversizedPaths((entry) => this.sources[entry]!);
  private readonly inputs: AddPathInputs;

  private heads = new Uint32Array(16);
  private highest = new Uint8Array(16);

  private nexts = new Uint32Array(16);
  private sources = new Uint16Array(16);
  private receivedIds = new Uint32Array(16);
  private sentIds = new Uint8Array(16);
  private attributes = new Uint32Array(16);
  private outcomes = new Uint32Array(16);
  /** Stamp of the last update that found the entry's path still there. */
  private seen = new Uint32Array(16);

  looks = 0;
  private stamp = 0;
  /** Of the update under way: the row's entries by hash; a slot is in use if it has the stamp. */
  private readonly slots = new Uint32Array(SLOT_MASK + 1);
  private readonly slotStamps = new Uint32Array(SLOT_MASK + 1);
  /** Bits of the identifiers that they have. */
  private readonly taken = new Uint32Array(ID_WORDS);
  /** How many of them were not found by their path. */
  private unseen = 0;
  /** Paths for which there was no identifier. */
  private readonly short: PathId[] = [];
  private freeHead = 0;
  private limit = 1;
  private used = 0;
  private readonly bySource: number[] = [];

  constructor(inputs: AddPathInputs) {
    this.inputs = inputs;
  }

  get size(): number {
    return this.used;
  }

  sizeFrom(peer: number): number {
    return this.bySource[peer] ?? 0;
  }

  has(row: RowId): boolean {
    return row < this.heads.length && this.heads[row] !== 0;
  }

  isFrom(row: RowId, peer: number): boolean {
    let entry = this.has(row) ? this.heads[row]! : 0;
    while (entry !== 0 && this.sources[entry] !== peer) entry = this.nexts[entry]!;
    return entry !== 0;
  }

  update(row: RowId, buckets: UpdateBuckets, again: boolean): boolean {
    if (row >= this.heads.length) this.growRows(row + 1);
    const { table, paths, decision, judge } = this.inputs;
    judge.lookAgain(row);
    this.beginUpdate(row);
    let changed = false;
    for (let path = table.head(row); path !== NO_PATH; path = paths.next(path)) {
      this.looks++;
      if (!decision.isEligible(path)) continue;
      const outcome = judge.judge(path, row);
      if (outcome === REJECTED) continue;
      if (this.advertise(row, path, outcome, buckets, again)) changed = true;
    }
    if (this.unseen === 0) return changed;
    if (this.handOver(row, buckets)) changed = true;
    if (this.dropUnseen(row, buckets)) changed = true;
    return changed;
  }

  replay(row: RowId, peer: number, mayKnow: boolean, buckets: UpdateBuckets): void {
    if (row >= this.heads.length) return;
    const told = mayKnow ? new Set<number>() : undefined;
    for (let entry = this.heads[row]!; entry !== 0; entry = this.nexts[entry]!) {
      this.looks++;
      if (this.sources[entry] === peer) continue;
      told?.add(this.sentIds[entry]!);
      buckets.announce(
        row,
        this.sentIds[entry]!,
        this.attributes[entry]!,
        this.sources[entry]!,
        this.outcomes[entry]!,
        EVERYONE,
      );
    }
    if (told === undefined) return;
    for (let id = 1; id <= this.highest[row]!; id++) {
      this.looks++;
      if (!told.has(id)) buckets.withdraw(row, id, EVERYONE);
    }
  }

  noteOversized(row: RowId, pathId: number): void {
    let entry = this.has(row) ? this.heads[row]! : 0;
    while (entry !== 0 && this.sentIds[entry] !== pathId) entry = this.nexts[entry]!;
    if (entry !== 0) this.oversized.add(entry, row);
  }

  list(row: RowId): Advertised[] {
    const result: Advertised[] = [];
    if (!this.has(row)) return result;
    for (let entry = this.heads[row]!; entry !== 0; entry = this.nexts[entry]!) {
      if (this.oversized.has(entry)) continue;
      result.push({
        attributes: this.attributes[entry]!,
        source: this.sources[entry]!,
        outcome: this.outcomes[entry]!,
        pathId: this.sentIds[entry]!,
        receivedId: this.receivedIds[entry]!,
      });
    }
    return result;
  }

  inherit(row: RowId, other: AdjRibOut): void {
    if (!(other instanceof AddPathAdjRibOut)) return;
    if (row >= this.heads.length) this.growRows(row + 1);
    this.highest[row] = Math.max(this.highest[row]!, other.highest[row] ?? 0);
  }

  clear(row: RowId): void {
    if (!this.has(row)) return;
    for (let entry = this.heads[row]!; entry !== 0; ) {
      const next = this.nexts[entry]!;
      this.free(entry);
      entry = next;
    }
    this.heads[row] = 0;
  }

  private beginUpdate(row: RowId): void {
    this.stamp = (this.stamp + 1) >>> 0;
    if (this.stamp === 0) {
      this.seen.fill(0);
      this.slotStamps.fill(0);
      this.stamp = 1;
    }
    this.taken.fill(0);
    this.taken[0] = 1;
    this.unseen = 0;
    this.short.length = 0;
    for (let entry = this.heads[row]!; entry !== 0; entry = this.nexts[entry]!) {
      const id = this.sentIds[entry]!;
      this.taken[id >>> 5]! |= 1 << (id & 31);
      let slot = slotOf(this.sources[entry]!, this.receivedIds[entry]!);
      while (this.slotStamps[slot] === this.stamp) slot = (slot + 1) & SLOT_MASK;
      this.slots[slot] = entry;
      this.slotStamps[slot] = this.stamp;
      this.unseen++;
    }
  }

  /** Makes sure of an entry for the path; true when it has to be told, with `again` always. */
  private advertise(
    row: RowId,
    path: number,
    outcome: number,
    buckets: UpdateBuckets,
    again: boolean,
  ): boolean {
    const { paths } = this.inputs;
    const source = paths.peer(path);
    const attributes = paths.attributesOf(path);
    let entry = this.findEntry(source, paths.pathId(path));
    if (entry === 0) {
      const sentId = this.freeId();
      if (sentId === 0) {
        this.short.push(path);
        return false;
      }
      entry = this.addEntry(row, source, paths.pathId(path), sentId);
    } else {
      this.seen[entry] = this.stamp;
      this.unseen--;
      const same = this.attributes[entry] === attributes && this.outcomes[entry] === outcome;
      if (same && !again) return false;
    }
    this.tell(row, entry, attributes, outcome, buckets);
    return true;
  }

  private tell(
    row: RowId,
    entry: number,
    attributes: number,
    outcome: number,
    buckets: UpdateBuckets,
  ): void {
    const { store, isMember } = this.inputs;
    const source = this.sources[entry]!;
    this.seen[entry] = this.stamp;
    this.oversized.delete(entry);
    store.retain(attributes);
    store.release(this.attributes[entry]!);
    this.attributes[entry] = attributes;
    this.outcomes[entry] = outcome;
    const audience = isMember(source) ? source : EVERYONE;
    buckets.announce(row, this.sentIds[entry]!, attributes, source, outcome, audience);
  }

  /**
   * Gives the entries of paths that are gone, identifiers and all, to paths that have none: nobody
   * would look at these before the next change. So no identifier is withdrawn and announced to the
   * same peer in one step, whose buckets keep no order between the two.
   */
  private handOver(row: RowId, buckets: UpdateBuckets): boolean {
    const { paths, judge, isMember } = this.inputs;
    let entry = this.heads[row]!;
    for (let i = 0; i < this.short.length && this.unseen > 0; i++) {
      const path = this.short[i]!;
      while (this.seen[entry] === this.stamp) entry = this.nexts[entry]!;
      const source = paths.peer(path);
      const before = this.sources[entry]!;
      if (before !== source && isMember(source)) {
        buckets.withdraw(row, this.sentIds[entry]!, -source);
      }
      this.oversized.delete(entry);
      this.countSource(before, -1);
      this.countSource(source, 1);
      this.sources[entry] = source;
      this.receivedIds[entry] = paths.pathId(path);
      this.unseen--;
      this.tell(row, entry, paths.attributesOf(path), judge.judge(path, row), buckets);
    }
    return this.short.length > 0;
  }

  private dropUnseen(row: RowId, buckets: UpdateBuckets): boolean {
    let changed = false;
    let before = 0;
    for (let entry = this.heads[row]!; entry !== 0; ) {
      const next = this.nexts[entry]!;
      if (this.seen[entry] === this.stamp) before = entry;
      else {
        // Its path is not among those that were looked at.
        this.looks++;
        const source = this.sources[entry]!;
        const audience = this.inputs.isMember(source) ? source : EVERYONE;
        buckets.withdraw(row, this.sentIds[entry]!, audience);
        if (before === 0) this.heads[row] = next;
        else this.nexts[before] = next;
        this.free(entry);
        changed = true;
      }
      entry = next;
    }
    return changed;
  }

  /** Of the row under way, but for those that were added since. */
  private findEntry(source: number, receivedId: number): number {
    let slot = slotOf(source, receivedId);
    for (; this.slotStamps[slot] === this.stamp; slot = (slot + 1) & SLOT_MASK) {
      const entry = this.slots[slot]!;
      if (this.sources[entry] === source && this.receivedIds[entry] === receivedId) return entry;
    }
    return 0;
  }

  private addEntry(row: RowId, source: number, receivedId: number, sentId: number): number {
    const entry = this.freeHead === 0 ? this.limit++ : this.freeHead;
    if (entry === this.freeHead) this.freeHead = this.nexts[entry]!;
    if (entry >= this.nexts.length) this.growEntries(entry + 1);
    this.nexts[entry] = this.heads[row]!;
    this.heads[row] = entry;
    this.sources[entry] = source;
    this.receivedIds[entry] = receivedId;
    this.sentIds[entry] = sentId;
    this.attributes[entry] = 0;
    this.countSource(source, 1);
    this.used++;
    if (sentId > this.highest[row]!) this.highest[row] = sentId;
    return entry;
  }

  private free(entry: number): void {
    this.countSource(this.sources[entry]!, -1);
    this.oversized.delete(entry);
    this.used--;
    this.inputs.store.release(this.attributes[entry]!);
    this.attributes[entry] = 0;
    this.nexts[entry] = this.freeHead;
    this.freeHead = entry;
  }

  private countSource(source: number, change: 1 | -1): void {
    this.bySource[source] = (this.bySource[source] ?? 0) + change;
  }

  /** The smallest identifier that no entry of the row has, taken; 0 when all are. */
  private freeId(): number {
    for (let word = 0; word < ID_WORDS; word++) {
      const free = ~this.taken[word]!;
      if (free === 0) continue;
      const bit = free & -free;
      this.taken[word]! |= bit;
      return word * 32 + 31 - Math.clz32(bit);
    }
    return 0;
  }

  private growRows(needed: number): void {
    const capacity = grownCapacity(this.heads.length, needed);
    this.heads = grown32(this.heads, capacity);
    this.highest = grown8(this.highest, capacity);
  }

  private growEntries(needed: number): void {
    const capacity = grownCapacity(this.nexts.length, needed);
    this.nexts = grown32(this.nexts, capacity);
    this.sources = grown16(this.sources, capacity);
    this.receivedIds = grown32(this.receivedIds, capacity);
    this.sentIds = grown8(this.sentIds, capacity);
    this.attributes = grown32(this.attributes, capacity);
    this.outcomes = grown32(this.outcomes, capacity);
    this.seen = grown32(this.seen, capacity);
  }
}

function slotOf(source: number, receivedId: number): number {
  const mixed = Math.imul(source, 0x9e37_79b1) ^ Math.imul(receivedId, 0x85eb_ca6b);
  return mixed >>> (32 - SLOT_BITS);
}
