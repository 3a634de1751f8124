/** What is wrong with the sets, in words for an operator. */
import { someOf } from "../runtime/operator-text.ts";
import type { LeftOut } from "./desired.ts";
import { MEMBERS_NAMED_MAX } from "./limits.ts";
import type { MemberFailure, SetsError } from "./ports.ts";

export type SetConditionCode =
  | "ipset-unavailable"
  | "ipset-conflict"
  | "ipset-error"
  | "ipset-member-refused";

export interface SetCondition {
  /** Stable, and unique among those of the sets. */
  readonly name: string;
  readonly code: SetConditionCode;
  readonly severity: "warning" | "error";
  /** One sentence; no control characters. */
  readonly message: string;
}

/** Nothing can be done about any set. */
export function unavailableCondition(error: SetsError): SetCondition {
  const code = "ipset-unavailable";
  return {
    name: code,
    code,
    severity: "error",
    message: `ipsets cannot be kept up: ${error.message}`,
  };
}

export function conflictCondition(set: string, why: string): SetCondition {
  return about("ipset-conflict", set, `set ${set} is left as it is: ${why}`);
}

export function errorCondition(set: string, error: SetsError): SetCondition {
  return about("ipset-error", set, `set ${set}: ${error.message}`);
}

export function leftOutCondition({ set, members, why }: LeftOut): SetCondition {
  const text = `set ${set} goes without ${someOf(members, MEMBERS_NAMED_MAX)}: ${why}`;
  return {
    ...about("ipset-member-refused", set, text),
    name: `ipset-member-refused ${set} ${why}`,
  };
}

export function memberCondition(set: string, failures: readonly MemberFailure[]): SetCondition {
  const refused = failures.map((failure) => failure.member);
  const members = someOf(refused, MEMBERS_NAMED_MAX);
  const why = failures[0]?.message ?? "";
  return about("ipset-member-refused", set, `set ${set}: the kernel refused ${members}: ${why}`);
}

function about(code: SetConditionCode, set: string, message: string): SetCondition {
  return { name: `${code} ${set}`, code, severity: "error", message };
}
