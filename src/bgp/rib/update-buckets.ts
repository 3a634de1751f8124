/**
 * Sorts what has to be told into buckets of one attribute set, source and audience each: one bucket
 * becomes as few UPDATEs as its prefixes fill. Refilled for each step of an update group; shared by
 * all groups, since a step runs to its end before another begins.
 *
 * An audience is a number: 0 = all members, +p = all but peer p, -p = only peer p. So one encoding
 * serves all members though no path is sent back to the peer that it came from.
 */
import { grown32, grownCapacity } from "./columns.ts";
import type { RowId } from "./prefix-table.ts";

export const EVERYONE = 0;

/** What is told alike, until the buckets are emptied: then the object serves another. */
export class Bucket {
  /** 0 = withdrawal. */
  attributes = 0;
  source = 0;
  outcome = 0;
  audience = 0;
  /** First item, and the last, to append to. */
  first = 0;
  last = 0;
  /** Index of another bucket of the same attribute set, or -1. */
  sibling = -1;
}

export class UpdateBuckets {
  private readonly list: Bucket[] = [];
  private used = 0;
  /** Index + 1 of the newest bucket of an attribute set. */
  private byAttributes = new Uint32Array(64);
  private rows = new Uint32Array(64);
  private pathIds = new Uint32Array(64);
  private nexts = new Uint32Array(64);
  private items = 1;

  /** Forgets everything. */
  reset(): void {
    for (let i = 0; i < this.used; i++) this.byAttributes[this.list[i]!.attributes] = 0;
    this.used = 0;
    this.items = 1;
  }

  get size(): number {
    return this.used;
  }

  /** The bucket at `index`, below `size`. */
  at(index: number): Bucket {
    return this.list[index]!;
  }

  announce(
    row: RowId,
    pathId: number,
    attributes: number,
    source: number,
    outcome: number,
    audience: number,
  ): void {
    this.append(this.bucketOf(attributes, source, outcome, audience), row, pathId);
  }

  withdraw(row: RowId, pathId: number, audience: number): void {
    this.append(this.bucketOf(0, 0, 0, audience), row, pathId);
  }

  /** Puts buckets of one audience together, so that their bytes are cut seldom. */
  sortByAudience(): void {
    const { list, used } = this;
    let last = 1;
    while (last < used && list[last]!.audience === list[0]!.audience) last++;
    if (last >= used) return;
    const sorted = list.slice(0, used).sort((a, b) => a.audience - b.audience);
    for (let i = 0; i < used; i++) list[i] = sorted[i]!;
  }

  row(item: number): RowId {
    return this.rows[item]!;
  }

  pathId(item: number): number {
    return this.pathIds[item]!;
  }

  /** The next item of the same bucket, 0 = none. */
  next(item: number): number {
    return this.nexts[item]!;
  }

  private bucketOf(attributes: number, source: number, outcome: number, audience: number): Bucket {
    if (attributes >= this.byAttributes.length) {
      const capacity = grownCapacity(this.byAttributes.length, attributes + 1);
      this.byAttributes = grown32(this.byAttributes, capacity);
    }
    const newest = this.byAttributes[attributes]! - 1;
    for (let index = newest; index >= 0; ) {
      const bucket = this.list[index]!;
      if (bucket.source === source && bucket.outcome === outcome && bucket.audience === audience) {
        return bucket;
      }
      index = bucket.sibling;
    }
    if (this.used === this.list.length) this.list.push(new Bucket());
    const bucket = this.list[this.used++]!;
    bucket.attributes = attributes;
    bucket.source = source;
    bucket.outcome = outcome;
    bucket.audience = audience;
    bucket.first = 0;
    bucket.last = 0;
    bucket.sibling = newest;
    this.byAttributes[attributes] = this.used;
    return bucket;
  }

  private append(bucket: Bucket, row: RowId, pathId: number): void {
    const item = this.items++;
    if (item >= this.rows.length) {
      const capacity = grownCapacity(this.rows.length, item + 1);
      this.rows = grown32(this.rows, capacity);
      this.pathIds = grown32(this.pathIds, capacity);
      this.nexts = grown32(this.nexts, capacity);
    }
    this.rows[item] = row;
    this.pathIds[item] = pathId;
    this.nexts[item] = 0;
    if (bucket.first === 0) bucket.first = item;
    else this.nexts[bucket.last] = item;
    bucket.last = item;
  }
}
