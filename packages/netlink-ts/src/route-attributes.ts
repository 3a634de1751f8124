/**
 * The attributes of a route (linux/rtnetlink.h, RTA_*), in both directions; and those that are only
 * read, to tell a route that has more to it than RouteFields can say.
 *
 *   rtnexthop: | u16 length | u8 flags | u8 weight - 1 | i32 ifindex | attributes … | next one …
 */
import { addressBytes, addressFamily, addressFamilyOf, addressText } from "./address.ts";
import { AttributeSet, address, listed, row, u8, u32, type ValueCodec } from "./attribute-set.ts";
import { MalformedMessageError } from "./errors.ts";
import { forEachAttribute } from "./message.ts";

/** What a route may have that RouteFields cannot say. */
export type RouteExtra = "encapsulation" | "expiry" | "metrics" | "preference" | "realms";

/** A gateway has one of two attributes, by its family. */
export interface Gateway {
  readonly gateway?: string;
  readonly via?: string;
}

/**
 * Those that a way may have, and of a route those besides. Only read: whether there is more to the
 * attribute than its absence would say.
 */
interface HopExtras {
  readonly encapsulation?: boolean;
  readonly realms?: boolean;
}

interface Extras extends HopExtras {
  readonly expiry?: boolean;
  readonly preference?: boolean;
}

interface Metrics {
  readonly mtu?: number;
  readonly others?: boolean;
}

export interface WireNextHop extends Gateway, HopExtras {
  readonly interfaceIndex: number;
  readonly weight: number;
  readonly flags: number;
}

export interface Attributes extends Gateway, Extras {
  readonly destination?: string;
  readonly source?: string;
  readonly interfaceIndex?: number;
  readonly priority?: number;
  readonly preferredSource?: string;
  readonly metrics?: Metrics;
  readonly nextHops?: readonly WireNextHop[];
  readonly table?: number;
  readonly nextHopId?: number;
}

const NEXT_HOP_BYTES = 8;

/** `| u16 family | address |`. */
const via: ValueCodec<string> = {
  encode(writer, value) {
    writer.u16(addressFamily(addressFamilyOf(value)));
    writer.raw(addressBytes(value));
  },
  decode: (bytes, start, end) => addressText(bytes, start + 2, end),
};

/** In struct rta_cacheinfo, after two numbers: when the route goes by itself; 0 = never. */
const EXPIRES_OFFSET = 8;
const gatewayRows = { gateway: row(5, address), via: row(18, via) };
const hopExtraRows = {
  realms: row(
    11,
    listed((bytes, start, end) => u32.decode(bytes, start, end) !== 0),
  ),
  encapsulation: row(
    21,
    listed(() => true),
  ),
};
const nextHopAttributes = new AttributeSet<Gateway & HopExtras>({
  ...gatewayRows,
  ...hopExtraRows,
});

const MTU_METRIC = 2;
const metrics: ValueCodec<Metrics> = {
  encode(writer, { mtu }) {
    if (mtu === undefined) return;
    const start = writer.beginAttribute(MTU_METRIC);
    u32.encode(writer, mtu);
    writer.endAttribute(start);
  },
  decode(bytes, start, end) {
    let mtu: number | undefined;
    let others = false;
    forEachAttribute(bytes, start, end, (type, from, to) => {
      if (type === MTU_METRIC) mtu = u32.decode(bytes, from, to);
      else others = true;
    });
    return mtu === undefined ? { others } : { mtu, others };
  },
};

const nextHops: ValueCodec<readonly WireNextHop[]> = {
  encode(writer, hops) {
    for (const hop of hops) {
      const start = writer.length;
      writer.u16(0);
      u8.encode(writer, hop.flags);
      writer.u8(hop.weight - 1);
      u32.encode(writer, hop.interfaceIndex);
      nextHopAttributes.encode(writer, hop);
      writer.patchU16(start, writer.length - start);
    }
  },
  decode(bytes, start, end) {
    const hops: WireNextHop[] = [];
    for (let at = start; end - at >= NEXT_HOP_BYTES; ) {
      const length = bytes.readUInt16LE(at);
      if (length < NEXT_HOP_BYTES || length > end - at) {
        throw new MalformedMessageError(`a next hop of ${length} bytes with ${end - at} left`);
      }
      hops.push({
        ...nextHopAttributes.decode(bytes, at + NEXT_HOP_BYTES, at + length),
        flags: bytes[at + 2]!,
        weight: bytes[at + 3]! + 1,
        interfaceIndex: bytes.readUInt32LE(at + 4),
      });
      at += (length + 3) & ~3;
    }
    return hops;
  },
};

/** In the order of ip-route(8), so that the bytes can be compared. */
export const attributes = new AttributeSet<Attributes>({
  destination: row(1, address),
  source: row(2, address),
  ...gatewayRows,
  priority: row(6, u32),
  preferredSource: row(7, address),
  interfaceIndex: row(4, u32),
  table: row(15, u32),
  metrics: row(8, metrics),
  nextHops: row(9, nextHops),
  nextHopId: row(30, u32),
  ...hopExtraRows,
  expiry: row(
    12,
    listed((bytes, start, end) => u32.decode(bytes, start + EXPIRES_OFFSET, end) !== 0),
  ),
  // 0: medium, as all have that are not told otherwise.
  preference: row(
    20,
    listed((bytes, start, end) => u8.decode(bytes, start, end) !== 0),
  ),
});

/** Undefined = nothing. */
export function extrasOf(found: Attributes): readonly RouteExtra[] | undefined {
  const { nextHops, metrics, expiry, preference } = found;
  const encapsulation = found.encapsulation ?? nextHops?.some((hop) => hop.encapsulation);
  const realms = found.realms ?? nextHops?.some((hop) => hop.realms);
  if (!(encapsulation || realms || expiry || preference || metrics?.others)) return undefined;
  const extras: RouteExtra[] = [];
  if (encapsulation) extras.push("encapsulation");
  if (expiry) extras.push("expiry");
  if (metrics?.others) extras.push("metrics");
  if (preference) extras.push("preference");
  if (realms) extras.push("realms");
  return extras;
}
