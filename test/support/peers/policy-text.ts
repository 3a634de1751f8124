/**
 * A routing policy in the words of the configuration file (docs/config.md), for tests that give the
 * same one to several speakers. One is for routes of both families.
 */
import { ADDRESS_BITS, type IpFamily } from "../../../src/ip/address.ts";
import { familyOfText } from "./peer.ts";

export interface PolicyText {
  readonly name: string;
  readonly default: "accept" | "reject";
  readonly statements: readonly StatementText[];
}

export interface StatementText {
  readonly match: {
    readonly prefixes?: readonly PrefixText[];
    readonly communities?: readonly string[];
    readonly largeCommunities?: readonly string[];
    readonly asPathLengthMin?: number;
    readonly asPathLengthMax?: number;
    readonly originated?: boolean;
  };
  readonly set: {
    readonly localPref?: number;
    readonly med?: number;
    readonly addCommunities?: readonly string[];
    readonly removeCommunities?: readonly string[];
    readonly addLargeCommunities?: readonly string[];
    readonly prepend?: { readonly as: number; readonly count: number };
    /** Of export policies. */
    readonly nextHopSelf?: true;
  };
  readonly result: "accept" | "reject" | "next";
}

export type PrefixText =
  | string
  | { readonly prefix: string; readonly ge?: number; readonly le?: number };

/** What a speaker does with the routes of one neighbour, and with those for it. */
export interface NeighborPolicies {
  readonly import: PolicyText;
  readonly export: PolicyText;
}

/** By address of the neighbour, which is all that the configuration names. */
export type PoliciesText = Readonly<Record<string, NeighborPolicies>>;

/** A speaker whose policies can be set, before its start and after. */
export interface TakesPolicies {
  setPolicies(policies: PoliciesText): Promise<void>;
}

const NAMED: Readonly<Record<string, string>> = {
  "no-export": "65535:65281",
  "no-advertise": "65535:65282",
};

/** `65535:65281` for `no-export`. */
export function communityNumbers(text: string): string {
  return NAMED[text] ?? text;
}

/** Those of the family: each prefix, its length, and the lengths that it covers. */
export function prefixRanges(entries: readonly PrefixText[], family: IpFamily) {
  return entries.flatMap((entry) => {
    const { prefix, ge, le } = typeof entry === "string" ? { prefix: entry } : { ...entry };
    if (familyOfText(prefix) !== family) return [];
    const length = Number(prefix.split("/")[1]);
    const from = ge ?? length;
    return [{ prefix, length, from, to: le ?? (ge === undefined ? length : ADDRESS_BITS[family]) }];
  });
}
