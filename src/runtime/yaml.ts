/**
 * How YAML of an operator is read, whichever file it is: merge keys (`<<: *anchor`) mean what they
 * mean to kubectl, all else is YAML 1.2 (`yes` is text). https://yaml.org/type/merge.html
 */

/** How often an alias may be expanded, nested ones multiplied: YAML's own amplification. */
export const ALIASES_MAX = 100;

/** For the parser. Warnings of its own would quote the file on standard error, past the log. */
export const YAML_OPTIONS = {
  merge: true,
  uniqueKeys: true,
  logLevel: "error",
  prettyErrors: false,
} as const;

/** For making values of a document; what that throws is a fault of an alias or a merge key. */
export const VALUE_OPTIONS = { maxAliasCount: ALIASES_MAX } as const;

/** What such a fault can be: the parser's own words may quote the file. */
export const ALIAS_PROBLEM =
  `an alias that names nothing or itself, an anchor used more than ${ALIASES_MAX} times, or a ` +
  "merge key (<<) with what is no mapping";
