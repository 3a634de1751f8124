/** Who we are: to a peer in our OPEN, and to the RIB. */
import { type IpAddress, wordOfAddress } from "../../ip/address.ts";
import type { LocalIdentity } from "../fsm/collision.ts";
import { localCapabilities } from "../message/capabilities.ts";
import type { LocalSide } from "../message/negotiate.ts";
import type { NegotiatedSession } from "../message/types.ts";
import type { RibPeer } from "../rib/rib-peer.ts";
import type { RibGlobals } from "../rib/rib-state.ts";
import type { PeerConfig, SpeakerConfig } from "../types.ts";
import { policiesOf } from "./peer-change.ts";

/** AS and identifier that we present to the peer. */
export function localIdentity(speaker: SpeakerConfig, peer: PeerConfig): LocalIdentity {
  return { as: peer.localAs ?? speaker.as, routerId: wordOfAddress(speaker.routerId) };
}

/** What of a peer's settings our OPEN tells. */
export type Offer = Pick<
  PeerConfig,
  | "holdSeconds"
  | "families"
  | "gracefulRestart"
  | "extendedMessage"
  | "enhancedRouteRefresh"
  | "addPath"
>;

/**
 * What our OPEN says of the forwarding that the peer may have kept our routes for, RFC 4724 §4.1:
 * - `restarted`: we restarted and found our routes in the kernel; the R bit and the F bits are set;
 * - `kept`: the last session was lost and nothing else, or stands here while the peer, for which it
 *   is lost, connects anew, or we restarted so long ago that the peer keeps our routes, if it does,
 *   as long-lived stale ones (RFC 9494 §4.2); the F bits alone are set;
 * - `none`: neither is: to the byte what kube-router's GoBGP sends, also to a peer that closed the
 *   last session in order, as one that restarts does.
 */
export type Forwarding = "restarted" | "kept" | "none";

/** What our OPEN says. */
export function localSide(
  identity: LocalIdentity,
  speaker: Pick<SpeakerConfig, "hostName" | "domainName">,
  peer: Offer,
  forwarding: Forwarding,
): LocalSide {
  const restart = peer.gracefulRestart;
  const capabilities = localCapabilities({
    as: identity.as,
    hostName: speaker.hostName,
    domainName: speaker.domainName,
    families: peer.families,
    gracefulRestart:
      restart === undefined
        ? undefined
        : {
            restarted: forwarding === "restarted",
            notification: restart.notification,
            restartSeconds: restart.restartSeconds,
            forwardingPreserved: forwarding === "none" ? [] : peer.families,
            longLivedSeconds: restart.longLivedSeconds,
          },
    extendedMessage: peer.extendedMessage,
    enhancedRouteRefresh: peer.enhancedRouteRefresh,
    addPath: peer.addPath,
  });
  return { ...identity, holdSeconds: peer.holdSeconds, capabilities };
}

/** What of a peer, as it came up, the RIB needs. `nextHops`: our own addresses towards it. */
export function ribPeer(
  config: PeerConfig,
  identity: LocalIdentity,
  session: NegotiatedSession,
  nextHops: readonly IpAddress[],
): RibPeer {
  return {
    address: config.address,
    internal: session.internal,
    remoteAs: session.remoteAs,
    remoteRouterId: session.remoteRouterId,
    localAs: identity.as,
    nextHops,
    negotiated: session,
    ...policiesOf(config),
  };
}

/** What of the speaker's settings the RIB needs. */
export function globalsOf(config: SpeakerConfig): RibGlobals {
  return {
    localAs: config.as,
    routerId: wordOfAddress(config.routerId),
    clusterId: wordOfAddress(config.clusterId ?? config.routerId),
    maximumPaths: config.maximumPaths,
  };
}
