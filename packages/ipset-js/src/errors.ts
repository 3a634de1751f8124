/** ipset's own error numbers (linux/netfilter/ipset/ip_set.h), beside the usual errno values. */
import { NetlinkError } from "netlink-ts";

/** Numbers to compare `IpsetError.errno` with; the names are those that its `code` has. */
export const IpsetErrno = {
  SET_NOT_FOUND: 2,
  SET_EXISTS: 17,
  PROTOCOL: 4097,
  TYPE_UNKNOWN: 4098,
  SETS_FULL: 4099,
  SET_BUSY: 4100,
  SECOND_SET: 4101,
  TYPE_MISMATCH: 4102,
  EXIST: 4103,
  INVALID_CIDR: 4104,
  INVALID_NETMASK: 4105,
  INVALID_FAMILY: 4106,
  TIMEOUT: 4107,
  REFERENCED: 4108,
  NOT_IPV4: 4109,
  NOT_IPV6: 4110,
  COUNTER: 4111,
  COMMENT: 4112,
  INVALID_MARKMASK: 4113,
  SKBINFO: 4114,
  SET_FULL: 4352,
  NULL_ELEMENT: 4353,
  INVALID_PROTOCOL: 4354,
  MISSING_PROTOCOL: 4355,
  RANGE_UNSUPPORTED: 4356,
  RANGE_INVALID: 4357,
} as const;

/** Why the kernel refused. */
const TEXTS: Readonly<Record<keyof typeof IpsetErrno, string>> = {
  SET_NOT_FOUND: "there is no such set",
  SET_EXISTS: "there is such a set already",
  PROTOCOL: "the request does not suit the set, as an address of the other family",
  TYPE_UNKNOWN: "the kernel does not know this set type or its revision",
  SETS_FULL: "no more sets fit in the kernel's table",
  SET_BUSY: "the set is in use by the kernel",
  SECOND_SET: "the second set: missing for a swap, or there already for a rename",
  TYPE_MISMATCH: "the two sets are of different types or families",
  EXIST: "the entry is there already, or is not there",
  INVALID_CIDR: "the prefix length is out of range for this set",
  INVALID_NETMASK: "the netmask is invalid",
  INVALID_FAMILY: "this set type does not know the family",
  TIMEOUT: "the set was made without timeout",
  REFERENCED: "the set is referenced and cannot be renamed",
  NOT_IPV4: "an IPv4 address is needed",
  NOT_IPV6: "an IPv6 address is needed",
  COUNTER: "the set was made without counters",
  COMMENT: "the set was made without comments",
  INVALID_MARKMASK: "the mark mask is invalid",
  SKBINFO: "the set was made without skbinfo",
  SET_FULL: "the set is full: maxelem entries are in it",
  NULL_ELEMENT: "an element of null is not allowed in this set",
  INVALID_PROTOCOL: "the protocol is not allowed in this set",
  MISSING_PROTOCOL: "the entry needs a protocol",
  RANGE_UNSUPPORTED: "this set does not take ranges",
  RANGE_INVALID: "the range is too large",
};

const CODES: ReadonlyMap<number, keyof typeof IpsetErrno> = new Map(
  (Object.keys(IpsetErrno) as (keyof typeof IpsetErrno)[]).map((code) => [IpsetErrno[code], code]),
);

/** What is said of an {@link IpsetError} beside its number. */
export interface IpsetErrorDetail {
  /** Which entry of the list that was given failed, from 1; 0 when it is none's fault. */
  readonly line?: number;
  /** The kernel's own words; those of this package stand in for them. */
  readonly text?: string | undefined;
}

/** The kernel refused an ipset request. `code` is a name of {@link IpsetErrno} or of errno. */
export class IpsetError extends NetlinkError {
  override readonly name: string = "IpsetError";
  /** Which entry of the list that was given failed, from 1; 0 when it is none's fault. */
  readonly line: number;

  constructor(errno: number, detail: IpsetErrorDetail = {}) {
    const code = CODES.get(errno);
    super(errno, { code, text: detail.text ?? (code && TEXTS[code]) });
    this.line = detail.line ?? 0;
  }
}
