/**
 * The vocabulary of the kernel's routes, as far as this folder needs it: what is wanted, what is
 * there, what to do about the difference. Routes of ours are those of protocol 17 in the main
 * table; nothing else marks them and nothing else is ever changed.
 */
import type { IpAddress, IpFamily } from "../ip/address.ts";
import type { Prefix } from "../ip/prefix.ts";

/** Our mark on a route, the same that kube-router uses. */
export const OUR_PROTOCOL = 17;
export const MAIN_TABLE = 254;

/**
 * The metric of our routes: none is asked for. The kernel keeps 0 for IPv4, and 1024 for IPv6
 * (IP6_RT_PRIO_USER).
 */
export function ourMetric(family: IpFamily): number {
  return family === 4 ? 0 : 1024;
}

/** One way that a route takes. */
export interface Hop {
  /** Undefined: the destination is on the link itself. */
  readonly gateway: IpAddress | undefined;
  /** Index of the interface; 0 where the route has none (blackhole). */
  readonly link: number;
  /** Share of the traffic, 1 to 256. */
  readonly weight: number;
  /** The gateway is on the link although no address of ours says so: the end of a tunnel. */
  readonly onLink?: true;
}

/** What routes of others can go by in place of ways of their own (Linux 5.3). */
export interface NextHopObject {
  readonly id: number;
  readonly gateway: IpAddress | undefined;
  /** Of a group: the objects that it is made of. */
  readonly members: readonly number[];
}

/** A route of the main table as the kernel has it. */
export interface KernelRoute {
  readonly prefix: Prefix;
  readonly protocol: number;
  readonly tos: number;
  readonly metric: number;
  /** In the kernel's order; empty for routes that go nowhere. */
  readonly hops: readonly Hop[];
  /** What this machine's own packets are sent from; undefined = left to the kernel. */
  readonly source?: IpAddress | undefined;
  /** The next hop object that its ways come from; ours name theirs themselves. */
  readonly nextHopId?: number | undefined;
  /** False when it has anything that our routes never have: a type, an MTU, … */
  readonly plain: boolean;
}

/**
 * - `create`: fails when any route with the same prefix, TOS and metric is there;
 * - `replace`: takes that one's place without a gap, fails when there is none;
 * - `delete`: removes exactly that route of ours.
 */
export type RouteOperation =
  | {
      readonly kind: "create" | "replace";
      readonly prefix: Prefix;
      readonly hops: readonly Hop[];
      /** As {@link KernelRoute.source}. */
      readonly source?: IpAddress | undefined;
    }
  | { readonly kind: "delete"; readonly prefix: Prefix; readonly route: KernelRoute };

/** An interface of this machine. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** Administratively up. A lost carrier does not count: the kernel keeps the routes then. */
  readonly up: boolean;
  /** Has a carrier, and leave to use it (IFF_RUNNING); undefined = not known. */
  readonly running?: boolean;
  /** Has a carrier, but no leave yet (802.1X): next hop objects over it stay. */
  readonly dormant?: boolean;
  /** Is a VRF or belongs to one: what its addresses say is in the table of that. */
  readonly vrf?: boolean;
}

/** Whether a route bears our mark. */
export function isOurs(route: KernelRoute): boolean {
  return route.protocol === OUR_PROTOCOL;
}

/** Whether a route stands where ours would: same prefix understood, same TOS and metric. */
export function hasOurKey(route: KernelRoute, family: IpFamily): boolean {
  return route.tos === 0 && route.metric === ourMetric(family);
}

/** Whether two lists name the same ways, in whatever order. */
export function sameHops(a: readonly Hop[], b: readonly Hop[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  // Both ways: the kernel takes one that is named twice.
  const holds = (all: readonly Hop[], hop: Hop) => all.some((other) => sameHop(hop, other));
  return a.every((hop) => holds(b, hop)) && (a.length === 1 || b.every((hop) => holds(a, hop)));
}

function sameHop(a: Hop, b: Hop): boolean {
  return (
    a.gateway === b.gateway && a.link === b.link && a.weight === b.weight && a.onLink === b.onLink
  );
}

/** Whether two descriptions are of one route: nothing of it differs. */
export function sameRoute(a: KernelRoute, b: KernelRoute): boolean {
  return (
    a.prefix === b.prefix &&
    a.protocol === b.protocol &&
    a.tos === b.tos &&
    a.metric === b.metric &&
    a.plain === b.plain &&
    a.source === b.source &&
    a.nextHopId === b.nextHopId &&
    sameHops(a.hops, b.hops)
  );
}
