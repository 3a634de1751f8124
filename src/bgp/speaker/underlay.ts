/**
 * What the speaker asks of the routing underneath it. The agent answers from the kernel's
 * interfaces and addresses; a program that brings nothing has all next hops at no cost, and its
 * sessions end when their connections do.
 */
import type { IpAddress } from "../../ip/address.ts";
import type { NextHopMetric } from "../rib/next-hop-table.ts";

export interface Underlay {
  /** Asked when a next hop is new, and of all when the underlay has changed. */
  readonly nextHopMetric: NextHopMetric;
  /** Whether an interface that is up leads to this address directly. */
  leadsTo(address: IpAddress): boolean;
  /** Whether an address of ours is on an interface that is up. */
  carries(own: IpAddress): boolean;
}

export const NO_UNDERLAY: Underlay = {
  nextHopMetric: () => 0,
  leadsTo: () => true,
  carries: () => true,
};
