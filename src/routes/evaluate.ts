/**
 * From what the BGP side wants to what the kernel can have: guards first, then reachability, by an
 * interface or through a tunnel.
 */
import { compareAddresses, type IpAddress } from "../ip/address.ts";
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

const ABSENT: Evaluation = { wanted: { kind: "absent" }, condition: undefined };

/** Pure: the same input gives the same answer. */
export function evaluate(
  desired: DesiredRoute | undefined,
  guards: Guards,
  topology: Topology,
  tunnels?: Tunnels,
): Evaluation {
  if (desired === undefined) return ABSENT;
  const subject = { prefix: desired.prefix, nextHops: usableNextHops(desired.nextHops) };
  const { prefix, nextHops } = subject;
  const refusal = guards.refusal(prefix, nextHops);
  if (refusal !== undefined) {
    return { wanted: { kind: "refused" }, condition: refusedCondition(subject, refusal) };
  }
  const hops: Hop[] = [];
  let source: IpAddress | undefined;
  let waiting = false;
  let bad: { nextHop: IpAddress; why: Unreachable } | undefined;
  for (const nextHop of nextHops) {
    let resolution: Way = topology.resolve(prefix, nextHop);
    if (tunnels !== undefined) resolution = throughTunnel(resolution, nextHop, tunnels);
    if (resolution.ok) {
      hops.push(resolution.hop);
      source ??= resolution.source;
    } else {
      bad ??= { nextHop, why: resolution.why };
      waiting ||= resolution.why.reason === "no-tunnel-yet";
    }
  }
  const condition =
    bad === undefined
      ? undefined
      : unreachableCondition(subject, bad.nextHop, bad.why, hops.length > 0);
  if (hops.length === 0) {
    return { wanted: { kind: "held", nextHops: waiting ? "any" : nextHops }, condition };
  }
  const ways = hops.length === 1 ? topology.alone(hops[0]!) : hops;
  return { wanted: { kind: "route", hops: ways, source }, condition };
}

type Way = Resolution & { readonly source?: IpAddress };

/** The same way, unless a tunnel is to be taken instead. */
function throughTunnel(resolution: Resolution, nextHop: IpAddress, tunnels: Tunnels): Way {
  const direct = resolution.ok && !tunnels.first;
  // A tunnel answers what no interface leads to, and nothing else that is wrong.
  const hopeless = !resolution.ok && resolution.why.reason !== "no-subnet";
  if (direct || hopeless) return resolution;
  const way = tunnels.way(nextHop);
  return way === undefined ? resolution : wayOf(way);
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
