/**
 * Policy routing rules: RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE.
 *
 *   fib_rule_hdr: | u8 family | u8 dst_len | u8 src_len | u8 tos | u8 table | u8 0 | u8 0 |
 *                 | u8 action | u32 flags | attributes … |
 */
import { addressFamily, addressFamilyOf, type IpFamily, parsePrefix } from "./address.ts";
import { AttributeSet, address, row, text, u8, u32 } from "./attribute-set.ts";
import { invalid, MalformedMessageError } from "./errors.ts";
import { forEachAttribute } from "./message.ts";
import type { MessageWriter } from "./message-writer.ts";
import { AddressFamily } from "./sys.ts";

/** What a rule does when it matches. */
export const RuleAction = {
  TO_TABLE: 1,
  GOTO: 2,
  NOP: 3,
  BLACKHOLE: 6,
  UNREACHABLE: 7,
  PROHIBIT: 8,
} as const;
/** Bits of `flags`: `INVERT` may be set, the others are the kernel's remarks. */
export const RuleFlag = { PERMANENT: 1, INVERT: 2, UNRESOLVED: 4 } as const;

const HEADER_BYTES = 12;
const NAME_BYTES_MAX = 15;

interface RuleFields {
  /** Rules are tried from the lowest on; left out, the kernel puts it before the first. */
  readonly priority?: number;
  readonly mark?: number;
  readonly markMask?: number;
  readonly inputInterface?: string;
  readonly outputInterface?: string;
  /** Take no route of this prefix length or shorter. */
  readonly suppressPrefixLength?: number;
  /** Priority of the rule to go on with (GOTO). */
  readonly target?: number;
  /** Who made it; the numbers of routes. */
  readonly protocol?: number;
}

/** A rule as the kernel has it. */
export interface Rule extends RuleFields {
  readonly family: IpFamily;
  /** Prefix of the packet's source; left out: any. */
  readonly from?: string;
  readonly to?: string;
  readonly tos: number;
  readonly table: number;
  /** {@link RuleAction}. */
  readonly action: number;
  /** {@link RuleFlag} bits. */
  readonly flags: number;
  /** It has a selector or a setting beside these (a port, a user, …). Listed, never written. */
  readonly others?: true;
}

/**
 * A rule to make or to remove. Left out: action `TO_TABLE`, table 0 (needed for that action),
 * flags 0.
 */
export type RuleSpec = Pick<Rule, "family"> & Partial<Rule>;

interface Attributes extends RuleFields {
  readonly to?: string;
  readonly from?: string;
  readonly table?: number;
}

const attributes = new AttributeSet<Attributes>({
  to: row(1, address),
  from: row(2, address),
  mark: row(10, u32),
  markMask: row(16, u32),
  table: row(15, u32),
  suppressPrefixLength: row(14, u32),
  inputInterface: row(3, text(NAME_BYTES_MAX)),
  outputInterface: row(17, text(NAME_BYTES_MAX)),
  target: row(4, u32),
  protocol: row(21, u8),
  priority: row(6, u32),
});
/** Attributes that say nothing: FRA_PAD. */
const PADDING = 18;
/** What the kernel lists for "not suppressed": -1. */
const NOT_SUPPRESSED = 0xffff_ffff;

/** The body of RTM_NEWRULE and RTM_DELRULE. */
export function encodeRule(writer: MessageWriter, rule: RuleSpec): void {
  const to = prefixOf(rule.to, rule.family);
  const from = prefixOf(rule.from, rule.family);
  const table = rule.table ?? 0;
  writer.u8(addressFamily(rule.family));
  writer.u8(to?.length ?? 0);
  writer.u8(from?.length ?? 0);
  u8.encode(writer, rule.tos ?? 0);
  u8.encode(writer, table > 255 ? 0 : table);
  writer.zeros(2);
  u8.encode(writer, rule.action ?? RuleAction.TO_TABLE);
  u32.encode(writer, rule.flags ?? 0);
  const {
    family,
    to: _to,
    from: _from,
    tos,
    table: _table,
    action,
    flags,
    others,
    ...fields
  } = rule;
  attributes.encode(writer, {
    ...fields,
    ...(to === undefined ? {} : { to: to.address }),
    ...(from === undefined ? {} : { from: from.address }),
    ...(table > 255 ? { table } : {}),
  });
}

/** The body of a RTM_GETRULE listing. */
export function encodeRuleFilter(writer: MessageWriter, family: IpFamily): void {
  writer.u8(addressFamily(family));
  writer.zeros(HEADER_BYTES - 1);
}

/** A rule message's body; undefined when it is of an unknown family. */
export function decodeRule(bytes: Buffer, start: number, end: number): Rule | undefined {
  if (end - start < HEADER_BYTES) throw new MalformedMessageError("a rule without its header");
  const family = bytes[start];
  if (family !== AddressFamily.INET && family !== AddressFamily.INET6) return undefined;
  const found = attributes.decode(bytes, start + HEADER_BYTES, end);
  let others = false;
  forEachAttribute(bytes, start + HEADER_BYTES, end, (type) => {
    if (type !== PADDING && !attributes.knows(type)) others = true;
  });
  const { to, from, table, suppressPrefixLength = NOT_SUPPRESSED, ...fields } = found;
  return {
    family: family === AddressFamily.INET ? 4 : 6,
    ...fields,
    ...(to === undefined ? {} : { to: `${to}/${bytes[start + 1]}` }),
    ...(from === undefined ? {} : { from: `${from}/${bytes[start + 2]}` }),
    ...(suppressPrefixLength === NOT_SUPPRESSED ? {} : { suppressPrefixLength }),
    tos: bytes[start + 3]!,
    table: table ?? bytes[start + 4]!,
    action: bytes[start + 7]!,
    flags: bytes.readUInt32LE(start + 8),
    ...(others ? { others } : {}),
  };
}

function prefixOf(
  text: string | undefined,
  family: IpFamily,
): { readonly address: string; readonly length: number } | undefined {
  if (text === undefined) return undefined;
  if (addressFamilyOf(text) !== family) throw invalid(`${text} in an IPv${family} rule`);
  return { address: text.split("/", 1)[0] as string, length: parsePrefix(text).length };
}
