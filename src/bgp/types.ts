/**
 * Configuration that the speaker takes and status that it gives. Both are plain immutable data:
 * a caller hands over whole desired sets and the speaker applies the difference.
 */
import type { IpAddress } from "../ip/address.ts";
import type { Prefix } from "../ip/prefix.ts";
import type { Capability, RouteFamily } from "./message/types.ts";
import type { Policy } from "./rib/policy-types.ts";

/** Settings of the whole speaker. */
export interface SpeakerConfig {
  readonly as: number;
  /** BGP Identifier, as an IPv4 address. */
  readonly routerId: IpAddress;
  /** For capability 73. */
  readonly hostName: string;
  readonly domainName: string;
  /** Where to listen; empty = nowhere (dial only). */
  readonly listen: readonly { readonly address: IpAddress; readonly port: number }[];
  /**
   * No peer is dialled from an address where another program listens, and no listener of ours: it
   * is the speaker of this address. Nor where we are not permitted to: another one may be.
   */
  readonly dialsNeedPort: boolean;
  /** Route reflection cluster id; the router id unless told, RFC 4456 §7. */
  readonly clusterId: IpAddress | undefined;
  /**
   * True when this process found routes of an earlier run in the kernel: sets R and F in the
   * OPENs of the first restart time, RFC 4724 §4.1.
   */
  readonly restarted: boolean;
  /** Longest wait for End-of-RIB of restarting-aware peers before we advertise, RFC 4724 §4.1. */
  readonly deferralSeconds: number;
  /** Equal paths used together; 1 = only the best. */
  readonly maximumPaths: number;
}

export interface GracefulRestartConfig {
  /** Announced restart time; 1 to 4095 s. */
  readonly restartSeconds: number;
  /** N bit, RFC 8538. Off towards node peers: their OPEN is to the byte what kube-router sends. */
  readonly notification: boolean;
  /** Long-lived stale time, RFC 9494; undefined = not announced. */
  readonly longLivedSeconds: number | undefined;
}

/** Everything about one neighbour. Keyed by `address`. */
export interface PeerConfig {
  /** What people call it: the Node's name, or the name in the configuration file. */
  readonly name: string;
  readonly address: IpAddress;
  /** Remote port to dial. */
  readonly port: number;
  /** Expected AS; undefined = take what the OPEN says. */
  readonly remoteAs: number | undefined;
  /** AS that we present; undefined = the speaker's. */
  readonly localAs: number | undefined;
  /** Source address of the session, and next hop that we announce; undefined = by route. */
  readonly localAddress: IpAddress | undefined;
  /** Our addresses for next hops of families that the session is not of, best first. */
  readonly nextHops: readonly IpAddress[];
  /** Addresses of the interface that the session runs over go before those of `nextHops`. */
  readonly nextHopsByLink: boolean;
  /** Wait for the peer to connect, never dial. */
  readonly passive: boolean;
  /** Offered hold time: 0, or 3 to 65535 s. */
  readonly holdSeconds: number;
  readonly families: readonly RouteFamily[];
  readonly gracefulRestart: GracefulRestartConfig | undefined;
  /** Capabilities beyond those that kube-router's GoBGP sends, all off for node peers. */
  readonly enhancedRouteRefresh: boolean;
  readonly extendedMessage: boolean;
  readonly addPath: "none" | "receive" | "send" | "both";
  /** TCP MD5 key, RFC 2385. Never logged, never shown. */
  readonly password: string | undefined;
  /** GTSM, RFC 5082: send and demand TTL 255. */
  readonly ttlSecurity: boolean;
  /** TTL of an eBGP session; 1 = direct. Not for internal peers, nor with ttlSecurity. */
  readonly multihopTtl: number;
  /** Interface that the session is bound to (SO_BINDTODEVICE). */
  readonly bindInterface: string | undefined;
  /** This peer is our route reflector client, RFC 4456. */
  readonly routeReflectorClient: boolean;
  /** Announce ourselves as next hop of what was learned, unless it is reflected. */
  readonly nextHopSelf: boolean;
  /** Undefined: internal = accept all; external = nothing passes, RFC 8212. */
  readonly importPolicy: Policy | undefined;
  readonly exportPolicy: Policy | undefined;
  /** Per family; undefined = no limit. */
  readonly maximumPrefixes:
    | {
        readonly limit: number;
        readonly warningPercent: number;
        /** Seconds until the session may come back; 0 = not by itself. */
        readonly restartSeconds: number;
      }
    | undefined;
  /** Administratively down, with the text sent as shutdown communication, RFC 9003. */
  readonly shutdown: { readonly message: string } | undefined;
}

/** A prefix of our own, with what to say about it. */
export interface OriginatedRoute {
  readonly prefix: Prefix;
  /** Undefined = our own address towards each peer, RFC 4271 §5.1.3. */
  readonly nextHop: IpAddress | undefined;
  /** Standard communities as u32. */
  readonly communities: readonly number[];
  readonly med: number | undefined;
}

/** RFC 4271 §8.2.2 names. */
export type FsmStateName =
  | "Idle"
  | "Connect"
  | "Active"
  | "OpenSent"
  | "OpenConfirm"
  | "Established";

/** Counters of messages, by direction. */
export interface MessageCounters {
  readonly open: number;
  readonly update: number;
  readonly notification: number;
  readonly keepalive: number;
  readonly routeRefresh: number;
  readonly total: number;
  readonly bytes: number;
}

/** Routes of one family that a peer and we have told each other. */
export interface FamilyCounters {
  readonly family: RouteFamily;
  readonly received: number;
  /** Of those received: no loop, and let in by the import policy. */
  readonly accepted: number;
  readonly advertised: number;
  /** Would be advertised, but no message of the session has room for their attributes. */
  readonly oversized: number;
  /** Kept from before the peer's restart, and not told again yet. */
  readonly stale: number;
  readonly endOfRibReceived: boolean;
  readonly endOfRibSent: boolean;
}

/** A peer that is to be up and is not. */
export type MissingPeer = Pick<PeerStatus, "name" | "address" | "adminState">;

/** A peer that is not told routes of a family: no address of ours can be their next hop. */
export interface WithoutNextHop {
  readonly name: string;
  readonly address: IpAddress;
  readonly family: RouteFamily;
}

/** A peer that is not told some routes: no message to it has room for their attributes. */
export interface OversizedRoutes {
  readonly name: string;
  readonly address: IpAddress;
  /** Of all families. */
  readonly count: number;
  /** One of them. */
  readonly example: Prefix;
  /** Octets of the largest message that the session allows. */
  readonly messageBytesMax: number;
}

/** What `podrouter peers` shows of one neighbour. Times are ms of wall clock. */
export interface PeerStatus {
  readonly name: string;
  readonly address: IpAddress;
  readonly port: number;
  readonly localAddress: IpAddress | undefined;
  readonly localAs: number;
  readonly remoteAs: number | undefined;
  readonly remoteRouterId: IpAddress | undefined;
  readonly internal: boolean;
  readonly state: FsmStateName;
  /** Set when the peer is held down: configuration, or the prefix limit. */
  readonly adminState: "up" | "down" | "prefix-limit";
  /** When it entered or left Established last; undefined = never established. */
  readonly since: number | undefined;
  /** Sessions that came up, and of these the ones that ended. */
  readonly established: number;
  readonly flaps: number;
  /** Why the last session ended or the last try failed; sanitised. */
  readonly lastError: { readonly at: number; readonly reason: string } | undefined;
  readonly passwordSet: boolean;
  readonly timers: {
    readonly configuredHoldSeconds: number;
    readonly holdSeconds: number | undefined;
    readonly keepaliveSeconds: number | undefined;
  };
  readonly capabilities: {
    readonly local: readonly Capability[];
    readonly remote: readonly Capability[];
  };
  readonly sent: MessageCounters;
  readonly received: MessageCounters;
  /** Messages that we refused or treated as withdraw, by our words for why. */
  readonly errors: Readonly<Record<string, number>>;
  /** Bytes that wait for the peer to read them. */
  readonly outputQueueBytes: number;
  readonly families: readonly FamilyCounters[];
  /** We restarted, as our OPEN tells this peer, RFC 4724 §4.1. Of the peer's: `stale` routes. */
  readonly restarting: boolean;
}

/** Why a path is not the best one: the step of the decision process that it lost at. */
export type LostReason =
  | "import policy"
  | "next hop unreachable"
  | "AS loop"
  | "reflection loop"
  | "long-lived stale"
  | "local origin"
  | "lower LOCAL_PREF"
  | "longer AS_PATH"
  | "higher ORIGIN"
  | "higher MED"
  | "internal"
  | "higher IGP cost"
  | "older router id kept"
  | "higher router id"
  | "longer CLUSTER_LIST"
  | "higher address"
  | "higher path id";

/** One path of one prefix, as `podrouter rib` shows it. */
export interface RibPath {
  readonly prefix: Prefix;
  readonly family: RouteFamily;
  /** The chosen one. */
  readonly best: boolean;
  /** Used beside the chosen one. */
  readonly multipath: boolean;
  /** It could be chosen: no policy, loop or next hop keeps it out. */
  readonly valid: boolean;
  /** Kept from a peer that restarts. */
  readonly stale: boolean;
  /** Undefined for the best path. */
  readonly lost: LostReason | undefined;
  /** Undefined = originated here. */
  readonly peer: { readonly name: string; readonly address: IpAddress } | undefined;
  readonly nextHop: IpAddress | undefined;
  /** `65001 65002 {65003}`. */
  readonly asPath: string;
  readonly origin: "igp" | "egp" | "incomplete";
  readonly localPref: number | undefined;
  readonly med: number | undefined;
  readonly communities: readonly string[];
  readonly extendedCommunities: readonly string[];
  readonly largeCommunities: readonly string[];
  readonly atomicAggregate: boolean;
  readonly aggregator: { readonly as: number; readonly address: IpAddress } | undefined;
  readonly originatorId: IpAddress | undefined;
  readonly clusterList: readonly IpAddress[];
  readonly pathId: number;
  /** When it came, ms of wall clock. */
  readonly since: number;
  readonly attributesOpaque: readonly {
    readonly type: number;
    readonly flags: number;
    readonly hex: string;
  }[];
}

/** A change of what the kernel should have for one prefix: the paths to use, best first. */
export interface BestRoute {
  readonly prefix: Prefix;
  /** Empty = withdrawn, or originated here (then nothing belongs in the kernel). */
  readonly nextHops: readonly IpAddress[];
  /** Best path is still marked stale by graceful restart. */
  readonly stale: boolean;
}
