/**
 * What follows from each Node alone, and all addresses and pod CIDR claims in order. Kept between
 * calls: when one of a thousand Nodes changes, its facts are computed and merged into lists that
 * are sorted already.
 */
import { familyOf, type IpAddress, type IpFamily } from "../ip/address.ts";
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

/** Facts of every Node of a cluster, sorted. */
export class ClusterFacts {
  /** By Node name. */
  all: readonly NodeFacts[] = [];
  /** By address, then Node name. */
  ips: readonly NodeIp[] = [];
  /** By address, larger network first, then Node name. */
  claims: readonly Claim[] = [];

  /** Takes over the Nodes as they are now. */
  update(nodes: ReadonlyMap<string, NodeSnapshot>): this {
    const kept = new Set<NodeSnapshot>();
    const stays = (item: { readonly node: NodeSnapshot }) => kept.has(item.node);
    for (const { node } of this.all) if (nodes.get(node.name) === node) kept.add(node);
    const fresh: NodeFacts[] = [];
    for (const node of nodes.values()) if (!kept.has(node)) fresh.push(factsOf(node));
    if (fresh.length === 0 && kept.size === this.all.length) return this;
    const ips = fresh.flatMap((facts) => facts.ips);
    const claims = fresh.flatMap((facts) => facts.claims);
    // Two sorted runs: the sort finds them and merges in linear time.
    this.all = [...this.all.filter(stays), ...fresh.sort(compareNames)].sort(compareNames);
    this.ips = [...this.ips.filter(stays), ...ips.sort(compareIps)].sort(compareIps);
    this.claims = [...this.claims.filter(stays), ...claims.sort(compareClaims)].sort(compareClaims);
    return this;
  }
}

function factsOf(node: NodeSnapshot): NodeFacts {
  const primary = primaryAddress(node.addresses);
  const nodeIps: FamilyAddresses = {
    4: bestAddress(node.addresses, primary, 4),
    6: bestAddress(node.addresses, primary, 6),
  };
  return {
    node,
    primary,
    nodeIps,
    families: ([4, 6] as const).filter((family) => nodeIps[family] !== undefined),
    claims: node.podCidrs.map((prefix) => ({ prefix, range: prefixRange(prefix), node })),
    ips: node.addresses.map(({ address }) => ({ address, key: addressKey(address), node })),
  };
}

/** First InternalIP, otherwise first ExternalIP. */
export function primaryAddress(addresses: readonly NodeAddress[]): IpAddress | undefined {
  return (addresses.find(({ type }) => type === "InternalIP") ?? addresses[0])?.address;
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
