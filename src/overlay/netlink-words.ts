/** The words of netlink-ts for what src/overlay/types.ts says, in both directions. */
import {
  type IpTunnel,
  IpTunnelFlag,
  IpTunnelProtocol,
  LinkFlag,
  type LinkInfo,
  LinkType,
  type Neighbour,
  NeighbourState,
  type Link as NetlinkLink,
  type Route,
  RouteFlag,
  RouteType,
  type Rule,
  RuleAction,
} from "netlink-ts";
import { familyOf, type IpAddress, parseAddress } from "../ip/address.ts";
import { type Prefix, prefixFamily } from "../ip/prefix.ts";
import {
  type Device,
  type HostItem,
  type HostLink,
  type Item,
  OVERLAY_PROTOCOL,
  OVERLAY_TABLE,
  RULE_PRIORITY,
} from "./types.ts";

/** The metric that the kernel gives IPv6 routes for which none is asked (IP6_RT_PRIO_USER). */
const IPV6_METRIC = 1024;
/** Hops that an outer packet of IP in IP may take; 0 would copy the inner packet's. */
const TUNNEL_TTL = 64;

export function deviceSpec({ name, kind, mtu, local, remote, vxlan }: Device) {
  const common = { name, mtu, up: true };
  if (vxlan !== undefined) {
    const { vni: id, port, mac } = vxlan;
    const own = familyOf(local) === 6 ? { local6: local } : { local };
    return {
      ...common,
      linkAddress: mac,
      info: { kind, vxlan: { id, ...own, learning: false, port } },
    };
  }
  return { ...common, info: ipTunnelInfo(kind, local, remote) };
}

function ipTunnelInfo(
  kind: string,
  local: IpAddress | undefined,
  remote: IpAddress | undefined,
): LinkInfo {
  const ends = {
    ...(local === undefined ? {} : { local }),
    ...(remote === undefined ? {} : { remote }),
    ttl: TUNNEL_TTL,
  };
  const flags = IpTunnelFlag.IGNORE_ENCAPSULATION_LIMIT;
  const ipTunnel =
    kind === "ip6tnl"
      ? { protocol: IpTunnelProtocol.IPV6, ...ends, flags }
      : { ...ends, tos: 0, pathMtuDiscovery: true };
  return { kind, ipTunnel };
}

/** For a tunnel that is there: what of {@link HostLink.tuned} is as we make it. */
export function untuned({ kind = "", local, remote }: HostLink): LinkInfo {
  if (kind === "vxlan") return { kind, vxlan: { ttl: 0, df: 0, learning: false } };
  // What is not said of these is set to nothing.
  return ipTunnelInfo(kind, local, remote);
}

function isTuned({ vxlan, ipTunnel }: LinkInfo): boolean {
  if (ipTunnel !== undefined) return ipTunnel.ttl !== TUNNEL_TTL;
  const { ttl = 0, df = 0, learning = false } = vxlan ?? {};
  return ttl !== 0 || df !== 0 || learning;
}

export function entrySpec(item: Item) {
  if (item.kind === "forwarding") {
    const { link: interfaceIndex, mac: linkAddress, remote: destination } = item;
    return { family: "bridge", interfaceIndex, linkAddress, destination } as const;
  }
  if (item.kind !== "neighbour") throw new Error(`bug: ${item.kind} among the neighbours`);
  const { link: interfaceIndex, address: destination, mac: linkAddress } = item;
  return { family: familyOf(destination), interfaceIndex, linkAddress, destination };
}

/** A forwarding entry goes whole: where it leads to is not said, as it may be a detour. */
export function goneEntrySpec(item: Item) {
  if (item.kind !== "forwarding") return entrySpec(item);
  const { link: interfaceIndex, mac: linkAddress } = item;
  return { family: "bridge", interfaceIndex, linkAddress } as const;
}

export function routeSpec(item: Item) {
  if (item.kind !== "route") throw new Error(`bug: ${item.kind} among the routes`);
  const { prefix, link, gateway } = item;
  // A link-local gateway needs no leave to be on the link, and the kernel grants IPv6 none.
  const onLink = gateway !== undefined && familyOf(gateway) === 4;
  return {
    destination: prefix,
    table: OVERLAY_TABLE,
    protocol: OVERLAY_PROTOCOL,
    interfaceIndex: link,
    ...(gateway === undefined ? {} : { gateway }),
    ...(onLink ? { flags: RouteFlag.ONLINK } : {}),
  };
}

/** IPv4 knows no route by an object under the way that it lists for it. */
export function goneRouteSpec(item: Item) {
  if (item.kind !== "route" || item.nextHopId === undefined) return routeSpec(item);
  const { prefix: destination, nextHopId } = item;
  return { destination, table: OVERLAY_TABLE, protocol: OVERLAY_PROTOCOL, nextHopId };
}

export function ruleSpec(item: Item) {
  if (item.kind !== "rule") throw new Error(`bug: ${item.kind} among the rules`);
  return {
    family: prefixFamily(item.from),
    from: item.from,
    table: OVERLAY_TABLE,
    priority: RULE_PRIORITY,
    protocol: OVERLAY_PROTOCOL,
    action: RuleAction.TO_TABLE,
  };
}

export function linkOf({
  index,
  name,
  flags,
  mtu,
  type,
  info,
  alias,
  linkAddress,
}: NetlinkLink): HostLink {
  const { vxlan, ipTunnel } = info ?? {};
  return {
    index,
    name,
    kind: info?.kind,
    mtu: mtu ?? 0,
    up: (flags & LinkFlag.UP) !== 0,
    loopback: type === LinkType.LOOPBACK,
    vrf: info?.kind === "vrf" || info?.portKind === "vrf",
    alias,
    mac: linkAddress,
    local: addressOrNone(vxlan?.local ?? vxlan?.local6 ?? ipTunnel?.local),
    remote: addressOrNone(ipTunnel?.remote),
    vni: vxlan?.id,
    port: vxlan?.port,
    tuned: info !== undefined && isTuned(info),
    unfit: ipTunnel !== undefined && !isPlain(info?.kind, ipTunnel),
  };
}

/** Whether a tunnel carries packets of its own family, and nothing is between the two headers. */
function isPlain(kind: string | undefined, { protocol = 0, encapsulation = 0 }: IpTunnel): boolean {
  const own = kind === "ipip" ? IpTunnelProtocol.IPV4 : IpTunnelProtocol.IPV6;
  return encapsulation === 0 && (protocol === IpTunnelProtocol.ANY || protocol === own);
}

/** The kernel writes an end that is not set as zeros. */
function addressOrNone(text: string | undefined): IpAddress | undefined {
  const address = text === undefined ? undefined : parseAddress(text);
  return address === "0.0.0.0" || address === "::" ? undefined : address;
}

/** None or one: what the kernel notes for itself is not permanent. */
export function entryOf(entry: Neighbour): HostItem[] {
  const { family, interfaceIndex: link, linkAddress: mac, destination, state } = entry;
  const address = destination === undefined ? undefined : parseAddress(destination);
  const permanent = (state & NeighbourState.PERMANENT) !== 0;
  if (!permanent || mac === undefined || address === undefined) return [];
  const item: Item =
    family === "bridge"
      ? { kind: "forwarding", link, mac, remote: address, ...detourOf(entry) }
      : { kind: "neighbour", link, address, mac };
  return [{ item, foreign: false }];
}

/**
 * Whether an event only repeats, without the remote end, what the device has just said of a
 * forwarding entry: kernels up to 6.13 send one for each request, whether it changed anything or
 * not (rtnl_fdb_notify). The device's own event has a type, RTN_UNICAST.
 */
export function isRepetition({ family, type, destination }: Neighbour): boolean {
  return family === "bridge" && type === 0 && destination === undefined;
}

/** The kernel tells what is not as the device has it. */
function detourOf({ port, vni, viaIndex }: Neighbour): { readonly detour?: true } {
  return port === undefined && vni === undefined && viaIndex === undefined ? {} : { detour: true };
}

/**
 * What an entry that is gone was, for its key: of a neighbour the kernel does not say any more what
 * it led to. Undefined when it cannot be told.
 */
export function goneEntryOf(entry: Neighbour): Item | undefined {
  const { family, interfaceIndex: link, linkAddress: mac = "", destination } = entry;
  const address = destination === undefined ? undefined : parseAddress(destination);
  if (family === "bridge" || address === undefined) return entryOf(entry)[0]?.item;
  return { kind: "neighbour", link, address, mac };
}

/** None or one: with another metric or TOS it stands in nobody's way. */
export function routeOf(route: Route): HostItem[] {
  const prefix = route.destination as Prefix;
  const metric = prefixFamily(prefix) === 4 ? 0 : IPV6_METRIC;
  if (route.tos !== 0 || (route.priority ?? 0) !== metric) return [];
  const { interfaceIndex: link = 0, gateway, protocol, type, nextHopId } = route;
  const odd = type === RouteType.UNICAST ? {} : ({ odd: true } as const);
  const item: Item = {
    kind: "route",
    prefix,
    link,
    gateway: gateway === undefined ? undefined : parseAddress(gateway),
    ...odd,
    ...(nextHopId === undefined ? {} : { nextHopId }),
  };
  return [{ item, foreign: protocol !== OVERLAY_PROTOCOL }];
}

/**
 * The rules that bear our mark and say what ours say and no more, of a listing in the kernel's
 * order; others may lead to the table as well. To take one away hits the first that says what is
 * named, whatever else that says: behind such a one ours cannot go, and counts as somebody else's.
 */
export function rulesOf(rules: readonly Rule[]): HostItem[] {
  const before = new Set<string>();
  const items: HostItem[] = [];
  for (const rule of rules) {
    const { family, from, table, protocol, priority, action, tos, flags, ...more } = rule;
    const marked =
      table === OVERLAY_TABLE &&
      protocol === OVERLAY_PROTOCOL &&
      priority === RULE_PRIORITY &&
      action === RuleAction.TO_TABLE;
    if (!marked || from === undefined) continue;
    if (tos !== 0 || flags !== 0 || Object.keys(more).length > 0) before.add(from);
    else items.push({ item: { kind: "rule", from: from as Prefix }, foreign: before.has(from) });
  }
  return items;
}
