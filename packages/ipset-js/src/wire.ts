/**
 * ipset over nfnetlink: numbers and attribute tables (linux/netfilter/ipset/ip_set.h).
 *
 *   nlmsghdr (type = 6 << 8 | command) | u8 family | u8 version 0 | be16 resource 0 | attributes …
 *
 * Numbers of more than one byte are in network order and say so in their type; nests say that they
 * are nests. The same attribute number means different things in a set's header and in an entry,
 * hence one table each.
 */
import {
  AddressFamily,
  AttributeSet,
  addressCodec,
  be16,
  be32,
  forEachAttribute,
  MalformedMessageError,
  type Message,
  type MessageWriter,
  NESTED,
  NET_BYTEORDER,
  nest,
  row,
  textCodec,
  u8,
  type ValueCodec,
} from "netlink-ts";
import { COMMENT_BYTES_MAX } from "./limits.ts";

export const Command = {
  CREATE: 2,
  DESTROY: 3,
  FLUSH: 4,
  RENAME: 5,
  SWAP: 6,
  LIST: 7,
  ADD: 9,
  DELETE: 10,
  TEST: 11,
  TYPE: 13,
} as const;

/** Bits of the FLAGS attribute of a listing. */
export const ListFlag = { NAMES: 2, HEADERS: 4 } as const;
/** Bits of CADT_FLAGS of a set and of an entry. */
export const SetFlag = { COUNTERS: 8, COMMENT: 16, FORCEADD: 32, SKBINFO: 64 } as const;
export const EntryFlag = { NOMATCH: 4 } as const;

const SUBSYSTEM = 6;
const PROTOCOL_VERSION = 7;
const FAMILY_HEADER_BYTES = 4;
/** Set and type names: 31 bytes and a NUL. */
const NAME_BYTES_MAX = 31;

interface IpAddress {
  readonly ipv4?: string;
  readonly ipv6?: string;
}

/** What an entry is on the wire; which fields there are depends on the set's type. */
export interface WireEntry {
  readonly ip?: IpAddress;
  readonly cidr?: number;
  readonly port?: number;
  readonly protocol?: number;
  readonly timeout?: number;
  readonly flags?: number;
  readonly comment?: string;
  readonly line?: number;
}

/** Parameters and state of a set on the wire. */
export interface WireHeader {
  readonly hashSize?: number;
  readonly maxElements?: number;
  readonly bucketSize?: number;
  readonly initialValue?: number;
  readonly netmask?: number;
  readonly bitmask?: IpAddress;
  readonly timeout?: number;
  readonly flags?: number;
  readonly elements?: number;
  readonly references?: number;
  readonly memoryBytes?: number;
}

/** Everything that a message of ipset may carry. */
export interface WireMessage {
  readonly version?: number;
  readonly name?: string;
  /** Type of the set; the second set's name in RENAME and SWAP. */
  readonly typeName?: string;
  readonly revision?: number;
  readonly family?: number;
  readonly flags?: number;
  readonly line?: number;
  readonly header?: WireHeader;
  readonly entries?: readonly WireEntry[];
  readonly revisionMin?: number;
}

const ip = new AttributeSet<IpAddress>({
  ipv4: row(1 | NET_BYTEORDER, addressCodec),
  ipv6: row(2 | NET_BYTEORDER, addressCodec),
});

const entry = new AttributeSet<WireEntry>({
  ip: row(1 | NESTED, nest(ip)),
  cidr: row(3, u8),
  port: row(4 | NET_BYTEORDER, be16),
  protocol: row(7, u8),
  timeout: row(6 | NET_BYTEORDER, be32),
  flags: row(8 | NET_BYTEORDER, be32),
  comment: row(26, textCodec(COMMENT_BYTES_MAX)),
  line: row(9 | NET_BYTEORDER, be32),
});

const header = new AttributeSet<WireHeader>({
  timeout: row(6 | NET_BYTEORDER, be32),
  hashSize: row(18 | NET_BYTEORDER, be32),
  maxElements: row(19 | NET_BYTEORDER, be32),
  bucketSize: row(21, u8),
  initialValue: row(17 | NET_BYTEORDER, be32),
  netmask: row(20, u8),
  bitmask: row(12 | NESTED, nest(ip)),
  flags: row(8 | NET_BYTEORDER, be32),
  elements: row(24 | NET_BYTEORDER, be32),
  references: row(25 | NET_BYTEORDER, be32),
  memoryBytes: row(26 | NET_BYTEORDER, be32),
});

const ENTRY_TYPE = 7;

/** `DATA {entry}`, of which there are many in an ADD. */
export function encodeWireEntry(writer: MessageWriter, one: WireEntry): void {
  const start = writer.beginAttribute(ENTRY_TYPE | NESTED);
  entry.encode(writer, one);
  writer.endAttribute(start);
}

/** `ADT [ DATA {entry} … ]`. */
const entries: ValueCodec<readonly WireEntry[]> = {
  encode(writer, list) {
    for (const one of list) encodeWireEntry(writer, one);
  },
  decode(bytes, start, end) {
    const list: WireEntry[] = [];
    forEachAttribute(bytes, start, end, (type, from, to) => {
      if (type === ENTRY_TYPE) list.push(entry.decode(bytes, from, to));
    });
    return list;
  },
};

/** DATA is a set's header in most messages; in TEST it is an entry, see {@link writeMessage}. */
const DATA_TYPE = 7;
const ENTRIES_TYPE = 8;
const message = new AttributeSet<WireMessage>({
  version: row(1, u8),
  name: row(2, textCodec(NAME_BYTES_MAX)),
  typeName: row(3, textCodec(NAME_BYTES_MAX)),
  revision: row(4, u8),
  family: row(5, u8),
  flags: row(6 | NET_BYTEORDER, be32),
  header: row(DATA_TYPE | NESTED, nest(header)),
  line: row(9 | NET_BYTEORDER, be32),
  entries: row(ENTRIES_TYPE | NESTED, entries),
  revisionMin: row(10, u8),
});

/** Writes one whole request. `tested` is the entry of a TEST. */
export function writeMessage(
  writer: MessageWriter,
  command: number,
  flags: number,
  content: WireMessage,
  tested?: WireEntry,
): void {
  begin(writer, command, flags, content);
  if (tested !== undefined) {
    const start = writer.beginAttribute(DATA_TYPE | NESTED);
    entry.encode(writer, tested);
    writer.endAttribute(start);
  }
  writer.end();
}

/** Writes an ADD or DELETE; `entries` as {@link encodeWireEntry} writes them. */
export function writeChange(
  writer: MessageWriter,
  command: number,
  flags: number,
  name: string,
  entries: Uint8Array,
): void {
  begin(writer, command, flags, { name, line: 0 });
  const start = writer.beginAttribute(ENTRIES_TYPE | NESTED);
  writer.raw(entries);
  writer.endAttribute(start);
  writer.end();
}

function begin(writer: MessageWriter, command: number, flags: number, content: WireMessage): void {
  writer.begin((SUBSYSTEM << 8) | command, flags);
  // The tool says INET whatever the set is; the FAMILY attribute counts.
  writer.u8(AddressFamily.INET);
  writer.zeros(FAMILY_HEADER_BYTES - 1);
  message.encode(writer, { version: PROTOCOL_VERSION, ...content });
}

/** Reads the body of an ipset message; undefined when it is of another netfilter subsystem. */
export function readMessage({ type, bytes, start, end }: Message): WireMessage | undefined {
  return type >> 8 === SUBSYSTEM ? readBody(bytes, start, end) : undefined;
}

/** The body of a request or of an answer. */
export function readBody(bytes: Buffer, start: number, end: number): WireMessage {
  if (end - start < FAMILY_HEADER_BYTES) {
    throw new MalformedMessageError("an ipset message without its family header");
  }
  return message.decode(bytes, start + FAMILY_HEADER_BYTES, end);
}
