/** What an UPDATE decodes to. */
import { PrefixBatch } from "../../ip/prefix-batch.ts";
import { AttributeDraft } from "./attribute/draft.ts";
import { AttributeCache } from "./attribute-cache.ts";
import { SeenAttributes } from "./seen-attributes.ts";
import type { AttributeError, PathAttributes, RouteFamily } from "./types.ts";

/**
 * One UPDATE. The object and its batches are the decoder's and hold until it decodes again: read
 * them before. Take withdrawals first, then announcements: a prefix that is in both is announced
 * (RFC 4271 §4.3).
 */
export interface DecodedUpdate {
  /** Withdrawn Routes field: IPv4. */
  readonly withdrawn: PrefixBatch;
  /** NLRI field: IPv4. */
  readonly announced: PrefixBatch;
  /** MP_UNREACH_NLRI, of either family; empty when absent. */
  readonly mpUnreach: PrefixBatch;
  /** MP_REACH_NLRI, of either family; empty when absent. */
  readonly mpReach: PrefixBatch;
  /** Of `announced`; undefined when it is empty, or when `treatment` is "withdraw". */
  readonly attributes: PathAttributes | undefined;
  /** Of `mpReach`, with its next hop; undefined when it is empty, or on "withdraw". */
  readonly mpAttributes: PathAttributes | undefined;
  /** The message is the End-of-RIB of this family, RFC 4724 §2. */
  readonly endOfRib: RouteFamily | undefined;
  /**
   * "withdraw": treat `announced` and `mpReach` as withdrawn (RFC 7606 §2). "discard": attributes
   * were left out, go on. Anything stronger is a BgpError instead.
   */
  readonly treatment: "none" | "discard" | "withdraw";
  /** What was wrong, in the order found; at most {@link ATTRIBUTE_ERRORS_MAX}. */
  readonly errors: readonly AttributeError[];
  /** Where the attributes lie in the buffer that was decoded. */
  readonly attributesStart: number;
  readonly attributesEnd: number;
}

/** Errors kept of one message; the treatment counts all of them. */
export const ATTRIBUTE_ERRORS_MAX = 16;

/**
 * Memory that decoders work in. Decoding is synchronous, so all sessions of a process can share
 * one: it then costs nothing to have a thousand of them, and equal attributes of different peers
 * are one object.
 */
export class DecoderMemory {
  readonly withdrawn: PrefixBatch;
  readonly announced: PrefixBatch;
  readonly mpUnreach: PrefixBatch;
  readonly mpReach: PrefixBatch;
  readonly cache: AttributeCache;
  readonly draft: AttributeDraft;
  readonly seen: SeenAttributes;

  /** `cacheSlots`: attribute blocks to remember, a power of two; 256 octets each. */
  constructor(cacheSlots = 64) {
    this.withdrawn = new PrefixBatch();
    this.announced = new PrefixBatch();
    this.mpUnreach = new PrefixBatch();
    this.mpReach = new PrefixBatch();
    this.cache = new AttributeCache(cacheSlots);
    this.draft = new AttributeDraft();
    this.seen = new SeenAttributes();
  }
}
