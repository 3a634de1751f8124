/**
 * What one path attribute gives to the table: its type, flags, who may send it, and the pair of
 * `decode` and `encode`. The head of an attribute is the same for all, RFC 4271 §4.3:
 *
 * ```
 * +-----+----+--------+--- --      flags: 80 optional, 40 transitive, 20 partial, 10 extended
 * |flags|type| length | value      length: one octet; two with the extended flag
 * +-----+----+--------+--- --
 * ```
 */
import type { ByteWriter } from "../bytes.ts";
import type { PathAttributes } from "../types.ts";
import type { AttributeDraft } from "./draft.ts";
import type { AttributeFault } from "./fault.ts";

export const AttributeFlag = {
  optional: 0x80,
  transitive: 0x40,
  partial: 0x20,
  extendedLength: 0x10,
} as const;

/** The three kinds of attributes there are. */
export const WELL_KNOWN = 0x40;
export const OPTIONAL = 0x80;
export const OPTIONAL_TRANSITIVE = 0xc0;

/** Path attribute types, IANA bgp-parameters-2. */
export const AttributeType = {
  origin: 1,
  asPath: 2,
  nextHop: 3,
  med: 4,
  localPref: 5,
  atomicAggregate: 6,
  aggregator: 7,
  communities: 8,
  originatorId: 9,
  clusterList: 10,
  mpReach: 14,
  mpUnreach: 15,
  extendedCommunities: 16,
  as4Path: 17,
  as4Aggregator: 18,
  largeCommunities: 32,
} as const;

/** What decoding depends on beside the octets. */
export interface DecodeContext {
  readonly fourOctetAs: boolean;
}

/** What encoding depends on beside the values. */
export interface EncodeContext {
  readonly internal: boolean;
  readonly fourOctetAs: boolean;
  /** False when MP_REACH_NLRI carries the next hop, RFC 4760 §3. */
  readonly withNextHop: boolean;
}

export interface AttributeCodec {
  readonly type: number;
  /** As in the RFC. */
  readonly name: string;
  /** WELL_KNOWN, OPTIONAL or OPTIONAL_TRANSITIVE. */
  readonly flags: number;
  /**
   * Who may send it. From another peer it is dropped unseen: "internal" RFC 7606 §7.5, §7.9,
   * §7.10; "old", a peer without 4-octet AS, RFC 6793 §6.
   */
  readonly from?: "internal" | "old";
  /** Puts the value at `start` to `end` into the draft, or says what is wrong with it. */
  decode(
    buffer: Uint8Array,
    start: number,
    end: number,
    draft: AttributeDraft,
    context: DecodeContext,
  ): AttributeFault | undefined;
  /** Appends the attribute, head included; nothing when the route has none or it must not go. */
  encode(attributes: PathAttributes, out: ByteWriter, context: EncodeContext): void;
}

/** Appends flags, type and length; two octets of length where one is not enough. */
export function writeAttributeHead(
  out: ByteWriter,
  flags: number,
  type: number,
  length: number,
): void {
  const extended = length > 255;
  out.u8(extended ? flags | AttributeFlag.extendedLength : flags);
  out.u8(type);
  if (extended) out.u16(length);
  else out.u8(length);
}
