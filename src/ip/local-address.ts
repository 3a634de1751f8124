/** Addresses of the machine's interfaces, as they stand in the kernel. */
import { addressBytes, type IpAddress, isLinkLocal, parseAddress } from "./address.ts";
import {
  hostPrefix,
  isPrefix,
  type Prefix,
  parsePrefix,
  prefix,
  prefixAddress,
  prefixContains,
  prefixFromBytes,
  prefixLength,
} from "./prefix.ts";

export interface LocalAddress {
  readonly link: number;
  readonly address: IpAddress;
  /** What is on the link according to this address; on a point-to-point link that of the peer. */
  readonly subnet: Prefix;
  /** Not to be used yet: whether another machine has it is being found out, RFC 4862 §5.4. */
  readonly tentative?: boolean;
  /** The address itself names no subnet; it is a router's word: {@link withAnnounced}. */
  readonly announced?: true;
}

/**
 * Subnets of local addresses that lead to no next hop: one there would name no interface, or is
 * this machine.
 */
export const UNCOUNTED_SUBNETS: readonly Prefix[] = [
  "fe80::/10",
  "169.254.0.0/16",
  "127.0.0.0/8",
  "::1/128",
].map(prefix);

/** A prefix that is on a link because a router there says so, RFC 4861 §6.3.4. */
export interface OnLinkPrefix {
  readonly link: number;
  readonly prefix: Prefix;
}

/** None or one, from the kernel's texts: `address` is `192.0.2.1/24`, `peer` has no length. */
export function localAddressOf({
  interfaceIndex,
  address,
  peer,
  tentative,
}: {
  readonly interfaceIndex: number;
  readonly address: string;
  readonly peer?: string | undefined;
  readonly tentative?: boolean;
}): LocalAddress[] {
  const slash = address.indexOf("/");
  const own = parseAddress(address.slice(0, slash));
  const onLink = peer === undefined ? own : parseAddress(peer);
  if (own === undefined || onLink === undefined) return [];
  const subnet = prefixFromBytes(addressBytes(onLink), Number(address.slice(slash + 1)));
  const local = { link: interfaceIndex, address: own, subnet };
  return [tentative === true ? { ...local, tentative } : local];
}

/**
 * Who keeps such prefixes as routes: the kernel, or what reads routers' messages in its place
 * (systemd-networkd, NetworkManager). linux/rtnetlink.h RTPROT_KERNEL and RTPROT_RA.
 */
const ANNOUNCED_PROTOCOLS: readonly number[] = [2, 9];
/** RTN_UNICAST. */
const UNICAST = 1;

/** A route of the main table in the kernel's words. */
export interface MainRoute {
  readonly destination: string;
  readonly protocol: number;
  readonly type: number;
  readonly interfaceIndex?: number;
  readonly gateway?: string;
  readonly nextHops?: readonly unknown[];
}

/** None or one. */
export function onLinkPrefixOf(route: MainRoute): OnLinkPrefix[] {
  const { destination, interfaceIndex: link, gateway, nextHops, protocol, type } = route;
  if (!destination.includes(":") || !ANNOUNCED_PROTOCOLS.includes(protocol)) return [];
  if (link === undefined || gateway !== undefined || nextHops !== undefined) return [];
  const prefix = parsePrefix(destination);
  if (type !== UNICAST || !isPrefix(prefix) || isLinkLocal(prefixAddress(prefix))) return [];
  return prefixLength(prefix) % 128 === 0 ? [] : [{ link, prefix }];
}

/**
 * Whether an address says nothing of what is on its link, as one of DHCPv6 does (RFC 5942). ::1,
 * which every machine has, is on no link that a router speaks of.
 */
export function isBare({ address, subnet, announced }: LocalAddress): boolean {
  if (announced === true) return true;
  return address.includes(":") && address !== "::1" && subnet === hostPrefix(address);
}

/** The addresses, those that are bare with the longest prefix around them that is on their link. */
export function withAnnounced(
  addresses: readonly LocalAddress[],
  prefixes: readonly OnLinkPrefix[],
): LocalAddress[] {
  return addresses.map((one) => {
    if (!isBare(one)) return one;
    const around = prefixes
      .filter(({ link, prefix }) => link === one.link && prefixContains(prefix, one.address))
      .map(({ prefix }) => prefix)
      .sort((a, b) => prefixLength(b) - prefixLength(a));
    return around[0] === undefined ? one : { ...one, subnet: around[0], announced: true };
  });
}

/**
 * As {@link withAnnounced}, with what `list` gives: the IPv6 routes of the main table that are of
 * one protocol. It is asked only where an address is bare: the kernel goes through all its routes.
 */
export async function askAnnounced(
  addresses: readonly LocalAddress[],
  list: (protocol: number) => Promise<readonly MainRoute[]>,
): Promise<readonly LocalAddress[]> {
  if (!addresses.some(isBare)) return addresses;
  const prefixes: OnLinkPrefix[] = [];
  for (const protocol of ANNOUNCED_PROTOCOLS) {
    prefixes.push(...(await list(protocol)).flatMap(onLinkPrefixOf));
  }
  return withAnnounced(addresses, prefixes);
}
