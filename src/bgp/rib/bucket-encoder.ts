/**
 * Turns the buckets of one step of an update group into UPDATEs: attributes as the group is told
 * them, then the bucket's prefixes packed behind them.
 */
import { familyOf, type IpAddress, wordOfAddress } from "../../ip/address.ts";
import { PrefixBatch } from "../../ip/prefix-batch.ts";
import type { PathAttributes } from "../message/types.ts";
import type { UpdateWriter } from "../message/update-writer.ts";
import type { AttributeStore } from "./attribute-store.ts";
import {
  type ExportOptions,
  exportedAttributes,
  exportedNextHop,
  fillTelling,
} from "./export-rules.ts";
import type { NextHopTable } from "./next-hop-table.ts";
import type { PeerId, PeerKind } from "./peer-table.ts";
import { UNCHANGED } from "./policy.ts";
import type { PrefixTable, RowId } from "./prefix-table.ts";
import type { Segment } from "./shared-stream.ts";
import { Telling } from "./told-attributes.ts";
import { type Bucket, EVERYONE, type UpdateBuckets } from "./update-buckets.ts";

/** Kind and identifier of a path's source. */
export interface SourcePeers {
  kind(peer: PeerId): PeerKind;
  routerId(peer: PeerId): number;
}

export interface BucketEncoderParts {
  readonly options: ExportOptions;
  readonly table: PrefixTable;
  readonly store: AttributeStore;
  readonly nextHops: NextHopTable;
  readonly peers: SourcePeers;
  /** Shared by groups of one encoding: empty before and after each step. */
  readonly writer: UpdateWriter;
  /** A path was withdrawn instead of announced: no message has room for it. */
  readonly oversized: (row: RowId, pathId: number) => void;
}

export class BucketEncoder {
  private readonly parts: BucketEncoderParts;
  private readonly batch = new PrefixBatch();
  private readonly telling = new Telling();
  /** The last next hop, and its word. */
  private nextHop: IpAddress | undefined;
  private nextHopWord = 0;
  private endOfRibMessage: Uint8Array | undefined;

  constructor(parts: BucketEncoderParts) {
    this.parts = parts;
  }

  /** The messages of all buckets, cut where the audience changes or the writer is full. */
  encode(buckets: UpdateBuckets): Segment[] {
    const { writer } = this.parts;
    const { batch } = this;
    const segments: Segment[] = [];
    let audience = EVERYONE;
    buckets.sortByAudience();
    for (let i = 0; i < buckets.size; i++) {
      const bucket = buckets.at(i);
      if (bucket.audience !== audience) cut(writer, audience, segments);
      audience = bucket.audience;
      this.fillBatch(buckets, bucket);
      const told = this.tell(bucket);
      const attributes = told ? undefined : this.exported(bucket);
      for (let row = 0; row < batch.count; ) {
        if (told) row = writer.announceBlock(batch, row);
        else if (attributes === undefined) row = writer.withdraw(batch, row);
        else row = writer.announce(attributes, batch, row);
        if (bucket.attributes !== 0 && writer.oversized.length > 0) this.report(buckets, bucket);
        if (row < batch.count) cut(writer, audience, segments);
      }
    }
    cut(writer, audience, segments);
    return segments;
  }

  /** The End-of-RIB of the family, the same octets for all members; not to be written to. */
  endOfRib(): Uint8Array {
    if (this.endOfRibMessage === undefined) {
      const { writer, options } = this.parts;
      writer.endOfRib(options.family);
      this.endOfRibMessage = writer.take();
    }
    return this.endOfRibMessage;
  }

  private fillBatch(buckets: UpdateBuckets, bucket: Bucket): void {
    const { batch } = this;
    batch.reset(this.parts.options.family);
    for (let item = bucket.first; item !== 0; item = buckets.next(item)) {
      this.parts.table.copyTo(batch, buckets.row(item), buckets.pathId(item));
    }
  }

  /** Fills the writer's block the short way; false where only `exported` knows what to say. */
  private tell(bucket: Bucket): boolean {
    const { options, peers, store, nextHops, writer } = this.parts;
    if (bucket.attributes === 0 || options.family !== 4 || !writer.encoding.fourOctetAs)
      return false;
    if (options.policy !== undefined && bucket.outcome !== UNCHANGED) return false;
    const kind = peers.kind(bucket.source);
    const known = nextHops.address(store.nextHop(bucket.attributes));
    const nextHop = exportedNextHop(options, kind, known, false);
    if (nextHop === undefined || familyOf(nextHop) !== 4) return false;
    if (nextHop !== this.nextHop) {
      this.nextHop = nextHop;
      this.nextHopWord = wordOfAddress(nextHop);
    }
    const routerId = peers.routerId(bucket.source);
    fillTelling(this.telling, options, kind, routerId, this.nextHopWord);
    return store.tell(bucket.attributes, this.telling, writer.openBlock());
  }

  /** Says which items of the bucket the writer has withdrawn for want of room. */
  private report(buckets: UpdateBuckets, bucket: Bucket): void {
    let [item, at] = [bucket.first, 0];
    for (const row of this.parts.writer.oversized) {
      for (; at < row; at++) item = buckets.next(item);
      this.parts.oversized(buckets.row(item), buckets.pathId(item));
    }
  }

  /** What the bucket announces; undefined for a withdrawal. */
  private exported(bucket: Bucket): PathAttributes | undefined {
    if (bucket.attributes === 0) return undefined;
    const { peers, store, options } = this.parts;
    const source = { kind: peers.kind(bucket.source), routerId: peers.routerId(bucket.source) };
    return exportedAttributes(options, source, store.get(bucket.attributes), bucket.outcome);
  }
}

function cut(writer: UpdateWriter, audience: number, segments: Segment[]): void {
  if (writer.length > 0) segments.push({ bytes: writer.take(), audience });
}
