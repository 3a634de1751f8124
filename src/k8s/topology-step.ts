/**
 * The topology after a change of few Nodes, for the cost of these few. Pure.
 *
 * topology.ts says what a topology is; this is the same answer with less work, and only where no
 * Node contradicts another one, before and after: everything then follows from each Node alone and
 * from the own one. In all other cases (a contest, a change of the own Node, many Nodes at once)
 * the whole is computed. `topology-step.property.test.ts` holds one against the other.
 *
 * The lists of a topology are written anew where they change: eight octets an entry, no look at it.
 */
import type { IpAddress } from "../ip/address.ts";
import type { Prefix } from "../ip/prefix.ts";
import { sameList } from "../runtime/same-list.ts";
import {
  type ClusterFacts,
  countBefore,
  factsOf,
  isOwnAddress,
  type NodeFacts,
  sessionAddress,
} from "./node-facts.ts";
import type { NodeSnapshot } from "./node-snapshot.ts";
import type { NodeIp } from "./pod-cidr-claims.ts";
import { type NodeProblem, sameProblem } from "./problem.ts";
import { type AddressRange, rangeContains } from "./ranges.ts";
import {
  compareProblems,
  familyMismatch,
  ownProblems,
  type PeerNode,
  peerOf,
  sameTopology,
  type Topology,
  type TopologyMemo,
  topology,
  uniqueSorted,
} from "./topology.ts";

/**
 * What is so now of all that may have been otherwise before: to be looked at again, by key. Of two
 * changes in a row the later one counts, key by key: {@link bothChanges}.
 */
export interface TopologyChange {
  /** By Node name; undefined = no peer. */
  readonly peers: ReadonlyMap<string, PeerNode | undefined>;
  /** Whether it is one now. */
  readonly podSubnets: ReadonlyMap<Prefix, boolean>;
  readonly nodeIps: ReadonlyMap<IpAddress, boolean>;
}

export interface FollowedTopology {
  readonly topology: Topology;
  /** Against the topology before; "all": it is not known what. */
  readonly change: TopologyChange | "all";
}

export const NO_CHANGE: TopologyChange = {
  peers: new Map(),
  podSubnets: new Map(),
  nodeIps: new Map(),
};

/** Beyond: the whole is computed. */
const NODES_AT_ONCE_MAX = 64;

/** `changed` = names of all Nodes that may differ from those of the last call; undefined = any. */
export function followTopology(
  selfName: string,
  nodes: ReadonlyMap<string, NodeSnapshot>,
  changed: ReadonlySet<string> | undefined,
  memo: TopologyMemo,
): FollowedTopology {
  const last = memo.last;
  const few = changed !== undefined && changed.size <= NODES_AT_ONCE_MAX;
  if (few && last !== undefined && memo.quiet && !changed.has(selfName)) {
    const step = new Step(selfName, last, memo);
    if (step.take(nodes, changed)) return step.finish();
  }
  const whole = topology(selfName, nodes, memo);
  return { topology: whole, change: whole === last ? NO_CHANGE : "all" };
}

/** What both say, `later` after `earlier`. */
export function bothChanges(
  earlier: TopologyChange | "all",
  later: TopologyChange | "all",
): TopologyChange | "all" {
  if (earlier === NO_CHANGE || later === "all") return later;
  if (earlier === "all" || later === NO_CHANGE) return earlier;
  return {
    peers: new Map([...earlier.peers, ...later.peers]),
    podSubnets: new Map([...earlier.podSubnets, ...later.podSubnets]),
    nodeIps: new Map([...earlier.nodeIps, ...later.nodeIps]),
  };
}

/** Pod CIDRs that some Node had before and none has after what changed in between. */
export function goneSubnets(
  change: TopologyChange | "all",
  before: Topology | undefined,
  after: Topology,
): readonly Prefix[] {
  if (change !== "all") {
    return [...change.podSubnets].flatMap(([prefix, there]) => (there ? [] : [prefix]));
  }
  if (before === undefined || before.podSubnets === after.podSubnets) return [];
  const left = new Set(after.podSubnets);
  return before.podSubnets.filter((prefix) => !left.has(prefix));
}

class Step {
  readonly #selfName: string;
  readonly #last: Topology;
  readonly #memo: TopologyMemo;
  readonly #facts: ClusterFacts;
  readonly #peers = new Map<string, PeerNode | undefined>();
  readonly #podSubnets = new Map<Prefix, boolean>();
  readonly #nodeIps = new Map<IpAddress, boolean>();
  /** Of the Nodes that changed, by name: what is wrong with them now. */
  readonly #problems = new Map<string, readonly NodeProblem[]>();

  constructor(selfName: string, last: Topology, memo: TopologyMemo) {
    this.#selfName = selfName;
    this.#last = last;
    this.#memo = memo;
    this.#facts = memo.facts;
  }

  /** False = it takes the whole computation; the facts may be those of some Nodes before, then. */
  take(nodes: ReadonlyMap<string, NodeSnapshot>, changed: ReadonlySet<string>): boolean {
    const gone: NodeFacts[] = [];
    const fresh: NodeSnapshot[] = [];
    for (const name of changed) {
      const [before, after] = [this.#facts.of(name), nodes.get(name)];
      if (before?.node === after) continue;
      if (before !== undefined) gone.push(before);
      if (after !== undefined) fresh.push(after);
    }
    // What one gives up another one may have.
    for (const facts of gone) this.#remove(facts);
    for (const node of fresh) {
      const facts = factsOf(node);
      if (isContested(this.#facts, facts)) return false;
      this.#insert(facts);
    }
    return true;
  }

  finish(): FollowedTopology {
    const last = this.#last;
    const topology: Topology = {
      self: last.self,
      peers: this.#newPeers(),
      podSubnets:
        this.#podSubnets.size === 0
          ? last.podSubnets
          : this.#facts.claims.map(({ prefix }) => prefix),
      nodeIps:
        this.#nodeIps.size === 0
          ? last.nodeIps
          : uniqueSorted(this.#facts.ips.map(({ address }) => address)),
      problems: this.#newProblems(),
    };
    if (sameTopology(topology, last)) return { topology: last, change: NO_CHANGE };
    this.#memo.last = topology;
    const [peers, podSubnets, nodeIps] = [this.#peers, this.#podSubnets, this.#nodeIps];
    return { topology, change: { peers, podSubnets, nodeIps } };
  }

  #remove(facts: NodeFacts): void {
    const { name } = facts.node;
    this.#facts.remove(facts);
    if (this.#memo.peers.delete(name)) this.#peers.set(name, undefined);
    this.#problems.set(name, []);
    for (const { prefix } of facts.claims) this.#podSubnets.set(prefix, false);
    for (const { address, key } of facts.ips) {
      if (!isNamed(this.#facts, key)) this.#nodeIps.set(address, false);
    }
  }

  #insert(facts: NodeFacts): void {
    const { node, primary } = facts;
    for (const { prefix } of facts.claims) appears(this.#podSubnets, prefix);
    // A Node may name one twice.
    for (const [key, address] of new Map(facts.ips.map((ip) => [ip.key, ip.address]))) {
      if (!isNamed(this.#facts, key)) appears(this.#nodeIps, address);
    }
    this.#facts.insert(facts);
    const problems = ownProblems(facts, this.#selfName);
    const own = this.#facts.of(this.#selfName);
    const address = own === undefined ? undefined : sessionAddress(own, facts);
    if (address !== undefined) {
      this.#peers.set(node.name, peerOf(facts, address, node.podCidrs, this.#memo));
    } else if (primary !== undefined) {
      problems.push(familyMismatch(node, primary));
    }
    this.#problems.set(node.name, problems);
  }

  #newPeers(): readonly PeerNode[] {
    if (this.#peers.size === 0) return this.#last.peers;
    const peers = [...this.#last.peers];
    for (const [name, peer] of this.#peers) {
      const at = countBefore(peers, (other) => other.name < name);
      const known = peers[at]?.name === name ? 1 : 0;
      peers.splice(at, known, ...(peer === undefined ? [] : [peer]));
    }
    return peers;
  }

  #newProblems(): readonly NodeProblem[] {
    const { problems } = this.#last;
    const isOld = ({ node }: NodeProblem) => node !== undefined && this.#problems.has(node);
    const fresh = [...this.#problems.values()].flat();
    const old = problems.filter(isOld);
    if (sameList(old, fresh, sameProblem)) return problems;
    return problems
      .filter((problem) => !isOld(problem))
      .concat(fresh)
      .sort(compareProblems);
  }
}

/** Notes that it is there, which is nothing new when it was taken away in the same step. */
function appears<T>(changed: Map<T, boolean>, key: T): void {
  if (!changed.delete(key)) changed.set(key, true);
}

/** Whether some Node has the address. */
function isNamed({ ips }: ClusterFacts, key: string): boolean {
  return ips[countBefore(ips, (ip) => ip.key < key)]?.key === key;
}

/** Whether a Node that is not among the facts contradicts one that is, or itself. */
function isContested(facts: ClusterFacts, fresh: NodeFacts): boolean {
  return (
    fresh.ips.some((ip) => isShared(facts, ip) || isCovered(facts, ip.key)) ||
    fresh.claims.some(
      ({ range }) =>
        fresh.ips.some(({ key }) => rangeContains(range, key)) ||
        coversNode(facts, range) ||
        isCovered(facts, range.first) ||
        coversClaim(facts, range),
    )
  );
}

/** Whether others have the address too, in a way that is more than one NAT for all of them. */
function isShared({ ips }: ClusterFacts, fresh: NodeIp): boolean {
  const at = countBefore(ips, (ip) => ip.key < fresh.key);
  if (ips[at]?.key !== fresh.key) return false;
  // All that share it up to here do so in the same way.
  return [ips[at], fresh].some(({ node, address }) => isOwnAddress(node, address));
}

/** Whether some pod CIDR holds the address; those of different Nodes do not overlap. */
function isCovered({ claims }: ClusterFacts, key: string): boolean {
  let at = countBefore(claims, ({ range }) => range.first <= key) - 1;
  const node = claims[at]?.node;
  // One around the nearest would be of the same Node, and all in between as well.
  for (; at >= 0 && claims[at]!.node === node; at--) {
    if (rangeContains(claims[at]!.range, key)) return true;
  }
  return false;
}

function coversNode({ ips }: ClusterFacts, range: AddressRange): boolean {
  const ip = ips[countBefore(ips, ({ key }) => key < range.first)];
  return ip !== undefined && ip.key <= range.last;
}

function coversClaim({ claims }: ClusterFacts, range: AddressRange): boolean {
  const claim = claims[countBefore(claims, (one) => one.range.first < range.first)];
  return claim !== undefined && claim.range.first <= range.last;
}
