/**
 * The cluster as one agent sees it: itself, its peers, every pod CIDR and every Node address.
 * A pure function of the own name and all Nodes; contradictions between Nodes are settled here and
 * named. Whatever did not change since the last call keeps its identity (objects, lists, the whole
 * topology), so a caller compares with `===` and does nothing for a Node that does not concern it.
 *
 * Addresses are chosen as kube-router does: the primary address of a Node is its first InternalIP,
 * otherwise its first ExternalIP; for each family the primary when it has that family, otherwise
 * the first InternalIP, otherwise the first ExternalIP of it. Peering is by primary address; where
 * those of two Nodes are of different families, by a family that both have (sessionAddress), so
 * that Nodes stay peered while the order of their addresses is changed one Node after the other.
 */
import { familyOf, type IpAddress, type IpFamily } from "../ip/address.ts";
import { type Prefix, prefixFamily } from "../ip/prefix.ts";
import { sameList } from "../runtime/same-list.ts";
import {
  ClusterFacts,
  type FamilyAddresses,
  isOwnAddress,
  type NodeFacts,
  primaryAddress,
  sessionAddress,
} from "./node-facts.ts";
import type { NodeAddress, NodeSnapshot } from "./node-snapshot.ts";
import {
  type ClaimDecision,
  compareSeniority,
  decideClaims,
  type NodeIp,
} from "./pod-cidr-claims.ts";
import { type NodeProblem, nodeProblem, sameProblem } from "./problem.ts";

export interface SelfNode {
  readonly name: string;
  readonly uid: string;
  /** Undefined until the Node has an address. */
  readonly primaryAddress: IpAddress | undefined;
  readonly addresses: readonly NodeAddress[];
  readonly nodeIps: FamilyAddresses;
  /** Those that are ours after contradictions are settled, in Node order. */
  readonly podCidrs: readonly Prefix[];
  readonly annotations: ReadonlyMap<string, string>;
}

export interface PeerNode {
  readonly name: string;
  /** Where the session goes: mostly its primary address. */
  readonly address: IpAddress;
  readonly nodeIps: FamilyAddresses;
  readonly families: readonly IpFamily[];
  readonly podCidrs: readonly Prefix[];
  readonly annotations: ReadonlyMap<string, string>;
}

export interface Topology {
  /** Undefined while the own Node object does not exist. */
  readonly self: SelfNode | undefined;
  /** By name. Empty without an own address: there is nothing to peer from. */
  readonly peers: readonly PeerNode[];
  /** Pod CIDRs of all Nodes, the own included; IPv4 first, numeric. */
  readonly podSubnets: readonly Prefix[];
  /** InternalIPs and ExternalIPs of all Nodes, with or without pod CIDR; IPv4 first, numeric. */
  readonly nodeIps: readonly IpAddress[];
  /** By Node name. */
  readonly problems: readonly NodeProblem[];
}

/** What one agent remembers between calls; nothing in it changes an answer, only its identity. */
export class TopologyMemo {
  last: Topology | undefined = undefined;
  readonly peers = new Map<string, { readonly node: NodeSnapshot; readonly peer: PeerNode }>();
  self: { readonly node: NodeSnapshot; readonly self: SelfNode } | undefined = undefined;
  readonly facts = new ClusterFacts();
  /**
   * Whether no Node contradicts another one and the own one has an address: what follows from a
   * change of one Node then needs no look at all others, see topology-step.ts.
   */
  quiet = false;
}

/**
 * Computes the topology of `selfName`. Give the same memo each time: about 1 ms for 1,000 Nodes
 * of which one changed.
 */
export function topology(
  selfName: string,
  nodes: ReadonlyMap<string, NodeSnapshot>,
  memo: TopologyMemo = new TopologyMemo(),
): Topology {
  const { all, ips, claims } = memo.facts.update(nodes);
  const self = all.find((facts) => facts.node.name === selfName);
  const decision = decideClaims(claims, ips);
  const refused = refusedByNode(decision);
  const duplicates = duplicateAddresses(ips);
  const peering = peersOf(self, all, refused, duplicates, memo);
  const problems = [
    ...(self === undefined ? [ownNodeMissing(selfName)] : []),
    ...all.flatMap((facts) => ownProblems(facts, selfName)),
    ...decision.problems,
    ...duplicates.problems,
    ...peering.problems,
  ];
  const { harmless } = duplicates;
  memo.quiet = self?.primary !== undefined && decision.refused.length === 0 && harmless;
  return reuseTopology(memo, {
    self: self === undefined ? undefined : selfOf(self, refused, memo),
    peers: peering.peers,
    podSubnets: uniqueSorted(decision.accepted.map((claim) => claim.prefix)),
    nodeIps: uniqueSorted(ips.map((ip) => ip.address)),
    problems: problems.sort(compareProblems),
  });
}

function refusedByNode(decision: ClaimDecision): ReadonlyMap<NodeSnapshot, ReadonlySet<Prefix>> {
  const refused = new Map<NodeSnapshot, Set<Prefix>>();
  for (const { node, prefix } of decision.refused) {
    const prefixes = refused.get(node);
    if (prefixes === undefined) refused.set(node, new Set([prefix]));
    else prefixes.add(prefix);
  }
  return refused;
}

type Refused = ReturnType<typeof refusedByNode>;

function podCidrsOf(node: NodeSnapshot, refused: Refused): readonly Prefix[] {
  const prefixes = refused.get(node);
  if (prefixes === undefined) return node.podCidrs;
  return node.podCidrs.filter((prefix) => !prefixes.has(prefix));
}

function selfOf(facts: NodeFacts, refused: Refused, memo: TopologyMemo): SelfNode {
  const { node } = facts;
  const podCidrs = podCidrsOf(node, refused);
  const known = memo.self;
  if (known?.node === node && sameList(known.self.podCidrs, podCidrs)) {
    return known.self;
  }
  const self: SelfNode = {
    name: node.name,
    uid: node.uid,
    primaryAddress: facts.primary,
    addresses: node.addresses,
    nodeIps: facts.nodeIps,
    podCidrs,
    annotations: node.annotations,
  };
  memo.self = { node, self };
  return self;
}

function peersOf(
  self: NodeFacts | undefined,
  all: readonly NodeFacts[],
  refused: Refused,
  duplicates: DuplicateAddresses,
  memo: TopologyMemo,
): { readonly peers: PeerNode[]; readonly problems: NodeProblem[] } {
  const peers: PeerNode[] = [];
  const problems: NodeProblem[] = [];
  if (self?.primary === undefined) return { peers, problems };
  const isLost = (node: NodeSnapshot, address: IpAddress) =>
    (duplicates.owner.get(address) ?? node) !== node;
  for (const facts of all) {
    const { node, primary } = facts;
    if (node === self.node || primary === undefined) continue;
    if (primary === self.primary || isLost(node, primary)) continue;
    const address = sessionAddress(self, facts, isLost);
    if (address === undefined) {
      problems.push(familyMismatch(node, primary));
      continue;
    }
    peers.push(peerOf(facts, address, podCidrsOf(node, refused), memo));
  }
  if (memo.peers.size > peers.length) forgetPeers(memo, peers);
  return { peers, problems };
}

export function peerOf(
  facts: NodeFacts,
  address: IpAddress,
  podCidrs: readonly Prefix[],
  memo: TopologyMemo,
): PeerNode {
  const { node } = facts;
  const known = memo.peers.get(node.name);
  if (
    known?.node === node &&
    known.peer.address === address &&
    sameList(known.peer.podCidrs, podCidrs)
  ) {
    return known.peer;
  }
  const peer: PeerNode = {
    name: node.name,
    address,
    nodeIps: facts.nodeIps,
    families: facts.families,
    podCidrs,
    annotations: node.annotations,
  };
  memo.peers.set(node.name, { node, peer });
  return peer;
}

function forgetPeers(memo: TopologyMemo, peers: readonly PeerNode[]): void {
  const names = new Set(peers.map((peer) => peer.name));
  for (const name of memo.peers.keys()) if (!names.has(name)) memo.peers.delete(name);
}

interface DuplicateAddresses {
  /** Of each address that several Nodes have: the Node that is believed. */
  readonly owner: ReadonlyMap<IpAddress, NodeSnapshot>;
  readonly problems: readonly NodeProblem[];
  /** Whether all of them are ExternalIPs that nobody is peered by. */
  readonly harmless: boolean;
}

/**
 * Two Nodes with one address: the older one is believed. An ExternalIP that several Nodes share
 * behind a NAT is no problem unless a Node would be peered by it. `ips` are sorted, so that equal
 * addresses are neighbours.
 */
function duplicateAddresses(ips: readonly NodeIp[]): DuplicateAddresses {
  const owner = new Map<IpAddress, NodeSnapshot>();
  const problems: NodeProblem[] = [];
  let harmless = true;
  for (let start = 0, end = 1; start < ips.length; start = end++) {
    const { address } = ips[start]!;
    while (ips[end]?.address === address) end++;
    if (end - start === 1) continue;
    const nodes = [...new Set(ips.slice(start, end).map((ip) => ip.node))].sort(compareSeniority);
    const winner = nodes.shift()!;
    if (nodes.length === 0) continue;
    owner.set(address, winner);
    harmless &&= !isOwnAddress(winner, address);
    for (const node of nodes) {
      if (!isOwnAddress(node, address)) continue;
      harmless = false;
      const primary = primaryAddress(node.addresses) === address;
      problems.push(duplicateProblem(node, address, winner, primary));
    }
  }
  return { owner, problems, harmless };
}

function duplicateProblem(
  node: NodeSnapshot,
  address: IpAddress,
  winner: NodeSnapshot,
  primary: boolean,
): NodeProblem {
  return nodeProblem({
    severity: primary ? "error" : "warning",
    code: "address-duplicate",
    node: node.name,
    field: "address",
    value: address,
    text:
      `is also an address of Node ${winner.name}, which was created first` +
      (primary ? "; this Node is not peered with" : ""),
  });
}

export function familyMismatch(node: NodeSnapshot, primary: IpAddress): NodeProblem {
  return nodeProblem({
    severity: "warning",
    code: "family-mismatch",
    node: node.name,
    field: "primary address",
    value: primary,
    text:
      `is IPv${familyOf(primary)}, that of this Node is not, and they have no other family in ` +
      "common: they are not peered",
  });
}

function ownNodeMissing(selfName: string): NodeProblem {
  return nodeProblem({
    severity: "error",
    code: "own-node-missing",
    node: selfName,
    text:
      "is this agent's own Node and does not exist: nothing is announced and nobody is peered " +
      "(its name comes from --hostname-override, NODE_NAME or the host name)",
  });
}

/** What is wrong with one Node by itself. */
export function ownProblems(facts: NodeFacts, selfName: string): NodeProblem[] {
  const { node, primary } = facts;
  const problems = [...node.problems];
  const severity = "info";
  const isOwn = node.name === selfName;
  const own = isOwn ? " (this agent's own)" : "";
  if (primary === undefined) {
    const text = `has no usable InternalIP or ExternalIP yet${own}`;
    problems.push(nodeProblem({ severity, code: "address-missing", node: node.name, text }));
  }
  // Its own agent says it: in a cluster of such Nodes each would have as many to say as there are,
  // and of every new Node all would say it until it has one.
  if (isOwn && node.podCidrs.length === 0) {
    const text = `has no usable pod CIDR yet${own}`;
    problems.push(nodeProblem({ severity, code: "pod-cidr-missing", node: node.name, text }));
  }
  if (isOwn && primary !== undefined) problems.push(...unannounced(facts));
  return problems;
}

/** Pods have addresses there, and nobody else hears of them. */
function unannounced({ node, nodeIps }: NodeFacts): NodeProblem[] {
  const lacking = node.podCidrs.filter((prefix) => nodeIps[prefixFamily(prefix)] === undefined);
  return lacking.map((value) => {
    const family = `IPv${prefixFamily(value)}`;
    return nodeProblem({
      severity: "warning",
      code: "pod-cidr-unannounced",
      node: node.name,
      field: "pod CIDR",
      value,
      text:
        `is announced to nobody: this Node (this agent's own) has no ${family} address for a ` +
        `next hop, so its pods are not reached by ${family} from other Nodes`,
    });
  });
}

export function compareProblems(a: NodeProblem, b: NodeProblem): number {
  const x = a.node ?? "";
  const y = b.node ?? "";
  return x < y ? -1 : x > y ? 1 : 0;
}

/** Drops repetitions from a sorted list. */
export function uniqueSorted<T>(sorted: readonly T[]): T[] {
  return sorted.filter((item, i) => i === 0 || item !== sorted[i - 1]);
}

function reuseTopology(memo: TopologyMemo, fresh: Topology): Topology {
  const last = memo.last;
  if (last === undefined) {
    memo.last = fresh;
    return fresh;
  }
  const problems = fresh.problems.map((problem, i) => {
    const known = last.problems[i];
    return known !== undefined && sameProblem(known, problem) ? known : problem;
  });
  const kept: Topology = {
    self: fresh.self,
    peers: reuseList(last.peers, fresh.peers),
    podSubnets: reuseList(last.podSubnets, fresh.podSubnets),
    nodeIps: reuseList(last.nodeIps, fresh.nodeIps),
    problems: reuseList(last.problems, problems),
  };
  memo.last = sameTopology(kept, last) ? last : kept;
  return memo.last;
}

/** Whether all parts are the same objects. */
export function sameTopology(a: Topology, b: Topology): boolean {
  return (Object.keys(a) as (keyof Topology)[]).every((key) => a[key] === b[key]);
}

function reuseList<T>(known: readonly T[], fresh: readonly T[]): readonly T[] {
  return sameList(known, fresh) ? known : fresh;
}
