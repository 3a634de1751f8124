/**
 * How YAML of an operator is read, whichever file it is: merge keys (`<<: *anchor`) mean what they
 * mean to kubectl, all else is YAML 1.2 (`yes` is text). https://yaml.org/type/merge.html
 */
import { type Document, isAlias, visit } from "yaml";

/** How often an anchor may be used, nested ones multiplied: YAML's own amplification. */
export const ALIASES_MAX = 100;

/** Anchors and aliases in a file: each alias is looked for among them, one after the other. */
export const ANCHORS_MAX = 5_000;

/** For the parser. Warnings of its own would quote the file on standard error, past the log. */
export const YAML_OPTIONS = {
  merge: true,
  uniqueKeys: true,
  logLevel: "error",
  prettyErrors: false,
} as const;

/** What {@link valuesOf} can find wrong, where the parser's own words may quote the file. */
export const ALIAS_PROBLEM =
  `an alias that names nothing or itself, an anchor used more than ${ALIASES_MAX} times, a merge ` +
  `key (<<) with what is no mapping, or more than ${ANCHORS_MAX} anchors and aliases`;

/** The values of a file's documents, which are without errors; throws for {@link ALIAS_PROBLEM}. */
export function valuesOf(documents: readonly Document.Parsed[]): readonly unknown[] {
  let found = 0;
  for (const document of documents) {
    visit(document, {
      Node(_key, node) {
        if (!isAlias(node) && node.anchor === undefined) return undefined;
        found++;
        return found > ANCHORS_MAX ? visit.BREAK : undefined;
      },
    });
  }
  if (found > ANCHORS_MAX) throw new Error(`more than ${ANCHORS_MAX} anchors and aliases`);
  return documents.map((document) => document.toJS({ maxAliasCount: ALIASES_MAX }) as unknown);
}
