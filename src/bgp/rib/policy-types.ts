/** Routing policy as data: built by configuration, evaluated by the RIB. */
import type { Prefix } from "../../ip/prefix.ts";

/** One entry of a prefix list: `prefix`, lengths from `ge` to `le` (both inclusive). */
export interface PrefixMatch {
  readonly prefix: Prefix;
  readonly ge: number;
  readonly le: number;
}

/** All given conditions must hold; a list holds when one of its entries does. */
export interface PolicyMatch {
  readonly prefixes?: readonly PrefixMatch[];
  /** Standard communities as u32. */
  readonly communities?: readonly number[];
  readonly largeCommunities?: readonly string[];
  /** Hops in AS_PATH (a set counts one). */
  readonly asPathLengthMin?: number;
  readonly asPathLengthMax?: number;
  /** True: only routes originated here; false: only learned ones. */
  readonly originated?: boolean;
}

export interface PolicyActions {
  readonly localPref?: number;
  readonly med?: number;
  readonly addCommunities?: readonly number[];
  readonly removeCommunities?: readonly number[];
  readonly addLargeCommunities?: readonly string[];
  readonly nextHopSelf?: boolean;
  readonly prepend?: { readonly as: number; readonly count: number };
}

export interface PolicyStatement {
  readonly name: string;
  readonly match: PolicyMatch;
  readonly set: PolicyActions;
  /** `next` applies `set` and goes on with the next statement. */
  readonly result: "accept" | "reject" | "next";
}

/** First statement that accepts or rejects decides; `defaultResult` when none does. */
export interface Policy {
  readonly name: string;
  readonly statements: readonly PolicyStatement[];
  readonly defaultResult: "accept" | "reject";
}
