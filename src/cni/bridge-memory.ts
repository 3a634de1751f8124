/**
 * kube-bridge as it was last seen, and what that says of the one that is there now. Two things are
 * kept for running pods, which nobody else does:
 *
 * - A bridge that was removed under them is made whole: its addresses, and the pods' ends that were
 *   its ports, with the hairpin mode that they had. One that is still there gets its gateways
 *   back: the kernel takes the IPv6 ones of a link that goes down; which they were when nobody
 *   looked, the CNI configuration says. Where a pod CIDR has another gateway by then, that is what
 *   somebody wants. One that went while its CIDR was not this node's comes back with the CIDR.
 * - The gateway of an earlier pod CIDR stays as long as a pod runs that may use it. The bridge
 *   plugin takes it away with the first pod of the new CIDR, so it is put back, behind the new one:
 *   there the plugin does not see it. It goes with the last of these pods, or when another Node has
 *   that CIDR now, whose pods it would be in the way of. While the Node has no other CIDR of that
 *   family, as where it was refused for another Node's sake, which may be that one's mistake,
 *   nothing is taken from pods: then it goes with the last of them, to make way for that Node. One
 *   that is removed by hand then stays away; one that went with the bridge is put back.
 *
 * Pure. Which pods use a gateway is not known; all that were ports when it first was out of place
 * may.
 */
import { familyOf, type IpAddress, isLinkLocal } from "../ip/address.ts";
import { type Prefix, prefixContains, prefixFamily } from "../ip/prefix.ts";
import type { Gateway } from "./gateways.ts";
import type { HostAddress, HostLink, HostLinks, LinkOperation } from "./host-links.ts";
import { FORMER_ADDRESSES_MAX } from "./limits.ts";

type BridgeAddress = Omit<HostAddress, "linkIndex">;

export interface BridgeMemory {
  readonly index: number;
  readonly ports: readonly { readonly index: number; readonly hairpin: boolean }[];
  /** Without link-local ones. */
  readonly addresses: readonly BridgeAddress[];
  /** Those in no pod CIDR of this node, with the ports of that moment; also while they are gone. */
  readonly former: readonly FormerAddress[];
}

export interface FormerAddress extends BridgeAddress {
  readonly ports: readonly number[];
}

/** What this node has now. */
export interface BridgeOwner {
  readonly podCidrs: readonly Prefix[];
  /** What the bridge gets with pods. */
  readonly gateways: readonly Gateway[];
  /** Addresses of the bridge that are in the pod CIDR of another Node. */
  readonly taken: readonly IpAddress[];
}

/** Ports and addresses that a bridge lost when it was removed and made again, or was down. */
export function restore(
  bridge: HostLink,
  host: HostLinks,
  { podCidrs, gateways }: BridgeOwner,
  memory: BridgeMemory | undefined,
): readonly LinkOperation[] {
  const { index: before = bridge.index, addresses = [], ports = [], former = [] } = memory ?? {};
  const pods = portsOf(bridge, host).length > 0;
  // Of a pod CIDR that was not ours for a while, and is again.
  const lost = former.filter((one) => {
    return isUsed(one, host) && !addresses.some((other) => isSame(one, other));
  });
  const seen = [...(before !== bridge.index || pods ? addresses : []), ...lost];
  // Not of IPv4: that one no link loses, and a second one would be in the bridge plugin's way.
  const told = pods ? gateways.filter(({ address }) => familyOf(address) === 6) : [];
  const operations: LinkOperation[] = [
    ...missing(seen, podCidrs, addressesOf(bridge, host)),
    ...missing(told, podCidrs, [...addressesOf(bridge, host), ...seen]),
  ].map((one) => ({ kind: "add-address", index: bridge.index, ...plain(one) }));
  for (const { index, hairpin } of ports) {
    const link = host.links.find((one) => one.index === index);
    if (before === bridge.index || link?.kind !== "veth") continue;
    if (link.masterIndex === 0) {
      operations.push({ kind: "set", index, change: { masterIndex: bridge.index } });
    } else if (link.masterIndex === bridge.index && hairpin && !link.hairpin) {
      operations.push({ kind: "set", index, change: { hairpin } });
    }
  }
  return operations;
}

/** Those of our pod CIDRs that have no address among `present`. */
function missing(
  addresses: readonly BridgeAddress[],
  podCidrs: readonly Prefix[],
  present: readonly BridgeAddress[],
): readonly BridgeAddress[] {
  return addresses.filter(({ address }) => {
    const cidr = podCidrs.find((one) => prefixContains(one, address));
    return cidr !== undefined && !present.some((one) => prefixContains(cidr, one.address));
  });
}

/** The addresses of earlier pod CIDRs that are on the bridge, or should be. */
export function formerAddresses(
  bridge: HostLink,
  host: HostLinks,
  { podCidrs }: BridgeOwner,
  memory: BridgeMemory | undefined,
): readonly FormerAddress[] {
  // While the Node has none, its plugins may go on making pods with what the bridge has.
  const grows = (one: FormerAddress) => podCidrs.length === 0 && hasAddress(host, bridge, one);
  const known = (memory?.former ?? []).filter((one) => !isOwn(one, podCidrs) && !grows(one));
  const ports = portsOf(bridge, host).map(({ index }) => index);
  const found = addressesOf(bridge, host)
    .filter((one) => !isOwn(one, podCidrs) && !known.some((other) => isSame(one, other)))
    .map((one) => ({ ...one, ports }));
  return [...known, ...found].slice(-FORMER_ADDRESSES_MAX);
}

/** Whether it is to stay: a pod may still use it, and nobody else does, or it has no other. */
export function isNeeded(
  former: FormerAddress,
  host: HostLinks,
  { podCidrs, taken }: Pick<BridgeOwner, "podCidrs" | "taken">,
): boolean {
  const isTaken = taken.includes(former.address);
  // Before the Node has any pod CIDR, nothing is out of place.
  if (podCidrs.length === 0 && !isTaken) return true;
  const family = familyOf(former.address);
  const isReplaced = podCidrs.some((cidr) => prefixFamily(cidr) === family);
  return isUsed(former, host) && !(isTaken && isReplaced);
}

/** Whether a pod runs that may use it. */
function isUsed({ ports }: FormerAddress, host: HostLinks): boolean {
  return host.links.some((link) => link.kind === "veth" && ports.includes(link.index));
}

/** What is to be done about them. */
export function keepFormer(
  bridge: HostLink,
  host: HostLinks,
  owner: BridgeOwner,
  former: readonly FormerAddress[],
  memory: BridgeMemory | undefined,
): readonly LinkOperation[] {
  const withBridge = memory !== undefined && memory.index !== bridge.index ? memory.addresses : [];
  return former.flatMap((one): readonly LinkOperation[] => {
    const needed = isNeeded(one, host, owner);
    if (needed === hasAddress(host, bridge, one)) return [];
    // It is kept, but nobody who removed it to make way for another Node is contradicted. With the
    // bridge it went by itself.
    const { podCidrs, taken } = owner;
    const went = withBridge.some((other) => isSame(one, other));
    const mayReturn = podCidrs.length > 0 || (went && isUsed(one, host));
    if (needed && (!mayReturn || taken.includes(one.address))) return [];
    const kind = needed ? "add-address" : "remove-address";
    return [{ kind, index: bridge.index, ...plain(one) }];
  });
}

export function remember(
  bridge: HostLink,
  host: HostLinks,
  former: readonly FormerAddress[],
): BridgeMemory {
  return {
    index: bridge.index,
    ports: portsOf(bridge, host).map(({ index, hairpin }) => ({ index, hairpin })),
    addresses: addressesOf(bridge, host),
    former,
  };
}

export function portsOf(bridge: HostLink, host: HostLinks): readonly HostLink[] {
  return host.links.filter((link) => link.masterIndex === bridge.index);
}

/** Of the bridge, without the link-local one that it gives itself. */
function addressesOf(bridge: HostLink, host: HostLinks): readonly BridgeAddress[] {
  return host.addresses
    .filter(({ linkIndex, address }) => linkIndex === bridge.index && !isLinkLocal(address))
    .map(plain);
}

function plain({ address, length }: BridgeAddress): BridgeAddress {
  return { address, length };
}

function isOwn({ address }: BridgeAddress, podCidrs: readonly Prefix[]): boolean {
  return podCidrs.some((cidr) => prefixContains(cidr, address));
}

function isSame(a: BridgeAddress, b: BridgeAddress): boolean {
  return a.address === b.address && a.length === b.length;
}

function hasAddress(host: HostLinks, bridge: HostLink, one: BridgeAddress): boolean {
  return host.addresses.some((other) => other.linkIndex === bridge.index && isSame(one, other));
}
