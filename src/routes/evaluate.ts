/** From what the BGP side wants to what the kernel can have: guards first, then reachability. */
import { compareAddresses, type IpAddress } from "../ip/address.ts";
import { type RouteCondition, refusedCondition, unreachableCondition } from "./conditions.ts";
import type { Guards } from "./guards.ts";
import { NEXT_HOPS_MAX } from "./limits.ts";
import type { Wanted } from "./plan.ts";
import type { DesiredRoute } from "./ports.ts";
import type { Topology } from "./topology.ts";
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
): Evaluation {
  if (desired === undefined) return ABSENT;
  const subject = { prefix: desired.prefix, nextHops: usableNextHops(desired.nextHops) };
  const { prefix, nextHops } = subject;
  const refusal = guards.refusal(prefix, nextHops);
  if (refusal !== undefined) {
    return { wanted: { kind: "refused" }, condition: refusedCondition(subject, refusal) };
  }
  const hops: Hop[] = [];
  let bad: { nextHop: IpAddress; why: Parameters<typeof unreachableCondition>[2] } | undefined;
  for (const nextHop of nextHops) {
    const resolution = topology.resolve(prefix, nextHop);
    if (resolution.ok) hops.push(resolution.hop);
    else bad ??= { nextHop, why: resolution.why };
  }
  const condition =
    bad === undefined
      ? undefined
      : unreachableCondition(subject, bad.nextHop, bad.why, hops.length > 0);
  if (hops.length === 0) return { wanted: { kind: "held", nextHops }, condition };
  return { wanted: { kind: "route", hops }, condition };
}

/** Without doubles, in one order, so that the kernel sees no change where there is none. */
function usableNextHops(nextHops: readonly IpAddress[]): readonly IpAddress[] {
  if (nextHops.length === 1) return nextHops;
  return [...new Set(nextHops)].sort(compareAddresses).slice(0, NEXT_HOPS_MAX);
}
