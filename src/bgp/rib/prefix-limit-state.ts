/** The bound on a peer's prefixes: what its UPDATEs did to it, as the speaker is told. */
import { FAMILIES } from "../../ip/address.ts";
import type { RouteFamily } from "../message/types.ts";
import type { FamilyRib } from "./family-rib.ts";
import type { PeerState, RibPeerPolicies } from "./rib-peer.ts";

export interface PrefixLimitState {
  /**
   * Prefixes of this family were refused because of the limit. It ends the session, so nothing else
   * is said.
   */
  readonly exceeded: RouteFamily | undefined;
  /** Paths were refused otherwise: of a prefix, or of all, there were too many. */
  readonly crowded: boolean;
  /** The limit is nearly reached, and was not so before. */
  readonly warning: boolean;
}

/** One object for each answer: there is one of them for each UPDATE. */
export const PREFIX_LIMIT = {
  ok: { exceeded: undefined, crowded: false, warning: false },
  warning: { exceeded: undefined, crowded: false, warning: true },
  crowded: { exceeded: undefined, crowded: true, warning: false },
  crowdedWarning: { exceeded: undefined, crowded: true, warning: true },
  exceeded4: { exceeded: 4, crowded: false, warning: false },
  exceeded6: { exceeded: 6, crowded: false, warning: false },
} as const satisfies Record<string, PrefixLimitState>;

type Ribs = { readonly 4: FamilyRib; readonly 6: FamilyRib };

/** Prefixes of one family that a peer may send. */
export function prefixLimit({ maximumPrefixes }: RibPeerPolicies): number {
  return maximumPrefixes?.limit ?? Number.POSITIVE_INFINITY;
}

/** What happened to the peer's limit since this was asked last. */
export function takeLimitState(ribs: Ribs, peer: PeerState): PrefixLimitState {
  const limits = peer.config.maximumPrefixes;
  let crowded = false;
  let warning = false;
  for (const family of FAMILIES) {
    const into = ribs[family].adjRibIn(peer.id);
    if (into.refused) return exceeded(family);
    const warn = limits !== undefined && into.counted * 100 > limits.limit * limits.warningPercent;
    if (into.crowded) crowded = true;
    if (warn && !into.warned) warning = true;
    into.crowded = false;
    into.warned = warn;
  }
  if (crowded) return warning ? PREFIX_LIMIT.crowdedWarning : PREFIX_LIMIT.crowded;
  return warning ? PREFIX_LIMIT.warning : PREFIX_LIMIT.ok;
}

/** The same, where the limit may be a lower one now than when the paths came. */
export function takeNewLimitState(ribs: Ribs, peer: PeerState): PrefixLimitState {
  const limit = prefixLimit(peer.config);
  const over = FAMILIES.find((family) => ribs[family].adjRibIn(peer.id).counted > limit);
  return over === undefined ? takeLimitState(ribs, peer) : exceeded(over);
}

function exceeded(family: RouteFamily): PrefixLimitState {
  return family === 4 ? PREFIX_LIMIT.exceeded4 : PREFIX_LIMIT.exceeded6;
}
