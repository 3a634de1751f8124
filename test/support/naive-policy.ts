/** Policies and AS paths the slow and obvious way, for the naive RIB. */
import {
  type AsPathSegment,
  type PathAttributes,
  SegmentType,
} from "../../src/bgp/message/types.ts";
import type { Policy, PolicyActions, PolicyMatch } from "../../src/bgp/rib/policy-types.ts";
import { type Prefix, prefixCovers, prefixLength } from "../../src/ip/prefix.ts";

export function hops(path: readonly AsPathSegment[]): number {
  let count = 0;
  for (const { type, asns } of path) {
    if (type === SegmentType.sequence) count += asns.length;
    if (type === SegmentType.set) count += 1;
  }
  return count;
}

export function firstAs(path: readonly AsPathSegment[]): number {
  const first = path.find((s) => s.type === SegmentType.sequence || s.type === SegmentType.set);
  return first?.type === SegmentType.sequence ? first.asns[0]! : 0;
}

export function put(path: readonly AsPathSegment[], as: number, count: number): AsPathSegment[] {
  let result = [...path];
  for (let i = 0; i < count; i++) {
    const [head, ...rest] = result;
    if (head !== undefined && head.type === SegmentType.sequence && head.asns.length < 255) {
      result = [{ type: SegmentType.sequence, asns: [as, ...head.asns] }, ...rest];
    } else result = [{ type: SegmentType.sequence, asns: [as] }, ...result];
  }
  return result;
}

interface Judged {
  readonly attributes: PathAttributes;
  readonly nextHopSelf: boolean;
  readonly medSet: boolean;
}

export function applyPolicy(
  policy: Policy,
  of: Prefix,
  attributes: PathAttributes,
  originated: boolean,
): Judged | undefined {
  let a = attributes;
  let nextHopSelf = false;
  let medSet = false;
  for (const statement of policy.statements) {
    if (!holds(statement.match, of, a, originated)) continue;
    if (statement.result === "reject") return undefined;
    a = act(statement.set, a);
    nextHopSelf = statement.set.nextHopSelf ?? nextHopSelf;
    medSet = medSet || statement.set.med !== undefined;
    if (statement.result === "accept") return { attributes: a, nextHopSelf, medSet };
  }
  return policy.defaultResult === "accept" ? { attributes: a, nextHopSelf, medSet } : undefined;
}

function holds(match: PolicyMatch, of: Prefix, a: PathAttributes, originated: boolean): boolean {
  const length = prefixLength(of);
  const { prefixes, communities, largeCommunities } = match;
  if (
    prefixes !== undefined &&
    !prefixes.some((p) => prefixCovers(p.prefix, of) && length >= p.ge && length <= p.le)
  ) {
    return false;
  }
  if (communities !== undefined && !communities.some((c) => a.communities.includes(c)))
    return false;
  if (
    largeCommunities !== undefined &&
    !largeCommunities.some((c) => a.largeCommunities.includes(c))
  ) {
    return false;
  }
  if (match.asPathLengthMin !== undefined && hops(a.asPath) < match.asPathLengthMin) return false;
  if (match.asPathLengthMax !== undefined && hops(a.asPath) > match.asPathLengthMax) return false;
  return match.originated === undefined || match.originated === originated;
}

function act(set: PolicyActions, a: PathAttributes): PathAttributes {
  let communities = a.communities.filter((c) => !(set.removeCommunities ?? []).includes(c));
  for (const c of set.addCommunities ?? []) {
    if (!communities.includes(c)) communities = [...communities, c];
  }
  let large = [...a.largeCommunities];
  for (const c of set.addLargeCommunities ?? []) if (!large.includes(c)) large = [...large, c];
  return {
    ...a,
    communities,
    largeCommunities: large,
    localPref: set.localPref ?? a.localPref,
    med: set.med ?? a.med,
    asPath: set.prepend === undefined ? a.asPath : put(a.asPath, set.prepend.as, set.prepend.count),
  };
}
