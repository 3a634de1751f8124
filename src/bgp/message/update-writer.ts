/**
 * Packs prefixes into UPDATEs: as many as fit into each message, many messages into one buffer
 * that goes to the socket in one write. The writer is bounded: when its buffer is full, a call
 * stops and says at which row; {@link UpdateWriter.take} the octets and call again from there.
 *
 * One attribute set a call: attributes are encoded once and copied into every message. IPv4 with
 * an IPv4 next hop uses the classic fields, everything else MP_REACH_NLRI and MP_UNREACH_NLRI,
 * always as the first attribute (RFC 7606 §5.1) and never two kinds in one message. What is
 * written depends only on the session's encoding, so peers that agree on it can share the octets.
 */
import { addressBytes, familyOf, type IpAddress } from "../../ip/address.ts";
import type { PrefixBatch } from "../../ip/prefix-batch.ts";
import { assert } from "../../runtime/assert.ts";
import { AttributeFlag, AttributeType, OPTIONAL } from "./attribute/codec.ts";
import { ByteWriter } from "./bytes.ts";
import { afiOf, SAFI_UNICAST } from "./family.ts";
import { EXTENDED_MESSAGE_BYTES_MAX, HEADER_BYTES, writeHeader } from "./header.ts";
import { encodeNlri, type NlriEnd, nlriBytes } from "./nlri.ts";
import {
  MessageType,
  type NegotiatedSession,
  type PathAttributes,
  type RouteFamily,
} from "./types.ts";
import { encodeAttributes } from "./update-encoder.ts";

/** What of a session decides the octets. Peers in which all of this is equal can share them. */
export type UpdateEncoding = Pick<
  NegotiatedSession,
  "sendBytesMax" | "fourOctetAs" | "internal" | "addPathSend" | "extendedNextHop"
>;

/** Header, two length fields. */
const EMPTY_UPDATE_BYTES = HEADER_BYTES + 4;
/** Flags, type, two octets of length: MP attributes always use the extended form. */
const MP_HEAD_BYTES = 4;
const SHORT_BLOCK_BYTES = 128;

export class UpdateWriter {
  /** Whole messages in the buffer. */
  messages: number;
  /** Octets of them. */
  length: number;
  /**
   * Rows that the last call of `announce` or `announceBlock` withdrew instead: behind their
   * attributes no message has room for them.
   */
  readonly oversized: number[];

  readonly encoding: UpdateEncoding;
  private readonly out: Uint8Array;
  private readonly block: ByteWriter;
  private readonly stop: NlriEnd;
  /** Attributes that `block` holds; their next hop says in which form. */
  private blockOf: PathAttributes | undefined;
  /** The last next hop of an MP_REACH_NLRI, and its octets. */
  private nextHop: IpAddress | undefined;
  private nextHopOctets: Uint8Array;

  /** `capacity`: octets of the buffer, at least one message of the largest size. */
  constructor(encoding: UpdateEncoding, capacity = EXTENDED_MESSAGE_BYTES_MAX + 1) {
    assert(capacity >= encoding.sendBytesMax, "UPDATE buffer holds a message");
    this.messages = 0;
    this.length = 0;
    this.oversized = [];
    this.encoding = encoding;
    this.out = new Uint8Array(capacity);
    this.block = new ByteWriter(512);
    this.stop = { row: 0, at: 0 };
    this.blockOf = undefined;
    this.nextHop = undefined;
    this.nextHopOctets = new Uint8Array(0);
  }

  /** Copies the messages out and empties the buffer. */
  take(): Uint8Array {
    const bytes = this.out.slice(0, this.length);
    this.length = 0;
    this.messages = 0;
    return bytes;
  }

  /** Whether the session can carry a route of `family` with this next hop at all. */
  carries(family: RouteFamily, nextHop: IpAddress): boolean {
    const nextHopFamily = familyOf(nextHop);
    return family === nextHopFamily || (family === 4 && this.encoding.extendedNextHop);
  }

  /**
   * Announces rows `from` to `to` with `attributes`, whose next hop must be set and one that
   * {@link carries} says yes to. Returns the first row that found no room: `to` when all are
   * written. A prefix for which the attributes leave no room in any message cannot be sent
   * (RFC 4271 §9.2): it is withdrawn, lest the peer keep what was before (RFC 8654 §4), and is
   * then in `oversized`.
   */
  announce(
    attributes: PathAttributes,
    batch: PrefixBatch,
    from = 0,
    to: number = batch.count,
  ): number {
    const { nextHop } = attributes;
    if (this.oversized.length > 0) this.oversized.length = 0;
    assert(nextHop !== undefined, "announced routes have a next hop");
    assert(this.carries(batch.family, nextHop), "the session carries the next hop");
    const classic = familyOf(nextHop) === 4;
    this.encodeBlock(attributes, classic);
    if (classic) return this.announceBlock(batch, from, to);
    const fixed = EMPTY_UPDATE_BYTES + reachHeadBytes(attributes) + this.block.length;
    const addPath = this.encoding.addPathSend.includes(batch.family);
    let row = from;
    while (row < to) {
      let next = this.writeReach(attributes, batch, row, to, addPath);
      if (next === row) next = this.withdrawOversized(batch, row, to, fixed, addPath);
      if (next === row) break;
      row = next;
    }
    return row;
  }

  /**
   * The attributes that `announceBlock` writes, emptied to be filled: all but MP_REACH_NLRI, in the
   * order of their types. It holds until the next call of `openBlock` or `announce`.
   */
  openBlock(): ByteWriter {
    this.blockOf = undefined;
    this.block.reset();
    return this.block;
  }

  /** As {@link announce}, for IPv4 with an IPv4 next hop, with the attributes that are encoded. */
  announceBlock(batch: PrefixBatch, from = 0, to: number = batch.count): number {
    const fixed = EMPTY_UPDATE_BYTES + this.block.length;
    if (this.oversized.length > 0) this.oversized.length = 0;
    const addPath = this.encoding.addPathSend.includes(4);
    let row = from;
    while (row < to) {
      let next = this.writeClassic(batch, row, to, addPath);
      if (next === row) next = this.withdrawOversized(batch, row, to, fixed, addPath);
      if (next === row) break;
      row = next;
    }
    return row;
  }

  /** Withdraws rows `from` to `to`. Returns the first row that found no room. */
  withdraw(batch: PrefixBatch, from = 0, to: number = batch.count): number {
    const addPath = this.encoding.addPathSend.includes(batch.family);
    let row = from;
    while (row < to) {
      const next =
        batch.family === 4
          ? this.writeWithdrawn(batch, row, to, addPath)
          : this.writeUnreach(batch, row, to, addPath);
      if (next === row) break;
      row = next;
    }
    return row;
  }

  /** Writes the End-of-RIB of a family, RFC 4724 §2; false when there is no room. */
  endOfRib(family: RouteFamily): boolean {
    // IPv4: an UPDATE of nothing. Else MP_UNREACH_NLRI of nothing.
    const bytes = family === 4 ? EMPTY_UPDATE_BYTES : EMPTY_UPDATE_BYTES + 6;
    if (this.length + bytes > this.out.length) return false;
    const at = this.length + HEADER_BYTES;
    writeU16(this.out, at, 0);
    writeU16(this.out, at + 2, bytes - EMPTY_UPDATE_BYTES);
    if (family === 6) {
      this.out[at + 4] = OPTIONAL;
      this.out[at + 5] = AttributeType.mpUnreach;
      this.out[at + 6] = 3;
      writeU16(this.out, at + 7, afiOf(family));
      this.out[at + 9] = SAFI_UNICAST;
    }
    this.finish(this.length + bytes);
    return true;
  }

  /**
   * Withdraws the rows from `from` on, up to the first one that a message of its own has room for
   * behind `fixed` octets. Returns the first row that is not withdrawn.
   */
  private withdrawOversized(
    batch: PrefixBatch,
    from: number,
    to: number,
    fixed: number,
    addPath: boolean,
  ): number {
    const room = this.encoding.sendBytesMax - fixed;
    let fitting = from;
    while (fitting < to && nlriBytes(batch, fitting, addPath) > room) fitting++;
    const end = this.withdraw(batch, from, fitting);
    for (let row = from; row < end; row++) this.oversized.push(row);
    return end;
  }

  /** Where the message that begins now must end at the latest. */
  private limit(): number {
    return Math.min(this.out.length, this.length + this.encoding.sendBytesMax);
  }

  /** Header of the message from `length` to `end`. */
  private finish(end: number): void {
    writeHeader(this.out, this.length, end - this.length, MessageType.update);
    this.length = end;
    this.messages++;
  }

  private encodeBlock(attributes: PathAttributes, classic: boolean): void {
    if (this.blockOf === attributes) return;
    const { internal, fourOctetAs } = this.encoding;
    this.block.reset();
    encodeAttributes(attributes, { internal, fourOctetAs, withNextHop: classic }, this.block);
    this.blockOf = attributes;
  }

  private copyBlock(at: number): number {
    const { bytes, length } = this.block;
    const out = this.out;
    // For the few octets that attributes mostly have, a call of `set` costs more.
    if (length > SHORT_BLOCK_BYTES) out.set(bytes.subarray(0, length), at);
    else for (let i = 0; i < length; i++) out[at + i] = bytes[i]!;
    return at + length;
  }

  /** Nothing withdrawn, attributes, NLRI. */
  private writeClassic(batch: PrefixBatch, row: number, to: number, addPath: boolean): number {
    const attributesAt = this.length + EMPTY_UPDATE_BYTES;
    const nlriAt = attributesAt + this.block.length;
    const limit = this.limit();
    if (nlriAt >= limit) return row;
    const next = this.writeNlri(batch, row, to, nlriAt, limit, addPath);
    if (next === row) return row;
    writeU16(this.out, this.length + HEADER_BYTES, 0);
    writeU16(this.out, this.length + HEADER_BYTES + 2, this.block.length);
    this.copyBlock(attributesAt);
    this.finish(this.stop.at);
    return next;
  }

  /** Withdrawn prefixes, no attributes. */
  private writeWithdrawn(batch: PrefixBatch, row: number, to: number, addPath: boolean): number {
    const withdrawnAt = this.length + HEADER_BYTES + 2;
    const limit = this.limit() - 2;
    if (withdrawnAt >= limit) return row;
    const next = this.writeNlri(batch, row, to, withdrawnAt, limit, addPath);
    if (next === row) return row;
    const end = this.stop.at;
    writeU16(this.out, this.length + HEADER_BYTES, end - withdrawnAt);
    writeU16(this.out, end, 0);
    this.finish(end + 2);
    return next;
  }

  /** MP_REACH_NLRI, then the other attributes. */
  private writeReach(
    attributes: PathAttributes,
    batch: PrefixBatch,
    row: number,
    to: number,
    addPath: boolean,
  ): number {
    const attributeAt = this.length + EMPTY_UPDATE_BYTES;
    const nlriAt = attributeAt + reachHeadBytes(attributes);
    const limit = this.limit() - this.block.length;
    if (nlriAt >= limit) return row;
    const next = this.writeNlri(batch, row, to, nlriAt, limit, addPath);
    if (next === row) return row;
    const nlriEnd = this.stop.at;
    const valueAt = this.mpHead(AttributeType.mpReach, batch.family, nlriEnd);
    this.writeNextHops(attributes, valueAt);
    const end = this.copyBlock(nlriEnd);
    this.finishMp(end);
    return next;
  }

  /** MP_UNREACH_NLRI alone. */
  private writeUnreach(batch: PrefixBatch, row: number, to: number, addPath: boolean): number {
    const nlriAt = this.length + EMPTY_UPDATE_BYTES + MP_HEAD_BYTES + 3;
    const limit = this.limit();
    if (nlriAt >= limit) return row;
    const next = this.writeNlri(batch, row, to, nlriAt, limit, addPath);
    if (next === row) return row;
    this.mpHead(AttributeType.mpUnreach, batch.family, this.stop.at);
    this.finishMp(this.stop.at);
    return next;
  }

  /** Head, AFI and SAFI of an MP attribute that ends at `end`; returns where it goes on. */
  private mpHead(type: number, family: RouteFamily, end: number): number {
    const at = this.length + EMPTY_UPDATE_BYTES;
    const out = this.out;
    out[at] = OPTIONAL | AttributeFlag.extendedLength;
    out[at + 1] = type;
    writeU16(out, at + 2, end - at - MP_HEAD_BYTES);
    writeU16(out, at + 4, afiOf(family));
    out[at + 6] = SAFI_UNICAST;
    return at + 7;
  }

  /** Length of the next hops, the next hops, the reserved octet. */
  private writeNextHops(attributes: PathAttributes, at: number): void {
    const { nextHop, linkLocalNextHop } = attributes;
    const out = this.out;
    const length = nextHopBytes(attributes);
    if (nextHop !== this.nextHop) {
      this.nextHop = nextHop;
      this.nextHopOctets = addressBytes(nextHop!);
    }
    out[at] = length;
    out.set(this.nextHopOctets, at + 1);
    if (linkLocalNextHop !== undefined) out.set(addressBytes(linkLocalNextHop), at + 17);
    out[at + 1 + length] = 0;
  }

  private finishMp(end: number): void {
    const at = this.length + HEADER_BYTES;
    writeU16(this.out, at, 0);
    writeU16(this.out, at + 2, end - this.length - EMPTY_UPDATE_BYTES);
    this.finish(end);
  }

  private writeNlri(
    batch: PrefixBatch,
    row: number,
    to: number,
    at: number,
    limit: number,
    addPath: boolean,
  ): number {
    encodeNlri(batch, row, to, this.out, at, limit, addPath, this.stop);
    return this.stop.row;
  }
}

/** Octets of the next hop field; the link-local one stands behind an IPv6 one, RFC 2545 §3. */
function nextHopBytes(attributes: PathAttributes): number {
  if (familyOf(attributes.nextHop!) === 4) return 4;
  return attributes.linkLocalNextHop === undefined ? 16 : 32;
}

/** Octets of MP_REACH_NLRI before its NLRI. */
function reachHeadBytes(attributes: PathAttributes): number {
  return MP_HEAD_BYTES + 4 + nextHopBytes(attributes) + 1;
}

function writeU16(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 8;
  out[at + 1] = value;
}
