/** Policies as FRR's route maps, with the lists that they refer to. */
import type { IpFamily } from "../../../src/ip/address.ts";
import {
  communityNumbers,
  type NeighborPolicies,
  type PolicyText,
  prefixRanges,
  type StatementText,
} from "./policy-text.ts";

/** What learned routes and our own are marked with inside bgpd, to be told apart. */
export const LEARNED_TAG = 1;
export const OWN_TAG = 2;

/** A hop in the text of an AS path: a number, or a set, which counts as one. */
const HOP = "([0-9]+|[{][0-9,]+[}])";

const WORDS = {
  4: { ip: "ip", nextHop: "set ip next-hop" },
  6: { ip: "ipv6", nextHop: "set ipv6 next-hop global" },
} as const;

/** Command that sets the next hop of routes of a family. */
export function nextHopLine(family: IpFamily, address: string): string {
  return `${WORDS[family].nextHop} ${address}`;
}

/** For routes of which family, and our address of it. */
interface Side {
  readonly family: IpFamily;
  readonly own: string;
}

/** Configuration of the route maps of a neighbour's policies for routes of a family. */
export function routeMapLines(policies: NeighborPolicies, side: Side): string[] {
  return [...mapLines(policies.import, "in", side), ...mapLines(policies.export, "out", side)];
}

/** Of a policy and a family. */
export function routeMapName({ name }: PolicyText, family: IpFamily): string {
  return `${name}-${family}`;
}

function mapLines(policy: PolicyText, direction: "in" | "out", side: Side): string[] {
  const name = routeMapName(policy, side.family);
  const mark = [`route-map ${name} permit 1`, `set tag ${LEARNED_TAG}`, "on-match next", "exit"];
  return [
    ...(direction === "in" ? mark : []),
    ...policy.statements.flatMap((each, index) => entry(name, 10 + index, each, side)),
    `route-map ${name} ${policy.default === "accept" ? "permit" : "deny"} 1000`,
    "exit",
  ];
}

const NAMED =
  /^(route-map|ip(?:v6)? prefix-list|bgp (?:large-)?community-list standard|bgp as-path access-list) \S+/;

/** Takes away all that these lines have defined; bgpd gets slow where much is left behind. */
export function removalLines(lines: readonly string[]): string[] {
  const named = lines.flatMap((line) => NAMED.exec(line)?.[0] ?? []);
  // Route maps before what they refer to.
  return [...new Set(named)]
    .sort()
    .reverse()
    .map((each) => `no ${each}`);
}

function entry(map: string, number: number, statement: StatementText, side: Side): string[] {
  const { match, set, result } = statement;
  const list = `${map}-${number}`;
  return [
    ...listLines(list, statement, side.family),
    `route-map ${map} ${result === "reject" ? "deny" : "permit"} ${number}`,
    ...matchLines(list, match, side.family),
    ...(result === "reject" ? [] : setLines(list, set, side)),
    ...(result === "next" ? ["on-match next"] : []),
    "exit",
  ];
}

function listLines(list: string, { match, set }: StatementText, family: IpFamily): string[] {
  const prefixList = (number: number, what: string) => {
    return `${WORDS[family].ip} prefix-list ${list} seq ${number} ${what}`;
  };
  const ranges = prefixRanges(match.prefixes ?? [], family);
  // Without entries it would match everything.
  const isEmpty = match.prefixes !== undefined && ranges.length === 0;
  return [
    ...ranges.map(({ prefix, length, from, to }, index) => {
      const ge = from > length ? ` ge ${from}` : "";
      const le = to > length ? ` le ${to}` : "";
      return prefixList(index + 1, `permit ${prefix}${ge}${le}`);
    }),
    ...(isEmpty ? [prefixList(1, "deny any")] : []),
    ...(match.communities ?? []).map((each) => communityList(list, each)),
    ...(set.removeCommunities ?? []).map((each) => communityList(`${list}-gone`, each)),
    ...(match.largeCommunities ?? []).map(
      (each) => `bgp large-community-list standard ${list} permit ${each}`,
    ),
    ...asPathLines(list, match),
  ];
}

function communityList(list: string, community: string): string {
  return `bgp community-list standard ${list} permit ${communityNumbers(community)}`;
}

function limitsLength({ asPathLengthMin, asPathLengthMax }: StatementText["match"]): boolean {
  return asPathLengthMin !== undefined || asPathLengthMax !== undefined;
}

function asPathLines(list: string, match: StatementText["match"]): string[] {
  if (!limitsLength(match)) return [];
  const { asPathLengthMin: min = 0, asPathLengthMax: max } = match;
  const from = Math.max(min, 1);
  const line = (pattern: string) => `bgp as-path access-list ${list} permit ${pattern}`;
  return [
    ...(min === 0 ? [line("^$")] : []),
    ...(max !== undefined && max < from
      ? []
      : [line(`^${HOP}( ${HOP}){${from - 1},${max === undefined ? "" : max - 1}}$`)]),
  ];
}

function matchLines(list: string, match: StatementText["match"], family: IpFamily): string[] {
  const { prefixes, communities, largeCommunities, originated } = match;
  return [
    ...(prefixes === undefined ? [] : [`match ${WORDS[family].ip} address prefix-list ${list}`]),
    ...(communities === undefined ? [] : [`match community ${list}`]),
    ...(largeCommunities === undefined ? [] : [`match large-community ${list}`]),
    ...(limitsLength(match) ? [`match as-path ${list}`] : []),
    ...(originated === undefined ? [] : [`match tag ${originated ? OWN_TAG : LEARNED_TAG}`]),
  ];
}

function setLines(list: string, set: StatementText["set"], { family, own }: Side): string[] {
  const { localPref, med, prepend, nextHopSelf } = set;
  const added = set.addCommunities?.map(communityNumbers).join(" ");
  const large = set.addLargeCommunities?.join(" ");
  return [
    ...(set.removeCommunities === undefined ? [] : [`set comm-list ${list}-gone delete`]),
    ...(added === undefined ? [] : [`set community ${added} additive`]),
    ...(large === undefined ? [] : [`set large-community ${large} additive`]),
    ...(localPref === undefined ? [] : [`set local-preference ${localPref}`]),
    ...(med === undefined ? [] : [`set metric ${med}`]),
    ...(prepend === undefined
      ? []
      : [`set as-path prepend ${Array(prepend.count).fill(prepend.as).join(" ")}`]),
    ...(nextHopSelf === true ? [nextHopLine(family, own)] : []),
  ];
}
