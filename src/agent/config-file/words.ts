/**
 * What the schema of the configuration file finds, in an operator's words: "expected …", in terms
 * of YAML. Pure.
 */
import type { core } from "zod";

export type Path = readonly PropertyKey[];

export interface Finding {
  readonly path: Path;
  readonly text: string;
}

/** For `safeParse`: the text of an issue that the schema has none of its own for. */
export function wordsOf(issue: core.$ZodRawIssue): string {
  if (issue.input === undefined) return "is missing";
  switch (issue.code) {
    case "invalid_type":
      return `expected ${nameOfType(issue.expected)}, not ${nameOfValue(issue.input)}`;
    case "invalid_value":
      return `expected ${issue.values.map(String).join(" or ")}`;
    case "too_small":
      return `expected at least ${amount(Number(issue.minimum), issue.origin)}`;
    case "too_big":
      return `expected at most ${amount(Number(issue.maximum), issue.origin)}`;
    default:
      return UNSAID;
  }
}

/** A union without words of its own; its branches have some. */
const UNSAID = "expected something else";

/** Issues with the text that they have by {@link wordsOf}; unions are taken apart. */
export function findings(issues: readonly core.$ZodIssue[]): readonly Finding[] {
  return issues.flatMap((issue) => {
    const { path } = issue;
    if (issue.code === "invalid_union" && issue.message === UNSAID) {
      // The branch that went furthest is the one that was meant.
      const branches = issue.errors.map(findings);
      const deepest = branches.sort((a, b) => depth(b) - depth(a))[0] ?? [];
      return deepest.map((inner) => ({ ...inner, path: [...path, ...inner.path] }));
    }
    if (issue.code === "unrecognized_keys") {
      const text = "is not a key that is known here";
      return issue.keys.map((key) => ({ path: [...path, key], text }));
    }
    return [{ path, text: issue.message }];
  });
}

function depth(found: readonly Finding[]): number {
  return Math.max(0, ...found.map(({ path }) => path.length));
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  object: "keys with values",
  record: "keys with values",
  array: "a list",
  string: "text",
  number: "a number",
  boolean: "true or false",
};

function nameOfType(type: string): string {
  return TYPE_NAMES[type] ?? type;
}

function nameOfValue(value: unknown): string {
  if (value === null) return "nothing";
  return nameOfType(Array.isArray(value) ? "array" : typeof value);
}

/** `1 entry`, `2 entries`, `3 characters`; a number by itself. */
function amount(count: number, origin: string): string {
  if (origin === "array") return count === 1 ? "1 entry" : `${count} entries`;
  if (origin === "string") return count === 1 ? "1 character" : `${count} characters`;
  return String(count);
}
