/**
 * Attributes while they are being decoded: mutable, one for all decoders that share
 * their memory, reset for every message.
 * {@link AttributeDraft.finish} makes the immutable {@link PathAttributes} of it.
 */
import { addressFromBytes, addressFromWord, type IpAddress } from "../../../ip/address.ts";
import type { AsPathSegment, OpaqueAttribute, Origin, PathAttributes } from "../types.ts";

/** Shared by all routes that have none. */
const NONE: readonly never[] = Object.freeze([]);

export interface Aggregator {
  readonly as: number;
  readonly address: number;
}

/** The last IPv6 address of a kind and its text: peers repeat a next hop, and its text is dear. */
class LastAddress6 {
  private readonly bytes = new Uint8Array(16);
  private text = addressFromBytes(this.bytes);

  /** Text of the 16 octets at `at`. */
  textOf(buffer: Uint8Array, at: number): IpAddress {
    const bytes = this.bytes;
    let i = 0;
    while (i < 16 && buffer[at + i] === bytes[i]) i++;
    if (i < 16) {
      bytes.set(buffer.subarray(at, at + 16));
      this.text = addressFromBytes(bytes);
    }
    return this.text;
  }
}

export class AttributeDraft {
  origin: Origin | undefined;
  asPath: readonly AsPathSegment[] | undefined;
  /** Of the NEXT_HOP attribute. */
  nextHop: IpAddress | undefined;
  /** NEXT_HOP came, but its value is no address of a host. */
  nextHopUnusable: boolean;
  med: number | undefined;
  localPref: number | undefined;
  atomicAggregate: boolean;
  aggregator: Aggregator | undefined;
  communities: readonly number[];
  extendedCommunities: readonly string[];
  largeCommunities: readonly string[];
  originatorId: number | undefined;
  clusterList: readonly number[];
  as4Path: readonly AsPathSegment[] | undefined;
  as4Aggregator: Aggregator | undefined;
  opaque: OpaqueAttribute[];
  /** Types of codecs whose attribute came with the Partial flag. */
  partial: number[];
  /** Of MP_REACH_NLRI. */
  mpNextHop: IpAddress | undefined;
  mpLinkLocalNextHop: IpAddress | undefined;

  private readonly nextHop6 = new LastAddress6();
  private readonly linkLocal6 = new LastAddress6();
  /** The last IPv4 next hop, likewise. */
  private nextHopWord: number;
  private nextHopText: IpAddress;

  constructor() {
    this.origin = undefined;
    this.asPath = undefined;
    this.nextHop = undefined;
    this.nextHopUnusable = false;
    this.med = undefined;
    this.localPref = undefined;
    this.atomicAggregate = false;
    this.aggregator = undefined;
    this.communities = NONE;
    this.extendedCommunities = NONE;
    this.largeCommunities = NONE;
    this.originatorId = undefined;
    this.clusterList = NONE;
    this.as4Path = undefined;
    this.as4Aggregator = undefined;
    this.opaque = [];
    this.partial = [];
    this.mpNextHop = undefined;
    this.mpLinkLocalNextHop = undefined;
    this.nextHopWord = 0;
    this.nextHopText = addressFromWord(0);
  }

  reset(): void {
    this.origin = undefined;
    this.asPath = undefined;
    this.nextHop = undefined;
    this.nextHopUnusable = false;
    this.med = undefined;
    this.localPref = undefined;
    this.atomicAggregate = false;
    this.aggregator = undefined;
    this.communities = NONE;
    this.extendedCommunities = NONE;
    this.largeCommunities = NONE;
    this.originatorId = undefined;
    this.clusterList = NONE;
    this.as4Path = undefined;
    this.as4Aggregator = undefined;
    if (this.opaque.length > 0) this.opaque = [];
    if (this.partial.length > 0) this.partial = [];
    this.mpNextHop = undefined;
    this.mpLinkLocalNextHop = undefined;
  }

  /** Text of an IPv4 address. */
  addressText(word: number): IpAddress {
    if (word !== this.nextHopWord) {
      this.nextHopWord = word;
      this.nextHopText = addressFromWord(word);
    }
    return this.nextHopText;
  }

  /** Text of an IPv6 next hop, 16 octets at `at`. */
  nextHop6Text(buffer: Uint8Array, at: number): IpAddress {
    return this.nextHop6.textOf(buffer, at);
  }

  /** The same for the link-local one that may stand behind it. */
  linkLocal6Text(buffer: Uint8Array, at: number): IpAddress {
    return this.linkLocal6.textOf(buffer, at);
  }

  /** The route's attributes with the given next hop. ORIGIN and AS_PATH must have come. */
  finish(nextHop: IpAddress | undefined, linkLocalNextHop: IpAddress | undefined): PathAttributes {
    const attributes: PathAttributes = {
      origin: this.origin!,
      asPath: this.asPath!,
      nextHop,
      linkLocalNextHop,
      med: this.med,
      localPref: this.localPref,
      atomicAggregate: this.atomicAggregate,
      aggregator: this.aggregator,
      communities: this.communities,
      extendedCommunities: this.extendedCommunities,
      largeCommunities: this.largeCommunities,
      originatorId: this.originatorId,
      clusterList: this.clusterList,
      opaque: this.opaque.length === 0 ? NONE : this.opaque.sort((a, b) => a.type - b.type),
    };
    return this.partial.length === 0 ? attributes : { ...attributes, partial: this.partial };
  }
}
