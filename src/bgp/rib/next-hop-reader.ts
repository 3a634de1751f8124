/**
 * The best routes in columns, for whoever brings them into the kernel: prefixes and their next
 * hops, without an object or a string for one of them.
 */
import { FAMILIES } from "../../ip/address.ts";
import type { NextHopBatch } from "../../ip/next-hop-batch.ts";
import { NO_NEXT_HOPS } from "../../ip/next-hop-batch.ts";
import { NO_PATH } from "./path-store.ts";
import { NO_ROW } from "./prefix-table.ts";
import type { RibState } from "./rib-state.ts";
import { bestNextHops } from "./rib-view.ts";

export class NextHopReader {
  private readonly state: RibState;

  constructor(state: RibState) {
    this.state = state;
  }

  /** Prefixes whose best route changed since they were taken; 0 unless a list of them is kept. */
  get changed(): number {
    const { 4: ipv4, 6: ipv6 } = this.state.ribs;
    return (ipv4.changes?.length ?? 0) + (ipv6.changes?.length ?? 0);
  }

  /** Takes changed prefixes of the batch's family, and appends at most `max` of them to it. */
  takeChanged(into: NextHopBatch, max: number): void {
    const rib = this.state.ribs[into.prefixes.family];
    const { changes, table } = rib;
    for (let left = max; left > 0 && changes !== undefined; left--) {
      const row = changes.take();
      if (row === NO_ROW) break;
      into.nextHops[into.prefixes.count] = bestNextHops(this.state, rib, row);
      table.copyTo(into.prefixes, row, 0);
      table.unhold(row);
    }
    this.state.bestTaken(FAMILIES.some((one) => (this.state.ribs[one].changes?.length ?? 0) > 0));
  }

  /** Looks up the next hops that the batch's prefixes have now. */
  read(into: NextHopBatch): void {
    const { prefixes, nextHops } = into;
    const rib = this.state.ribs[prefixes.family];
    for (let i = 0; i < prefixes.count; i++) {
      const row = rib.table.find(prefixes, i);
      nextHops[i] = row === NO_ROW ? NO_NEXT_HOPS : bestNextHops(this.state, rib, row);
    }
  }

  /**
   * Walks over the prefixes of the batch's family that have next hops, and appends at most `max` of
   * them. Begins at `from`, 0 at first; gives where to go on, 0 at the end. In between the table
   * may change: what was there all the time is seen.
   */
  walk(into: NextHopBatch, from: number, max: number): number {
    const { prefixes } = into;
    const rib = this.state.ribs[prefixes.family];
    const { table } = rib;
    const end = table.rowLimit;
    const full = prefixes.count + max;
    // Rows without a best route are looked at for less, and yet not all in one go.
    const last = Math.min(end, from + max * 16);
    let row = Math.max(1, from);
    for (; row < last && prefixes.count < full; row++) {
      if (!table.isUsed(row) || table.best(row) === NO_PATH) continue;
      const ways = bestNextHops(this.state, rib, row);
      if (ways.length === 0) continue;
      into.nextHops[prefixes.count] = ways;
      table.copyTo(prefixes, row, 0);
    }
    return row < end ? row : 0;
  }
}
