/** From pod subnets and Node addresses to sets. Pure. */
import { ADDRESS_BITS, familyOf, type IpAddress, type IpFamily } from "../ip/address.ts";
import { type Prefix, prefixAddress, prefixFamily, prefixLength } from "../ip/prefix.ts";
import { ELEMENTS_MAX, HASH_SIZE, MEMBERS_MAX } from "./limits.ts";
import { type ActualSet, type DesiredSet, OUR_SETS } from "./types.ts";

/** What should be in the sets; both families in one list. */
export interface SetContents {
  /** Pod CIDRs of every Node, this one included. */
  readonly podSubnets: readonly Prefix[];
  /** Every InternalIP and ExternalIP of every Node. */
  readonly nodeIps: readonly IpAddress[];
  /** False: Nodes may be missing, and members that are there stay. True unless given. */
  readonly complete?: boolean;
}

/** Members that are left out, by the set that they were meant for. */
export interface LeftOut {
  readonly set: string;
  readonly members: readonly string[];
  readonly why: string;
}

export interface DesiredSets {
  readonly sets: readonly DesiredSet[];
  readonly leftOut: readonly LeftOut[];
}

/** Whether the IPv6 twins are needed. */
export function hasIpv6(contents: SetContents): boolean {
  return (
    contents.podSubnets.some((prefix) => prefixFamily(prefix) === 6) ||
    contents.nodeIps.some((address) => familyOf(address) === 6)
  );
}

/**
 * The sets of one or both families. Doubles are one member. A prefix of length 0 and an unspecified
 * address are no members the kernel could hold, and a rule that took all of the Internet for pods
 * would be worse than one that lacks a pod.
 */
export function desiredSets(contents: SetContents, ipv6: boolean): DesiredSets {
  const sets: DesiredSet[] = [];
  const leftOut: LeftOut[] = [];
  for (const { name, type, family } of OUR_SETS) {
    if (family === 6 && !ipv6) continue;
    const wanted =
      type === "hash:net"
        ? podSubnetMembers(contents.podSubnets, family)
        : nodeIpMembers(contents.nodeIps, family);
    const members = new Set([...wanted.members].slice(0, MEMBERS_MAX));
    if (wanted.refused.length > 0) {
      leftOut.push({ set: name, members: wanted.refused, why: "it would match every address" });
    }
    if (wanted.members.size > members.size) {
      const rest = [...wanted.members].slice(MEMBERS_MAX);
      leftOut.push({ set: name, members: rest, why: `a set holds at most ${MEMBERS_MAX} members` });
    }
    sets.push({ name, type, family, members, ...sizeFor(members.size) });
  }
  return { sets, leftOut };
}

/**
 * The same set with what is in it now beside, and what was kept of it before: nothing goes, as far
 * as there is room.
 */
export function withMembersOf(
  desired: DesiredSet,
  actual: ActualSet | undefined,
  kept: Iterable<string> = [],
): DesiredSet {
  const members = new Set(desired.members);
  for (const member of kept) if (members.size < MEMBERS_MAX) members.add(member);
  for (const [member, plain] of actual?.members ?? []) {
    if (plain && members.size < MEMBERS_MAX) members.add(member);
  }
  return { ...desired, members, ...sizeFor(members.size) };
}

/** Room for so many members: see MEMBERS_MAX. */
export function sizeFor(members: number): { hashSize: number; maxElements: number } {
  if (members <= ELEMENTS_MAX) return { hashSize: HASH_SIZE, maxElements: ELEMENTS_MAX };
  const maxElements = Math.min(MEMBERS_MAX, 2 ** Math.ceil(Math.log2(members * 1.25)));
  // Buckets hold several entries; so many need no resizing while they are filled.
  return { hashSize: maxElements / 4, maxElements };
}

interface Members {
  readonly members: ReadonlySet<string>;
  readonly refused: readonly string[];
}

function podSubnetMembers(podSubnets: readonly Prefix[], family: IpFamily): Members {
  const ofFamily = podSubnets.filter((prefix) => prefixFamily(prefix) === family);
  return membersOf(ofFamily, podSubnetMember);
}

function nodeIpMembers(nodeIps: readonly IpAddress[], family: IpFamily): Members {
  const ofFamily = nodeIps.filter((address) => familyOf(address) === family);
  return membersOf(ofFamily, nodeIpMember);
}

function membersOf<T extends string>(
  wanted: readonly T[],
  memberOf: (one: T) => string | undefined,
): Members {
  const members = new Set<string>();
  const refused: string[] = [];
  for (const one of wanted) {
    const member = memberOf(one);
    if (member === undefined) refused.push(one);
    else members.add(member);
  }
  return { members, refused };
}

/** As the kernel writes it; undefined = no member that it could hold. */
export function podSubnetMember(prefix: Prefix): string | undefined {
  const length = prefixLength(prefix);
  if (length === 0) return undefined;
  return length === ADDRESS_BITS[prefixFamily(prefix)] ? prefixAddress(prefix) : prefix;
}

/** As {@link podSubnetMember}. */
export function nodeIpMember(address: IpAddress): string | undefined {
  return address === "0.0.0.0" || address === "::" ? undefined : address;
}
