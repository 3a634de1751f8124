/**
 * The RIB of one family: what came from all peers (Adj-RIB-In), the best of it (Loc-RIB), and the
 * update groups that are told of changes. Everything is by row and path number; a change costs what
 * changed, the number of paths of that prefix and the number of update groups.
 *
 * Work over many paths (a peer's loss, a sweep of stale paths, a new import policy, new costs of
 * next hops) is done in slices: what is small at once, the rest by `work`.
 */
import type { IpAddress } from "../../ip/address.ts";
import { PrefixBatch } from "../../ip/prefix-batch.ts";
import type { PathAttributes, RouteFamily } from "../message/types.ts";
import { AdjRibIn, PathTask } from "./adj-rib-in.ts";
import { CommunityBit } from "./attribute-content.ts";
import type { AttributeStore } from "./attribute-store.ts";
import { BestChanges } from "./best-changes.ts";
import { Decision } from "./decision.ts";
import { Importer, type ImportOptions } from "./import-rules.ts";
import type { NextHopTable } from "./next-hop-table.ts";
import { NO_PATH, type PathId, PathStore, Verdict } from "./path-store.ts";
import type { PeerId, PeerTable } from "./peer-table.ts";
import { NO_ROW, PrefixTable, type RowId } from "./prefix-table.ts";
import type { UpdateGroup } from "./update-group.ts";

/** What both families of a RIB share. */
export interface RibCore {
  readonly store: AttributeStore;
  readonly nextHops: NextHopTable;
  readonly peers: PeerTable<{ readonly address: IpAddress }>;
  /** How a peer's paths are imported now. */
  importOptions(peer: PeerId, family: RouteFamily): ImportOptions;
  /** A group has work that its members should fetch. */
  groupWoke(group: UpdateGroup): void;
  /** The last path of the peer in a family is going. */
  peerEmptied(peer: PeerId): void;
  /** Best routes have changed. */
  bestChanged(): void;
  /** Wall clock, seconds. */
  nowSeconds(): number;
  maximumPaths(): number;
}

export class FamilyRib {
  readonly family: RouteFamily;
  readonly table: PrefixTable;
  readonly paths: PathStore;
  readonly decision: Decision;
  /** Groups that are told of changes; those without members have left the list. */
  readonly groups: UpdateGroup[] = [];
  /** Rows whose best route changed; undefined when nobody wants to know which. */
  changes: BestChanges | undefined;

  private readonly core: RibCore;
  private readonly ins: (AdjRibIn | undefined)[] = [];
  /** Those with a walk under way. */
  private readonly walking = new Set<AdjRibIn>();
  private readonly importer: Importer;
  private readonly single = new PrefixBatch(1);
  /** Next row of the walk that chooses all best paths again; 0 = none under way. */
  private reselectNext: RowId = NO_ROW;
  /** Groups without members, and the next row that they give up. */
  private readonly leaving: { group: UpdateGroup; next: RowId }[] = [];

  constructor(family: RouteFamily, core: RibCore, seed: number) {
    this.family = family;
    this.core = core;
    this.table = new PrefixTable(family, seed);
    this.paths = new PathStore(this.table, core.store);
    this.decision = new Decision({ table: this.table, paths: this.paths, ...coreOf(core) });
    this.importer = new Importer(core.store);
  }

  /** From now on keeps a list of the rows whose best route changed; `all`: with all to begin. */
  listChanges(all: boolean): void {
    if (this.changes !== undefined) return;
    this.changes = new BestChanges(this.table, () => this.core.bestChanged());
    if (all) this.changes.noteAll();
  }

  /** The Adj-RIB-In of a peer, made if need be. */
  adjRibIn(peer: PeerId): AdjRibIn {
    let into = this.ins[peer];
    if (into === undefined) {
      into = new AdjRibIn(peer, this.family);
      this.ins[peer] = into;
    }
    return into;
  }

  /** Forgets a peer that has no paths left. */
  forget(peer: PeerId): void {
    this.ins[peer] = undefined;
  }

  /** Takes announcements of one set of attributes; new prefixes beyond `limit` are left out. */
  announce(peer: PeerId, batch: PrefixBatch, attributes: PathAttributes, limit: number): void {
    const { store } = this.core;
    const into = this.adjRibIn(peer);
    this.table.touch(batch);
    const received = store.intern(attributes);
    const now = this.core.nowSeconds();
    this.importer.begin(this.core.importOptions(peer, this.family), received, attributes);
    for (let i = 0; i < batch.count; i++) {
      this.importer.judge(batch, i);
      this.announceOne(into, batch, i, received, now, limit);
    }
    this.importer.end();
    store.release(received);
  }

  withdraw(peer: PeerId, batch: PrefixBatch): void {
    const into = this.adjRibIn(peer);
    this.table.touch(batch);
    for (let i = 0; i < batch.count; i++) {
      const row = this.table.find(batch, i);
      if (row === NO_ROW) continue;
      const path = this.paths.find(row, peer, batch.pathId[i]!);
      if (path !== NO_PATH) this.removePath(path, into);
    }
  }

  /** Has `tasks` done to each path of the peer; what is small at once. */
  startWalk(into: AdjRibIn, tasks: number): void {
    if (into.first === NO_PATH) return;
    into.tasks |= tasks;
    into.cursor = into.first;
    this.walking.add(into);
  }

  /** Does all tasks of the peer's walk at once; for small tables. */
  finishWalk(into: AdjRibIn): void {
    if (this.walking.has(into)) this.walkPaths(into, Number.POSITIVE_INFINITY);
  }

  /** Withdraws the stale paths of a peer, in slices. */
  sweepStale(into: AdjRibIn): void {
    into.openRefreshes = 0;
    this.sweep(into, 0, 0);
  }

  /**
   * Withdraws paths that were heard more than `distance` sessions ago, in slices; for long-lived
   * stale ones the other number counts, for their own timer decides (RFC 9494 §4.2).
   */
  sweep(into: AdjRibIn, distance: number, longLivedDistance: number): void {
    if (into.stale === 0) return;
    into.addSweep(distance, longLivedDistance);
    this.startWalk(into, PathTask.sweep);
  }

  /** Chooses the best path of every row again, after costs of next hops have changed. */
  startReselect(): void {
    if (this.table.size > 0) this.reselectNext = 1;
  }

  /** Takes a group without members out of use. */
  retire(group: UpdateGroup): void {
    this.groups.splice(this.groups.indexOf(group), 1);
    if (group.holdsRows) this.leaving.push({ group, next: 1 });
  }

  get hasWork(): boolean {
    return this.walking.size > 0 || this.reselectNext !== NO_ROW || this.leaving.length > 0;
  }

  /** Looks at up to `budget` paths or rows; gives how much of the budget is left. */
  work(budget: number): number {
    let left = budget;
    for (const into of this.walking) {
      left = this.walkPaths(into, left);
      if (left <= 0) return 0;
    }
    left = this.reselect(left);
    while (left > 0 && this.leaving.length > 0) {
      const job = this.leaving[0]!;
      // A row that a group gives up costs a fraction of a path's removal.
      const end = Math.min(this.table.rowLimit, job.next + left * 4);
      job.group.dispose(job.next, end);
      left -= Math.ceil((end - job.next) / 4);
      job.next = end;
      if (end >= this.table.rowLimit) this.leaving.shift();
    }
    return left;
  }

  /** Tells whoever is concerned that the row's best path, or any of its paths, is another. */
  rowChanged(row: RowId, best: boolean): void {
    const { groups } = this;
    for (let i = 0; i < groups.length; i++) {
      const group = groups[i]!;
      if ((best || group.addPath) && group.note(row) && !group.awake) {
        group.awake = true;
        this.core.groupWoke(group);
      }
    }
    if (!best && this.core.maximumPaths() === 1) return;
    if (this.changes === undefined) this.core.bestChanged();
    else this.changes.note(row);
  }

  /** Every best route may stand for other paths than before. */
  bestMayDiffer(): void {
    if (this.changes === undefined) this.core.bestChanged();
    else this.changes.noteAll();
  }

  private announceOne(
    into: AdjRibIn,
    batch: PrefixBatch,
    index: number,
    received: number,
    now: number,
    limit: number,
  ): void {
    const pathId = batch.pathId[index]!;
    const full = into.counted >= limit;
    const row = full ? this.table.find(batch, index) : this.table.insert(batch, index);
    const path = row === NO_ROW ? NO_PATH : this.paths.find(row, into.peer, pathId);
    const isMore = path === NO_PATH || into.isLeft(this.paths.epoch(path));
    // Without ADD-PATH the identifier is 0, and there is no other path of the peer.
    const tooMany = isMore && (full || (pathId !== 0 && this.paths.isCrowded(row, into)));
    if (tooMany || row === NO_ROW) into.refuse(full);
    else if (path !== NO_PATH) this.replace(path, into, received, now);
    else this.insertPath(row, into, pathId, received, now);
  }

  private insertPath(
    row: RowId,
    into: AdjRibIn,
    pathId: number,
    received: number,
    now: number,
  ): void {
    const { verdict, effective } = this.importer;
    const path = this.paths.add(row, into, pathId, now);
    if (path === NO_PATH) {
      into.refuse(false);
      this.table.releaseIfUnused(row);
      return;
    }
    this.paths.setAttributes(path, received, effective, verdict);
    into.received++;
    if (verdict !== Verdict.accepted) return;
    into.accepted++;
    const before = this.table.best(row);
    const best = this.decision.selectAfterAdding(row, path);
    if (best !== before) this.table.setBest(row, best);
    this.rowChanged(row, best !== before);
  }

  private replace(path: PathId, into: AdjRibIn, received: number, now: number): void {
    const { paths } = this;
    if (paths.epoch(path) !== into.epoch) {
      paths.setEpoch(path, into.epoch);
      into.stale--;
    }
    const { verdict, effective } = this.importer;
    if (
      paths.receivedAttributes(path) === received &&
      paths.attributesOf(path) === effective &&
      paths.verdict(path) === verdict &&
      !paths.isLongLived(path)
    ) {
      return;
    }
    paths.setSince(path, now);
    this.setAttributes(path, into, received, effective, verdict);
  }

  /** Gives a path other attributes and decides again. */
  private setAttributes(
    path: PathId,
    into: AdjRibIn,
    received: number,
    effective: number,
    verdict: Verdict,
  ): void {
    const { paths } = this;
    if (paths.verdict(path) === Verdict.accepted) into.accepted--;
    if (verdict === Verdict.accepted) into.accepted++;
    const row = paths.row(path);
    const wasBest = this.table.best(row) === path;
    paths.setAttributes(path, received, effective, verdict);
    this.decide(row, wasBest);
  }

  /** Chooses again; `changed` = the path that was best has changed, so that it counts as new. */
  private decide(row: RowId, changed: boolean): void {
    const before = this.table.best(row);
    const best = this.decision.select(row);
    if (best !== before) this.table.setBest(row, best);
    this.rowChanged(row, best !== before || changed);
  }

  private removePath(path: PathId, from: AdjRibIn): void {
    const { paths, table } = this;
    const row = paths.row(path);
    from.received--;
    if (from.received === 0) this.core.peerEmptied(from.peer);
    if (paths.epoch(path) !== from.epoch) from.stale--;
    const accepted = paths.verdict(path) === Verdict.accepted;
    if (accepted) from.accepted--;
    const wasBest = table.best(row) === path;
    const stays = !wasBest && !from.hasOtherRank && this.decision.staysBestWithout(row, path);
    paths.remove(path, from);
    if (accepted && !stays) this.decide(row, wasBest);
    else if (accepted) this.rowChanged(row, false);
    table.releaseIfUnused(row);
  }

  private walkPaths(into: AdjRibIn, budget: number): number {
    let left = budget;
    while (left > 0 && into.cursor !== NO_PATH) {
      const path = into.cursor;
      into.cursor = this.paths.nextOfPeer(path);
      this.runTasks(path, into);
      left--;
    }
    if (into.cursor === NO_PATH) {
      into.endWalk();
      this.walking.delete(into);
    }
    return left;
  }

  private runTasks(path: PathId, into: AdjRibIn): void {
    const epoch = this.paths.epoch(path);
    const { tasks } = into;
    if ((tasks & PathTask.sweep) !== 0 && into.isSwept(epoch, this.paths.isLongLived(path))) {
      this.removePath(path, into);
      return;
    }
    if ((tasks & PathTask.reimport) !== 0 && this.reimport(path, into)) return;
    const stale = epoch !== into.epoch;
    if ((tasks & PathTask.longLive) !== 0 && stale && this.makeLongLived(path, into)) return;
    if ((tasks & PathTask.rerank) !== 0) this.decide(this.paths.row(path), true);
  }

  /** Judges the path anew; true when it went instead, see {@link makeLongLived}. */
  private reimport(path: PathId, into: AdjRibIn): boolean {
    const { paths, importer } = this;
    const received = paths.receivedAttributes(path);
    const longLived = paths.isLongLived(path);
    this.single.reset(this.family);
    this.table.copyTo(this.single, paths.row(path), 0);
    const values = this.core.store.get(received);
    importer.begin(this.core.importOptions(into.peer, this.family), received, values);
    importer.judge(this.single, 0);
    const { verdict, effective } = importer;
    if (verdict !== paths.verdict(path) || effective !== paths.attributesOf(path) || longLived) {
      this.setAttributes(path, into, received, effective, verdict);
    }
    importer.end();
    return longLived && this.makeLongLived(path, into);
  }

  /** Marks the path, RFC 9494 §4.2; true when it went instead, as NO_LLGR demands. */
  private makeLongLived(path: PathId, into: AdjRibIn): boolean {
    const { paths } = this;
    const { store } = this.core;
    if (paths.isLongLived(path)) return false;
    const received = paths.receivedAttributes(path);
    const imported = paths.attributesOf(path);
    // As the peer sent it, or as the import policy has it.
    const bits = store.communityBits(received) | store.communityBits(imported);
    if ((bits & CommunityBit.noLongLived) !== 0) {
      this.removePath(path, into);
      return true;
    }
    const effective = store.intern(this.importer.markedStale(store.get(imported)));
    const row = paths.row(path);
    const wasBest = this.table.best(row) === path;
    paths.setAttributes(path, received, effective, paths.verdict(path));
    paths.setLongLived(path);
    store.release(effective);
    this.decide(row, wasBest);
    return false;
  }

  private reselect(budget: number): number {
    let left = budget;
    while (left > 0 && this.reselectNext !== NO_ROW) {
      const row = this.reselectNext++;
      if (row >= this.table.rowLimit) {
        this.reselectNext = NO_ROW;
        break;
      }
      left--;
      if (this.table.isUsed(row) && this.table.head(row) !== NO_PATH) this.decide(row, false);
    }
    return left;
  }
}

function coreOf(core: RibCore) {
  return { attributes: core.store, nextHops: core.nextHops, peers: core.peers };
}
