/**
 * What may be told to a group of peers, and how it then reads: RFC 4271 §5.1 and §9.2, RFC 4456
 * (reflection), RFC 1997 and RFC 9494 (communities), RFC 8212 (no policy), RFC 8950 (next hops).
 */
import { familyOf, type IpAddress, isLinkLocal } from "../../ip/address.ts";
import type { PathAttributes, RouteFamily } from "../message/types.ts";
import { CommunityBit, DEFAULT_LOCAL_PREF } from "./attribute-content.ts";
import { PeerKind } from "./peer-table.ts";
import type { PolicyOutcome, PolicyProgram } from "./policy.ts";
import { prepended } from "./policy-actions.ts";
import type { Telling } from "./told-attributes.ts";

/** Everything that decides what the members of an update group are told. */
export interface ExportOptions {
  readonly family: RouteFamily;
  readonly kind: PeerKind;
  /** AS that we present to an external peer. */
  readonly localAs: number;
  readonly clusterId: number;
  readonly nextHopSelf: boolean;
  /** Our own address for next hops of this family; undefined = we have none. */
  readonly ownNextHop: IpAddress | undefined;
  /** Whether the session can carry next hops of the other family, RFC 8950 (IPv6 in IPv4). */
  readonly extendedNextHop: boolean;
  /** Whether the peers know long-lived graceful restart. */
  readonly longLived: boolean;
  readonly policy: PolicyProgram | undefined;
}

/** Where a path comes from. */
export interface ExportSource {
  readonly kind: PeerKind;
  readonly routerId: number;
}

/** Whether paths of this source and these well-known communities may go to the group at all. */
export function mayExport(
  options: ExportOptions,
  source: PeerKind,
  communityBits: number,
  longLivedStale: boolean,
): boolean {
  if (!reflects(source, options.kind)) return false;
  const external = options.kind === PeerKind.external;
  if (options.policy === undefined && external) return false; // RFC 8212 §2
  if ((communityBits & CommunityBit.noAdvertise) !== 0) return false;
  const confined = CommunityBit.noExport | CommunityBit.noExportSubconfed;
  if (external && (communityBits & confined) !== 0) return false;
  const stale = longLivedStale || (communityBits & CommunityBit.longLivedStale) !== 0;
  return !stale || options.longLived; // RFC 9494 §4.3
}

/** RFC 4456 §6: between internal peers a path passes to or from a client only. */
export function reflects(source: PeerKind, target: PeerKind): boolean {
  if (source === PeerKind.local || source === PeerKind.external) return true;
  if (target === PeerKind.external) return true;
  return source === PeerKind.client || target === PeerKind.client;
}

/** Whether our own address is the next hop, where we have one. */
export function goesWithOwn(
  options: ExportOptions,
  source: PeerKind,
  nextHop: IpAddress | undefined,
  policySelf: boolean,
): boolean {
  const reflected = source === PeerKind.client || source === PeerKind.internal;
  // RFC 4271 §5.1.3: our own routes carry the next hop that they were given, or our address; what
  // we learned goes to an external peer with our own address. RFC 4456 §10: a reflector leaves it
  // alone.
  const needed =
    source === PeerKind.local ? nextHop === undefined : options.kind === PeerKind.external;
  return policySelf || needed || (options.nextHopSelf && !reflected);
}

/**
 * The next hop that the group is told; undefined when none can be told, so neither the path. A
 * peer may have given a link-local address alone; to others it would name a neighbour of theirs
 * (RFC 2545 §3).
 */
export function exportedNextHop(
  options: ExportOptions,
  source: PeerKind,
  nextHop: IpAddress | undefined,
  policySelf: boolean,
): IpAddress | undefined {
  const learned = source !== PeerKind.local;
  const self = goesWithOwn(options, source, nextHop, policySelf);
  const chosen = self ? (options.ownNextHop ?? (learned ? undefined : nextHop)) : nextHop;
  if (chosen === undefined || (learned && !self && isLinkLocal(chosen))) return undefined;
  const family = familyOf(chosen);
  if (family === options.family) return chosen;
  return family === 6 && options.extendedNextHop ? chosen : undefined;
}

/**
 * The attributes as the group is told them; undefined when no next hop can be told. Opaque ones
 * are all transitive: the decoder keeps no others (RFC 4271 §5).
 */
export function exportedAttributes(
  options: ExportOptions,
  source: ExportSource,
  attributes: PathAttributes,
  outcome: PolicyOutcome,
): PathAttributes | undefined {
  const policy = options.policy;
  const changed = policy === undefined ? attributes : policy.apply(outcome, attributes);
  const self = policy?.nextHopSelf(outcome) ?? false;
  const nextHop = exportedNextHop(options, source.kind, attributes.nextHop, self);
  if (nextHop === undefined) return undefined;
  const common = {
    ...changed,
    nextHop,
    // RFC 2545 §3: a link-local next hop is for the subnet that it was told on.
    linkLocalNextHop: undefined,
  };
  if (options.kind === PeerKind.external) {
    const medSet = source.kind === PeerKind.local || (policy?.setsMed(outcome) ?? false);
    return {
      ...common,
      asPath: prepended(changed.asPath, options.localAs, 1),
      med: medSet ? changed.med : undefined, // RFC 4271 §5.1.4
      localPref: undefined, // RFC 4271 §5.1.5
      originatorId: undefined,
      clusterList: [],
      extendedCommunities: transitiveOnly(changed.extendedCommunities),
    };
  }
  const localPref = changed.localPref ?? DEFAULT_LOCAL_PREF;
  if (source.kind === PeerKind.local || source.kind === PeerKind.external) {
    return { ...common, localPref };
  }
  return {
    ...common,
    localPref,
    originatorId: changed.originatorId ?? source.routerId, // RFC 4456 §8
    clusterList: [options.clusterId, ...changed.clusterList],
  };
}

/**
 * The same as {@link exportedAttributes} where no policy changes anything, in the form that
 * `tellWords` takes; the group is told this IPv4 next hop.
 */
export function fillTelling(
  telling: Telling,
  options: ExportOptions,
  source: PeerKind,
  routerId: number,
  nextHop: number,
): void {
  const external = options.kind === PeerKind.external;
  const reflected = !external && (source === PeerKind.client || source === PeerKind.internal);
  telling.nextHop = nextHop;
  telling.prependedAs = external ? options.localAs : undefined;
  telling.med = !external || source === PeerKind.local;
  telling.originator = reflected ? routerId : undefined;
  telling.clusterId = options.clusterId;
}

/** RFC 4360 §6: what is not transitive stays within the AS; bit 0x40 of the type says so. */
function transitiveOnly(communities: readonly string[]): readonly string[] {
  const stays = (text: string) => (Number.parseInt(text.slice(0, 2), 16) & 0x40) !== 0;
  return communities.some(stays) ? communities.filter((text) => !stays(text)) : communities;
}
