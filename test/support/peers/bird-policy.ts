/** Policies in BIRD's filter language. */
import {
  communityNumbers,
  type PolicyText,
  prefixRange,
  type StatementText,
} from "./policy-text.ts";

/** The statements of a filter that ends with a decision; `own` is our IPv4 address. */
export function birdFilterBody(policy: PolicyText, own: string): string {
  return [...policy.statements.map((each) => statement(each, own)), `${policy.default};`].join(
    "\n",
  );
}

function statement({ match, set, result }: StatementText, own: string): string {
  const conditions = conditionsOf(match).map((each) => `(${each})`);
  const actions = [...actionsOf(set, own), ...(result === "next" ? [] : [`${result};`])];
  return `if ${conditions.join(" && ") || "true"} then { ${actions.join(" ")} }`;
}

function conditionsOf(match: StatementText["match"]): string[] {
  const { prefixes, communities, largeCommunities, originated } = match;
  const { asPathLengthMin: min, asPathLengthMax: max } = match;
  const ranges = prefixes
    ?.map(prefixRange)
    .map(({ prefix, from, to }) => `${prefix}{${from},${to}}`);
  return [
    ...(ranges === undefined ? [] : [`net ~ [ ${ranges.join(", ")} ]`]),
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
