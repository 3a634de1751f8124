/** ipset's own error numbers (linux/netfilter/ipset/ip_set.h), beside the usual errno values. */
import { NetlinkError } from "netlink-ts";

/** Why the kernel refused, by name. */
const REASONS: Readonly<Record<number, readonly [code: string, text: string]>> = {
  2: ["SET_NOT_FOUND", "there is no such set"],
  17: ["SET_EXISTS", "there is such a set already"],
  4097: ["PROTOCOL", "the request does not suit the set, as an address of the other family"],
  4098: ["TYPE_UNKNOWN", "the kernel does not know this set type or its revision"],
  4099: ["SETS_FULL", "no more sets fit in the kernel's table"],
  4100: ["SET_BUSY", "the set is in use by the kernel"],
  4101: ["SECOND_SET", "the second set: missing for a swap, or there already for a rename"],
  4102: ["TYPE_MISMATCH", "the two sets are of different types or families"],
  4103: ["EXIST", "the entry is there already, or is not there"],
  4104: ["INVALID_CIDR", "the prefix length is out of range for this set"],
  4105: ["INVALID_NETMASK", "the netmask is invalid"],
  4106: ["INVALID_FAMILY", "this set type does not know the family"],
  4107: ["TIMEOUT", "the set was made without timeout"],
  4108: ["REFERENCED", "the set is referenced and cannot be renamed"],
  4109: ["NOT_IPV4", "an IPv4 address is needed"],
  4110: ["NOT_IPV6", "an IPv6 address is needed"],
  4111: ["COUNTER", "the set was made without counters"],
  4112: ["COMMENT", "the set was made without comments"],
  4113: ["INVALID_MARKMASK", "the mark mask is invalid"],
  4114: ["SKBINFO", "the set was made without skbinfo"],
  4352: ["SET_FULL", "the set is full: maxelem entries are in it"],
  4353: ["NULL_ELEMENT", "an element of null is not allowed in this set"],
  4354: ["INVALID_PROTOCOL", "the protocol is not allowed in this set"],
  4355: ["MISSING_PROTOCOL", "the entry needs a protocol"],
  4356: ["RANGE_UNSUPPORTED", "this set does not take ranges"],
  4357: ["RANGE_INVALID", "the range is too large"],
};

/** Numbers to compare `IpsetError.errno` with. */
export const IpsetErrno = {
  SET_NOT_FOUND: 2,
  SET_EXISTS: 17,
  TYPE_UNKNOWN: 4098,
  SET_BUSY: 4100,
  SECOND_SET: 4101,
  TYPE_MISMATCH: 4102,
  EXIST: 4103,
  INVALID_CIDR: 4104,
  TIMEOUT: 4107,
  REFERENCED: 4108,
  SET_FULL: 4352,
} as const;

export interface IpsetErrorDetail {
  /** Which entry of the list that was given failed, from 1; 0 when it is none's fault. */
  readonly line?: number;
  readonly text?: string | undefined;
}

/** The kernel refused an ipset request. `code` is a name of {@link IpsetErrno} or of errno. */
export class IpsetError extends NetlinkError {
  override readonly name: string = "IpsetError";
  /** Which entry of the list that was given failed, from 1; 0 when it is none's fault. */
  readonly line: number;

  constructor(errno: number, detail: IpsetErrorDetail = {}) {
    const [code, text] = REASONS[errno] ?? [];
    super(errno, { code, text: detail.text ?? text });
    this.line = detail.line ?? 0;
  }
}
