/**
 * What to do about one prefix: `plan(wanted, actual) → operations`. Pure, and the only place that
 * decides about changing the kernel.
 *
 * Rules: only routes of ours are changed. A changed next hop is a replace, so that packets never
 * meet a gap. Where a route of somebody else has our key, ours gives way, whoever came first: a
 * replace could hit the other one. (Between the look and a replace somebody may put a route of his
 * own in the place of ours, which netlink cannot exclude; a create is safe, it never overwrites.)
 */
import type { IpAddress } from "../ip/address.ts";
import { type Prefix, prefixFamily } from "../ip/prefix.ts";
import {
  type Hop,
  hasOurKey,
  isOurs,
  type KernelRoute,
  type RouteOperation,
  sameHops,
} from "./types.ts";

export type Wanted =
  /** Nobody wants a route: ours goes, if it may be deleted. */
  | { readonly kind: "absent" }
  /** A route is wanted that must not be: ours goes at once. */
  | { readonly kind: "refused" }
  /**
   * A route is wanted, but no next hop can be reached now: what is there stays as long as it leads
   * to one of them (the kernel knows better than to use it), anything else goes. `any`: what is
   * there stays wherever it leads, because a tunnel of an earlier run cannot be told yet.
   */
  | { readonly kind: "held"; readonly nextHops: readonly IpAddress[] | "any" }
  | {
      readonly kind: "route";
      readonly hops: readonly Hop[];
      readonly source?: IpAddress | undefined;
    };

export interface PrefixPlan {
  readonly operations: readonly RouteOperation[];
  /** Routes of others that stand where ours would. */
  readonly foreign: readonly KernelRoute[];
}

const NOTHING: PrefixPlan = { operations: [], foreign: [] };

/**
 * @param actual every known route for `prefix` in the main table, in the kernel's order
 * @param mayDelete false for a route of an earlier run of which nobody has spoken yet
 */
export function planPrefix(
  prefix: Prefix,
  wanted: Wanted,
  actual: readonly KernelRoute[],
  mayDelete: boolean,
): PrefixPlan {
  switch (wanted.kind) {
    case "absent":
      return mayDelete && actual.length > 0 ? without(prefix, actual) : NOTHING;
    case "refused":
      return without(prefix, actual);
    case "held": {
      const { nextHops } = wanted;
      if (nextHops === "any") return NOTHING;
      const keep = (route: KernelRoute) => route.plain && leadsTo(route, nextHops);
      return without(prefix, actual, keep);
    }
    case "route":
      return planRoute(prefix, wanted, actual);
  }
}

function planRoute(
  prefix: Prefix,
  { hops, source }: Pick<Wanted & { readonly kind: "route" }, "hops" | "source">,
  actual: readonly KernelRoute[],
): PrefixPlan {
  // The two usual cases first, without making anything.
  if (actual.length === 0) {
    return { operations: [{ kind: "create", prefix, hops, source }], foreign: [] };
  }
  const family = prefixFamily(prefix);
  const isRight = (route: KernelRoute) =>
    isOurs(route) &&
    hasOurKey(route, family) &&
    route.plain &&
    route.source === source &&
    sameHops(route.hops, hops);
  if (actual.length === 1 && isRight(actual[0]!)) return NOTHING;

  const atKey = actual.filter((route) => hasOurKey(route, family));
  const foreign = atKey.filter((route) => !isOurs(route));
  if (foreign.length > 0) return { ...without(prefix, actual), foreign };
  const right = atKey.find(isRight);
  const current = right ?? atKey[0];
  const operations: RouteOperation[] = [];
  if (current === undefined) operations.push({ kind: "create", prefix, hops, source });
  else if (right === undefined) operations.push({ kind: "replace", prefix, hops, source });
  // Leftovers of ours with another metric, or doubled by hand.
  for (const route of actual) {
    if (isOurs(route) && route !== current) operations.push({ kind: "delete", prefix, route });
  }
  return { operations, foreign: [] };
}

/** Deletes ours, except what is kept. */
function without(
  prefix: Prefix,
  actual: readonly KernelRoute[],
  keep: (route: KernelRoute) => boolean = () => false,
): PrefixPlan {
  const operations: RouteOperation[] = [];
  for (const route of actual) {
    if (isOurs(route) && !keep(route)) operations.push({ kind: "delete", prefix, route });
  }
  return { operations, foreign: [] };
}

function leadsTo(route: KernelRoute, nextHops: readonly IpAddress[]): boolean {
  return (
    route.hops.length > 0 &&
    route.hops.every(({ gateway }) => gateway !== undefined && nextHops.includes(gateway))
  );
}
