/**
 * The packet rules of this node as values, and what must change so that they are there. Pure.
 *
 *   nat POSTROUTING   what pods send out of the cluster leaves with the node's address: source in
 *                     pod-subnets, destination neither there nor in node-ips. It is kube-router's
 *                     rule to the letter, so either agent takes it for its own.
 *   filter FORWARD    accepts for the pods, in front: firewalls end this chain with a DROP.
 *
 * With destinations that are excluded from masquerading the decision needs a chain of its own:
 * a rule has one destination only, and a RETURN in POSTROUTING itself would skip what others have
 * put behind it.
 *
 * Rules are compared as iptables prints them (`iptables -S`), word by word.
 */
import type { IpFamily } from "../ip/address.ts";
import { type Prefix, prefixFamily, prefixLength } from "../ip/prefix.ts";
import { sameList } from "../runtime/same-list.ts";
import { type CniPluginKind, POD_BRIDGE } from "./types.ts";

/** The words of one rule, without `-A CHAIN`. */
export type Rule = readonly string[];

export interface RulesWanted {
  /** How pods are connected; undefined when that is somebody else's business. */
  readonly pods: CniPluginKind | undefined;
  /** The interface of the node's addresses; undefined while it is not known. */
  readonly nodeLink: string | undefined;
  /** Whether to masquerade at all. */
  readonly egress: boolean;
  /** Destinations to which pods keep their source address. */
  readonly exclude: readonly Prefix[];
  /** Whether iptables knows --random-fully. */
  readonly randomFully: boolean;
}

/** Nothing at all, for `podrouter cleanup`. */
export const NO_RULES: RulesWanted = {
  pods: undefined,
  nodeLink: undefined,
  egress: false,
  exclude: [],
  randomFully: true,
};

/** Our chain in the nat table. */
export const EGRESS_CHAIN = "PODROUTER-EGRESS";

const COMMENTS = {
  out: "allow outbound traffic from pods",
  in: "allow inbound traffic to pods",
  node: "allow outbound node port traffic on node interface with which node ip is associated",
} as const;

/** Whether what `iptables-save` prints may hold something of ours; if not, there is nothing. */
export function mayHoldOurs(saved: string): boolean {
  const marks = [...Object.values(COMMENTS), EGRESS_CHAIN, setNames(4).pods];
  return marks.some((mark) => saved.includes(mark));
}

/** What the kernel has in the chains that concern us. */
export interface PresentRules {
  readonly forward: readonly Rule[];
  readonly postrouting: readonly Rule[];
  /** Undefined when there is no such chain. */
  readonly egressChain: readonly Rule[] | undefined;
}

/** Changes for `iptables-restore --noflush`, by table; an empty list where all is well. */
export interface RuleChanges {
  readonly filter: readonly string[];
  readonly nat: readonly string[];
}

/** The tables that have rules of ours, in the order in which they are changed. */
export const RULE_TABLES = ["filter", "nat"] as const satisfies readonly (keyof RuleChanges)[];

/** The changes as one would type them: `iptables -t nat -D POSTROUTING …`. */
export function describeChanges(family: IpFamily, changes: RuleChanges): readonly string[] {
  const program = family === 4 ? "iptables" : "ip6tables";
  return RULE_TABLES.flatMap((table) =>
    changes[table].map((line) => `${program} -t ${table} ${line}`),
  );
}

export function planRules(
  family: IpFamily,
  wanted: RulesWanted,
  present: PresentRules,
): RuleChanges {
  return {
    filter: planForward(forwardRules(family, wanted), present.forward, wanted),
    nat: planNat(family, wanted, present),
  };
}

/** In the order in which they are to stand. */
function forwardRules(family: IpFamily, { pods, nodeLink }: RulesWanted): readonly Rule[] {
  if (pods === undefined) return [];
  const rules = [
    accept(pods === "bridge" ? ["-i", POD_BRIDGE] : podSet(family, "src"), COMMENTS.out),
    accept(pods === "bridge" ? ["-o", POD_BRIDGE] : podSet(family, "dst"), COMMENTS.in),
  ];
  if (nodeLink !== undefined) rules.push(accept(["-o", nodeLink], COMMENTS.node));
  return rules;
}

function accept(match: Rule, comment: string): Rule {
  return [...match, "-m", "comment", "--comment", comment, "-j", "ACCEPT"];
}

function podSet(family: IpFamily, side: "src" | "dst"): Rule {
  return ["-m", "set", "--match-set", setNames(family).pods, side];
}

function setNames(family: IpFamily): { readonly pods: string; readonly nodes: string } {
  const start = family === 4 ? "" : "inet6:";
  return { pods: `${start}kube-router-pod-subnets`, nodes: `${start}kube-router-node-ips` };
}

function planForward(
  wanted: readonly Rule[],
  present: readonly Rule[],
  { pods, nodeLink }: RulesWanted,
): readonly string[] {
  const missing = wanted.filter((rule) => !present.some((one) => sameList(one, rule)));
  const surplus = surplusOf(present, wanted, (rule) => {
    const comment = commentOf(rule);
    // While the interface is not known, the rule about it stays as it is.
    if (comment === COMMENTS.node && pods !== undefined && nodeLink === undefined) return false;
    return Object.values(COMMENTS).some((ours) => ours === comment);
  });
  return [
    // Each goes to the front, so the last one first.
    ...missing.toReversed().map((rule) => `-I FORWARD 1 ${text(rule)}`),
    ...surplus.map((rule) => `-D FORWARD ${text(rule)}`),
  ];
}

function planNat(family: IpFamily, wanted: RulesWanted, present: PresentRules): readonly string[] {
  const exclude = wanted.exclude.filter((prefix) => prefixFamily(prefix) === family);
  // Everything excluded is nothing masqueraded; iptables would not even print such a destination.
  const egress = wanted.egress && !exclude.some((prefix) => prefixLength(prefix) === 0);
  const masquerade = ["-j", "MASQUERADE", ...(wanted.randomFully ? ["--random-fully"] : [])];
  const leaving = leavingPods(family);
  const withChain = egress && exclude.length > 0;
  const target = withChain ? ["-j", EGRESS_CHAIN] : masquerade;
  const rules = egress ? [[...leaving, ...target]] : [];
  const missing = rules.filter((rule) => !present.postrouting.some((one) => sameList(one, rule)));
  const surplus = surplusOf(present.postrouting, rules, (rule) => isEgressRule(rule, leaving));
  const chain = [...exclude.map((prefix) => ["-d", prefix, "-j", "RETURN"]), masquerade];
  return [
    ...(withChain && !sameRules(present.egressChain, chain) ? fill(chain) : []),
    ...missing.map((rule) => `-A POSTROUTING ${text(rule)}`),
    ...surplus.map((rule) => `-D POSTROUTING ${text(rule)}`),
    ...(!withChain && present.egressChain !== undefined
      ? [`-F ${EGRESS_CHAIN}`, `-X ${EGRESS_CHAIN}`]
      : []),
  ];
}

function leavingPods(family: IpFamily): Rule {
  const { pods, nodes } = setNames(family);
  return [
    ...["-m", "set", "--match-set", pods, "src"],
    ...["-m", "set", "!", "--match-set", pods, "dst"],
    ...["-m", "set", "!", "--match-set", nodes, "dst"],
  ];
}

/** Ours or kube-router's, in any form that either has had. */
function isEgressRule(rule: Rule, leaving: Rule): boolean {
  const tail = rule.slice(leaving.length).join(" ");
  return (
    sameList(rule.slice(0, leaving.length), leaving) &&
    ["-j MASQUERADE", "-j MASQUERADE --random-fully", `-j ${EGRESS_CHAIN}`].includes(tail)
  );
}

/** Declaring a chain that is there empties it, in the same commit. */
function fill(chain: readonly Rule[]): readonly string[] {
  return [`:${EGRESS_CHAIN} - [0:0]`, ...chain.map((rule) => `-A ${EGRESS_CHAIN} ${text(rule)}`)];
}

/** Of ours: what is not wanted, and every repetition of what is. */
function surplusOf(
  present: readonly Rule[],
  wanted: readonly Rule[],
  isOurs: (rule: Rule) => boolean,
): readonly Rule[] {
  const kept = new Set<string>();
  return present.filter((rule) => {
    if (!isOurs(rule)) return false;
    const key = text(rule);
    const first = !kept.has(key);
    kept.add(key);
    return !(first && wanted.some((one) => sameList(one, rule)));
  });
}

function commentOf(rule: Rule): string | undefined {
  const at = rule.indexOf("--comment");
  return at < 0 ? undefined : rule[at + 1];
}

function sameRules(a: readonly Rule[] | undefined, b: readonly Rule[]): boolean {
  return a !== undefined && sameList(a, b, sameList);
}

/** As iptables-restore reads it. */
function text(rule: Rule): string {
  return rule.map(quoted).join(" ");
}

function quoted(word: string): string {
  return /^[\w./:!+,@%=-]+$/.test(word) ? word : `"${word.replace(/["\\]/g, "\\$&")}"`;
}

/** The rules of a chain from what `iptables -S CHAIN` prints. */
export function parseRules(output: string, chain: string): readonly Rule[] {
  return output.split("\n").flatMap((line) => {
    const [append, name, ...rule] = words(line);
    return append === "-A" && name === chain ? [rule] : [];
  });
}

/** Words of a line; quotes hold one together, a backslash inside them takes the next as it is. */
function words(line: string): readonly string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quote, plain]) =>
    quote === undefined ? plain! : quote.replace(/\\(.)/g, "$1"),
  );
}
