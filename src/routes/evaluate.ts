/**
 * From what the BGP side wants to what the kernel can have: guards first, then reachability, by an
 * interface or through a tunnel.
 */
import { compareAddresses, type IpAddress, type IpFamily } from "../ip/address.ts";
import { prefixFamily } from "../ip/prefix.ts";
import { type RouteCondition, refusedCondition, unreachableCondition } from "./conditions.ts";
import type { Guards } from "./guards.ts";
import { NEXT_HOPS_MAX } from "./limits.ts";
import type { Wanted } from "./plan.ts";
import type { DesiredRoute, Tunnels, TunnelWay } from "./ports.ts";
import type { Resolution, Topology, Unreachable } from "./topology.ts";
import type { Hop } from "./types.ts";

export interface Evaluation {
  readonly wanted: Wanted;
  readonly condition: RouteCondition | undefined;
}

/** Where next hops lead, whatever the destination. */
export interface Ways {
  /** Without doubles, in one order; bounded. */
  readonly nextHops: readonly IpAddress[];
  /** Those of which a way is known; of next hops that go the same way the same list. */
  readonly hops: readonly Hop[];
  readonly source: IpAddress | undefined;
  /** The first next hop of which none is. */
  readonly bad: { readonly nextHop: IpAddress; readonly why: Unreachable } | undefined;
  /** There will be a way through a tunnel. */
  readonly waiting: boolean;
}

const ABSENT: Evaluation = { wanted: { kind: "absent" }, condition: undefined };

/** Pure: the same input gives the same answer. */
export function evaluate(
  desired: DesiredRoute | undefined,
  guards: Guards,
  topology: Topology,
  tunnels?: Tunnels,
): Evaluation {
  if (desired === undefined) return ABSENT;
  const { prefix } = desired;
  const ways = waysOf(prefixFamily(prefix), desired.nextHops, topology, tunnels);
  const { nextHops, hops, source, bad, waiting } = ways;
  const subject = { prefix, nextHops };
  const refusal = guards.refusal(prefix, nextHops);
  if (refusal !== undefined) {
    return { wanted: { kind: "refused" }, condition: refusedCondition(subject, refusal) };
  }
  const condition =
    bad === undefined
      ? undefined
      : unreachableCondition(subject, bad.nextHop, bad.why, hops.length > 0);
  if (hops.length === 0) {
    return { wanted: { kind: "held", nextHops: waiting ? "any" : nextHops }, condition };
  }
  return { wanted: { kind: "route", hops, source }, condition };
}

/** Where the next hops of a route of this family lead. */
export function waysOf(
  family: IpFamily,
  wanted: readonly IpAddress[],
  topology: Topology,
  tunnels?: Tunnels,
): Ways {
  const nextHops = usableNextHops(wanted);
  const hops: Hop[] = [];
  let source: IpAddress | undefined;
  let waiting = false;
  let bad: Ways["bad"];
  for (const nextHop of nextHops) {
    let resolution: Way = topology.resolve(family, nextHop);
    if (tunnels !== undefined) resolution = throughTunnel(resolution, nextHop, tunnels);
    if (resolution.ok) {
      hops.push(resolution.hop);
      source ??= resolution.source;
    } else {
      bad ??= { nextHop, why: resolution.why };
      waiting ||= resolution.why.reason === "no-tunnel-yet";
    }
  }
  const ways = hops.length === 1 ? topology.alone(hops[0]!) : hops;
  return { nextHops, hops: ways, source, bad, waiting };
}

type Way = Resolution & { readonly source?: IpAddress };

/** The same way, unless a tunnel is to be taken instead. */
function throughTunnel(resolution: Resolution, nextHop: IpAddress, tunnels: Tunnels): Way {
  const why = resolution.ok ? undefined : resolution.why;
  const direct = resolution.ok && !tunnels.first;
  // A tunnel answers what no interface leads to, and nothing else that is wrong.
  if (direct || (why !== undefined && why.reason !== "no-subnet")) return resolution;
  const way = tunnels.way(nextHop);
  if (way !== undefined) return wayOf(way);
  const noTunnel = why === undefined ? undefined : tunnels.whyNone(nextHop);
  if (why === undefined || noTunnel === undefined) return resolution;
  return { ok: false, why: { ...why, noTunnel } };
}

function wayOf(way: TunnelWay): Way {
  if (way.ready) return { ok: true, hop: way.hop, source: way.source };
  return { ok: false, why: { reason: "no-tunnel-yet", why: way.why } };
}

/** Without doubles, in one order, so that the kernel sees no change where there is none. */
function usableNextHops(nextHops: readonly IpAddress[]): readonly IpAddress[] {
  if (nextHops.length === 1) return nextHops;
  return [...new Set(nextHops)].sort(compareAddresses).slice(0, NEXT_HOPS_MAX);
}
