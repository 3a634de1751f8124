/** What a set is, apart from its members: parameters, and counts that the kernel keeps. */
import { AddressFamily, Errno, type IpFamily, invalid, NetlinkError } from "netlink-ts";
import { checkTimeout } from "./entry.ts";
import { IpsetErrno, IpsetError } from "./errors.ts";
import { SetFlag, type WireMessage } from "./wire.ts";

/**
 * Types that this package makes and lists, with the revision that it speaks: the oldest that knows
 * all of it, so that an older ipset(8) on the host can still list our sets.
 */
const REVISIONS = { "hash:ip": 4, "hash:net": 6, "hash:ip,port": 5 } as const;

/** What members look like: addresses, prefixes, or addresses with a port. */
export type SetType = keyof typeof REVISIONS;

/** A set to make. */
export interface SetSpec {
  /** At most 31 bytes. */
  readonly name: string;
  readonly type: SetType;
  /** 4 unless told. */
  readonly family?: IpFamily;
  /** Buckets to begin with, 1024 unless told; near the number of members saves resizing. */
  readonly hashSize?: number;
  /** Most members, 65536 unless told; beyond: SET_FULL. */
  readonly maxElements?: number;
  /** Seconds that members live unless they say otherwise, 0 for ever; left out: no timeouts. */
  readonly timeout?: number;
  readonly comment?: boolean;
}

/** A set as the kernel has it. */
export interface SetHeader {
  readonly name: string;
  /** May be a type that this package does not make. */
  readonly type: string;
  readonly family: IpFamily;
  readonly revision: number;
  readonly hashSize?: number;
  readonly maxElements?: number;
  readonly bucketSize?: number;
  readonly initialValue?: number;
  readonly netmask?: number;
  readonly timeout?: number;
  readonly comment: boolean;
  readonly counters: boolean;
  readonly skbinfo: boolean;
  /** A member that is too much takes the place of another one. */
  readonly forceAdd: boolean;
  /** Members are cut to this (hash:ip), as with a netmask: `255.255.255.0`. */
  readonly bitmask?: string;
  /** Number of members. */
  readonly elements: number;
  /** How many rules and sets refer to it. */
  readonly references: number;
  readonly memoryBytes: number;
}

const HASH_SIZE = 1024;
const ELEMENTS_MAX = 65_536;

/** The revision to make a set with; TYPE_UNKNOWN when the kernel knows only others. */
export function revisionFor(type: SetType, kernelMin: number, kernelMax: number): number {
  const ours = REVISIONS[type];
  if (kernelMin > ours) {
    const text = `${type}: the kernel knows revisions ${kernelMin} to ${kernelMax}, not ${ours}`;
    throw new IpsetError(IpsetErrno.TYPE_UNKNOWN, { text });
  }
  return Math.min(ours, kernelMax);
}

/** The content of a CREATE. Throws `EINVAL` naming the field that is out of range. */
export function encodeSpec(spec: SetSpec, revision: number): WireMessage {
  const { family = 4 } = spec;
  // The words of ipset(8), as inet6, would make a set of IPv4.
  if (family !== 4 && family !== 6) throw invalid(`not a family, 4 or 6: ${family}`);
  if (!(spec.type in REVISIONS)) throw invalid(`not a set type: ${JSON.stringify(spec.type)}`);
  checkTimeout(spec.timeout);
  return {
    name: spec.name,
    typeName: spec.type,
    revision,
    family: family === 6 ? AddressFamily.INET6 : AddressFamily.INET,
    header: {
      hashSize: spec.hashSize ?? HASH_SIZE,
      maxElements: spec.maxElements ?? ELEMENTS_MAX,
      ...(spec.timeout === undefined ? {} : { timeout: spec.timeout }),
      ...(spec.comment === true ? { flags: SetFlag.COMMENT } : {}),
    },
  };
}

/** The header of a set from the parts of its listing, the first of which carries it. */
export function decodeHeader(parts: readonly WireMessage[]): SetHeader {
  const first = parts.find((part) => part.header !== undefined);
  if (first?.header === undefined || first.name === undefined || first.typeName === undefined) {
    throw new NetlinkError(Errno.EINVAL, { text: "the kernel listed a set without its header" });
  }
  const { flags = 0, elements, references, memoryBytes, bitmask, ...parameters } = first.header;
  const mask = bitmask?.ipv4 ?? bitmask?.ipv6;
  return {
    name: first.name,
    type: first.typeName,
    family: first.family === AddressFamily.INET6 ? 6 : 4,
    revision: first.revision ?? 0,
    ...parameters,
    comment: (flags & SetFlag.COMMENT) !== 0,
    counters: (flags & SetFlag.COUNTERS) !== 0,
    skbinfo: (flags & SetFlag.SKBINFO) !== 0,
    forceAdd: (flags & SetFlag.FORCEADD) !== 0,
    ...(mask === undefined ? {} : { bitmask: mask }),
    elements: elements ?? parts.reduce((sum, part) => sum + (part.entries?.length ?? 0), 0),
    references: references ?? 0,
    memoryBytes: memoryBytes ?? 0,
  };
}

/** The `Header:` line of `ipset list`, for the parameters that this package sets. */
export function formatHeader(header: SetHeader): string {
  const family = header.family === 6 ? "inet6" : "inet";
  const words = [`family ${family} hashsize ${header.hashSize} maxelem ${header.maxElements}`];
  if (header.timeout !== undefined) words.push(`timeout ${header.timeout}`);
  if (header.comment) words.push("comment");
  return words.join(" ");
}
