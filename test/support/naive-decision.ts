/** The decision between the paths of a prefix, elimination step by step (RFC 4271 §9.1.2.2). */
import type { PathAttributes } from "../../src/bgp/message/types.ts";
import { LAST_RESORT } from "../../src/bgp/rib/next-hop-table.ts";
import type { RibPeer } from "../../src/bgp/rib/rib-peer.ts";
import { compareAddresses, type IpAddress } from "../../src/ip/address.ts";
import { firstAs, hops } from "./naive-policy.ts";

export const LLGR_STALE = 0xffff0006;

/** A path as the decision sees it. */
export interface Candidate {
  readonly from: RibPeer | undefined;
  readonly pathId: number;
  readonly attributes: PathAttributes;
  readonly longLived: boolean;
}

/** The paths that are equal up to the cost of the next hop, the best one first. */
export function decide(
  candidates: readonly Candidate[],
  cost: (nextHop: IpAddress) => number,
): Candidate[] {
  let left = [...candidates];
  const keep = (key: (c: Candidate) => number) => {
    const lowest = Math.min(...left.map(key));
    left = left.filter((c) => key(c) === lowest);
  };
  const underlying = ({ from, attributes: { nextHop } }: Candidate) =>
    from === undefined || nextHop === undefined ? 0 : cost(nextHop);
  keep((c) => (underlying(c) === LAST_RESORT ? 1 : 0));
  keep((c) => (c.longLived || c.attributes.communities.includes(LLGR_STALE) ? 1 : 0));
  keep((c) => -(c.attributes.localPref ?? 100));
  keep((c) => (c.from === undefined ? 0 : 1));
  keep((c) => hops(c.attributes.asPath));
  keep((c) => c.attributes.origin);
  left = left.filter(
    (c) =>
      !left.some(
        (other) =>
          firstAs(other.attributes.asPath) === firstAs(c.attributes.asPath) &&
          (other.attributes.med ?? 0) < (c.attributes.med ?? 0),
      ),
  );
  keep((c) => (c.from?.internal === true ? 1 : 0));
  keep(underlying);
  const routerId = (c: Candidate) => c.attributes.originatorId ?? c.from?.remoteRouterId ?? 0;
  return left.sort(
    (a, b) =>
      routerId(a) - routerId(b) ||
      a.attributes.clusterList.length - b.attributes.clusterList.length ||
      (a.from === undefined || b.from === undefined
        ? 0
        : compareAddresses(a.from.address, b.from.address)) ||
      a.pathId - b.pathId,
  );
}
