/**
 * The next hops that paths use, each with its cost as the underlying routing gives it
 * (RFC 4271 §9.1.2.1 and §9.1.2.2 e). Counted: a next hop that no attribute set names goes.
 */
import type { IpAddress } from "../../ip/address.ts";

/** Cost towards a next hop; undefined = unreachable: not used at all. See {@link LAST_RESORT}. */
export type NextHopMetric = (nextHop: IpAddress) => number | undefined;

/**
 * The cost of a next hop to which no way leads at the moment. A path by way of it loses against
 * every path by way of another, before anything else is compared, and is used and passed on where
 * there is no other: for who only passes routes on need not reach what they lead to, and who does
 * forward says better that a route cannot be installed than nothing.
 */
export const LAST_RESORT = Number.MAX_SAFE_INTEGER;

/** Id of "no next hop": reachable at no cost. Ids of next hops begin at 1. */
const NO_NEXT_HOP = 0;

export class NextHopTable {
  private readonly ids = new Map<IpAddress, number>();
  private readonly addresses: (IpAddress | undefined)[] = [undefined];
  /** Each address as a list of one, none for id 0. */
  private readonly lists: (readonly IpAddress[])[] = [[]];
  private readonly uses: number[] = [0];
  private readonly costs: number[] = [0];
  private readonly free: number[] = [];
  private metric: NextHopMetric = () => 0;
  /** Next hops in use whose cost is {@link LAST_RESORT}. */
  private lastResorts = 0;

  /** The id of `address`, with one more use. */
  acquire(address: IpAddress | undefined): number {
    if (address === undefined) return NO_NEXT_HOP;
    let id = this.ids.get(address);
    if (id === undefined) {
      id = this.free.pop() ?? this.addresses.length;
      this.addresses[id] = address;
      this.lists[id] = [address];
      this.uses[id] = 0;
      this.costs[id] = 0;
      this.setCost(id, this.metric(address));
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
    this.setCost(id, 0);
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

  /** Whether any next hop is a last resort: mostly none is, and none need be asked for. */
  get hasLastResorts(): boolean {
    return this.lastResorts > 0;
  }

  setMetric(metric: NextHopMetric): void {
    this.metric = metric;
  }

  /** Asks for the costs of these again, or of all; true when one changed. */
  refresh(addresses: Iterable<IpAddress> = this.ids.keys()): boolean {
    let changed = false;
    for (const address of addresses) {
      const id = this.ids.get(address);
      if (id !== undefined && this.setCost(id, this.metric(address))) changed = true;
    }
    return changed;
  }

  /** False: it is as it was. */
  private setCost(id: number, cost = Number.POSITIVE_INFINITY): boolean {
    const before = this.costs[id];
    if (cost === before) return false;
    if (before === LAST_RESORT) this.lastResorts--;
    if (cost === LAST_RESORT) this.lastResorts++;
    this.costs[id] = cost;
    return true;
  }
}
