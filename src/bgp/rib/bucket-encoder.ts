/**
 * Turns the buckets of one step of an update group into UPDATEs: attributes as the group is told
 * them, then the bucket's prefixes packed behind them.
 */
import { PrefixBatch } from "../../ip/prefix-batch.ts";
import type { PathAttributes } from "../message/types.ts";
import type { UpdateWriter } from "../message/update-writer.ts";
import type { AttributeStore } from "./attribute-store.ts";
import { type ExportOptions, exportedAttributes } from "./export-rules.ts";
import type { PeerId, PeerKind } from "./peer-table.ts";
import type { PrefixTable } from "./prefix-table.ts";
import type { Segment } from "./shared-stream.ts";
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
  readonly peers: SourcePeers;
  /** Shared by groups of one encoding: empty before and after each step. */
  readonly writer: UpdateWriter;
}

export class BucketEncoder {
  private readonly parts: BucketEncoderParts;
  private readonly batch = new PrefixBatch();

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
    for (const bucket of buckets.list) {
      if (bucket.audience !== audience) cut(writer, audience, segments);
      audience = bucket.audience;
      this.fillBatch(buckets, bucket);
      const attributes = this.exported(bucket);
      for (let row = 0; row < batch.count; ) {
        if (attributes === undefined) row = writer.withdraw(batch, row);
        else row = writer.announce(attributes, batch, row);
        if (row < batch.count) cut(writer, audience, segments);
      }
    }
    cut(writer, audience, segments);
    return segments;
  }

  /** The End-of-RIB of the family. */
  endOfRib(): Uint8Array {
    const { writer, options } = this.parts;
    writer.endOfRib(options.family);
    return writer.take();
  }

  private fillBatch(buckets: UpdateBuckets, bucket: Bucket): void {
    const { batch } = this;
    batch.reset(this.parts.options.family);
    for (let item = bucket.first; item !== 0; item = buckets.next(item)) {
      this.parts.table.copyTo(batch, buckets.row(item), buckets.pathId(item));
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
