/**
 * How YAML of an operator is read, whichever file it is: merge keys (`<<: *anchor`) mean what they
 * mean to kubectl, all else is YAML 1.2 (`yes` is text). https://yaml.org/type/merge.html
 */
import {
  type Document,
  isAlias,
  isScalar,
  type LineCounter,
  parseAllDocuments,
  parseDocument,
  visit,
  YAMLParseError,
} from "yaml";

/** How often an anchor may be used, nested ones multiplied: YAML's own amplification. */
export const ALIASES_MAX = 100;

/** Anchors and aliases in a file: each alias is looked for among them, one after the other. */
export const ANCHORS_MAX = 5_000;

const OPTIONS = {
  merge: true,
  // The parser compares each key with all before it: 240 kB of keys would take ten seconds.
  uniqueKeys: false,
  // Warnings of its own would quote the file on standard error, past the log.
  logLevel: "error",
  prettyErrors: false,
} as const;

/** A text that is one document, with the errors that there are in it. */
export function yamlDocument(text: string, lineCounter: LineCounter): Document.Parsed {
  return withTwins(parseDocument(text, { ...OPTIONS, lineCounter }));
}

/** A text that is any number of documents. */
export function yamlDocuments(text: string, lineCounter: LineCounter): readonly Document.Parsed[] {
  const documents = parseAllDocuments(text, { ...OPTIONS, lineCounter });
  return Array.isArray(documents) ? documents.map(withTwins) : [];
}

/** Notes each key that its mapping has already, as the parser would. */
function withTwins(document: Document.Parsed): Document.Parsed {
  visit(document, {
    Map(_key, { items }) {
      const keys = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        const at = key.range?.[0] ?? 0;
        if (keys.has(key.value)) {
          const words = "Map keys must be unique";
          document.errors.push(new YAMLParseError([at, at + 1], "DUPLICATE_KEY", words));
        }
        keys.add(key.value);
      }
    },
  });
  document.errors.sort((a, b) => a.pos[0] - b.pos[0]);
  return document;
}

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
