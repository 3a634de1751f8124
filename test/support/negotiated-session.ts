/** What two OPENs could have agreed on, for tests of what comes after them. */
import type { NegotiatedSession } from "../../src/bgp/message/types.ts";

/** An internal session of IPv4 alone, without any extension but 4-octet AS numbers and refresh. */
export function negotiatedSession(changes: Partial<NegotiatedSession> = {}): NegotiatedSession {
  return {
    remoteAs: 64_512,
    remoteRouterId: 2,
    internal: true,
    holdSeconds: 90,
    keepaliveSeconds: 30,
    families: [4],
    fourOctetAs: true,
    routeRefresh: true,
    enhancedRouteRefresh: false,
    sendBytesMax: 4096,
    receiveBytesMax: 4096,
    addPathReceive: [],
    addPathSend: [],
    extendedNextHop: false,
    gracefulRestart: undefined,
    longLivedGracefulRestart: undefined,
    remoteCapabilities: [],
    localCapabilities: [],
    ...changes,
  };
}
