/**
 * Encoded UPDATEs of an update group, each block kept until every member that reads along has taken
 * it. A block is cut into segments by audience. Positions count up for ever.
 */
import type { GroupMember } from "./group-member.ts";
import { EVERYONE } from "./update-buckets.ts";

export interface Segment {
  readonly bytes: Uint8Array;
  /** 0 = all, +p = all but p, -p = only p. */
  readonly audience: number;
}

export interface Block {
  readonly segments: readonly Segment[];
  readonly bytes: number;
  /** The prefixes that it tells of: what a member has missed that leaves before this block. */
  readonly rows: Uint32Array;
  /** Those of them that are advertised no longer: held until nobody needs the block. */
  readonly withdrawn: Uint32Array;
  /** Members that have yet to take it. */
  readers: number;
}

/** Whether the audience includes the peer. */
export function isAudience(audience: number, peer: number): boolean {
  if (audience === EVERYONE) return true;
  return audience > 0 ? audience !== peer : audience === -peer;
}

/** In place of one that is kept no longer. */
const NO_ROWS = new Uint32Array(0);
const GONE: Block = { segments: [], bytes: 0, rows: NO_ROWS, withdrawn: NO_ROWS, readers: 0 };

export class SharedStream {
  private readonly release: (rows: Uint32Array) => void;
  private readonly blocks: Block[] = [];
  /** Position of the first in the list, and how many at its beginning are gone. */
  private base = 0;
  private gone = 0;
  private kept = 0;

  /** `release` ends the holds of a block's withdrawn rows. */
  constructor(release: (rows: Uint32Array) => void) {
    this.release = release;
  }

  get begin(): number {
    return this.base + this.gone;
  }

  get end(): number {
    return this.base + this.blocks.length;
  }

  /** Octets that are kept. */
  get bytes(): number {
    return this.kept;
  }

  append(block: Omit<Block, "bytes">): void {
    let bytes = 0;
    for (const segment of block.segments) bytes += segment.bytes.length;
    this.blocks.push({ ...block, bytes });
    this.kept += bytes;
  }

  /** The block at a position that is not at the end. */
  at(position: number): Block {
    return this.blocks[position - this.base]!;
  }

  /**
   * Appends to `out` what there is for the member, at least one segment and until `bytesMax` is
   * reached; gives the octets appended.
   */
  read(member: GroupMember, bytesMax: number, out: Uint8Array[]): number {
    let bytes = 0;
    while (member.inStep && member.block < this.end && bytes < bytesMax) {
      const { segments } = this.at(member.block);
      const segment = segments[member.segment];
      if (segment === undefined) {
        member.segment = 0;
        this.pass(member.block++);
        continue;
      }
      member.segment++;
      if (!isAudience(segment.audience, member.peer)) continue;
      out.push(segment.bytes);
      bytes += segment.bytes.length;
    }
    return bytes;
  }

  /** One reader is through with the block at `position`, or will not read it. */
  pass(position: number): void {
    this.at(position).readers--;
    const { blocks } = this;
    for (; this.gone < blocks.length && blocks[this.gone]!.readers === 0; this.gone++) {
      const { bytes, withdrawn } = blocks[this.gone]!;
      blocks[this.gone] = GONE;
      this.kept -= bytes;
      this.release(withdrawn);
    }
    // Not one by one: where there are thousands, each time all others would be moved.
    if (this.gone === 0 || this.gone * 2 < blocks.length) return;
    blocks.splice(0, this.gone);
    this.base += this.gone;
    this.gone = 0;
  }
}
