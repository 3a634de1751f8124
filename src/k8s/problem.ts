/**
 * What is wrong or noteworthy about a Node, as data and as one sentence. Text from outside is
 * repeated only through {@link quoted}: bounded, and free of control characters.
 */
import { printable } from "../runtime/operator-text.ts";
import { QUOTED_LENGTH_MAX } from "./limits.ts";

/** `error`: something asked for is not done. `warning`: odd but done. `info`: not there yet. */
export type ProblemSeverity = "error" | "warning" | "info";

export type ProblemCode =
  | "node-invalid"
  | "node-ignored"
  | "own-node-missing"
  | "address-invalid"
  | "address-missing"
  | "address-duplicate"
  | "family-mismatch"
  | "pod-cidr-invalid"
  | "pod-cidr-missing"
  | "pod-cidr-unannounced"
  | "pod-cidr-overlap"
  | "pod-cidr-covers-node"
  | "annotation-invalid"
  | "more-problems";

export interface NodeProblem {
  readonly severity: ProblemSeverity;
  readonly code: ProblemCode;
  /** The Node's name; undefined when not even that could be read. */
  readonly node: string | undefined;
  /** Path inside the object, `spec.podCIDRs[1]`; undefined when it is about the whole Node. */
  readonly field: string | undefined;
  /** The offending text, cut and sanitised; undefined for secrets and where there is none. */
  readonly value: string | undefined;
  /** The whole sentence, Node, field and value included. */
  readonly message: string;
}

export interface ProblemDetails {
  readonly severity: ProblemSeverity;
  readonly code: ProblemCode;
  readonly node?: string | undefined;
  readonly field?: string | undefined;
  readonly value?: unknown;
  /** What is said about the value: `is not a CIDR; it is left out`. */
  readonly text: string;
}

/** Builds a problem; `value` is sanitised here. */
export function nodeProblem(details: ProblemDetails): NodeProblem {
  const value = details.value === undefined ? undefined : quoted(details.value);
  const subject = details.node === undefined ? "" : `Node ${details.node}: `;
  const place = [details.field, value].filter((part) => part !== undefined).join(" ");
  return {
    severity: details.severity,
    code: details.code,
    node: details.node,
    field: details.field,
    value,
    message: `${subject}${place === "" ? "" : `${place} `}${details.text}`,
  };
}

/**
 * What stands behind the word, misspelt as it may be, is one, if a comma, a colon or a line end was
 * forgotten. Of the word itself nothing is given back to what stands behind it.
 */
const BEFORE_PASSWORD = /^.*?(?=(p[as]{2,3}(?:w[or]{0,2}|o[wr]r?)d?s?))\1(?=.*[\p{L}\p{N}])/isu;

/** Outside text without what stands behind the word password, or before the host of a URL. */
export function withoutSecret(text: string): string {
  const word = BEFORE_PASSWORD.exec(text)?.[0];
  const shown = word === undefined ? text : `${word}…`;
  const at = shown.lastIndexOf("@");
  const colon = shown.indexOf(":");
  return 0 <= colon && colon < at ? `…${shown.slice(at)}` : shown;
}

/**
 * Outside text or JSON in quotes, cut to {@link QUOTED_LENGTH_MAX}, {@link withoutSecret}, one
 * line, printable.
 */
export function quoted(value: unknown): string {
  if (typeof value !== "string") return describe(value);
  const shown = withoutSecret(value);
  const cut = shown.slice(0, QUOTED_LENGTH_MAX);
  return `"${printable(cut).replaceAll('"', "'")}${cut.length < shown.length ? "…" : ""}"`;
}

/**
 * A key of YAML from outside, fit to be repeated. What comes behind its first word is a value whose
 * colon or space is missing, or that stands in a mapping which is the key, and may be a password.
 * So may be the first word itself, and the key where it `isAlone`, without a value: they are
 * repeated if they are one of the `known` keys.
 */
export function keyText(key: string, known: ReadonlySet<string>, isAlone = false): string {
  const end = key.search(/[:={\s]/);
  const isKnown = end === 0 || known.has(end < 0 ? key : key.slice(0, end));
  if (end < 0) return isAlone && !isKnown ? "…" : key;
  return isKnown ? `${key.slice(0, end + 1)}…` : "…";
}

function describe(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  switch (typeof value) {
    case "object":
      return "an object";
    case "number":
    case "boolean":
      return String(value);
    default:
      return typeof value;
  }
}

/** Same facts: the messages are built from the fields, so they decide. */
export function sameProblem(a: NodeProblem, b: NodeProblem): boolean {
  return a === b || (a.message === b.message && a.code === b.code && a.severity === b.severity);
}
