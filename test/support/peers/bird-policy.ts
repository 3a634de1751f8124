/** Policies in BIRD's filter language. */
import type { IpFamily } from "../../../src/ip/address.ts";
import {
  communityNumbers,
  type PolicyText,
  prefixRanges,
  type StatementText,
} from "./policy-text.ts";

/** The statements of a filter for routes of a family; `own` is our address of it. */
export function birdFilterBody(policy: PolicyText, family: IpFamily, own: string): string {
  const statements = policy.statements.map((each) => statement(each, family, own));
  return [...statements, `${policy.default};`].join("\n");
}

function statement({ match, set, result }: StatementText, family: IpFamily, own: string): string {
  const conditions = conditionsOf(match, family).map((each) => `(${each})`);
  const actions = [...actionsOf(set, own), ...(result === "next" ? [] : [`${result};`])];
  return `if ${conditions.join(" && ") || "true"} then { ${actions.join(" ")} }`;
}

function conditionsOf(match: StatementText["match"], family: IpFamily): string[] {
  const { prefixes, communities, largeCommunities, originated } = match;
  const { asPathLengthMin: min, asPathLengthMax: max } = match;
  const ranges = prefixRanges(prefixes ?? [], family).map(({ prefix, from, to }) => {
    return `${prefix}{${from},${to}}`;
  });
  const inRanges = ranges.length === 0 ? "false" : `net ~ [ ${ranges.join(", ")} ]`;
  return [
    ...(prefixes === undefined ? [] : [inRanges]),
    ...(communities === undefined
      ? []
      : [`bgp_community ~ [ ${communities.map(tuple).join(", ")} ]`]),
    ...(largeCommunities === undefined
      ? []
      : [`bgp_large_community ~ [ ${largeCommunities.map(tuple).join(", ")} ]`]),
    ...(min === undefined ? [] : [`bgp_path.len >= ${min}`]),
    ...(max === undefined ? [] : [`bgp_path.len <= ${max}`]),
    ...(originated === undefined ? [] : [`source ${originated ? "=" : "!="} RTS_STATIC`]),
  ];
}

function actionsOf(set: StatementText["set"], own: string): string[] {
  const { localPref, med, prepend, nextHopSelf } = set;
  return [
    ...(set.removeCommunities ?? []).map((each) => `bgp_community.delete(${tuple(each)});`),
    ...(set.addCommunities ?? []).map((each) => `bgp_community.add(${tuple(each)});`),
    ...(set.addLargeCommunities ?? []).map((each) => `bgp_large_community.add(${tuple(each)});`),
    ...(localPref === undefined ? [] : [`bgp_local_pref = ${localPref};`]),
    ...(med === undefined ? [] : [`bgp_med = ${med};`]),
    ...Array<string>(prepend?.count ?? 0).fill(`bgp_path.prepend(${prepend?.as});`),
    ...(nextHopSelf === true ? [`bgp_next_hop = ${own};`] : []),
  ];
}

function tuple(community: string): string {
  return `(${communityNumbers(community).replaceAll(":", ", ")})`;
}
