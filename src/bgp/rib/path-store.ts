/**
 * All paths of one family, in typed columns: one per (prefix, peer, path id). The paths of a prefix
 * form a chain that begins in the prefix table; the paths of a peer form a doubly linked list that
 * begins in its Adj-RIB-In, so that a peer's withdrawal costs its own paths and not the table.
 *
 * A row's marks have a bit of each peer that has had a path in its chain: where thirty peers
 * announce the same prefixes, a new path of one need not be looked for among those of the others.
 * They are cleared with the chain's end: what they deny is true, what they affirm is to be seen.
 *
 * A path keeps two attribute sets: as received, which is the Adj-RIB-In, and as the import policy
 * left it, which takes part in the decision. Both are mostly the same id. Id 0 means "none".
 */
import type { AdjRibIn } from "./adj-rib-in.ts";
import type { AttributeId, AttributeStore } from "./attribute-store.ts";
import { Growth, larger8, larger16, larger32 } from "./columns.ts";
import { PATHS_MAX, PATHS_OF_PEER_MAX } from "./limits.ts";
import type { PrefixTable, RowId } from "./prefix-table.ts";

/** A path in its store; 0 = none. */
export type PathId = number;

export const NO_PATH: PathId = 0;

/** What import made of a path. Only an accepted one can become best. */
export const Verdict = { accepted: 0, policy: 1, asLoop: 2, reflectionLoop: 3 } as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

const VERDICT_MASK = 3;
/** Long-lived stale, RFC 9494: marked by us after the restart time. */
const LONG_LIVED = 4;

export class PathStore {
  private readonly table: PrefixTable;
  private readonly attributes: AttributeStore;

  private rows: Uint32Array = new Uint32Array(16);
  private nexts: Uint32Array = new Uint32Array(16);
  private received: Uint32Array = new Uint32Array(16);
  private effective: Uint32Array = new Uint32Array(16);
  private pathIds: Uint32Array = new Uint32Array(16);
  private sinces: Uint32Array = new Uint32Array(16);
  private peerNexts: Uint32Array = new Uint32Array(16);
  private peerPreviouses: Uint32Array = new Uint32Array(16);
  private peers: Uint16Array = new Uint16Array(16);
  private epochs: Uint8Array = new Uint8Array(16);
  private flags: Uint8Array = new Uint8Array(16);

  private readonly growth = new Growth(11, 16);
  private freeHead: PathId = NO_PATH;
  private limit = 1;
  private used = 0;

  constructor(table: PrefixTable, attributes: AttributeStore) {
    this.table = table;
    this.attributes = attributes;
  }

  get size(): number {
    return this.used;
  }

  /** The path of this peer and path identifier among those of the row, or 0. */
  find(row: RowId, peer: number, pathId: number): PathId {
    if ((this.table.marksOf(row) & markOf(peer)) === 0) return NO_PATH;
    let path = this.table.head(row);
    while (path !== NO_PATH && (this.peers[path] !== peer || this.pathIds[path] !== pathId)) {
      path = this.nexts[path]!;
    }
    return path;
  }

  /**
   * Whether the peer has as many paths in the row as it may; not counting what is left of an
   * earlier session, for its path identifiers may be others since.
   */
  isCrowded(row: RowId, from: AdjRibIn): boolean {
    let count = 0;
    for (let path = this.table.head(row); path !== NO_PATH; path = this.nexts[path]!) {
      if (this.peers[path] === from.peer && !from.isLeft(this.epoch(path))) count++;
    }
    return count >= PATHS_OF_PEER_MAX;
  }

  /**
   * Adds a path of the peer whose Adj-RIB-In is `into`, at the head of the row's chain; 0 when the
   * store is full. The caller has made sure that there is none yet, and sets its attributes next.
   */
  add(row: RowId, into: AdjRibIn, pathId: number, nowSeconds: number): PathId {
    if (this.used >= PATHS_MAX) return NO_PATH;
    const path = this.takePath();
    this.rows[path] = row;
    this.nexts[path] = this.table.head(row);
    this.table.setHead(row, path);
    this.table.setMarks(row, this.table.marksOf(row) | markOf(into.peer));
    this.peers[path] = into.peer;
    this.pathIds[path] = pathId;
    this.epochs[path] = into.epoch;
    this.sinces[path] = nowSeconds;
    this.peerPreviouses[path] = NO_PATH;
    this.peerNexts[path] = into.first;
    if (into.first !== NO_PATH) this.peerPreviouses[into.first] = path;
    into.first = path;
    return path;
  }

  /** Removes the path from its row and its peer; gives its attribute sets back. */
  remove(path: PathId, from: AdjRibIn): void {
    this.unchain(path);
    const next = this.peerNexts[path]!;
    const previous = this.peerPreviouses[path]!;
    if (previous === NO_PATH) from.first = next;
    else this.peerNexts[previous] = next;
    if (next !== NO_PATH) this.peerPreviouses[next] = previous;
    if (from.cursor === path) from.cursor = next;
    this.attributes.release(this.received[path]!);
    this.attributes.release(this.effective[path]!);
    this.received[path] = 0;
    this.effective[path] = 0;
    this.nexts[path] = this.freeHead;
    this.freeHead = path;
    this.used--;
  }

  /** Sets what was received and what import made of it; takes one use of each. */
  setAttributes(
    path: PathId,
    received: AttributeId,
    effective: AttributeId,
    verdict: Verdict,
  ): void {
    this.attributes.retain(received);
    this.attributes.retain(effective);
    this.attributes.release(this.received[path]!);
    this.attributes.release(this.effective[path]!);
    this.received[path] = received;
    this.effective[path] = effective;
    this.flags[path] = verdict;
  }

  setLongLived(path: PathId): void {
    this.flags[path] = this.flags[path]! | LONG_LIVED;
  }

  row(path: PathId): RowId {
    return this.rows[path]!;
  }
  /** Next path of the same prefix. */
  next(path: PathId): PathId {
    return this.nexts[path]!;
  }
  /** Next path of the same peer. */
  nextOfPeer(path: PathId): PathId {
    return this.peerNexts[path]!;
  }
  peer(path: PathId): number {
    return this.peers[path]!;
  }
  pathId(path: PathId): number {
    return this.pathIds[path]!;
  }
  /** Attributes as received. */
  receivedAttributes(path: PathId): AttributeId {
    return this.received[path]!;
  }
  /** Attributes after import. */
  attributesOf(path: PathId): AttributeId {
    return this.effective[path]!;
  }
  verdict(path: PathId): Verdict {
    return (this.flags[path]! & VERDICT_MASK) as Verdict;
  }
  isLongLived(path: PathId): boolean {
    return (this.flags[path]! & LONG_LIVED) !== 0;
  }
  /** Which session of the peer it was last heard in, modulo 256. */
  epoch(path: PathId): number {
    return this.epochs[path]!;
  }
  setEpoch(path: PathId, epoch: number): void {
    this.epochs[path] = epoch;
  }
  /** When it came or last changed, seconds of wall clock. */
  sinceSeconds(path: PathId): number {
    return this.sinces[path]!;
  }
  setSince(path: PathId, nowSeconds: number): void {
    this.sinces[path] = nowSeconds;
  }

  private unchain(path: PathId): void {
    const row = this.rows[path]!;
    const next = this.nexts[path]!;
    let before = this.table.head(row);
    if (before === path) {
      this.table.setHead(row, next);
      if (next === NO_PATH) this.table.setMarks(row, 0);
      return;
    }
    while (this.nexts[before] !== path) before = this.nexts[before]!;
    this.nexts[before] = next;
  }

  private takePath(): PathId {
    this.used++;
    const reused = this.freeHead;
    if (reused !== NO_PATH) {
      this.freeHead = this.nexts[reused]!;
      return reused;
    }
    const path = this.limit;
    this.limit = path + 1;
    while (this.growth.isDue(path)) this.growColumn(this.growth.next());
    return path;
  }

  private growColumn(column: number): void {
    switch (column) {
      case 0:
        this.rows = larger32(this.rows);
        return;
      case 1:
        this.nexts = larger32(this.nexts);
        return;
      case 2:
        this.received = larger32(this.received);
        return;
      case 3:
        this.effective = larger32(this.effective);
        return;
      case 4:
        this.pathIds = larger32(this.pathIds);
        return;
      case 5:
        this.sinces = larger32(this.sinces);
        return;
      case 6:
        this.peerNexts = larger32(this.peerNexts);
        return;
      case 7:
        this.peerPreviouses = larger32(this.peerPreviouses);
        return;
      case 8:
        this.peers = larger16(this.peers);
        return;
      case 9:
        this.epochs = larger8(this.epochs);
        return;
      default:
        this.flags = larger8(this.flags);
    }
  }
}

/** Peers share a bit with those 32 further on. */
function markOf(peer: number): number {
  return 1 << (peer & 31);
}
