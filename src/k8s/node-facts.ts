/**
 * What follows from each Node alone, and all addresses and pod CIDR claims in order. Kept between
 * calls: when one of a thousand Nodes changes, its facts are computed and put into lists that are
 * sorted already.
 */
import { FAMILIES, familyOf, type IpAddress, type IpFamily } from "../ip/address.ts";
import { canBeNextHop } from "../ip/host-address.ts";
import type { NodeAddress, NodeSnapshot } from "./node-snapshot.ts";
import { type Claim, compareClaims, type NodeIp } from "./pod-cidr-claims.ts";
import { addressKey, prefixRange } from "./ranges.ts";

/** The address to use for a family; absent when the Node has none of it. */
export interface FamilyAddresses {
  readonly 4: IpAddress | undefined;
  readonly 6: IpAddress | undefined;
}

/** What follows from one snapshot alone. */
export interface NodeFacts {
  readonly node: NodeSnapshot;
  readonly primary: IpAddress | undefined;
  readonly nodeIps: FamilyAddresses;
  readonly families: readonly IpFamily[];
  readonly claims: readonly Claim[];
  readonly ips: readonly NodeIp[];
}

/** Facts of every Node of a cluster, sorted. The lists change in place. */
export class ClusterFacts {
  /** By Node name. */
  get all(): readonly NodeFacts[] {
    return this.#all;
  }

  /** By address, then Node name. */
  get ips(): readonly NodeIp[] {
    return this.#ips;
  }

  /** By address, larger network first, then Node name. */
  get claims(): readonly Claim[] {
    return this.#claims;
  }

  #all: NodeFacts[] = [];
  #ips: NodeIp[] = [];
  #claims: Claim[] = [];
  readonly #byName = new Map<string, NodeFacts>();

  of(name: string): NodeFacts | undefined {
    return this.#byName.get(name);
  }

  /** Takes over the Nodes as they are now. */
  update(nodes: ReadonlyMap<string, NodeSnapshot>): this {
    const gone = new Set<NodeSnapshot>();
    for (const { node } of this.#all) if (nodes.get(node.name) !== node) gone.add(node);
    const fresh: NodeFacts[] = [];
    for (const [name, node] of nodes) {
      if (this.#byName.get(name)?.node !== node) fresh.push(factsOf(node));
    }
    if (fresh.length === 0 && gone.size === 0) return this;
    for (const { name } of gone) this.#byName.delete(name);
    for (const facts of fresh) this.#byName.set(facts.node.name, facts);
    const claims = fresh.flatMap((facts) => facts.claims);
    const ips = fresh.flatMap((facts) => facts.ips);
    this.#all = changed(this.#all, gone, fresh, compareNames);
    this.#ips = changed(this.#ips, gone, ips, compareIps);
    this.#claims = changed(this.#claims, gone, claims, compareClaims);
    return this;
  }

  /** Takes one Node out. */
  remove(facts: NodeFacts): void {
    this.#byName.delete(facts.node.name);
    removeSorted(this.#all, facts, compareNames);
    for (const ip of facts.ips) removeSorted(this.#ips, ip, compareIps);
    for (const claim of facts.claims) removeSorted(this.#claims, claim, compareClaims);
  }

  /** Takes one Node in whose name is not there. */
  insert(facts: NodeFacts): void {
    this.#byName.set(facts.node.name, facts);
    insertSorted(this.#all, facts, compareNames);
    for (const ip of facts.ips) insertSorted(this.#ips, ip, compareIps);
    for (const claim of facts.claims) insertSorted(this.#claims, claim, compareClaims);
  }
}

/** How many of a sorted list come before the first that does not; `isBefore` says which do. */
export function countBefore<T>(sorted: readonly T[], isBefore: (item: T) => boolean): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBefore(sorted[middle]!)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function insertSorted<T>(sorted: T[], item: T, compare: (a: T, b: T) => number): void {
  const at = countBefore(sorted, (other) => compare(other, item) <= 0);
  sorted.splice(at, 0, item);
}

function removeSorted<T>(sorted: T[], item: T, compare: (a: T, b: T) => number): void {
  let at = countBefore(sorted, (other) => compare(other, item) < 0);
  // Equal ones are few: one Node that names an address twice.
  while (at < sorted.length && sorted[at] !== item) at++;
  if (at < sorted.length) sorted.splice(at, 1);
}

/** Up to so many, each is put where it belongs; more are sorted in together. */
const INSERTED_MAX = 8;

/** A sorted list without what is of Nodes that are gone, and with what is new. */
function changed<T extends { readonly node: NodeSnapshot }>(
  sorted: readonly T[],
  gone: ReadonlySet<NodeSnapshot>,
  fresh: readonly T[],
  compare: (a: T, b: T) => number,
): T[] {
  const list = gone.size === 0 ? [...sorted] : sorted.filter(({ node }) => !gone.has(node));
  if (fresh.length > INSERTED_MAX) return list.concat(fresh).sort(compare);
  for (const item of fresh) insertSorted(list, item, compare);
  return list;
}

/** What follows from one Node. */
export function factsOf(node: NodeSnapshot): NodeFacts {
  const primary = primaryAddress(node.addresses);
  const nodeIps: FamilyAddresses = {
    4: bestAddress(node.addresses, primary, 4),
    6: bestAddress(node.addresses, primary, 6),
  };
  return {
    node,
    primary,
    nodeIps,
    families: FAMILIES.filter((family) => nodeIps[family] !== undefined),
    claims: node.podCidrs.map((prefix) => ({ prefix, range: prefixRange(prefix), node })),
    ips: node.addresses.map(({ address }) => ({ address, key: addressKey(address), node })),
  };
}

/**
 * Where the session of `own` with `other` goes: to its primary address when both primary ones are
 * of one family, otherwise to its address of the first family that both have, IPv4 before IPv6, so
 * that each of the two finds the address that the other one comes from. Undefined when they have
 * none in common; what may be a NAT's does not count, nor what `isLost` to another Node.
 */
export function sessionAddress(
  own: NodeFacts,
  other: NodeFacts,
  isLost: (node: NodeSnapshot, address: IpAddress) => boolean = () => false,
): IpAddress | undefined {
  if (own.primary === undefined || other.primary === undefined) return undefined;
  if (familyOf(own.primary) === familyOf(other.primary)) return other.primary;
  const has = ({ node, nodeIps }: NodeFacts, family: IpFamily) => {
    const address = nodeIps[family];
    return address !== undefined && isOwnAddress(node, address) && !isLost(node, address);
  };
  const family = FAMILIES.find((one) => has(own, one) && has(other, one));
  return family === undefined ? undefined : other.nodeIps[family];
}

/** Whether the address is more to the Node than a NAT that it may share with others. */
export function isOwnAddress({ addresses }: NodeSnapshot, address: IpAddress): boolean {
  if (primaryAddress(addresses) === address) return true;
  return addresses.some((entry) => entry.address === address && entry.type === "InternalIP");
}

/** First InternalIP, otherwise first ExternalIP, of those that can be a next hop. */
export function primaryAddress(addresses: readonly NodeAddress[]): IpAddress | undefined {
  const usable = addresses.filter(({ address }) => canBeNextHop(address));
  return (usable.find(({ type }) => type === "InternalIP") ?? usable[0])?.address;
}

function bestAddress(
  addresses: readonly NodeAddress[],
  primary: IpAddress | undefined,
  family: IpFamily,
): IpAddress | undefined {
  if (primary !== undefined && familyOf(primary) === family) return primary;
  return primaryAddress(addresses.filter(({ address }) => familyOf(address) === family));
}

function compareIps(a: NodeIp, b: NodeIp): number {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1;
  return compareNames(a, b);
}

function compareNames(
  a: { readonly node: NodeSnapshot },
  b: { readonly node: NodeSnapshot },
): number {
  return a.node.name < b.node.name ? -1 : a.node.name > b.node.name ? 1 : 0;
}
