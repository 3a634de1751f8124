/**
 * The `ipam` part of the main plugin: host-local with the node's pod CIDRs as its ranges. Ranges
 * of other CIDRs go; what an administrator said of a range that stays (rangeStart, rangeEnd,
 * gateway, or only a part of the CIDR) is kept. Pure.
 */
import type { IpFamily } from "../ip/address.ts";
import {
  DEFAULT_ROUTES,
  isPrefix,
  type Prefix,
  parsePrefix,
  prefixCovers,
  prefixesOverlap,
  prefixFamily,
} from "../ip/prefix.ts";
import { isJsonObject, type JsonObject } from "../runtime/json.ts";
import type { CniPluginKind } from "./types.ts";

/** Keys of host-local's old form, with one range only; they become a range. */
const RANGE_KEYS = ["subnet", "rangeStart", "rangeEnd", "gateway"] as const;

/** kindnet's lease folder: leases end with the machine's uptime, as the pods do. */
const PTP_LEASES = "/run/cni-ipam-state";

/** The new `ipam`; undefined when the present one is of another kind and not ours to change. */
export function planIpam(
  before: unknown,
  kind: CniPluginKind,
  podCidrs: readonly Prefix[],
): JsonObject | undefined {
  if (before === undefined) {
    return {
      type: "host-local",
      ...(kind === "ptp" ? { dataDir: PTP_LEASES, routes: routesOf([], podCidrs) } : {}),
      ranges: rangeSets([], podCidrs),
    };
  }
  if (!isJsonObject(before) || (before["type"] ?? "host-local") !== "host-local") return undefined;
  const kept = Object.fromEntries(
    Object.entries(before).filter(([key]) => !RANGE_KEYS.some((known) => known === key)),
  );
  return {
    ...kept,
    type: "host-local",
    // The ptp plugin adds no default route by itself.
    ...(kind === "ptp" ? { routes: routesOf(before["routes"], podCidrs) } : {}),
    ranges: rangeSets(knownRanges(before), podCidrs),
  };
}

/** Every range that is there, in any set, and the one in the old form. */
export function knownRanges(ipam: JsonObject): readonly JsonObject[] {
  const ranges: JsonObject[] = [];
  const sets = ipam["ranges"];
  for (const set of Array.isArray(sets) ? sets : []) {
    for (const range of Array.isArray(set) ? set : []) if (isJsonObject(range)) ranges.push(range);
  }
  if (ipam["subnet"] !== undefined) {
    const entries = RANGE_KEYS.map((key) => [key, ipam[key]] as const);
    ranges.push(Object.fromEntries(entries.filter(([, value]) => value !== undefined)));
  }
  return ranges;
}

/** One set for each family; a CIDR that is not there yet becomes a range as a whole. */
function rangeSets(known: readonly JsonObject[], podCidrs: readonly Prefix[]): JsonObject[][] {
  const sets = new Map<IpFamily, JsonObject[]>();
  for (const cidr of podCidrs) {
    const family = prefixFamily(cidr);
    const set = sets.get(family) ?? [];
    sets.set(family, set);
    set.push(...rangesWithin(cidr, known));
  }
  return [...sets.values()];
}

function rangesWithin(cidr: Prefix, known: readonly JsonObject[]): readonly JsonObject[] {
  const seen: Prefix[] = [];
  const kept = known.filter((range) => {
    const text = range["subnet"];
    const subnet = typeof text === "string" ? parsePrefix(text) : undefined;
    if (subnet === undefined || !isPrefix(subnet) || !prefixCovers(cidr, subnet)) return false;
    // host-local refuses ranges that overlap.
    if (seen.some((other) => prefixesOverlap(other, subnet))) return false;
    seen.push(subnet);
    return true;
  });
  return kept.length > 0 ? kept : [{ subnet: cidr }];
}

/** The routes that are there, with a default route for each family in use and no other. */
function routesOf(before: unknown, podCidrs: readonly Prefix[]): readonly JsonObject[] {
  const wanted = new Set(podCidrs.map((cidr) => DEFAULT_ROUTES[prefixFamily(cidr)]));
  const known = (Array.isArray(before) ? before : []).filter(isJsonObject);
  const defaults = Object.values(DEFAULT_ROUTES);
  const kept = known.filter(({ dst }) => !defaults.some((one) => one === dst && !wanted.has(one)));
  const missing = [...wanted].filter((dst) => !kept.some((route) => route["dst"] === dst));
  return [...missing.map((dst) => ({ dst })), ...kept];
}
