/**
 * All path attributes that are more than octets to us. To add one: a file with its codec beside
 * this one, a row here, a field in PathAttributes and in the draft. MP_REACH_NLRI and
 * MP_UNREACH_NLRI carry prefixes, not properties of a route, and stand apart (mp-reach.ts,
 * mp-unreach.ts); attributes without a row are opaque (opaque.ts).
 */
import { aggregator } from "./aggregator.ts";
import { asPath } from "./as-path.ts";
import { as4Aggregator } from "./as4-aggregator.ts";
import { as4Path } from "./as4-path.ts";
import { atomicAggregate } from "./atomic-aggregate.ts";
import { clusterList } from "./cluster-list.ts";
import { type AttributeCodec, AttributeType, OPTIONAL_TRANSITIVE } from "./codec.ts";
import { communities } from "./communities.ts";
import { extendedCommunities } from "./extended-communities.ts";
import { type AttributeFault, flagsFault, misplacedFault } from "./fault.ts";
import { largeCommunities } from "./large-communities.ts";
import { localPref } from "./local-pref.ts";
import { med } from "./med.ts";
import { nextHop } from "./next-hop.ts";
import { opaqueName } from "./opaque.ts";
import { origin } from "./origin.ts";
import { originatorId } from "./originator-id.ts";

/** In the order of their types, which is the order on the wire (RFC 4271 §5). */
export const ATTRIBUTES: readonly AttributeCodec[] = [
  origin,
  asPath,
  nextHop,
  med,
  localPref,
  atomicAggregate,
  aggregator,
  communities,
  originatorId,
  clusterList,
  extendedCommunities,
  as4Path,
  as4Aggregator,
  largeCommunities,
];

/** A codec with what the decoder needs to judge an attribute by its head alone. */
export interface AttributeRow {
  readonly codec: AttributeCodec;
  /**
   * Which flags must have their specified value.
   * Deviation: RFC 7606 §3 c names Optional and Transitive alone; here Partial counts as well where
   * RFC 4271 §4.3 demands that it be 0, which is unless the attribute is optional and transitive.
   */
  readonly flagsMask: number;
  readonly wrongFlags: AttributeFault;
  readonly misplaced: AttributeFault;
}

function rowOf(codec: AttributeCodec): AttributeRow {
  const from = codec.from === "internal" ? "an external peer" : "a peer with 4-octet AS";
  return {
    codec,
    flagsMask: codec.flags === OPTIONAL_TRANSITIVE ? 0xc0 : 0xe0,
    wrongFlags: flagsFault(codec.type, codec.name),
    misplaced: misplacedFault(codec.type, codec.name, from),
  };
}

/** By attribute type. */
export const ATTRIBUTE_ROWS: readonly (AttributeRow | undefined)[] = byType();

function byType(): (AttributeRow | undefined)[] {
  const rows = new Array<AttributeRow | undefined>(256).fill(undefined);
  for (const codec of ATTRIBUTES) rows[codec.type] = rowOf(codec);
  return rows;
}

/** Name of an attribute as in its RFC; `attribute 99` for an unknown one. */
export function attributeName(type: number): string {
  if (type === AttributeType.mpReach) return "MP_REACH_NLRI";
  if (type === AttributeType.mpUnreach) return "MP_UNREACH_NLRI";
  return ATTRIBUTE_ROWS[type]?.codec.name ?? opaqueName(type) ?? `attribute ${type}`;
}
