/** Attribute sets to begin with, for tests and benches. */
import { Origin, type PathAttributes } from "../../src/bgp/message/types.ts";

/** ORIGIN IGP, an empty AS_PATH, and nothing else. Spread it and add what the route has. */
export const PLAIN_ATTRIBUTES: PathAttributes = Object.freeze({
  origin: Origin.igp,
  asPath: [],
  nextHop: undefined,
  linkLocalNextHop: undefined,
  med: undefined,
  localPref: undefined,
  atomicAggregate: false,
  aggregator: undefined,
  communities: [],
  extendedCommunities: [],
  largeCommunities: [],
  originatorId: undefined,
  clusterList: [],
  opaque: [],
});
