/** A peer as the RIB is told of it, and what the RIB keeps beside its paths. */
import { familyOf, type IpAddress, type IpFamily } from "../../ip/address.ts";
import type { NegotiatedSession, RouteFamily } from "../message/types.ts";
import type { GroupMember } from "./group-member.ts";
import type { ImportOptions } from "./import-rules.ts";
import { type PeerId, PeerKind } from "./peer-table.ts";
import type { Policy } from "./policy-types.ts";
import type { UpdateGroup } from "./update-group.ts";

/** Prefixes that a peer may send for each family. */
export interface PrefixLimit {
  readonly limit: number;
  /** A warning is given from this share of the limit on. */
  readonly warningPercent: number;
}

/** What can change of a peer while its session is up. */
export interface RibPeerPolicies {
  readonly name: string;
  readonly routeReflectorClient: boolean;
  readonly nextHopSelf: boolean;
  /** Undefined: internal = accept all; external = nothing passes, RFC 8212. */
  readonly importPolicy: Policy | undefined;
  readonly exportPolicy: Policy | undefined;
  readonly maximumPrefixes: PrefixLimit | undefined;
}

/** A peer whose session is Established. */
export interface RibPeer extends RibPeerPolicies {
  /** Identifies the peer over its sessions. */
  readonly address: IpAddress;
  readonly internal: boolean;
  readonly remoteAs: number;
  /** BGP Identifier, u32. */
  readonly remoteRouterId: number;
  /** AS that we present to it. */
  readonly localAs: number;
  /** Our own addresses for next hops, best first: of each family the first one is told. */
  readonly nextHops: readonly IpAddress[];
  readonly negotiated: NegotiatedSession;
}

/** A peer in the RIB; not `up` between sessions, while stale paths are kept. */
export interface PeerState {
  readonly id: PeerId;
  readonly address: IpAddress;
  /** As told last. */
  config: RibPeer;
  up: boolean;
  /** No output until released, RFC 4724 §4.1. */
  held: boolean;
  /** Whole messages that were fetched and did not fit into what the session could take. */
  unsent: Uint8Array[];
  /** The session was told that there is output, and has not emptied it since. */
  notified: boolean;
  /** How its paths are imported, by family; rebuilt when anything in it changes. */
  imports: { readonly 4: ImportOptions; readonly 6: ImportOptions };
  /** Its place in the update group of each negotiated family, in their order. */
  seats: Seat[];
  /** The seat that output is read for first: so that one family never starves another. */
  firstSeat: number;
}

export interface Seat {
  readonly family: RouteFamily;
  group: UpdateGroup;
  readonly member: GroupMember;
}

export function kindOf(peer: RibPeer): PeerKind {
  if (!peer.internal) return PeerKind.external;
  return peer.routeReflectorClient ? PeerKind.client : PeerKind.internal;
}

/** Our own address for next hops of `family`: of that family, else IPv6 where RFC 8950 allows. */
export function ownNextHop(peer: RibPeer, family: IpFamily): IpAddress | undefined {
  const same = peer.nextHops.find((address) => familyOf(address) === family);
  if (same !== undefined || family === 6 || !peer.negotiated.extendedNextHop) return same;
  return peer.nextHops.find((address) => familyOf(address) === 6);
}
