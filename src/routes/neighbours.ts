/**
 * Who is on a link of this machine, and must be reached by that link: peers that the configuration
 * names, and gateways of routes that are not ours. A route to such an address by way of somebody
 * else, a /32 or part of the link's subnet, is more specific than the subnet. The session of a
 * directly connected peer has a TTL of 1 and ends with it; and Linux refuses an IPv6 route, so the
 * default one, whose gateway is itself reached through a gateway.
 *
 * Only an interface that is up counts. A peer further away (a loopback address with `multihopTtl`,
 * or one whose link is down) is reached by routes, which may well be ours; and of a prefix that
 * holds the whole subnet the subnet is the more specific one.
 */
import { familyOf, type IpAddress } from "../ip/address.ts";
import { GATEWAYS_MAX } from "./limits.ts";
import type { Topology } from "./topology.ts";
import { type Hop, isOurs, type KernelRoute } from "./types.ts";

export type Neighbour = "peer" | "gateway";

/** Each with what it is to this machine; a peer that is a gateway too is a peer. */
export type Neighbours = ReadonlyMap<IpAddress, Neighbour>;

/** Whether the kernel reaches the address by one of its links. */
function isOnLink(address: IpAddress, topology: Topology): boolean {
  return topology.resolve(familyOf(address), address).ok;
}

export function neighboursOf(
  peers: readonly IpAddress[],
  gateways: Iterable<IpAddress>,
  topology: Topology,
): Neighbours {
  const neighbours = new Map<IpAddress, Neighbour>();
  for (const gateway of gateways) neighbours.set(gateway, "gateway");
  for (const peer of peers) if (isOnLink(peer, topology)) neighbours.set(peer, "peer");
  return neighbours;
}

/**
 * Gateways on links of this machine that routes of others have, or had since the last dump: one
 * that no route has any more is forgotten with the next, which begins with new ones.
 */
export class Gateways {
  readonly #topology: Topology;
  readonly #known = new Set<IpAddress>();
  /** Of a full table of somebody else's most routes go the same way. */
  #last: readonly Hop[] = [];

  constructor(topology: Topology) {
    this.#topology = topology;
  }

  [Symbol.iterator](): Iterator<IpAddress> {
    return this.#known.values();
  }

  /** Takes in a route of the main table; those of its gateways that were not known. */
  note(route: KernelRoute): readonly IpAddress[] {
    if (isOurs(route) || route.hops === this.#last) return [];
    this.#last = route.hops;
    return route.hops.flatMap(({ gateway }) => gateway ?? []).filter((one) => this.#add(one));
  }

  #add(gateway: IpAddress): boolean {
    if (this.#known.has(gateway) || this.#known.size >= GATEWAYS_MAX) return false;
    if (!isOnLink(gateway, this.#topology)) return false;
    this.#known.add(gateway);
    return true;
  }
}
