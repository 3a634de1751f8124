/**
 * The values that BGP messages carry. The codecs beside this file turn them into bytes and back;
 * the FSM, the RIB and the sessions know only these.
 */
import type { IpAddress, IpFamily } from "../../ip/address.ts";

/** Message types, RFC 4271 §4.1 and RFC 2918. IANA registry bgp-parameters-1. */
export const MessageType = {
  open: 1,
  update: 2,
  notification: 3,
  keepalive: 4,
  routeRefresh: 5,
} as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

/** NOTIFICATION error codes, RFC 4271 §4.5, RFC 7313 §5, RFC 9687 §4. IANA bgp-parameters-3. */
export const ErrorCode = {
  messageHeader: 1,
  open: 2,
  update: 3,
  holdTimerExpired: 4,
  fsm: 5,
  cease: 6,
  routeRefresh: 7,
  sendHoldTimerExpired: 8,
} as const;

/** Cease subcodes, RFC 4486, RFC 8538, RFC 9384. IANA bgp-parameters-8. */
export const CeaseSubcode = {
  maximumPrefixes: 1,
  administrativeShutdown: 2,
  peerDeconfigured: 3,
  administrativeReset: 4,
  connectionRejected: 5,
  otherConfigurationChange: 6,
  collisionResolution: 7,
  outOfResources: 8,
  hardReset: 9,
  bfdDown: 10,
} as const;

/** A peer's error that ends its session: what to put in the NOTIFICATION, and why, in words. */
export interface BgpError {
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
  /** Our words for log and `peers`; holds no raw text of the peer. */
  readonly reason: string;
}

/** AFI/SAFI that this speaker carries: IPv4 or IPv6 unicast, named by its IP family. */
export type RouteFamily = IpFamily;

/** ADD-PATH direction for one family, RFC 7911 §4: 1 receive, 2 send, 3 both. */
export type AddPathMode = 1 | 2 | 3;

/** One family in the graceful restart capability, RFC 4724 §3. */
export interface RestartFamily {
  readonly family: RouteFamily;
  /** F bit: forwarding state for this family was kept over the restart. */
  readonly forwardingPreserved: boolean;
}

/** One family in the long-lived graceful restart capability, RFC 9494 §3. */
export interface LongLivedFamily extends RestartFamily {
  /** Seconds that stale routes may live after the restart time; 24 bits. */
  readonly staleSeconds: number;
}

/**
 * A capability, RFC 5492. `unknown` keeps what we do not know, families we do not carry included,
 * so that `peers PEER` can show it. The order of a list of these is their order on the wire.
 */
export type Capability =
  | { readonly kind: "routeRefresh" }
  | { readonly kind: "enhancedRouteRefresh" }
  | { readonly kind: "extendedMessage" }
  | { readonly kind: "multiprotocol"; readonly family: RouteFamily }
  | { readonly kind: "fourOctetAs"; readonly as: number }
  | { readonly kind: "fqdn"; readonly hostName: string; readonly domainName: string }
  | { readonly kind: "softwareVersion"; readonly version: string }
  | {
      readonly kind: "gracefulRestart";
      /** R bit: the speaker restarted. */
      readonly restarted: boolean;
      /** N bit, RFC 8538 §2. */
      readonly notification: boolean;
      /** 12 bits. */
      readonly restartSeconds: number;
      readonly families: readonly RestartFamily[];
    }
  | { readonly kind: "longLivedGracefulRestart"; readonly families: readonly LongLivedFamily[] }
  | {
      readonly kind: "addPath";
      readonly families: readonly { readonly family: RouteFamily; readonly mode: AddPathMode }[];
    }
  /** RFC 8950: NLRI of `family` may have next hops of `nextHopFamily`. */
  | {
      readonly kind: "extendedNextHop";
      readonly entries: readonly {
        readonly family: RouteFamily;
        readonly nextHopFamily: IpFamily;
      }[];
    }
  | { readonly kind: "unknown"; readonly code: number; readonly value: Uint8Array };

export interface OpenMessage {
  readonly version: number;
  /** The 2-octet field as on the wire: AS_TRANS (23456) for larger numbers, RFC 6793 §9. */
  readonly as2: number;
  readonly holdSeconds: number;
  /** BGP Identifier as a u32, RFC 6286. */
  readonly routerId: number;
  readonly capabilities: readonly Capability[];
}

export interface NotificationMessage {
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
}

/** RFC 2918 §3, RFC 7313 §3.2: subtype 0 request, 1 beginning (BoRR), 2 end (EoRR). */
export interface RouteRefreshMessage {
  readonly afi: number;
  readonly safi: number;
  /** The family when afi/safi is one that we carry. */
  readonly family: RouteFamily | undefined;
  readonly subtype: number;
}

/** ORIGIN values, RFC 4271 §5.1.1. */
export const Origin = { igp: 0, egp: 1, incomplete: 2 } as const;
export type Origin = (typeof Origin)[keyof typeof Origin];

/** AS_PATH segment types, RFC 4271 §5.1.2, RFC 5065 §3. */
export const SegmentType = { set: 1, sequence: 2, confedSequence: 3, confedSet: 4 } as const;
export type SegmentType = (typeof SegmentType)[keyof typeof SegmentType];

export interface AsPathSegment {
  readonly type: SegmentType;
  readonly asns: readonly number[];
}

/** An attribute that we pass on, or keep for display, without looking into it. */
export interface OpaqueAttribute {
  readonly flags: number;
  readonly type: number;
  readonly value: Uint8Array;
}

/**
 * Path attributes of a route, immutable. AS4_PATH and AS4_AGGREGATOR are merged already
 * (RFC 6793 §4.2.3); the next hop stands here whichever attribute carried it. Absent = undefined
 * or an empty list. The decoder may give the same object for the same bytes.
 */
export interface PathAttributes {
  readonly origin: Origin;
  readonly asPath: readonly AsPathSegment[];
  readonly nextHop: IpAddress | undefined;
  /** Second, link-local next hop of MP_REACH_NLRI, RFC 2545 §3. */
  readonly linkLocalNextHop: IpAddress | undefined;
  readonly med: number | undefined;
  readonly localPref: number | undefined;
  readonly atomicAggregate: boolean;
  readonly aggregator: { readonly as: number; readonly address: number } | undefined;
  /** RFC 1997, u32 each. */
  readonly communities: readonly number[];
  /** RFC 4360, 16 hex digits each. */
  readonly extendedCommunities: readonly string[];
  /** RFC 8092, `global:local1:local2`. */
  readonly largeCommunities: readonly string[];
  /** u32, RFC 4456 §8. */
  readonly originatorId: number | undefined;
  /** u32 each, nearest reflector first, RFC 4456 §8. */
  readonly clusterList: readonly number[];
  /** Unknown or uninterpreted attributes, by type; Partial is set where passing on demands it. */
  readonly opaque: readonly OpaqueAttribute[];
  /**
   * Types of the other optional transitive attributes that came with the Partial flag, which
   * stays set when they are passed on (RFC 4271 §5). Absent when there is none, as nearly always.
   */
  readonly partial?: readonly number[];
}

/** What an UPDATE's attribute error led to, RFC 7606 §2. `reset` ends the session. */
export type ErrorTreatment = "discard" | "withdraw" | "reset";

/** One attribute error that did not end the session: kept for counters and the log. */
export interface AttributeError {
  readonly treatment: ErrorTreatment;
  /** Attribute type code; 0 when the list itself was at fault. */
  readonly type: number;
  readonly reason: string;
}

/** What the two OPENs agreed on; everything that a codec or a RIB must know of a session. */
export interface NegotiatedSession {
  /** Remote AS (4 octets). */
  readonly remoteAs: number;
  readonly remoteRouterId: number;
  /** Internal when both speakers are of one AS, RFC 4271 §1.1. */
  readonly internal: boolean;
  /** The smaller of both hold times; 0 = no keepalives, RFC 4271 §4.2. */
  readonly holdSeconds: number;
  readonly keepaliveSeconds: number;
  /** Families that both sides announced; IPv4 unicast alone when neither sent any. */
  readonly families: readonly RouteFamily[];
  readonly fourOctetAs: boolean;
  readonly routeRefresh: boolean;
  readonly enhancedRouteRefresh: boolean;
  /** Largest message that we may send, and that we accept: 4096 or 65535, RFC 8654. */
  readonly sendBytesMax: number;
  readonly receiveBytesMax: number;
  /** Families whose NLRI carry path identifiers, by direction, RFC 7911. */
  readonly addPathReceive: readonly RouteFamily[];
  readonly addPathSend: readonly RouteFamily[];
  /** IPv4 NLRI may have IPv6 next hops, RFC 8950. */
  readonly extendedNextHop: boolean;
  /** The peer's graceful restart capability, when we sent ours too. */
  readonly gracefulRestart: Extract<Capability, { kind: "gracefulRestart" }> | undefined;
  readonly longLivedGracefulRestart:
    | Extract<Capability, { kind: "longLivedGracefulRestart" }>
    | undefined;
  readonly remoteCapabilities: readonly Capability[];
  readonly localCapabilities: readonly Capability[];
}
