/** One flag of `podrouter run`. */
import type { ValueParser } from "./flag-values.ts";

export interface Flag<T> {
  /** Without the dashes. */
  readonly name: string;
  readonly group: string;
  readonly value: ValueParser<T>;
  /** As one would write it on the command line; also what `--help` shows. */
  readonly default: string;
  readonly help: string;
  /** Given several times it is a comma list of all; otherwise the last one counts. */
  readonly repeatable?: true;
  /** By mistake it may be a password: it is not repeated. */
  readonly secret?: true;
}

export function flag<T>(
  name: string,
  group: string,
  value: ValueParser<T>,
  defaultText: string,
  help: string,
): Flag<T> {
  return { name, group, value, default: defaultText, help };
}
