/**
 * Addresses of interfaces: RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR.
 *
 *   ifaddrmsg: | u8 family | u8 prefix length | u8 flags | u8 scope | u32 index | attributes … |
 *
 * The kernel has two address attributes. LOCAL is ours; ADDRESS is the other end of a
 * point-to-point link, and the same as LOCAL otherwise. IPv6 leaves LOCAL out unless there is a
 * peer. In this API: `address` is ours, `peer` is there only where it differs.
 */
import { addressFamily, type IpFamily, parsePrefix } from "./address.ts";
import { AttributeSet, address, row, text, u8, u32 } from "./attribute-set.ts";
import { MalformedMessageError } from "./errors.ts";
import type { MessageWriter } from "./message-writer.ts";
import { AddressFamily } from "./sys.ts";

/** Bits of `flags`. */
export const AddressFlag = {
  SECONDARY: 1,
  NODAD: 2,
  DADFAILED: 8,
  DEPRECATED: 0x20,
  TENTATIVE: 0x40,
  PERMANENT: 0x80,
  NOPREFIXROUTE: 0x200,
} as const;

const HEADER_BYTES = 8;
const LABEL_BYTES_MAX = 15;

/** An address of an interface as the kernel has it. */
export interface InterfaceAddress {
  readonly interfaceIndex: number;
  /** With its prefix length: `192.0.2.1/24`. */
  readonly address: string;
  /** The other end of a point-to-point link; the prefix length is its then. */
  readonly peer?: string;
  readonly broadcast?: string;
  readonly label?: string;
  /** As of a route: 0 universe, 253 link, 254 host. */
  readonly scope: number;
  /** {@link AddressFlag} bits. */
  readonly flags: number;
}

/** One to make or to remove. Left out: scope and flags 0. */
export type InterfaceAddressSpec = Pick<InterfaceAddress, "interfaceIndex" | "address"> &
  Partial<InterfaceAddress>;

interface Attributes {
  readonly local?: string;
  readonly address?: string;
  readonly broadcast?: string;
  readonly label?: string;
  readonly flags?: number;
}

const attributes = new AttributeSet<Attributes>({
  local: row(2, address),
  address: row(1, address),
  broadcast: row(4, address),
  label: row(3, text(LABEL_BYTES_MAX)),
  flags: row(8, u32),
});

/** The body of RTM_NEWADDR and RTM_DELADDR. */
export function encodeInterfaceAddress(writer: MessageWriter, spec: InterfaceAddressSpec): void {
  const prefix = parsePrefix(spec.address);
  const local = spec.address.split("/", 1)[0] as string;
  const { broadcast, label, flags, peer } = spec;
  writer.u8(addressFamily(prefix.family));
  writer.u8(prefix.length);
  writer.u8((flags ?? 0) & 255);
  u8.encode(writer, spec.scope ?? 0);
  u32.encode(writer, spec.interfaceIndex);
  attributes.encode(writer, {
    ...(prefix.family === 4 || peer !== undefined ? { local } : {}),
    address: peer ?? local,
    ...(broadcast === undefined ? {} : { broadcast }),
    ...(label === undefined ? {} : { label }),
    ...(flags === undefined ? {} : { flags }),
  });
}

/** The body of a RTM_GETADDR listing. */
export function encodeAddressFilter(
  writer: MessageWriter,
  family: IpFamily | undefined,
  interfaceIndex: number,
): void {
  writer.u8(family === undefined ? 0 : addressFamily(family));
  writer.zeros(3);
  u32.encode(writer, interfaceIndex);
}

/** An address message's body; undefined when it is of an unknown family. */
export function decodeInterfaceAddress(
  bytes: Buffer,
  start: number,
  end: number,
): InterfaceAddress | undefined {
  if (end - start < HEADER_BYTES) {
    throw new MalformedMessageError("an interface address without its header");
  }
  const family = bytes[start];
  if (family !== AddressFamily.INET && family !== AddressFamily.INET6) return undefined;
  const found = attributes.decode(bytes, start + HEADER_BYTES, end);
  const own = found.local ?? found.address;
  if (own === undefined) return undefined;
  const { broadcast, label } = found;
  return {
    interfaceIndex: bytes.readUInt32LE(start + 4),
    address: `${own}/${bytes[start + 1]}`,
    ...(found.address === undefined || found.address === own ? {} : { peer: found.address }),
    ...(broadcast === undefined ? {} : { broadcast }),
    ...(label === undefined ? {} : { label }),
    scope: bytes[start + 3]!,
    flags: found.flags ?? bytes[start + 2]!,
  };
}
