/**
 * Attributes that we carry without looking into them. Nearly every outage by a BGP attribute was
 * length arithmetic on a feature that the speaker had no use for; so nothing here makes anything of
 * a value. What is judged is what the attribute's own RFC fixes of any value: the flags, because a
 * non-transitive attribute with the transitive flag would spread, and the lengths, because peers
 * that know the attribute may end their session with us for one that is malformed.
 */
import type { ByteWriter } from "../bytes.ts";
import { UpdateSubcode } from "../errors.ts";
import type { ErrorTreatment, OpaqueAttribute } from "../types.ts";
import { AttributeFlag, OPTIONAL, OPTIONAL_TRANSITIVE, writeAttributeHead } from "./codec.ts";
import type { AttributeDraft } from "./draft.ts";
import { type AttributeFault, fault, flagsFault, lengthFault } from "./fault.ts";
import {
  ipv6CommunitiesForm,
  type OpaqueForm,
  onlyToCustomerForm,
  pmsiTunnelForm,
  prefixSidForm,
  tunnelEncapsulationForm,
} from "./opaque-form.ts";

const KIND_MASK = AttributeFlag.optional | AttributeFlag.transitive;

interface OpaqueRow {
  readonly name: string;
  readonly flags: number;
  readonly wrongFlags: AttributeFault;
  /** Undefined where every value is carried. */
  readonly form: OpaqueForm | undefined;
  readonly wrongLength: AttributeFault;
}

function row(
  type: number,
  name: string,
  flags: number,
  treatment: ErrorTreatment,
  form?: OpaqueForm,
): readonly [number, OpaqueRow] {
  const wrongFlags = flagsFault(type, name, treatment);
  const wrongLength = lengthFault(treatment, type, name);
  return [type, { name, flags, wrongFlags, form, wrongLength }];
}

const TRANSITIVE = OPTIONAL_TRANSITIVE;
const ROWS: ReadonlyMap<number, OpaqueRow> = new Map([
  row(22, "PMSI_TUNNEL", TRANSITIVE, "withdraw", pmsiTunnelForm), // RFC 6514 §5
  row(23, "TUNNEL_ENCAPSULATION", TRANSITIVE, "withdraw", tunnelEncapsulationForm), // RFC 9012 §13
  row(24, "TRAFFIC_ENGINEERING", OPTIONAL, "withdraw"), // RFC 5543 §3
  row(25, "IPV6_EXTENDED_COMMUNITIES", TRANSITIVE, "withdraw", ipv6CommunitiesForm), // RFC 7606 §7
  row(26, "AIGP", OPTIONAL, "discard"), // RFC 7311 §3
  row(29, "BGP-LS", OPTIONAL, "discard"), // RFC 9552 §8.2.2
  row(33, "BGPSEC_PATH", OPTIONAL, "withdraw"), // RFC 8205 §3
  row(35, "ONLY_TO_CUSTOMER", TRANSITIVE, "withdraw", onlyToCustomerForm), // RFC 9234 §5
  row(40, "PREFIX_SID", TRANSITIVE, "discard", prefixSidForm), // RFC 8669 §6
  row(128, "ATTR_SET", TRANSITIVE, "withdraw"), // RFC 6368 §5
]);

/** Name of an attribute that is not in the table; undefined when we know nothing of it. */
export function opaqueName(type: number): string | undefined {
  return ROWS.get(type)?.name;
}

/** RFC 4271 §6.3: no default in RFC 7606, so the session ends with 3/2 and the attribute. */
function unrecognized(type: number): AttributeFault {
  const reason = `well-known attribute ${type} is unknown`;
  return fault("reset", type, UpdateSubcode.unrecognizedWellKnown, reason);
}

/**
 * Takes an attribute that has no codec. Transitive: kept, with Partial set (RFC 4271 §9).
 * Non-transitive: dropped without a word. Not optional: ends the session.
 */
export function decodeOpaque(
  flags: number,
  type: number,
  buffer: Uint8Array,
  start: number,
  end: number,
  draft: AttributeDraft,
): AttributeFault | undefined {
  const known = ROWS.get(type);
  const kind = flags & KIND_MASK;
  if (known !== undefined) {
    if (kind !== known.flags) return known.wrongFlags;
    if (known.form?.(buffer, start, end) === false) return known.wrongLength;
  }
  if ((kind & AttributeFlag.optional) === 0) return unrecognized(type);
  if (kind === OPTIONAL_TRANSITIVE) {
    const value = buffer.slice(start, end);
    draft.opaque.push({ flags: kind | AttributeFlag.partial, type, value });
  }
  return undefined;
}

/** Appends one with the flags that it has. */
export function encodeOpaque(attribute: OpaqueAttribute, out: ByteWriter): void {
  const flags = attribute.flags & ~AttributeFlag.extendedLength;
  writeAttributeHead(out, flags, attribute.type, attribute.value.length);
  out.raw(attribute.value);
}
