/**
 * Which Node gets which pod CIDR when the Node objects contradict each other. Every agent decides
 * alone and all must agree, so the answer depends on the Node objects only.
 *
 * 1. A CIDR that covers an address of any Node is refused: its route would swallow the node
 *    network. Whoever is older: were the older one to win here as well, a Node could have the
 *    address of any younger one (its kubelet, its sessions) routed to itself, by an annotation, and
 *    nothing else that a Node can say does that; while pods of others it can have by BGP alone.
 *    Besides, the age of a Node is not that of what it says, and a rule that finds a CIDR with
 *    several Nodes in it at fault itself would turn around with the second Node that comes.
 * 2. Of CIDRs of different Nodes that overlap, one stands. First lose those that overlap with the
 *    most other Nodes (the network of the whole cluster, by mistake at one Node or at several, must
 *    not silence all the rest), then the older Node wins (creationTimestamp; unknown is youngest),
 *    then the name that sorts first.
 *
 * CIDRs of one Node may overlap each other. Prefixes either nest or are disjoint, so one sweep in
 * address order finds every overlap: the open prefixes around a claim form its chain of parents.
 */
import type { IpAddress } from "../ip/address.ts";
import type { Prefix } from "../ip/prefix.ts";
import { RIVALS_COUNTED_MAX } from "./limits.ts";
import type { NodeSnapshot } from "./node-snapshot.ts";
import { type NodeProblem, nodeProblem } from "./problem.ts";
import type { AddressRange } from "./ranges.ts";

/** A Node that wants a pod CIDR. */
export interface Claim {
  readonly prefix: Prefix;
  readonly range: AddressRange;
  readonly node: NodeSnapshot;
}

/** An address of a Node, with its sort key. */
export interface NodeIp {
  readonly address: IpAddress;
  readonly key: string;
  readonly node: NodeSnapshot;
}

export interface ClaimDecision {
  /** In address order, larger network first. */
  readonly accepted: readonly Claim[];
  readonly refused: readonly Claim[];
  readonly problems: readonly NodeProblem[];
}

/** Orders claims by address, larger network first, then by Node name. */
export function compareClaims(a: Claim, b: Claim): number {
  if (a.range.first !== b.range.first) return a.range.first < b.range.first ? -1 : 1;
  if (a.range.last !== b.range.last) return a.range.last > b.range.last ? -1 : 1;
  return a.node.name < b.node.name ? -1 : a.node.name > b.node.name ? 1 : 0;
}

/** Decides all claims; `claims` in {@link compareClaims} order, `nodeIps` by key. */
export function decideClaims(claims: readonly Claim[], nodeIps: readonly NodeIp[]): ClaimDecision {
  const refused: Claim[] = [];
  const problems: NodeProblem[] = [];
  const candidates: Claim[] = [];
  let next = 0;
  for (const claim of claims) {
    while (next < nodeIps.length && nodeIps[next]!.key < claim.range.first) next++;
    const covered = nodeIps[next];
    if (covered === undefined || covered.key > claim.range.last) {
      candidates.push(claim);
    } else {
      refused.push(claim);
      problems.push(coversProblem(claim, covered));
    }
  }
  if (!someOverlap(candidates)) return { accepted: candidates, refused, problems };
  const contested = contestedClaims(candidates);
  const losers = new Set<Claim>();
  for (const { claim, rival } of settle(contested)) {
    losers.add(claim);
    refused.push(claim);
    problems.push(overlapProblem(claim, rival));
  }
  return { accepted: candidates.filter((claim) => !losers.has(claim)), refused, problems };
}

/** Whether there is anything to settle; nearly always there is not. */
function someOverlap(claims: readonly Claim[]): boolean {
  let open: Claim | undefined;
  for (const claim of claims) {
    if (open === undefined || open.range.last < claim.range.first) open = claim;
    else if (open.node !== claim.node) return true;
  }
  return false;
}

/** A claim in the sweep, with the claims of the networks around it. */
interface Contest {
  readonly claim: Claim;
  readonly parent: Contest | undefined;
  /** Other Nodes that it overlaps with, as far as they are counted. */
  readonly rivals: NodeSnapshot[];
  /** CIDRs of other Nodes that it overlaps with. */
  overlaps: number;
  /** Set once the claim stands. */
  stands: boolean;
  /** A claim that stands inside this one, of each of at most two different Nodes. */
  readonly inside: Claim[];
}

function contestedClaims(claims: readonly Claim[]): Contest[] {
  const contested = new Set<Contest>();
  let open: Contest | undefined;
  for (const claim of claims) {
    while (open !== undefined && open.claim.range.last < claim.range.first) open = open.parent;
    const contest: Contest = {
      claim,
      parent: open,
      rivals: [],
      overlaps: 0,
      stands: false,
      inside: [],
    };
    for (let outer = open; outer !== undefined; outer = outer.parent) {
      if (outer.claim.node === claim.node) continue;
      addRival(outer, claim.node);
      addRival(contest, outer.claim.node);
      contested.add(outer);
      contested.add(contest);
    }
    open = contest;
  }
  return [...contested];
}

function addRival(contest: Contest, node: NodeSnapshot): void {
  const { rivals } = contest;
  contest.overlaps++;
  if (rivals.length < RIVALS_COUNTED_MAX && !rivals.includes(node)) rivals.push(node);
}

/** The claims that lose, each with the claim that it lost to. */
function settle(contested: Contest[]): { claim: Claim; rival: Claim }[] {
  const losers: { claim: Claim; rival: Claim }[] = [];
  for (const contest of contested.sort(comparePrecedence)) {
    const rival = standingRival(contest);
    if (rival !== undefined) {
      losers.push({ claim: contest.claim, rival });
      continue;
    }
    contest.stands = true;
    for (let outer = contest.parent; outer !== undefined; outer = outer.parent) {
      rememberInside(outer, contest.claim);
    }
  }
  return losers;
}

/** Two different Nodes are enough to answer "does one of another Node stand in here?". */
function rememberInside(outer: Contest, claim: Claim): void {
  if (outer.inside.length >= 2) return;
  if (outer.inside[0]?.node === claim.node) return;
  outer.inside.push(claim);
}

function standingRival(contest: Contest): Claim | undefined {
  const { node } = contest.claim;
  const inside = contest.inside.find((claim) => claim.node !== node);
  if (inside !== undefined) return inside;
  for (let outer = contest.parent; outer !== undefined; outer = outer.parent) {
    if (outer.stands && outer.claim.node !== node) return outer.claim;
  }
  return undefined;
}

function comparePrecedence(a: Contest, b: Contest): number {
  const uncounted = a.rivals.length === RIVALS_COUNTED_MAX;
  const fewer = a.rivals.length - b.rivals.length || (uncounted ? a.overlaps - b.overlaps : 0);
  return fewer || compareSeniority(a.claim.node, b.claim.node) || compareClaims(a.claim, b.claim);
}

/** Older first, then by name. The order in which Nodes that contradict each other are believed. */
export function compareSeniority(a: NodeSnapshot, b: NodeSnapshot): number {
  const ageA = a.createdAt ?? Number.MAX_SAFE_INTEGER;
  const ageB = b.createdAt ?? Number.MAX_SAFE_INTEGER;
  if (ageA !== ageB) return ageA - ageB;
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

function coversProblem(claim: Claim, covered: NodeIp): NodeProblem {
  const whose = covered.node === claim.node ? "its own" : `Node ${covered.node.name}'s`;
  return nodeProblem({
    severity: "error",
    code: "pod-cidr-covers-node",
    node: claim.node.name,
    field: "pod CIDR",
    value: claim.prefix,
    text:
      `covers ${whose} address ${covered.address} and would swallow the node network; ` +
      "it is left out",
  });
}

function overlapProblem(claim: Claim, rival: Claim): NodeProblem {
  const relation = claim.prefix === rival.prefix ? "is also" : `overlaps ${rival.prefix},`;
  return nodeProblem({
    severity: "error",
    code: "pod-cidr-overlap",
    node: claim.node.name,
    field: "pod CIDR",
    value: claim.prefix,
    text: `${relation} the pod CIDR of Node ${rival.node.name}, which keeps it; it is left out`,
  });
}
