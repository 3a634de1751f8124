/**
 * The routing underneath BGP, as the routes' side sees the machine: links that lead to neighbours,
 * and tunnels that lead to next hops elsewhere.
 */
import { LAST_RESORT } from "../bgp/rib/next-hop-table.ts";
import type { Underlay } from "../bgp/speaker/underlay.ts";
import type { IpAddress } from "../ip/address.ts";
import type { Tunnels } from "../routes/ports.ts";
import { Topology } from "../routes/topology.ts";

export class MachineUnderlay implements Underlay {
  /** As it was looked at last. */
  topology = new Topology([], []);
  readonly #tunnels: () => Tunnels | undefined;

  constructor(tunnels: () => Tunnels | undefined) {
    this.#tunnels = tunnels;
  }

  leadsTo(address: IpAddress): boolean {
    return this.topology.leadsTo(address);
  }

  readonly carries = (own: IpAddress): boolean => this.topology.carries(own);

  /** What nothing leads to now may be reached later: a path there is used if there is no other. */
  nextHopMetric(nextHop: IpAddress): number {
    const reached = this.leadsTo(nextHop) || this.#tunnels()?.way(nextHop) !== undefined;
    return reached ? 0 : LAST_RESORT;
  }
}
