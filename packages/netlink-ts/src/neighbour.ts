/**
 * Neighbours (ARP, NDP) and forwarding entries of bridges and VXLANs:
 * RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH.
 *
 *   ndmsg: | u8 family | u8 0 | u16 0 | i32 index | u16 state | u8 flags | u8 type | attributes … |
 */
import { addressFamily, type IpFamily } from "./address.ts";
import { AttributeSet, address, be16, linkAddress, row, u8, u16, u32 } from "./attribute-set.ts";
import { MalformedMessageError } from "./errors.ts";
import type { MessageWriter } from "./message-writer.ts";
import { AddressFamily } from "./sys.ts";

/** Bits of `state`. */
export const NeighbourState = {
  INCOMPLETE: 1,
  REACHABLE: 2,
  STALE: 4,
  DELAY: 8,
  PROBE: 0x10,
  FAILED: 0x20,
  NOARP: 0x40,
  PERMANENT: 0x80,
} as const;
/** Bits of `flags`: `SELF` is the device's own table, as a VXLAN's. */
export const NeighbourFlag = { SELF: 2, MASTER: 4, PROXY: 8, EXTERN_LEARNED: 0x10 } as const;

/** 4 and 6: a neighbour. `bridge`: a forwarding entry, `destination` the remote end. */
export type NeighbourFamily = IpFamily | "bridge";

const HEADER_BYTES = 12;

interface Attributes {
  /** Address of the neighbour, or of the remote VXLAN endpoint. */
  readonly destination?: string;
  /** `02:00:00:00:00:01`. */
  readonly linkAddress?: string;
  readonly vlan?: number;
  /** Of a VXLAN's entry, where they are others than the device's: UDP port, VNI and interface. */
  readonly port?: number;
  readonly vni?: number;
  readonly viaIndex?: number;
  readonly masterIndex?: number;
}

/** A neighbour or a forwarding entry as the kernel has it. */
export interface Neighbour extends Attributes {
  readonly family: NeighbourFamily;
  readonly interfaceIndex: number;
  /** {@link NeighbourState} bits. */
  readonly state: number;
  /** {@link NeighbourFlag} bits. */
  readonly flags: number;
  readonly type: number;
}

/** One to make or to remove. Left out: state `PERMANENT`, flags 0 (for `bridge`: SELF). */
export type NeighbourSpec = Pick<Neighbour, "family" | "interfaceIndex"> & Partial<Neighbour>;

const attributes = new AttributeSet<Attributes>({
  destination: row(1, address),
  linkAddress: row(2, linkAddress),
  vlan: row(5, u16),
  port: row(6, be16),
  vni: row(7, u32),
  viaIndex: row(8, u32),
  masterIndex: row(9, u32),
});

/** The body of RTM_NEWNEIGH and RTM_DELNEIGH. */
export function encodeNeighbour(writer: MessageWriter, spec: NeighbourSpec): void {
  const { family, interfaceIndex, state, flags, type, ...fields } = spec;
  writer.u8(familyNumber(family));
  writer.zeros(3);
  u32.encode(writer, interfaceIndex);
  u16.encode(writer, state ?? NeighbourState.PERMANENT);
  u8.encode(writer, flags ?? (family === "bridge" ? NeighbourFlag.SELF : 0));
  u8.encode(writer, type ?? 0);
  attributes.encode(writer, fields);
}

/** The body of a RTM_GETNEIGH listing. */
export function encodeNeighbourFilter(writer: MessageWriter, family: NeighbourFamily): void {
  writer.u8(familyNumber(family));
  writer.zeros(HEADER_BYTES - 1);
}

/** A neighbour message's body; undefined when it is of an unknown family. */
export function decodeNeighbour(bytes: Buffer, start: number, end: number): Neighbour | undefined {
  if (end - start < HEADER_BYTES) throw new MalformedMessageError("a neighbour without its header");
  const family = familyName(bytes[start]!);
  if (family === undefined) return undefined;
  return {
    family,
    interfaceIndex: bytes.readUInt32LE(start + 4),
    state: bytes.readUInt16LE(start + 8),
    flags: bytes[start + 10]!,
    type: bytes[start + 11]!,
    ...attributes.decode(bytes, start + HEADER_BYTES, end),
  };
}

function familyNumber(family: NeighbourFamily): number {
  return family === "bridge" ? AddressFamily.BRIDGE : addressFamily(family);
}

function familyName(family: number): NeighbourFamily | undefined {
  if (family === AddressFamily.BRIDGE) return "bridge";
  if (family === AddressFamily.INET) return 4;
  return family === AddressFamily.INET6 ? 6 : undefined;
}
