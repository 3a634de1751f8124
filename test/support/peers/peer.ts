/**
 * What a test sees of a BGP speaker, whichever program it is: five daemons, our own speaker and a
 * hand-made injector all answer to {@link PeerDaemon}, and speak of routes in one normal form.
 * So a scenario is written once, and can be run between any two of them.
 */
import type { IpFamily } from "../../../src/ip/address.ts";

/** A route as a test announces it. What is left out is not set (origin: IGP). */
export interface TestRoute {
  readonly prefix: string;
  readonly nextHop: string;
  /** What an injector puts behind an IPv6 next hop, RFC 2545 §3. */
  readonly linkLocal?: string;
  /** Of an injector's session with ADD-PATH. */
  readonly pathId?: number;
  readonly origin?: RouteOrigin;
  /** Sequences as bare numbers, sets in braces: `65010 4200000001 {65001 65002}`. */
  readonly asPath?: string;
  readonly med?: number;
  readonly localPref?: number;
  /** `65001:7`. */
  readonly communities?: readonly string[];
  /** `4200000001:2:3`. */
  readonly largeCommunities?: readonly string[];
  /** See {@link routeTarget}. */
  readonly extendedCommunities?: readonly string[];
  /** `65033 192.0.2.7`. */
  readonly aggregator?: string;
  readonly atomicAggregate?: boolean;
  /** Attributes that the receiver does not know. */
  readonly opaque?: readonly OpaqueText[];
  /** Address of the originator, RFC 4456. */
  readonly originatorId?: string;
  readonly clusterList?: readonly string[];
}

export type RouteOrigin = "igp" | "egp" | "incomplete";

export interface OpaqueText {
  readonly type: number;
  /** Flags as on the wire without the extended length bit; undefined where a daemon hides them. */
  readonly flags: number | undefined;
  readonly hex: string;
}

/** A route as a speaker shows it, as it came from one neighbour. */
export interface SeenRoute {
  readonly prefix: string;
  readonly nextHop: string | undefined;
  readonly origin: RouteOrigin;
  readonly asPath: string;
  readonly med: number | undefined;
  readonly localPref: number | undefined;
  readonly communities: readonly string[];
  readonly largeCommunities: readonly string[];
  readonly extendedCommunities: readonly string[];
  readonly aggregator: string | undefined;
  readonly atomicAggregate: boolean;
  readonly opaque: readonly OpaqueText[];
  readonly originatorId: string | undefined;
  readonly clusterList: readonly string[];
  /** Held over a restart of the neighbour; undefined where a daemon does not say. */
  readonly stale: boolean | undefined;
}

/** How a speaker is to treat one neighbour. */
export interface NeighborSetup {
  readonly address: string;
  readonly localAddress: string;
  readonly as: number;
  readonly passive: boolean;
  /** Offered hold time; keepalives every third of it. */
  readonly holdSeconds: number;
  readonly families: readonly IpFamily[];
  readonly password: string | undefined;
  readonly gracefulRestart: boolean;
  readonly addPath: "none" | "receive" | "send" | "both";
  readonly extendedNextHop: boolean;
  readonly extendedMessage: boolean;
  readonly fourOctetAs: boolean;
  /** GTSM, RFC 5082. */
  readonly ttlSecurity: boolean;
  /** Long-lived graceful restart, RFC 9494: both times short enough to wait for the first. */
  readonly longLived: boolean;
  /** It is our client, RFC 4456. */
  readonly client: boolean;
}

/** Restart time of every speaker, and the one before long-lived stale routes. */
export const RESTART_SECONDS = 30;
export const RESTART_SECONDS_SHORT = 1;
export const LONG_LIVED_SECONDS = 60;

/** Everything that an adapter needs to write a configuration and to start its daemon. */
export interface PeerSetup {
  /** Full name of the network namespace that it runs in. */
  readonly namespace: string;
  /** An empty folder of its own. */
  readonly folder: string;
  readonly as: number;
  readonly routerId: string;
  /** Addresses that it owns and listens on. */
  readonly addresses: readonly string[];
  readonly neighbors: readonly NeighborSetup[];
  /** Equal paths that are used together; 1 unless told. */
  readonly maximumPaths?: number;
}

/** A speaker that says where its best routes lead. */
export interface TellsNextHops {
  /** By prefix of either family, those of equal paths together, in any order. */
  nextHops(): Promise<Readonly<Record<string, readonly string[]>>>;
}

/** `restart` tells a daemon that it restarts after a crash, with forwarding state kept. */
export interface StartOptions {
  readonly restart?: boolean;
}

/** One BGP speaker, running in the foreground in its namespace. */
export interface PeerDaemon {
  /** For messages: `BIRD`. */
  readonly name: string;
  /** Starts it with the routes announced so far; ready to answer when this resolves. */
  start(options?: StartOptions): Promise<void>;
  /** `Established`, or the daemon's own word for another state. */
  state(neighbor: string): Promise<string>;
  /** Everything that the daemon says of the last error, raw; "" for none. */
  lastError(neighbor: string): Promise<string>;
  /** Routes accepted from a neighbour. */
  routes(neighbor: string, family: IpFamily): Promise<readonly SeenRoute[]>;
  /** How many there are; cheap for a hundred thousand. */
  routeCount(neighbor: string, family: IpFamily): Promise<number>;
  /** Originates routes, to all neighbours; before or after the start. */
  announce(routes: readonly TestRoute[]): Promise<void>;
  withdraw(prefixes: readonly string[]): Promise<void>;
  /** Asks the neighbour for all its routes again: one ROUTE-REFRESH a family. */
  refresh(neighbor: string, family: IpFamily): Promise<void>;
  /** Ends the session administratively, with a text for the other side. */
  shutdown(neighbor: string, text: string): Promise<void>;
  /** SIGKILL to it and its children: the kernel closes the sessions, nothing is said. */
  kill(): Promise<void>;
  /** An orderly end. Safe at any point, and twice. */
  stop(): Promise<void>;
  /** The last that it printed. */
  readonly output: string;
}

/** A SeenRoute out of what an adapter found; the rest is absent. */
export function seenRoute(
  found: Partial<SeenRoute> & Pick<SeenRoute, "prefix" | "origin" | "asPath">,
): SeenRoute {
  return {
    nextHop: undefined,
    med: undefined,
    localPref: undefined,
    communities: [],
    largeCommunities: [],
    extendedCommunities: [],
    aggregator: undefined,
    atomicAggregate: false,
    opaque: [],
    originatorId: undefined,
    clusterList: [],
    stale: undefined,
    ...found,
  };
}

/** Index of a prefix's family in a text. */
export function familyOfText(prefix: string): IpFamily {
  return prefix.includes(":") ? 6 : 4;
}

/**
 * 16 hex digits of an AS-specific route target (sub-type 2) or route origin (sub-type 3): the
 * two-octet form where the AS fits in it, RFC 4360 §3.1, else the four-octet one, RFC 5668 §2.
 */
export function routeTarget(as: number, value: number, subtype: 2 | 3 = 2): string {
  const hex = (number: number, digits: number) => number.toString(16).padStart(digits, "0");
  return as > 0xffff
    ? `02${hex(subtype, 2)}${hex(as, 8)}${hex(value, 4)}`
    : `00${hex(subtype, 2)}${hex(as, 4)}${hex(value, 8)}`;
}

/** The reverse of {@link routeTarget}; undefined for any other extended community. */
export function routeTargetParts(
  hex: string,
): { readonly kind: "rt" | "soo"; readonly as: number; readonly value: number } | undefined {
  const match =
    /^00(0[23])([0-9a-f]{4})([0-9a-f]{8})$/.exec(hex) ??
    /^02(0[23])([0-9a-f]{8})([0-9a-f]{4})$/.exec(hex);
  if (match === null) return undefined;
  const [, subtype, as, value] = match;
  return {
    kind: subtype === "02" ? "rt" : "soo",
    as: Number.parseInt(as!, 16),
    value: Number.parseInt(value!, 16),
  };
}

/** The extended community that a daemon writes `rt 65001:9`, `RT:65001:9`, `(rt, 65001, 9)`, …. */
export function extendedCommunityOfText(text: string): string {
  const match = /^\(?\s*(rt|target|ro|soo|origin)[\s:,]+(\d+)[\s:,]+(\d+)\s*\)?$/i.exec(text);
  if (match === null) return text;
  const subtype = /^(rt|target)$/i.test(match[1]!) ? 2 : 3;
  return routeTarget(Number(match[2]), Number(match[3]), subtype);
}

/** `IGP`, `i`, `Incomplete`, `?`, … in one spelling. */
export function originOfText(text: string): RouteOrigin {
  const first = text.trim().toLowerCase();
  if (first.startsWith("i") && !first.startsWith("inc")) return "igp";
  if (first.startsWith("e")) return "egp";
  if (first.startsWith("inc") || first === "?") return "incomplete";
  throw new Error(`not an ORIGIN: ${text}`);
}
