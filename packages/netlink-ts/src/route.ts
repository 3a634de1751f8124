/**
 * Routes: RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE.
 *
 *   rtmsg:     | u8 family | u8 dst_len | u8 src_len | u8 tos | u8 table | u8 protocol | u8 scope |
 *              | u8 type | u32 flags | attributes …
 *   rtnexthop: | u16 length | u8 flags | u8 weight - 1 | i32 ifindex | attributes … | next one …
 *
 * A table above 255 stands in an attribute, with 0 in the header. A gateway of the other family
 * than the route's goes in RTA_VIA instead of RTA_GATEWAY; in this API both are `gateway`.
 */
import {
  addressBytes,
  addressFamily,
  addressFamilyOf,
  addressText,
  defaultPrefix,
  type IpFamily,
  parsePrefix,
} from "./address.ts";
import { AttributeSet, address, nest, row, u8, u32, type ValueCodec } from "./attribute-set.ts";
import { invalid, MalformedMessageError } from "./errors.ts";
import type { MessageWriter } from "./message-writer.ts";
import { AddressFamily } from "./sys.ts";

export const RouteTable = { DEFAULT: 253, MAIN: 254, LOCAL: 255 } as const;
export const RouteProtocol = { UNSPEC: 0, REDIRECT: 1, KERNEL: 2, BOOT: 3, STATIC: 4 } as const;
export const RouteScope = { UNIVERSE: 0, SITE: 200, LINK: 253, HOST: 254, NOWHERE: 255 } as const;
export const RouteType = {
  ANY: 0,
  UNICAST: 1,
  LOCAL: 2,
  BROADCAST: 3,
  ANYCAST: 4,
  MULTICAST: 5,
  BLACKHOLE: 6,
  UNREACHABLE: 7,
  PROHIBIT: 8,
  THROW: 9,
} as const;
/** `ONLINK` may be set; the others are the kernel's remarks. */
export const RouteFlag = { DEAD: 1, ONLINK: 4, OFFLOAD: 8, LINKDOWN: 16, CLONED: 0x200 } as const;

/** One way of a multipath route. */
export interface NextHop {
  readonly gateway?: string;
  readonly interfaceIndex?: number;
  /** 1 to 256; shares are in proportion to it. */
  readonly weight?: number;
  /** {@link RouteFlag} bits. */
  readonly flags?: number;
}

/** What a route may say beside its destination. Everything left out is left to the kernel. */
export interface RouteFields {
  readonly gateway?: string;
  /** Index of the outgoing interface. */
  readonly interfaceIndex?: number;
  /** Metric: of equal prefixes the lowest wins. IPv6 takes 1024 when left out. */
  readonly priority?: number;
  readonly preferredSource?: string;
  /** Prefix of the packet's source (IPv6 only). */
  readonly source?: string;
  readonly nextHops?: readonly NextHop[];
  readonly mtu?: number;
  /** Id of a next hop object, in place of gateway and interface. */
  readonly nextHopId?: number;
}

/** A route as the kernel has it. */
export interface Route extends RouteFields {
  /** `10.0.0.0/24`; a default route is `0.0.0.0/0` or `::/0`. */
  readonly destination: string;
  readonly table: number;
  readonly protocol: number;
  readonly scope: number;
  readonly type: number;
  readonly tos: number;
  /** {@link RouteFlag} bits. */
  readonly flags: number;
}

/** A route to make or to remove: see {@link encodeRoute} for what stands for a field left out. */
export type RouteSpec = { readonly destination: string } & Partial<Route>;

/** What a listing asks for; the kernel filters when it can, this package does always. */
export interface RouteFilter {
  readonly family?: IpFamily;
  readonly table?: number;
  readonly protocol?: number;
  readonly interfaceIndex?: number;
}

/** A gateway has one of two attributes, by its family. */
interface Gateway {
  readonly gateway?: string;
  readonly via?: string;
}

interface WireNextHop extends Gateway {
  readonly interfaceIndex: number;
  readonly weight: number;
  readonly flags: number;
}

interface Attributes extends Gateway {
  readonly destination?: string;
  readonly source?: string;
  readonly interfaceIndex?: number;
  readonly priority?: number;
  readonly preferredSource?: string;
  readonly metrics?: { readonly mtu?: number };
  readonly nextHops?: readonly WireNextHop[];
  readonly table?: number;
  readonly nextHopId?: number;
}

const HEADER_BYTES = 12;
const NEXT_HOP_BYTES = 8;
const WEIGHT_MAX = 256;

/** `| u16 family | address |`. */
const via: ValueCodec<string> = {
  encode(writer, value) {
    writer.u16(addressFamily(addressFamilyOf(value)));
    writer.raw(addressBytes(value));
  },
  decode: (bytes, start, end) => addressText(bytes, start + 2, end),
};

const gatewayRows = { gateway: row(5, address), via: row(18, via) };
const nextHopAttributes = new AttributeSet<Gateway>(gatewayRows);

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
const attributes = new AttributeSet<Attributes>({
  destination: row(1, address),
  source: row(2, address),
  ...gatewayRows,
  priority: row(6, u32),
  preferredSource: row(7, address),
  interfaceIndex: row(4, u32),
  table: row(15, u32),
  metrics: row(8, nest(new AttributeSet<{ readonly mtu?: number }>({ mtu: row(2, u32) }))),
  nextHops: row(9, nextHops),
  nextHopId: row(30, u32),
});

/**
 * The body of RTM_NEWROUTE. Defaults: main table, protocol `boot`, unicast, and the scope that `ip`
 * would take (host for local, link for a route without gateway, else universe).
 */
export function encodeRoute(writer: MessageWriter, route: RouteSpec): void {
  const type = route.type ?? RouteType.UNICAST;
  encode(writer, route, {
    type,
    protocol: route.protocol ?? RouteProtocol.BOOT,
    scope: route.scope ?? defaultScope(route, type),
  });
}

/**
 * The body of RTM_DELROUTE. A field left out matches anything (table: main), so give `protocol` to
 * be sure that a stranger's route for the same prefix stays.
 */
export function encodeRouteKey(writer: MessageWriter, route: RouteSpec): void {
  encode(writer, route, {
    type: route.type ?? RouteType.ANY,
    protocol: route.protocol ?? RouteProtocol.UNSPEC,
    scope: route.scope ?? RouteScope.NOWHERE,
  });
}

/** The body of a RTM_GETROUTE listing. */
export function encodeRouteFilter(
  writer: MessageWriter,
  filter: RouteFilter & { readonly family: IpFamily },
): void {
  const { table, interfaceIndex } = filter;
  writer.u8(addressFamily(filter.family));
  writer.zeros(4);
  u8.encode(writer, filter.protocol ?? 0);
  writer.zeros(HEADER_BYTES - 6);
  attributes.encode(writer, {
    ...(table === undefined ? {} : { table }),
    ...(interfaceIndex === undefined ? {} : { interfaceIndex }),
  });
}

/** The body of RTM_GETROUTE for one address: the way the kernel would send. */
export function encodeRouteLookup(writer: MessageWriter, destination: string): void {
  const { family, length } = parsePrefix(destination);
  writer.u8(addressFamily(family));
  writer.u8(length);
  writer.zeros(HEADER_BYTES - 2);
  attributes.encode(writer, { destination });
}

/** A route message's body; undefined when it is of a family that this package does not know. */
export function decodeRoute(bytes: Buffer, start: number, end: number): Route | undefined {
  if (end - start < HEADER_BYTES) throw new MalformedMessageError("a route without its header");
  const family = familyOf(bytes[start]!);
  if (family === undefined) return undefined;
  const found = attributes.decode(bytes, start + HEADER_BYTES, end);
  const { destination, source, metrics, via, nextHops, gateway = via, ...same } = found;
  const length = bytes[start + 1]!;
  return {
    ...same,
    destination: destination === undefined ? defaultPrefix(family) : `${destination}/${length}`,
    ...(source === undefined ? {} : { source: `${source}/${bytes[start + 2]}` }),
    tos: bytes[start + 3]!,
    table: found.table ?? bytes[start + 4]!,
    protocol: bytes[start + 5]!,
    scope: bytes[start + 6]!,
    type: bytes[start + 7]!,
    flags: bytes.readUInt32LE(start + 8),
    ...(gateway === undefined ? {} : { gateway }),
    ...(metrics?.mtu === undefined ? {} : { mtu: metrics.mtu }),
    ...(nextHops === undefined ? {} : { nextHops: nextHops.map(plainNextHop) }),
  };
}

/** Whether a route is one that `filter` asks for. */
export function matchesRoute(route: Route, filter: RouteFilter): boolean {
  const { family, table, protocol, interfaceIndex } = filter;
  return (
    (family === undefined || addressFamilyOf(route.destination) === family) &&
    (table === undefined || route.table === table) &&
    (protocol === undefined || route.protocol === protocol) &&
    (interfaceIndex === undefined || route.interfaceIndex === interfaceIndex)
  );
}

function encode(
  writer: MessageWriter,
  route: RouteSpec,
  header: { readonly type: number; readonly protocol: number; readonly scope: number },
): void {
  const prefix = parsePrefix(route.destination);
  const source = route.source === undefined ? undefined : parsePrefix(route.source);
  const table = route.table ?? RouteTable.MAIN;
  const { family } = prefix;
  writer.u8(addressFamily(family));
  writer.u8(prefix.length);
  writer.u8(source?.length ?? 0);
  u8.encode(writer, route.tos ?? 0);
  writer.u8(table > 255 ? 0 : table);
  u8.encode(writer, header.protocol);
  u8.encode(writer, header.scope);
  u8.encode(writer, header.type);
  u32.encode(writer, route.flags ?? 0);
  const { interfaceIndex, priority, preferredSource, mtu, nextHopId } = route;
  const { gateway, via } = splitGateway(route.gateway, family);
  // Without spreads: a hundred thousand routes come by here at a time.
  attributes.encode(writer, {
    destination: prefix.length === 0 ? undefined : addressPart(route.destination),
    source: route.source === undefined ? undefined : addressPart(route.source),
    gateway,
    via,
    preferredSource,
    interfaceIndex,
    table: table > 255 ? table : undefined,
    metrics: mtu === undefined ? undefined : { mtu },
    priority,
    nextHops: route.nextHops?.map((hop) => wireNextHop(hop, family)),
    nextHopId,
  });
}

function addressPart(prefix: string): string {
  const slash = prefix.indexOf("/");
  return slash < 0 ? prefix : prefix.slice(0, slash);
}

function splitGateway(gateway: string | undefined, family: IpFamily): Gateway {
  if (gateway === undefined) return {};
  return addressFamilyOf(gateway) === family ? { gateway } : { via: gateway };
}

function wireNextHop(hop: NextHop, family: IpFamily): WireNextHop {
  const weight = hop.weight ?? 1;
  if (!Number.isInteger(weight) || weight < 1 || weight > WEIGHT_MAX) {
    throw invalid(`not a next hop weight from 1 to ${WEIGHT_MAX}: ${weight}`);
  }
  return {
    flags: hop.flags ?? 0,
    weight,
    interfaceIndex: hop.interfaceIndex ?? 0,
    ...splitGateway(hop.gateway, family),
  };
}

function plainNextHop({ via, gateway = via, ...hop }: WireNextHop): NextHop {
  return gateway === undefined ? hop : { ...hop, gateway };
}

function familyOf(family: number): IpFamily | undefined {
  if (family === AddressFamily.INET) return 4;
  return family === AddressFamily.INET6 ? 6 : undefined;
}

/** As ip-route(8) does, for IPv4; IPv6 ignores the scope. */
function defaultScope(route: RouteSpec, type: number): number {
  if (type === RouteType.LOCAL) return RouteScope.HOST;
  if (type === RouteType.BROADCAST || type === RouteType.MULTICAST) return RouteScope.LINK;
  const direct =
    route.gateway === undefined && route.nextHops === undefined && route.nextHopId === undefined;
  return type === RouteType.UNICAST && direct ? RouteScope.LINK : RouteScope.UNIVERSE;
}
