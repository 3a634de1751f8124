/**
 * What two OPENs agree on, and the checks of RFC 4271 §6.2 that need to know our side: the peer's
 * AS, its identifier, and that there is a family in common.
 *
 * Of a capability that came more than once the last one counts (RFC 4724 §3, RFC 9494 §3.1 say so
 * of theirs). But each `multiprotocol` is one family, and lists that decide how UPDATEs are read,
 * add-path and next hops of the other family, add up: who sends one for each family (RFC 5492 §4)
 * goes by all of them, and would be misread.
 */
import { twoOctetAs } from "./as-number.ts";
import { ByteWriter } from "./bytes.ts";
import { encodeCapability } from "./capability-codec.ts";
import { bgpError, OpenSubcode } from "./errors.ts";
import { EXTENDED_MESSAGE_BYTES_MAX, MESSAGE_BYTES_MAX } from "./header.ts";
import { BGP_VERSION } from "./open.ts";
import {
  type BgpError,
  type Capability,
  ErrorCode,
  type NegotiatedSession,
  type OpenMessage,
  type RouteFamily,
} from "./types.ts";

/** Our side of a session. */
export interface LocalSide {
  /** AS that we present to this peer. */
  readonly as: number;
  /** BGP Identifier as a u32. */
  readonly routerId: number;
  /** Offered hold time: 0 or 3 to 65535. */
  readonly holdSeconds: number;
  /** As sent in our OPEN. */
  readonly capabilities: readonly Capability[];
}

/** Our side of a session and the OPEN that tells it: the same for all peers of like settings. */
export interface Introduction {
  readonly side: LocalSide;
  /** The whole message; not to be written to. */
  readonly open: Uint8Array;
}

/** What configuration says about the peer. */
export interface ExpectedPeer {
  /** Undefined: take what the OPEN says. */
  readonly remoteAs: number | undefined;
}

/** Our OPEN. */
export function openMessage(local: LocalSide): OpenMessage {
  return {
    version: BGP_VERSION,
    as2: twoOctetAs(local.as),
    holdSeconds: local.holdSeconds,
    routerId: local.routerId,
    capabilities: local.capabilities,
  };
}

/**
 * The session that our OPEN and the peer's make, or the error to refuse it with: 2/2 bad peer AS
 * (not the expected one, or 0 in the 4-octet capability, RFC 7607 §2), 2/3 our own identifier from
 * an internal peer (RFC 6286 §2.2), 2/7 no family in common, with our families as data (RFC 5492
 * §5).
 */
export function negotiate(
  local: LocalSide,
  remote: OpenMessage,
  expected: ExpectedPeer,
): NegotiatedSession | BgpError {
  const ours = claimsOf(local.capabilities);
  const theirs = claimsOf(remote.capabilities);
  const remoteAs = theirs.fourOctetAs ?? remote.as2;
  const error = checkPeer(local, remote, remoteAs, expected);
  if (error !== undefined) return error;
  const families = ours.families.filter((family) => theirs.families.includes(family));
  if (families.length === 0) return noCommonFamily(local.capabilities);

  const holdSeconds = Math.min(local.holdSeconds, remote.holdSeconds);
  const restarts = ours.gracefulRestart !== undefined && theirs.gracefulRestart !== undefined;
  const longMessages = ours.extendedMessage && theirs.extendedMessage;
  return {
    remoteAs,
    remoteRouterId: remote.routerId,
    internal: remoteAs === local.as,
    holdSeconds,
    // RFC 4271 §4.4: a third of the hold time, none for hold time zero; 1 and 2 are refused before.
    keepaliveSeconds: Math.floor(holdSeconds / 3),
    families,
    fourOctetAs: ours.fourOctetAs !== undefined && theirs.fourOctetAs !== undefined,
    routeRefresh: ours.routeRefresh && theirs.routeRefresh,
    enhancedRouteRefresh: ours.enhancedRouteRefresh && theirs.enhancedRouteRefresh,
    sendBytesMax: longMessages ? EXTENDED_MESSAGE_BYTES_MAX : MESSAGE_BYTES_MAX,
    // RFC 8654 §4: whoever announced it must take long messages, whatever the other announced.
    receiveBytesMax: ours.extendedMessage ? EXTENDED_MESSAGE_BYTES_MAX : MESSAGE_BYTES_MAX,
    addPathReceive: addPathFamilies(families, ours, theirs),
    addPathSend: addPathFamilies(families, theirs, ours),
    extendedNextHop: families.includes(4) && ipv6NextHops(ours) && ipv6NextHops(theirs),
    gracefulRestart: restarts ? theirs.gracefulRestart : undefined,
    // RFC 9494 §3.1: without graceful restart the long-lived capability is ignored.
    longLivedGracefulRestart:
      restarts && ours.longLived !== undefined ? theirs.longLived : undefined,
    remoteCapabilities: remote.capabilities,
    localCapabilities: local.capabilities,
  };
}

/** Capabilities by kind: of each the last one, or the entries of all in their order. */
interface Claims {
  readonly families: readonly RouteFamily[];
  readonly addPath: CapabilityOf<"addPath">["families"][number][];
  readonly extendedNextHop: CapabilityOf<"extendedNextHop">["entries"][number][];
  fourOctetAs: number | undefined;
  routeRefresh: boolean;
  enhancedRouteRefresh: boolean;
  extendedMessage: boolean;
  gracefulRestart: CapabilityOf<"gracefulRestart"> | undefined;
  longLived: CapabilityOf<"longLivedGracefulRestart"> | undefined;
}

type CapabilityOf<K extends Capability["kind"]> = Extract<Capability, { kind: K }>;

function claimsOf(list: readonly Capability[]): Claims {
  const claims: Claims = {
    families: announcedFamilies(list),
    addPath: [],
    extendedNextHop: [],
    fourOctetAs: undefined,
    routeRefresh: false,
    enhancedRouteRefresh: false,
    extendedMessage: false,
    gracefulRestart: undefined,
    longLived: undefined,
  };
  for (const capability of list) {
    switch (capability.kind) {
      case "fourOctetAs":
        claims.fourOctetAs = capability.as;
        break;
      case "routeRefresh":
      case "enhancedRouteRefresh":
      case "extendedMessage":
        claims[capability.kind] = true;
        break;
      case "gracefulRestart":
        claims.gracefulRestart = capability;
        break;
      case "longLivedGracefulRestart":
        claims.longLived = capability;
        break;
      case "addPath":
        claims.addPath.push(...capability.families);
        break;
      case "extendedNextHop":
        claims.extendedNextHop.push(...capability.entries);
        break;
      default:
        break;
    }
  }
  return claims;
}

function checkPeer(
  local: LocalSide,
  remote: OpenMessage,
  remoteAs: number,
  expected: ExpectedPeer,
): BgpError | undefined {
  if (remoteAs === 0) return bgpError(ErrorCode.open, OpenSubcode.badPeerAs, "AS 0");
  if (expected.remoteAs !== undefined && remoteAs !== expected.remoteAs) {
    const reason = `peer is AS ${remoteAs}, expected AS ${expected.remoteAs}`;
    return bgpError(ErrorCode.open, OpenSubcode.badPeerAs, reason);
  }
  if (remoteAs === local.as && remote.routerId === local.routerId) {
    const reason = "internal peer has our own BGP identifier";
    return bgpError(ErrorCode.open, OpenSubcode.badBgpIdentifier, reason);
  }
  return undefined;
}

function noCommonFamily(ours: readonly Capability[]): BgpError {
  const data = new ByteWriter();
  for (const capability of ours) {
    if (capability.kind === "multiprotocol") encodeCapability(capability, data);
  }
  const reason = "no address family in common";
  return bgpError(ErrorCode.open, OpenSubcode.unsupportedCapability, reason, data.toBytes());
}

/**
 * Families of the multiprotocol capabilities; IPv4 unicast when there is none of any family (RFC
 * 4760 §8), `unknown` ones of code 1 included: such a peer speaks, but nothing of ours.
 */
function announcedFamilies(list: readonly Capability[]): readonly RouteFamily[] {
  const families: RouteFamily[] = [];
  let any = false;
  for (const capability of list) {
    if (capability.kind === "unknown" && capability.code === 1) any = true;
    if (capability.kind !== "multiprotocol") continue;
    any = true;
    if (!families.includes(capability.family)) families.push(capability.family);
  }
  return any ? families : [4];
}

/** Families of which `to` takes several paths and `from` sends them, RFC 7911 §4. */
function addPathFamilies(families: readonly RouteFamily[], to: Claims, from: Claims) {
  return families.filter((f) => addPathMode(to, f) & 1 && addPathMode(from, f) & 2);
}

function addPathMode({ addPath }: Claims, family: RouteFamily): number {
  return addPath.findLast((entry) => entry.family === family)?.mode ?? 0;
}

function ipv6NextHops({ extendedNextHop }: Claims): boolean {
  return extendedNextHop.some((entry) => entry.family === 4 && entry.nextHopFamily === 6);
}
