/**
 * Paths of an Adj-RIB-Out that nobody can be told: behind their attributes no message of the
 * group's encoding has room for the prefix, so it is withdrawn instead (RFC 4271 §9.2). What is
 * here is so now: a path leaves when it is told otherwise, is withdrawn or gone. Empty nearly
 * always; then it costs nothing.
 */
import type { PeerId } from "./peer-table.ts";
import { NO_ROW, type RowId } from "./prefix-table.ts";

export class OversizedPaths {
  /** The row of each, by the number that the Adj-RIB-Out has for the path. */
  private readonly rows = new Map<number, RowId>();
  private readonly bySource = new Map<PeerId, number>();
  private readonly sourceOf: (path: number) => PeerId;

  /** `sourceOf`: the peer that a path of the Adj-RIB-Out came from. */
  constructor(sourceOf: (path: number) => PeerId) {
    this.sourceOf = sourceOf;
  }

  get size(): number {
    return this.rows.size;
  }

  has(path: number): boolean {
    return this.rows.size > 0 && this.rows.has(path);
  }

  add(path: number, row: RowId): void {
    if (this.rows.has(path)) return;
    this.rows.set(path, row);
    this.count(path, 1);
  }

  /** To call before the path has another source. */
  delete(path: number): void {
    if (this.rows.size > 0 && this.rows.delete(path)) this.count(path, -1);
  }

  /** How many a peer would be told if there were room: all but those that came from it. */
  sizeFor(peer: PeerId): number {
    return this.rows.size - (this.bySource.get(peer) ?? 0);
  }

  /** The row of one of these; 0 = there is none. */
  exampleFor(peer: PeerId): RowId {
    if (this.sizeFor(peer) === 0) return NO_ROW;
    for (const [path, row] of this.rows) if (this.sourceOf(path) !== peer) return row;
    return NO_ROW;
  }

  private count(path: number, change: 1 | -1): void {
    const source = this.sourceOf(path);
    const count = (this.bySource.get(source) ?? 0) + change;
    if (count === 0) this.bySource.delete(source);
    else this.bySource.set(source, count);
  }
}
