/**
 * What is never installed, whoever announces it. A wrong pod CIDR on a Node, or a peer that leaks,
 * must not be able to cut this machine off: the node network carries BGP, the API server and the
 * administrator's shell.
 *
 * Refused are: a default route; whatever overlaps addresses that are not routed (loopback,
 * multicast, link-local, broadcast); whatever covers the next hop itself, an address of this
 * machine, a protected one (all Node addresses) or a neighbour's (see neighbours.ts); our own pod
 * CIDRs and parts of them. A larger prefix that holds our pod CIDRs, such as a router's aggregate,
 * is allowed: our own are more specific. For the same reason addresses inside our pod CIDRs (the
 * bridge's) are not counted. Pods stay where they are when the Node has got another pod CIDR, or
 * has lost its own to another Node: what is on their interface is ours until the last has gone.
 */
import { addressBytes, familyOf, type IpAddress } from "../ip/address.ts";
import { type Prefix, prefix, prefixFromBytes } from "../ip/prefix.ts";
import type { PrefixBatch } from "../ip/prefix-batch.ts";
import { sameList } from "../runtime/same-list.ts";
import type { Neighbour, Neighbours } from "./neighbours.ts";
import { QuickGuards } from "./quick-guards.ts";
import {
  AddressIndex,
  type AddressRange,
  addressNumber,
  rangeCovers,
  rangeOf,
  rangesOverlap,
} from "./ranges.ts";
import type { AddressWords } from "./sorted-addresses.ts";

/** Given by the agent; changes with the Nodes and the configuration. */
export interface GuardSettings {
  /** Every address of every Node. */
  readonly protectedAddresses: readonly IpAddress[];
  readonly ownPodCidrs: readonly Prefix[];
  /** Interface of this node's pods: what is on it counts like a pod CIDR of ours. */
  readonly podLink?: string;
  /** Peers that the configuration names; they count while they are on a link of this machine. */
  readonly peers?: readonly IpAddress[];
}

export type GuardRefusal =
  | { readonly reason: "default-route" }
  | { readonly reason: "not-routable"; readonly what: string }
  | { readonly reason: "covers-node-address"; readonly address: IpAddress }
  | { readonly reason: "covers-neighbour"; readonly what: Neighbour; readonly address: IpAddress }
  | { readonly reason: "covers-next-hop"; readonly address: IpAddress }
  | { readonly reason: "own-pod-cidr"; readonly podCidr: Prefix }
  | { readonly reason: "own-pods"; readonly subnet: Prefix };

/** Of so many addresses that come or go, the prefixes around them are looked at one by one. */
const ADDRESSES_CHANGED_MAX = 16;

/**
 * Every prefix of which the guards say, or may say, something else after the change: of a Node
 * that comes or goes those around its addresses, not all that there are. `changed`: all protected
 * addresses that may have come or gone, while nothing else changed; left out, it is found out.
 */
export function guardedOtherwise(
  before: GuardSettings,
  after: GuardSettings,
  changed: Iterable<IpAddress> = changedAddresses(before, after),
): readonly Prefix[] | "all" {
  if (!sameList(before.ownPodCidrs, after.ownPodCidrs)) return "all";
  const addresses = [...changed];
  return addresses.length > ADDRESSES_CHANGED_MAX ? "all" : addresses.flatMap(prefixesAround);
}

function changedAddresses(before: GuardSettings, after: GuardSettings): Iterable<IpAddress> {
  return new Set([
    ...differing(before.protectedAddresses, after.protectedAddresses),
    ...differing(before.peers ?? [], after.peers ?? []),
  ]);
}

/** What only one of the lists has. */
function differing(before: readonly IpAddress[], after: readonly IpAddress[]): Iterable<IpAddress> {
  if (sameList(before, after)) return [];
  const differs = new Set(after);
  for (const address of before) if (!differs.delete(address)) differs.add(address);
  return differs;
}

/** The prefixes of each length that hold the address. */
function prefixesAround(address: IpAddress): Prefix[] {
  const bytes = addressBytes(address);
  const prefixes: Prefix[] = [];
  for (let length = bytes.length * 8; length >= 0; length--) {
    prefixes.push(prefixFromBytes(bytes, length));
  }
  return prefixes;
}

/**
 * RFC 6890 and RFC 4291: what no peer can be the way to. 240.0.0.0/4 is not among it: Linux
 * forwards it, and some sites have their pods there, as k8s/ranges.ts allows.
 */
const NOT_ROUTABLE = {
  4: [
    reserved("0.0.0.0/8", "this network"),
    reserved("127.0.0.0/8", "loopback"),
    reserved("169.254.0.0/16", "link-local"),
    reserved("224.0.0.0/4", "multicast"),
    reserved("255.255.255.255/32", "broadcast"),
  ],
  6: [
    reserved("::/128", "unspecified"),
    reserved("::1/128", "loopback"),
    reserved("::ffff:0:0/96", "IPv4-mapped"),
    reserved("fe80::/10", "link-local"),
    reserved("ff00::/8", "multicast"),
  ],
} as const;

function reserved(text: string, what: string) {
  const reservedPrefix = prefix(text);
  return { prefix: reservedPrefix, range: rangeOf(reservedPrefix), what };
}

function ofOwn(prefix: Prefix, refusal: GuardRefusal) {
  return { range: rangeOf(prefix), refusal };
}

const NOT_ROUTABLE_PREFIXES = [...NOT_ROUTABLE[4], ...NOT_ROUTABLE[6]].map((each) => each.prefix);

export class Guards {
  readonly #protected: AddressIndex;
  readonly #nextHops = new Map<IpAddress, AddressRange>();
  readonly #own: readonly { readonly range: AddressRange; readonly refusal: GuardRefusal }[];
  readonly #quick: QuickGuards;
  /** Of this machine, which are protected whoever else has them. */
  readonly #local = new Set<IpAddress>();
  readonly #neighbours = new Map<IpAddress, Neighbour>();
  readonly #neighbourIndex = new AddressIndex([]);

  constructor(
    settings: GuardSettings,
    localAddresses: Iterable<IpAddress>,
    neighbours: Neighbours = new Map(),
    podSubnets: readonly Prefix[] = [],
  ) {
    const { ownPodCidrs } = settings;
    const others = podSubnets.filter((subnet) => !ownPodCidrs.includes(subnet));
    this.#own = [
      ...ownPodCidrs.map((podCidr) => ofOwn(podCidr, { reason: "own-pod-cidr", podCidr })),
      ...others.map((subnet) => ofOwn(subnet, { reason: "own-pods", subnet })),
    ];
    for (const address of localAddresses) {
      if (this.#counts(address)) this.#local.add(address);
    }
    const counted = new Set([...settings.protectedAddresses, ...this.#local]);
    this.#protected = new AddressIndex(counted);
    this.#quick = new QuickGuards(NOT_ROUTABLE_PREFIXES, [...ownPodCidrs, ...others], counted);
    for (const [address, what] of neighbours) this.#meet(address, what);
  }

  /** Of protected addresses that may have come or gone: whether each is one now. */
  protect(changed: ReadonlyMap<IpAddress, boolean>): void {
    for (const [address, there] of changed) {
      if (this.#local.has(address)) continue;
      this.#protected.put(address, there);
      if (!this.#neighbours.has(address)) this.#quick.protect(address, there);
    }
  }

  /** Takes in a neighbour. The prefixes of which the guards may say something else from now on. */
  meet(address: IpAddress, what: Neighbour): readonly Prefix[] {
    return this.#meet(address, what) ? prefixesAround(address) : [];
  }

  #meet(address: IpAddress, what: Neighbour): boolean {
    if (this.#neighbours.has(address) || !this.#counts(address)) return false;
    this.#neighbours.set(address, what);
    this.#neighbourIndex.put(address, true);
    this.#quick.protect(address, true);
    return true;
  }

  /**
   * Whether {@link refusal} has nothing to say of row `row` of the batch, by number; `nextHops` are
   * of its family.
   */
  allows(prefixes: PrefixBatch, row: number, nextHops: AddressWords): boolean {
    return this.#quick.allows(prefixes, row, nextHops);
  }

  /** Why the route must not be installed, or undefined when it may. */
  refusal(destination: Prefix, nextHops: readonly IpAddress[]): GuardRefusal | undefined {
    if (destination.endsWith("/0")) return { reason: "default-route" };
    const range = rangeOf(destination);
    for (const { range: bad, what } of NOT_ROUTABLE[range.family]) {
      if (rangesOverlap(range, bad)) return { reason: "not-routable", what };
    }
    for (const { range: own, refusal } of this.#own) {
      if (rangeCovers(own, range)) return refusal;
    }
    for (const nextHop of nextHops) {
      if (rangeCovers(range, this.#rangeOfNextHop(nextHop))) {
        return { reason: "covers-next-hop", address: nextHop };
      }
    }
    const address = this.#protected.lowestIn(range);
    if (address !== undefined) return { reason: "covers-node-address", address };
    const neighbour = this.#neighbourIndex.lowestIn(range);
    if (neighbour === undefined) return undefined;
    const what = this.#neighbours.get(neighbour)!;
    return { reason: "covers-neighbour", what, address: neighbour };
  }

  /** Next hops are few, prefixes many. */
  #rangeOfNextHop(nextHop: IpAddress): AddressRange {
    let range = this.#nextHops.get(nextHop);
    if (range === undefined) {
      range = rangeOfAddress(nextHop);
      this.#nextHops.set(nextHop, range);
    }
    return range;
  }

  /** Whether a larger prefix around it would take it away. */
  #counts(address: IpAddress): boolean {
    const range = rangeOfAddress(address);
    if (NOT_ROUTABLE[range.family].some((bad) => rangesOverlap(range, bad.range))) return false;
    return !this.#own.some((own) => rangeCovers(own.range, range));
  }
}

/** One sentence part: `covers node address 192.168.50.50`. */
export function describeRefusal(refusal: GuardRefusal): string {
  switch (refusal.reason) {
    case "default-route":
      return "a default route is never installed";
    case "not-routable":
      return `it overlaps ${refusal.what} addresses`;
    case "covers-node-address":
      return `it covers the node address ${refusal.address}`;
    case "covers-neighbour":
      return `it covers the ${refusal.what} ${refusal.address}, which is on a link of this machine`;
    case "covers-next-hop":
      return `it covers its own next hop ${refusal.address}`;
    case "own-pod-cidr":
      return `it lies in this node's own pod CIDR ${refusal.podCidr}`;
    case "own-pods":
      return `it lies in ${refusal.subnet}, which the interface of this node's pods has`;
  }
}

function rangeOfAddress(address: IpAddress): AddressRange {
  const number = addressNumber(address);
  return { family: familyOf(address), first: number, last: number };
}
