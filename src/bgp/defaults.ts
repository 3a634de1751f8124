/**
 * Settings for programs that use the speaker as a library: what is not told is what a plain
 * session of today wants. The agent does not use these: its defaults are kube-router's.
 */
import type { IpAddress } from "../ip/address.ts";
import { familyOf } from "../ip/address.ts";
import type { Policy } from "./rib/policy-types.ts";
import type { PeerConfig, SpeakerConfig } from "./types.ts";

/** A policy that lets everything pass; an external peer without one passes nothing (RFC 8212). */
export const ACCEPT_ALL: Policy = { name: "accept all", statements: [], defaultResult: "accept" };

/** Settings of a speaker that dials only, unless `listen` is told. */
export function speakerConfig(
  told: Pick<SpeakerConfig, "as" | "routerId"> & Partial<SpeakerConfig>,
): SpeakerConfig {
  return {
    hostName: "",
    domainName: "",
    listen: [],
    dialsNeedPort: false,
    clusterId: undefined,
    restarted: false,
    deferralSeconds: 0,
    maximumPaths: 1,
    ...told,
  };
}

/**
 * Settings of a neighbour: port 179, hold time 90 s, the family of its address, route refresh in
 * both forms and long messages, no graceful restart, no password and, if external, no routes
 * until there are policies (RFC 8212).
 */
export function peerConfig(
  told: {
    readonly address: IpAddress;
    readonly remoteAs: number | undefined;
  } & Partial<PeerConfig>,
): PeerConfig {
  return {
    name: told.address,
    port: 179,
    localAs: undefined,
    localAddress: undefined,
    nextHops: [],
    nextHopsByLink: false,
    passive: false,
    holdSeconds: 90,
    families: [familyOf(told.address)],
    gracefulRestart: undefined,
    enhancedRouteRefresh: true,
    extendedMessage: true,
    addPath: "none",
    password: undefined,
    ttlSecurity: false,
    multihopTtl: 1,
    bindInterface: undefined,
    routeReflectorClient: false,
    nextHopSelf: false,
    importPolicy: undefined,
    exportPolicy: undefined,
    maximumPrefixes: undefined,
    shutdown: undefined,
    ...told,
  };
}
