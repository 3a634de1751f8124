/** How long an UPDATE of one route is, added up from RFC 4271 §4.3 and what came after it. */
import type { PathAttributes, RouteFamily } from "../../src/bgp/message/types.ts";
import type { RibPeer } from "../../src/bgp/rib/rib-peer.ts";
import { familyOf } from "../../src/ip/address.ts";
import { type Prefix, prefixFamily } from "../../src/ip/prefix.ts";

/** Header, lengths of withdrawn routes and of attributes. */
const EMPTY_BYTES = 19 + 4;

/** Whether one UPDATE to the peer has room for the prefix with these attributes. */
export function fits(to: RibPeer, of: Prefix, attributes: PathAttributes): boolean {
  const { sendBytesMax, addPathSend } = to.negotiated;
  const family = prefixFamily(of);
  const nlri = (addPathSend.includes(family) ? 4 : 0) + prefixBytes(of);
  return EMPTY_BYTES + attributeBytes(attributes, family) + nlri <= sendBytesMax;
}

/** One octet of length, then as many as have bits. */
function prefixBytes(of: Prefix): number {
  return 1 + Math.ceil(Number(of.split("/")[1]) / 8);
}

/** For 4-octet AS numbers, as the peer is told them: what it is not told is not there. */
function attributeBytes(a: PathAttributes, family: RouteFamily): number {
  const path = a.asPath.reduce((sum, segment) => sum + 2 + 4 * segment.asns.length, 0);
  const list = (count: number, octets: number) => (count === 0 ? 0 : headed(count * octets));
  const number = (value: number | undefined) => (value === undefined ? 0 : headed(4));
  return (
    headed(1) +
    headed(path) +
    nextHopBytes(a, family) +
    number(a.med) +
    number(a.localPref) +
    number(a.originatorId) +
    (a.atomicAggregate ? headed(0) : 0) +
    (a.aggregator === undefined ? 0 : headed(8)) +
    list(a.communities.length, 4) +
    list(a.clusterList.length, 4) +
    list(a.extendedCommunities.length, 8) +
    list(a.largeCommunities.length, 12) +
    a.opaque.reduce((sum, { value }) => sum + headed(value.length), 0)
  );
}

/** NEXT_HOP, or MP_REACH_NLRI but for its prefixes, whose length always has two octets. */
function nextHopBytes({ nextHop }: PathAttributes, family: RouteFamily): number {
  const bytes = familyOf(nextHop!) === 4 ? 4 : 16;
  if (family === 4 && bytes === 4) return headed(4);
  return 4 + 3 + 1 + bytes + 1;
}

/** Flags, type and length of an attribute, and its value. */
function headed(bytes: number): number {
  return (bytes > 255 ? 4 : 3) + bytes;
}
