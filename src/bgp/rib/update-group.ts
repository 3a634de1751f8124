/**
 * An update group: the peers that are to be told the same of one family. What they have been told
 * (Adj-RIB-Out) is kept once; what changes is encoded once and read by all members that keep step.
 *
 * The group keeps a queue of prefixes that it has yet to look at. A step takes prefixes from it,
 * compares the Loc-RIB with the Adj-RIB-Out, buckets the differences and appends their bytes to the
 * shared stream. So a prefix that changes many times between two steps is told once, as it is then.
 * A new group *fills*: all rows of the table are looked at once, behind the queue.
 *
 * A member that is new, that has fallen behind, or that came from another group catches up by
 * itself from the Adj-RIB-Out, then joins the stream at its end.
 *
 * The group holds each row that it has queued or advertised, a member those that it missed.
 */
import { type AdjRibOut, costOf } from "./adj-rib-out.ts";
import type { BucketEncoder, SourcePeers } from "./bucket-encoder.ts";
import type { ExportJudge } from "./export-judge.ts";
import { type ExportOptions, reflects } from "./export-rules.ts";
import { behindOf, GroupMember } from "./group-member.ts";
import { type GroupLimits, NOTED_MAX } from "./limits.ts";
import { NO_PATH, type PathId, type PathStore } from "./path-store.ts";
import { type PeerId, PeerKind } from "./peer-table.ts";
import { NO_ROW, type PrefixTable, type RowId } from "./prefix-table.ts";
import { RowList } from "./row-list.ts";
import { RowQueue } from "./row-queue.ts";
import { RowSet } from "./row-set.ts";
import { SharedStream } from "./shared-stream.ts";
import type { UpdateBuckets } from "./update-buckets.ts";

export interface UpdateGroupParts {
  readonly options: ExportOptions;
  readonly addPath: boolean;
  readonly table: PrefixTable;
  readonly paths: PathStore;
  readonly peers: SourcePeers;
  readonly judge: ExportJudge;
  readonly out: AdjRibOut;
  readonly encoder: BucketEncoder;
  readonly buckets: UpdateBuckets;
  readonly limits: GroupLimits;
}

export class UpdateGroup {
  readonly options: ExportOptions;
  /** Whether all paths are told, and so every change matters, not only of the best path. */
  readonly addPath: boolean;
  readonly out: AdjRibOut;
  readonly members = new Map<PeerId, GroupMember>();
  /** Set when there is something to look at, until there is not. */
  awake = false;

  private readonly parts: UpdateGroupParts;
  private readonly table: PrefixTable;
  private readonly buckets: UpdateBuckets;
  private readonly queue = new RowQueue();
  /** Of the queue: told also if nothing of them changed. */
  private readonly renewed = new RowSet();
  private readonly stream = new SharedStream((rows) => this.unhold(rows));
  private inStepCount = 0;
  /** Rows from here up to `fillEnd` have not been looked at yet. */
  private fillNext = 1;
  private readonly fillEnd: RowId;
  /** Is told nothing, ever: then no change is looked at. */
  private readonly silent: boolean;
  /** Whether a best path may be told whatever kind of peer it is from. */
  private readonly fromAll: boolean;
  private readonly told = new RowList();
  private readonly dropped = new RowList();
  /** Of the step under way: members that miss what it tells, and what it noted for others. */
  private behind = 0;
  private noted = 0;

  constructor(parts: UpdateGroupParts) {
    this.parts = parts;
    this.options = parts.options;
    this.addPath = parts.addPath;
    this.out = parts.out;
    this.table = parts.table;
    this.buckets = parts.buckets;
    // With ADD-PATH it may have taken over what its members were told before.
    this.silent = parts.judge.rejectsAll && !parts.addPath;
    this.fromAll = parts.options.kind === PeerKind.external;
    this.fillEnd = this.silent ? 1 : parts.table.rowLimit;
  }

  /** The best path of the row, or with ADD-PATH any, has changed. True when there is now work. */
  note(row: RowId): boolean {
    if (this.silent) return false;
    const told = this.out.has(row);
    const mattered = told || this.addPath || this.parts.judge.lacks(row);
    if (!mattered && !this.concerns(this.table.best(row))) return false;
    if (!this.queue.push(row)) return false;
    if (!told) this.table.hold(row);
    return true;
  }

  /** Adds a peer that has been told nothing yet; it starts by catching up. */
  join(peer: PeerId): GroupMember {
    const member = new GroupMember(peer);
    member.endOfRibAfter = this.queue.endPosition;
    this.members.set(peer, member);
    return member;
  }

  /** Takes over a member of another group of the same family, with all that it was told there. */
  adopt(member: GroupMember, from: UpdateGroup): void {
    from.release(member);
    const limit = from.out.size === 0 && member.missed.size === 0 ? 0 : this.table.rowLimit;
    for (let row = 1; row < limit; row++) {
      const missed = member.missed.has(row);
      if (!missed && !from.out.has(row)) continue;
      if (!missed && member.missed.add(row)) this.table.hold(row);
      this.out.inherit(row, from.out);
    }
    from.members.delete(member.peer);
    this.walkAgain(member);
    member.endOfRibAfter = this.queue.endPosition;
    this.members.set(member.peer, member);
  }

  /** The peer is gone. */
  leave(member: GroupMember): void {
    this.release(member);
    for (let row = member.missed.nextFrom(1); row !== NO_ROW; row = member.missed.nextFrom(row)) {
      member.missed.delete(row);
      this.table.unhold(row);
    }
    this.members.delete(member.peer);
  }

  /** Whether `next` would do or give anything. */
  hasOutput(member: GroupMember): boolean {
    return (
      !member.inStep ||
      member.block < this.stream.end ||
      this.hasPending() ||
      !member.endOfRibSent ||
      member.refresh !== "none"
    );
  }

  /** Whether the member has been told everything that there is. */
  isSettled(member: GroupMember): boolean {
    return member.inStep && member.block === this.stream.end && !this.hasPending();
  }

  /** Whether the table as it was when the member joined has been told. */
  initialTableDone(member: GroupMember): boolean {
    return (
      member.inStep &&
      member.block === this.stream.end &&
      this.fillNext >= this.fillEnd &&
      this.queue.position >= member.endOfRibAfter
    );
  }

  /** Tells the member everything again, RFC 2918 §4. */
  restart(member: GroupMember): void {
    this.release(member);
    this.walkAgain(member);
  }

  /**
   * What is told of this peer's paths has another ORIGINATOR_ID from now on, though they may be
   * the same. True when there is now work; false: nothing is told of them.
   */
  tellAgain(source: PeerId): boolean {
    if (this.fromAll || this.out.sizeFrom(source) === 0) return false;
    for (let row = 1; row < this.table.rowLimit; row++) {
      if (!this.out.isFrom(row, source)) continue;
      this.renewed.add(row);
      this.queue.push(row);
    }
    return true;
  }

  /** See {@link SharedStream.read}. */
  read(member: GroupMember, bytesMax: number, out: Uint8Array[]): number {
    return this.stream.read(member, bytesMax, out);
  }

  /**
   * One step for a member that has read the stream to its end: the group looks at queued prefixes,
   * or, when there are none, the member catches up: so it is never told what is about to change.
   * Bytes go to the stream or to `out`. Gives what it cost, in prefixes; 0 = nothing to do.
   */
  step(member: GroupMember, out: Uint8Array[]): number {
    if (this.hasPending()) return this.advance();
    return member.inStep ? 0 : this.catchUp(member, out);
  }

  /** The End-of-RIB of the group's family. */
  endOfRib(): Uint8Array {
    return this.parts.encoder.endOfRib();
  }

  /** False: {@link lacksOwnNextHop} is so of no member. */
  get mayLackOwnNextHop(): boolean {
    return this.parts.judge.lacksSome;
  }

  /** Something is not told to the member, because there is no address of ours to go with it. */
  lacksOwnNextHop(peer: PeerId): boolean {
    return this.parts.judge.lacksOwnNextHop(peer, this.addPath);
  }

  /** Whether the group holds any row. */
  get holdsRows(): boolean {
    return this.out.size > 0 || this.queue.length > 0;
  }

  /** Gives up what the group holds of rows `from` to `to`; for a group without members. */
  dispose(from: RowId, to: RowId): void {
    for (let row = from; row < to; row++) {
      if (!this.out.has(row) && !this.queue.has(row)) continue;
      this.out.clear(row);
      this.table.unhold(row);
    }
  }

  private hasPending(): boolean {
    return this.queue.length > 0 || this.fillNext < this.fillEnd;
  }

  /**
   * False when the best path of a row that was not told of can be nothing to this group: keeps
   * 1,000 iBGP peers asleep.
   */
  private concerns(best: PathId): boolean {
    if (best === NO_PATH || this.fromAll) return best !== NO_PATH;
    const { peers, paths } = this.parts;
    return reflects(peers.kind(paths.peer(best)), this.options.kind);
  }

  /** Looks at the next queued prefixes and encodes what changed, for the members in step. */
  private advance(): number {
    this.beginStep();
    if (this.dropSlowMembers()) return this.cost(0);
    this.behind = this.inStepCount === this.members.size ? 0 : behindOf(this.members.values());
    this.told.clear();
    let looked = 0;
    for (; this.hasRoom(looked); looked++) {
      const row = this.queue.take();
      if (row !== NO_ROW) this.look(row, true);
      else if (this.fillNext < this.fillEnd) {
        const next = this.fillNext++;
        if (this.table.isUsed(next)) this.look(next, this.out.has(next));
      } else break;
    }
    if (!this.hasPending()) this.awake = false;
    if (this.told.length > 0) this.noteMissed();
    // Unheld only after encoding, and while a member may still fall behind not even then: telling
    // a withdrawal needs the row's prefix.
    if (this.told.length > 0 && this.inStepCount > 0) this.publish();
    else this.unhold(this.dropped.view());
    return this.cost(looked);
  }

  private beginStep(): void {
    this.buckets.reset();
    this.parts.judge.begin();
    this.dropped.clear();
    this.out.looks = 0;
    this.behind = 0;
    this.noted = 0;
  }

  private cost(looked: number): number {
    return costOf(this.out, looked, looked * this.behind + this.noted);
  }

  private hasRoom(looked: number): boolean {
    const { chunkRowsMax, chunkBucketsMax } = this.parts.limits;
    return this.cost(looked) < chunkRowsMax && this.buckets.size < chunkBucketsMax;
  }

  private look(row: RowId, held: boolean): void {
    const again = this.renewed.size > 0 && this.renewed.delete(row);
    if (this.out.update(row, this.buckets, again)) this.told.push(row);
    const has = this.out.has(row);
    if (has && !held) this.table.hold(row);
    else if (!has && held) this.dropped.push(row);
  }

  private unhold(rows: Uint32Array): void {
    for (let i = 0; i < rows.length; i++) this.table.unhold(rows[i]!);
  }

  private noteMissed(): void {
    if (this.inStepCount === this.members.size) return;
    const rows = this.told.view();
    for (const member of this.members.values()) {
      if (member.inStep) continue;
      for (let i = 0; i < rows.length; i++) this.miss(member, rows[i]!);
    }
  }

  private publish(): void {
    const segments = this.parts.encoder.encode(this.buckets);
    const rows = this.told.copy();
    const withdrawn = this.dropped.copy();
    this.stream.append({ segments, rows, withdrawn, readers: this.inStepCount });
    this.dropSlowMembers();
  }

  /**
   * Members at the oldest block leave the stream until it is short enough again. True when there
   * may be more of them than one go can do: nothing new is looked at before they have left.
   */
  private dropSlowMembers(): boolean {
    const { sharedBytesMax } = this.parts.limits;
    while (this.stream.bytes > sharedBytesMax && this.stream.end - this.stream.begin > 1) {
      const oldest = this.stream.begin;
      for (const member of this.members.values()) {
        if (!member.inStep || member.block !== oldest) continue;
        if (this.noted >= NOTED_MAX) return true;
        this.release(member);
      }
    }
    return false;
  }

  /** Ends the member's part in the stream; what it has not read counts as missed. */
  private release(member: GroupMember): void {
    if (!member.inStep) return;
    member.inStep = false;
    member.walking = false;
    this.inStepCount--;
    const end = this.stream.end;
    for (let position = member.block; position < end; position++) {
      const { rows } = this.stream.at(position);
      for (let i = 0; i < rows.length; i++) this.miss(member, rows[i]!);
      this.noted += rows.length;
      this.stream.pass(position);
    }
    member.segment = 0;
    member.missedCursor = 1;
  }

  private walkAgain(member: GroupMember): void {
    member.walking = true;
    member.walk = 1;
    member.fresh = false;
  }

  private miss(member: GroupMember, row: RowId): void {
    if (member.walking && member.fresh && row >= member.walk) return;
    if (member.missed.add(row)) this.table.hold(row);
  }

  private catchUp(member: GroupMember, out: Uint8Array[]): number {
    this.beginStep();
    const looked = member.walking ? this.walk(member) : this.tellMissed(member);
    for (const segment of this.parts.encoder.encode(this.buckets)) out.push(segment.bytes);
    this.unhold(this.dropped.view());
    if (!member.walking && member.missed.size === 0) {
      member.inStep = true;
      member.block = this.stream.end;
      member.segment = 0;
      this.inStepCount++;
    }
    return this.cost(looked) + 1;
  }

  private walk(member: GroupMember): number {
    // Who has nothing to be told need not look for it in a table of a million.
    const limit = this.out.size === 0 ? member.walk : this.table.rowLimit;
    let looked = 0;
    for (; this.hasRoom(looked); looked++) {
      if (member.walk >= limit) {
        member.walking = false;
        member.missedCursor = 1;
        break;
      }
      const row = member.walk++;
      if (!this.table.isUsed(row)) continue;
      this.tell(member, row, member.missed.delete(row));
    }
    return looked;
  }

  private tellMissed(member: GroupMember): number {
    let looked = 0;
    for (; this.hasRoom(looked); looked++) {
      const row = member.missed.nextFrom(member.missedCursor);
      if (row === NO_ROW) {
        member.missedCursor = 1;
        break;
      }
      member.missedCursor = row + 1;
      this.tell(member, row, member.missed.delete(row));
    }
    return looked;
  }

  private tell(member: GroupMember, row: RowId, missed: boolean): void {
    this.out.replay(row, member.peer, missed, this.buckets);
    if (missed) this.dropped.push(row);
  }
}
