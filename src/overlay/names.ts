/**
 * Names, MACs and gateways that follow from node addresses, so that every node finds the same ones
 * without asking. IPv4 addresses fit into all of them whole, and so never collide.
 *
 *   VXLAN   one device a family, podrouter-vx4 and podrouter-vx6, whatever the number of nodes
 *           MAC: 0e:58 and the IPv4 address, or 0e and 40 bits of the IPv6 address's SHA-256
 *           gateway: the node's address (IPv4); the link-local address of its MAC (IPv6, because
 *           the kernel takes no gateway on a link that another route speaks of)
 *   IPIP    a device a node: tun-0a000210 is 10.0.2.10; tun6- and 40 bits of SHA-256 for IPv6.
 *           kube-router's names are tun- and 11 digits, so that the two are told apart
 */
import { createHash } from "node:crypto";
import {
  addressBytes,
  familyOf,
  type IpAddress,
  type IpFamily,
  parseAddress,
} from "../ip/address.ts";
import { DEVICE_ALIAS, type DeviceKind, type HostLink, type OverlayEncap } from "./types.ts";

/** Hexadecimal digits of SHA-256 that stand for an IPv6 address. */
const HASH_DIGITS = 10;

const VXLAN_NAMES: Readonly<Record<IpFamily, string>> = {
  4: "podrouter-vx4",
  6: "podrouter-vx6",
};
const TUNNEL_NAME = /^tun-[0-9a-f]{8}$|^tun6-[0-9a-f]{10}$/;

export function deviceKind(encap: OverlayEncap, family: IpFamily): DeviceKind {
  if (encap === "vxlan") return "vxlan";
  return family === 4 ? "ipip" : "ip6tnl";
}

/** Of ours, and of those of others that are used by us or in our way. */
export function isTunnelKind(kind: string | undefined): boolean {
  return kind === "vxlan" || kind === "ipip" || kind === "ip6tnl";
}

export function vxlanName(family: IpFamily): string {
  return VXLAN_NAMES[family];
}

/** Of the IP in IP device that leads to a node. */
export function tunnelName(remote: IpAddress): string {
  return familyOf(remote) === 4 ? `tun-${hex(remote)}` : `tun6-${hashed(remote)}`;
}

/** Of the VXLAN device of the node with that address. */
export function vtepMac(node: IpAddress): string {
  const digits = familyOf(node) === 4 ? `0e58${hex(node)}` : `0e${hashed(node)}`;
  return (digits.match(/../g) ?? []).join(":");
}

/** What routes to a node have as their gateway on the VXLAN device. */
export function vtepGateway(node: IpAddress): IpAddress {
  if (familyOf(node) === 4) return node;
  const [a = "", b = "", c = "", d = "", e = "", f = ""] = vtepMac(node).split(":");
  // RFC 4291 appendix A: the universal bit is turned, ff:fe goes into the middle.
  const first = (Number.parseInt(a, 16) ^ 2).toString(16);
  const address = parseAddress(`fe80::${first}${b}:${c}ff:fe${d}:${e}${f}`);
  if (address === undefined) throw new Error("bug: a link-local address that is none");
  return address;
}

/** Bytes that a tunnel takes from each packet. */
export function overheadBytes(encap: OverlayEncap, family: IpFamily): number {
  const outer = family === 4 ? 20 : 40;
  // VXLAN (RFC 7348 §5): UDP 8, VXLAN 8, the inner Ethernet header 14.
  return encap === "vxlan" ? outer + 30 : outer;
}

/**
 * Whether a device is ours: it has a name that we give, the kind that goes with it, and either our
 * alias or what makes up the name (so that one whose maker died before the alias was set counts).
 */
export function isOurDevice(link: HostLink): boolean {
  const { name, kind, alias, local, remote, mac } = link;
  const marked = alias === DEVICE_ALIAS;
  if (kind === "vxlan") {
    const named = name === VXLAN_NAMES[4] || name === VXLAN_NAMES[6];
    return named && (marked || (local !== undefined && mac === vtepMac(local)));
  }
  if (!isTunnelKind(kind)) return false;
  const derived = remote !== undefined && name === tunnelName(remote);
  return TUNNEL_NAME.test(name) && (marked || derived);
}

function hex(address: IpAddress): string {
  return Buffer.from(addressBytes(address)).toString("hex");
}

function hashed(address: IpAddress): string {
  return createHash("sha256").update(addressBytes(address)).digest("hex").slice(0, HASH_DIGITS);
}
