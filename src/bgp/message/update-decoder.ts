/**
 * UPDATE, RFC 4271 §4.3, decoded with the error handling of RFC 7606.
 *
 * ```
 * +--------+-----------+--------+------------+--- --
 * |withdrawn| prefixes |  total | attributes | NLRI: the rest of the message
 * | length |           | length |            |
 * +--------+-----------+--------+------------+--- --
 *  2        length      2        total
 * ```
 *
 * Order of work: find the three fields, read both lists of prefixes, then the attributes: from the
 * cache when the same block was read before, else one after another into a draft. Every fault is
 * noted with its treatment; the strongest one decides (RFC 7606 §3 h). Treat-as-withdraw needs
 * prefixes that can be withdrawn: where there are none, the session ends instead (§5.2).
 */
import { mergeAs4 } from "./attribute/as4-merge.ts";
import { AttributeFlag, AttributeType } from "./attribute/codec.ts";
import type { AttributeDraft } from "./attribute/draft.ts";
import type { AttributeFault } from "./attribute/fault.ts";
import { decodeMpReach, MP_REACH_NOT_NEGOTIATED } from "./attribute/mp-reach.ts";
import { decodeMpUnreach } from "./attribute/mp-unreach.ts";
import { UNUSABLE_NEXT_HOP } from "./attribute/next-hop.ts";
import { decodeOpaque } from "./attribute/opaque.ts";
import { ATTRIBUTE_ROWS } from "./attribute/table.ts";
import { readU16 } from "./bytes.ts";
import { bgpError, UpdateSubcode } from "./errors.ts";
import { decodeNlri } from "./nlri.ts";
import type { SeenAttributes } from "./seen-attributes.ts";
import {
  type AttributeError,
  type BgpError,
  ErrorCode,
  type ErrorTreatment,
  type NegotiatedSession,
  type PathAttributes,
  type RouteFamily,
  SegmentType,
} from "./types.ts";
import { ATTRIBUTE_ERRORS_MAX, type DecodedUpdate, DecoderMemory } from "./update.ts";
import {
  cutOff,
  DUPLICATE_MP,
  duplicate,
  IPV4_NOT_NEGOTIATED,
  LIST_CUT_OFF,
  MISSING_AS_PATH,
  MISSING_NEXT_HOP,
  MISSING_ORIGIN,
  overrun,
  WRONG_FIRST_AS,
} from "./update-faults.ts";

const NO_ERRORS: readonly AttributeError[] = Object.freeze([]);
const STRENGTH: Readonly<Record<ErrorTreatment, number>> = { discard: 1, withdraw: 2, reset: 3 };

export interface UpdateDecoderOptions {
  /** The first AS of an external peer's path must be its own (RFC 4271 §6.3); true unless told. */
  readonly enforceFirstAs?: boolean;
  /** Memory shared with other decoders; one of its own unless given. */
  readonly memory?: DecoderMemory;
}

/** The mutable form of what `decode` gives. */
interface UpdateResult extends DecodedUpdate {
  attributes: PathAttributes | undefined;
  mpAttributes: PathAttributes | undefined;
  endOfRib: RouteFamily | undefined;
  treatment: "none" | "discard" | "withdraw";
  errors: readonly AttributeError[];
  attributesStart: number;
  attributesEnd: number;
}

export class UpdateDecoder {
  private readonly session: NegotiatedSession;
  private readonly firstAs: number | undefined;
  private readonly memory: DecoderMemory;
  private readonly draft: AttributeDraft;
  private readonly result: UpdateResult;
  /** What beside the octets decides how attributes are read, for the cache. */
  private readonly cacheContext: number;
  private readonly carries4: boolean;
  private readonly addPath4: boolean;
  private readonly seen: SeenAttributes;
  /** Prefixes came of a family that was not negotiated: they are there, but not read. */
  private unreadReachable: boolean;
  private errors: AttributeFault[];
  /** Strongest fault, and where the attribute lies that it is about. */
  private worst: AttributeFault | undefined;
  private worstStart: number;
  private worstEnd: number;

  constructor(session: NegotiatedSession, options: UpdateDecoderOptions = {}) {
    const enforce = !session.internal && options.enforceFirstAs !== false;
    this.session = session;
    this.firstAs = enforce ? session.remoteAs : undefined;
    this.memory = options.memory ?? new DecoderMemory();
    this.draft = this.memory.draft;
    this.result = {
      withdrawn: this.memory.withdrawn,
      announced: this.memory.announced,
      mpUnreach: this.memory.mpUnreach,
      mpReach: this.memory.mpReach,
      attributes: undefined,
      mpAttributes: undefined,
      endOfRib: undefined,
      treatment: "none",
      errors: NO_ERRORS,
      attributesStart: 0,
      attributesEnd: 0,
    };
    this.cacheContext = (session.internal ? 1 : 0) | (session.fourOctetAs ? 2 : 0);
    this.carries4 = session.families.includes(4);
    this.addPath4 = session.addPathReceive.includes(4);
    this.seen = this.memory.seen;
    this.unreadReachable = false;
    this.errors = [];
    this.worst = undefined;
    this.worstStart = 0;
    this.worstEnd = 0;
  }

  /** Decodes the body (behind the header) at `start` to `end`. */
  decode(buffer: Uint8Array, start: number, end: number): DecodedUpdate | BgpError {
    this.begin();
    if (end - start < 4) return listError("UPDATE is too short");
    const attributesLengthAt = start + 2 + readU16(buffer, start);
    if (attributesLengthAt + 2 > end) return listError("withdrawn routes run over the message");
    const attributesStart = attributesLengthAt + 2;
    const attributesEnd = attributesStart + readU16(buffer, attributesLengthAt);
    if (attributesEnd > end) return listError("attributes run over the message");
    const result = this.result;
    result.attributesStart = attributesStart;
    result.attributesEnd = attributesEnd;
    const error = this.prefixes(buffer, start + 2, attributesLengthAt, attributesEnd, end);
    if (error !== undefined) return error;
    if (attributesStart === attributesEnd && attributesEnd === end && this.carries4) {
      // Withdrawals alone, or nothing at all: the End-of-RIB of IPv4 (RFC 4724 §2).
      if (end - start === 4) result.endOfRib = 4;
      return result;
    }
    return this.attributes(buffer, attributesStart, attributesEnd);
  }

  /** The Withdrawn Routes field and the NLRI field. */
  private prefixes(
    buffer: Uint8Array,
    withdrawnStart: number,
    withdrawnEnd: number,
    announcedStart: number,
    announcedEnd: number,
  ): BgpError | undefined {
    if (!this.carries4) {
      this.unreadReachable = announcedStart < announcedEnd;
      const any = this.unreadReachable || withdrawnStart < withdrawnEnd;
      if (any) this.note(IPV4_NOT_NEGOTIATED, 0, 0);
      return undefined;
    }
    const { withdrawn, announced } = this.result;
    const problem =
      decodeNlri(withdrawn, buffer, withdrawnStart, withdrawnEnd, this.addPath4) ??
      decodeNlri(announced, buffer, announcedStart, announcedEnd, this.addPath4);
    if (problem === undefined) return undefined;
    // RFC 7606 §3 i, j, §5.3: prefixes that cannot be read cannot be withdrawn.
    return bgpError(ErrorCode.update, UpdateSubcode.invalidNetworkField, problem);
  }

  private begin(): void {
    const result = this.result;
    result.withdrawn.reset(4);
    result.announced.reset(4);
    result.mpUnreach.reset(4);
    result.mpReach.reset(4);
    result.attributes = undefined;
    result.mpAttributes = undefined;
    result.endOfRib = undefined;
    result.treatment = "none";
    result.errors = NO_ERRORS;
    this.seen.begin();
    this.unreadReachable = false;
    if (this.errors.length > 0) this.errors = [];
    this.worst = undefined;
  }

  private attributes(buffer: Uint8Array, start: number, end: number): DecodedUpdate | BgpError {
    const result = this.result;
    const cache = this.memory.cache;
    const cached = cache.get(buffer, start, end, this.cacheContext);
    if (cached !== undefined) {
      // Only blocks without faults and without MP attributes are remembered.
      if (this.worst === undefined && this.hasFirstAs(cached)) {
        if (result.announced.count === 0) return result;
        result.attributes = cached;
        return result;
      }
    }
    const draft = this.draft;
    draft.reset();
    this.decodeList(buffer, start, end);
    if (!this.session.fourOctetAs) mergeAs4(draft);
    this.checkMandatory();
    const worst = this.worst;
    if (worst !== undefined && !this.settle(worst)) return this.reset(worst, buffer);
    if (result.treatment === "withdraw") return result;
    if (result.announced.count > 0) {
      result.attributes = draft.finish(draft.nextHop, undefined);
      if (
        worst === undefined &&
        !this.seen.has(AttributeType.mpReach) &&
        !this.seen.has(AttributeType.mpUnreach)
      ) {
        cache.put(buffer, start, end, this.cacheContext, result.attributes);
      }
    }
    if (result.mpReach.count > 0) {
      result.mpAttributes = draft.finish(draft.mpNextHop, draft.mpLinkLocalNextHop);
    }
    this.detectEndOfRib();
    return result;
  }

  /** One attribute after another, until the list ends or cannot be followed (RFC 7606 §4). */
  private decodeList(buffer: Uint8Array, start: number, end: number): void {
    let at = start;
    while (at < end) {
      const flags = buffer[at]!;
      const extended = (flags & AttributeFlag.extendedLength) !== 0;
      const value = at + (extended ? 4 : 3);
      if (value > end) {
        this.note(at + 1 < end ? cutOff(buffer[at + 1]!) : LIST_CUT_OFF, at, end);
        return;
      }
      const type = buffer[at + 1]!;
      const valueEnd = value + (extended ? readU16(buffer, at + 2) : buffer[at + 2]!);
      if (valueEnd > end) {
        this.note(overrun(type), at, end);
        return;
      }
      const found = this.decodeOne(flags, type, buffer, value, valueEnd);
      if (found !== undefined) {
        this.note(found, at, valueEnd);
        if (found === MP_REACH_NOT_NEGOTIATED) this.unreadReachable = true;
        if (found.treatment === "reset") return;
      }
      at = valueEnd;
    }
  }

  private decodeOne(
    flags: number,
    type: number,
    buffer: Uint8Array,
    start: number,
    end: number,
  ): AttributeFault | undefined {
    const multiprotocol = type === AttributeType.mpReach || type === AttributeType.mpUnreach;
    if (this.seen.has(type)) return multiprotocol ? DUPLICATE_MP : duplicate(type);
    this.seen.add(type);
    const { mpReach, mpUnreach } = this.result;
    if (type === AttributeType.mpReach) {
      return decodeMpReach(flags, buffer, start, end, mpReach, this.draft, this.session);
    }
    if (type === AttributeType.mpUnreach) {
      return decodeMpUnreach(flags, buffer, start, end, mpUnreach, this.session);
    }
    const row = ATTRIBUTE_ROWS[type];
    if (row === undefined) return decodeOpaque(flags, type, buffer, start, end, this.draft);
    const { codec } = row;
    if (codec.from !== undefined && !this.maySend(codec.from)) return row.misplaced;
    if ((flags & row.flagsMask) !== codec.flags) return row.wrongFlags;
    const found = codec.decode(buffer, start, end, this.draft, this.session);
    if (found === undefined && (flags & AttributeFlag.partial) !== 0) {
      this.draft.partial.push(type);
    }
    return found;
  }

  private maySend(from: "internal" | "old"): boolean {
    return from === "internal" ? this.session.internal : !this.session.fourOctetAs;
  }

  /** What must be there for the prefixes that are there. */
  private checkMandatory(): void {
    const { announced, mpReach } = this.result;
    const draft = this.draft;
    if (announced.count === 0 && mpReach.count === 0) return;
    if (!this.seen.has(AttributeType.origin)) this.note(MISSING_ORIGIN, 0, 0);
    if (!this.seen.has(AttributeType.asPath)) this.note(MISSING_AS_PATH, 0, 0);
    if (announced.count > 0) {
      if (!this.seen.has(AttributeType.nextHop)) this.note(MISSING_NEXT_HOP, 0, 0);
      else if (draft.nextHopUnusable) this.note(UNUSABLE_NEXT_HOP, 0, 0);
    }
    if (draft.asPath !== undefined && !this.hasFirstAs(draft)) this.note(WRONG_FIRST_AS, 0, 0);
  }

  private hasFirstAs(route: Pick<PathAttributes | AttributeDraft, "asPath">): boolean {
    if (this.firstAs === undefined) return true;
    const first = route.asPath?.[0];
    return first?.type === SegmentType.sequence && first.asns[0] === this.firstAs;
  }

  private note(found: AttributeFault, start: number, end: number): void {
    if (this.errors.length < ATTRIBUTE_ERRORS_MAX) this.errors.push(found);
    const worst = this.worst;
    if (worst !== undefined && STRENGTH[worst.treatment] >= STRENGTH[found.treatment]) return;
    this.worst = found;
    this.worstStart = start;
    this.worstEnd = end;
  }

  /** Sets treatment and errors of the result; false when the session must end. */
  private settle(worst: AttributeFault): boolean {
    const result = this.result;
    result.errors = this.errors;
    if (worst.treatment === "reset") return false;
    result.treatment = worst.treatment;
    if (worst.treatment === "discard") return true;
    // RFC 7606 §5.2: nothing reachable was found, so nobody knows what would be withdrawn.
    return result.announced.count > 0 || result.mpReach.count > 0 || this.unreadReachable;
  }

  private reset(worst: AttributeFault, buffer: Uint8Array): BgpError {
    const { subcode, reason, type } = worst;
    return bgpError(ErrorCode.update, subcode, reason, this.dataOf(subcode, type, buffer));
  }

  /** RFC 4271 §6.3: the attribute, its type where it is missing, or nothing. */
  private dataOf(subcode: number, type: number, buffer: Uint8Array): Uint8Array | undefined {
    switch (subcode) {
      case UpdateSubcode.malformedAttributeList:
      case UpdateSubcode.malformedAsPath:
        return undefined;
      case UpdateSubcode.missingWellKnown:
        return Uint8Array.of(type);
      default:
        return buffer.slice(this.worstStart, this.worstEnd);
    }
  }

  /** MP_UNREACH_NLRI without prefixes and nothing else, RFC 4724 §2. */
  private detectEndOfRib(): void {
    const result = this.result;
    if (this.seen.count !== 1 || !this.seen.has(AttributeType.mpUnreach)) return;
    if (result.treatment !== "none" || result.mpUnreach.count > 0) return;
    if (result.withdrawn.count > 0 || result.announced.count > 0) return;
    result.endOfRib = result.mpUnreach.family;
  }
}

function listError(reason: string): BgpError {
  return bgpError(ErrorCode.update, UpdateSubcode.malformedAttributeList, reason);
}
