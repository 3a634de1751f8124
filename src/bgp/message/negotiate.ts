/**
 * What two OPENs agree on, and the checks of RFC 4271 §6.2 that need to know our side: the peer's
 * AS, its identifier, and that there is a family in common.
 *
 * Of a capability that came more than once the last one counts (RFC 4724 §3, RFC 9494 §3.1 say so
 * of theirs; the others leave it open), but each `multiprotocol` is one family.
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
  const ours = local.capabilities;
  const theirs = remote.capabilities;
  const remoteAs = last(theirs, "fourOctetAs")?.as ?? remote.as2;
  const error = checkPeer(local, remote, remoteAs, expected);
  if (error !== undefined) return error;
  const theirFamilies = announcedFamilies(theirs);
  const families = announcedFamilies(ours).filter((family) => theirFamilies.includes(family));
  if (families.length === 0) return noCommonFamily(ours);

  const both = (kind: Capability["kind"]) => has(ours, kind) && has(theirs, kind);
  const holdSeconds = Math.min(local.holdSeconds, remote.holdSeconds);
  const gracefulRestart = has(ours, "gracefulRestart")
    ? last(theirs, "gracefulRestart")
    : undefined;
  // RFC 9494 §3.1: without graceful restart the long-lived capability is ignored.
  const longLived =
    gracefulRestart !== undefined && has(ours, "longLivedGracefulRestart")
      ? last(theirs, "longLivedGracefulRestart")
      : undefined;
  return {
    remoteAs,
    remoteRouterId: remote.routerId,
    internal: remoteAs === local.as,
    holdSeconds,
    // RFC 4271 §4.4: a third of the hold time, at most one a second, none for hold time zero.
    keepaliveSeconds: holdSeconds === 0 ? 0 : Math.max(1, Math.floor(holdSeconds / 3)),
    families,
    fourOctetAs: both("fourOctetAs"),
    routeRefresh: both("routeRefresh"),
    enhancedRouteRefresh: both("enhancedRouteRefresh"),
    sendBytesMax: both("extendedMessage") ? EXTENDED_MESSAGE_BYTES_MAX : MESSAGE_BYTES_MAX,
    // RFC 8654 §4: whoever announced it must take long messages, whatever the other announced.
    receiveBytesMax: has(ours, "extendedMessage") ? EXTENDED_MESSAGE_BYTES_MAX : MESSAGE_BYTES_MAX,
    addPathReceive: families.filter((f) => addPath(ours, f, 1) && addPath(theirs, f, 2)),
    addPathSend: families.filter((f) => addPath(ours, f, 2) && addPath(theirs, f, 1)),
    extendedNextHop: families.includes(4) && ipv6NextHops(ours) && ipv6NextHops(theirs),
    gracefulRestart,
    longLivedGracefulRestart: longLived,
    remoteCapabilities: theirs,
    localCapabilities: ours,
  };
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

function addPath(list: readonly Capability[], family: RouteFamily, bit: 1 | 2): boolean {
  const entries = last(list, "addPath")?.families ?? [];
  const entry = entries.findLast((candidate) => candidate.family === family);
  return entry !== undefined && (entry.mode & bit) !== 0;
}

function ipv6NextHops(list: readonly Capability[]): boolean {
  const entries = last(list, "extendedNextHop")?.entries ?? [];
  return entries.some((entry) => entry.family === 4 && entry.nextHopFamily === 6);
}

function has(list: readonly Capability[], kind: Capability["kind"]): boolean {
  return list.some((capability) => capability.kind === kind);
}

function last<K extends Capability["kind"]>(
  list: readonly Capability[],
  kind: K,
): Extract<Capability, { kind: K }> | undefined {
  const found = list.findLast((capability) => capability.kind === kind);
  return found as Extract<Capability, { kind: K }> | undefined;
}
