/**
 * The next hops that paths use, each with its cost as the underlying routing gives it
 * (RFC 4271 §9.1.2.1 and §9.1.2.2 e). Counted: a next hop that no attribute set names goes.
 */
import type { IpAddress } from "../../ip/address.ts";

/** Cost towards a next hop; undefined = unreachable. */
export type NextHopMetric = (nextHop: IpAddress) => number | undefined;

/** Id of "no next hop": reachable at no cost. Ids of next hops begin at 1. */
export const NO_NEXT_HOP = 0;

export class NextHopTable {
  private readonly ids = new Map<IpAddress, number>();
  private readonly addresses: (IpAddress | undefined)[] = [undefined];
  /** Each address as a list of one, none for id 0. */
  private readonly lists: (readonly IpAddress[])[] = [[]];
  private readonly uses: number[] = [0];
  private readonly costs: number[] = [0];
  private readonly free: number[] = [];
  private metric: NextHopMetric = () => 0;

  /** The id of `address`, with one more use. */
  acquire(address: IpAddress | undefined): number {
    if (address === undefined) return NO_NEXT_HOP;
    let id = this.ids.get(address);
    if (id === undefined) {
      id = this.free.pop() ?? this.addresses.length;
      this.addresses[id] = address;
      this.lists[id] = [address];
      this.uses[id] = 0;
      this.costs[id] = this.metric(address) ?? Number.POSITIVE_INFINITY;
      this.ids.set(address, id);
    }
    this.uses[id] = this.uses[id]! + 1;
    return id;
  }

  release(id: number): void {
    if (id === NO_NEXT_HOP) return;
    const uses = this.uses[id]! - 1;
    this.uses[id] = uses;
    if (uses > 0) return;
    this.ids.delete(this.addresses[id]!);
    this.addresses[id] = undefined;
    this.free.push(id);
  }

  /** The address of an id in use; undefined for "no next hop". */
  address(id: number): IpAddress | undefined {
    return this.addresses[id];
  }

  /** The address of an id in use as a list of one, the same list each time. */
  alone(id: number): readonly IpAddress[] {
    return this.lists[id]!;
  }

  /** Infinity = unreachable. */
  cost(id: number): number {
    return this.costs[id]!;
  }

  setMetric(metric: NextHopMetric): void {
    this.metric = metric;
  }

  /** Asks for all costs again; true when one changed. */
  refresh(): boolean {
    let changed = false;
    for (let id = 1; id < this.addresses.length; id++) {
      const address = this.addresses[id];
      if (address === undefined) continue;
      const cost = this.metric(address) ?? Number.POSITIVE_INFINITY;
      if (cost === this.costs[id]) continue;
      this.costs[id] = cost;
      changed = true;
    }
    return changed;
  }
}
