/**
 * What the schema of the configuration file finds, in an operator's words and in terms of YAML:
 * "expected …, not …". Pure.
 */
import type { core } from "zod";
import { quoted } from "../../k8s/problem.ts";
import { someOf } from "../../runtime/operator-text.ts";
import { keysAt } from "./schema.ts";

export type Path = readonly PropertyKey[];

export interface Finding {
  readonly path: Path;
  readonly text: string;
  /** The last key of the path is none of its place. */
  readonly isUnknown?: boolean;
  /** It is one without a value. */
  readonly isAlone?: boolean;
}

/** Keys whose value is never repeated: somebody may have put the password itself there. */
const SECRET_KEYS: ReadonlySet<PropertyKey> = new Set(["passwordFile"]);

/** For `safeParse`: the text of an issue that the schema has none of its own for. */
export function wordsOf(issue: core.$ZodRawIssue): string {
  if (issue.input === undefined) return "is missing";
  switch (issue.code) {
    case "invalid_type":
      return `expected ${nameOfType(issue.expected)}`;
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

/** Keys of a place that are named where something else stands, in the order of the schema. */
const KEYS_NAMED_MAX = 6;

/** A union without words of its own; its branches have some. */
const UNSAID = "expected something else";

/**
 * Issues with the text that they have by {@link wordsOf}, and what stands in their place instead;
 * unions are taken apart. `content` is what the issues are about.
 */
export function findings(issues: readonly core.$ZodIssue[], content: unknown): readonly Finding[] {
  return takenApart(issues).map(({ path, text, code }) => {
    if (code === "unrecognized_keys") {
      return { path, text, isUnknown: true, isAlone: valueAt(content, path) === null };
    }
    const instead = insteadOf(content, path, code, text);
    const keys = text === KEYS_EXPECTED ? keysAt(path) : [];
    const wanted = keys.length === 0 ? text : `${text} (${someOf(keys, KEYS_NAMED_MAX)})`;
    return { path, text: instead === undefined ? wanted : `${wanted}, not ${instead}` };
  });
}

interface Part extends Finding {
  readonly code: core.$ZodIssue["code"];
}

function takenApart(issues: readonly core.$ZodIssue[]): readonly Part[] {
  return issues.flatMap((issue): readonly Part[] => {
    const { path, code } = issue;
    if (code === "invalid_union" && issue.message === UNSAID) {
      // The branch that went furthest is the one that was meant.
      const branches = issue.errors.map(takenApart);
      const deepest = branches.sort((a, b) => depth(b) - depth(a))[0] ?? [];
      return deepest.map((inner) => ({ ...inner, path: [...path, ...inner.path] }));
    }
    if (code === "unrecognized_keys") {
      const text = "is not a key that is known here";
      return issue.keys.map((key) => ({ path: [...path, key], text, code }));
    }
    return [{ path, text: issue.message, code }];
  });
}

function depth(found: readonly Finding[]): number {
  return Math.max(0, ...found.map(({ path }) => path.length));
}

/** `70000`, `"x"`, `a list`; undefined where nothing stands, or more than can be said. */
function insteadOf(
  content: unknown,
  path: Path,
  code: Part["code"],
  text: string,
): string | undefined {
  const value = valueAt(content, path);
  if (value === undefined) return undefined;
  // What should have keys and is one word says nothing by it, and may have been a password's.
  if (text === KEYS_EXPECTED && typeof value !== "boolean") return nameOfValue(value);
  if (typeof value === "object") {
    return code === "too_small" || code === "too_big" ? undefined : nameOfValue(value);
  }
  // A file that is text as a whole may be the password's.
  const secret = path.length === 0 || path.some((key) => SECRET_KEYS.has(key));
  if (!secret) return quoted(value);
  return code === "invalid_type" ? nameOfValue(value) : undefined;
}

function valueAt(content: unknown, path: Path): unknown {
  let value = content;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Readonly<Record<PropertyKey, unknown>>)[key];
  }
  return value;
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  object: "keys with values",
  record: "keys with values",
  array: "a list",
  string: "text",
  number: "a number",
  boolean: "true or false",
};

const KEYS_EXPECTED = `expected ${TYPE_NAMES["object"]}`;

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
