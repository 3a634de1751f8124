/** Attributes of the routes that this speaker originates. */
import { Origin, type PathAttributes } from "../message/types.ts";
import type { OriginatedRoute } from "../types.ts";

/** ORIGIN IGP and an empty AS_PATH, as kube-router's own routes have. */
export function localAttributes(route: OriginatedRoute): PathAttributes {
  return {
    origin: Origin.igp,
    asPath: [],
    nextHop: route.nextHop,
    linkLocalNextHop: undefined,
    med: route.med,
    localPref: undefined,
    atomicAggregate: false,
    aggregator: undefined,
    communities: route.communities,
    extendedCommunities: [],
    largeCommunities: [],
    originatorId: undefined,
    clusterList: [],
    opaque: [],
  };
}
