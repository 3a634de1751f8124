/**
 * Text of a configuration file → its validated content, or every problem with file, line and
 * field. Pure. A file with one problem is refused whole: half a policy is worse than the old one.
 * A good file in JSON, which is YAML too, is read a hundred times as fast; a thousand peers in
 * YAML take the event loop for a fifth of a second.
 */
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  visit,
  type YAMLMap,
  type YAMLParseError,
} from "yaml";
import { ADDRESS_BITS, familyOf } from "../../ip/address.ts";
import { type Prefix, prefixFamily, prefixLength } from "../../ip/prefix.ts";
import { keyText } from "../../k8s/problem.ts";
import { printable } from "../../runtime/operator-text.ts";
import { valuesOf, yamlDocument } from "../../runtime/yaml.ts";
import { parseJson } from "./json.ts";
import { meantKey } from "./meant-key.ts";
import {
  CONFIG_BYTES_MAX,
  type ConfigFile,
  configFileSchema,
  KEY_NAMES,
  matchedLengths,
} from "./schema.ts";
import { type Finding, findings, type Path, wordsOf } from "./words.ts";

/** Problems that are listed before "and N more". */
const PROBLEMS_MAX = 20;
/** What of a field's name is repeated in a message. */
const FIELD_LENGTH_MAX = 200;
/** A key as the file's own are, quoted or not. */
const KEY = /^["']?([\w.-]+)/;
const KEY_LENGTH_MAX = 64;

/** Each problem is a whole sentence: `peers.yaml:12: peers[3].port: …`. */
export type ParsedConfigFile =
  | { readonly ok: true; readonly file: ConfigFile }
  | { readonly ok: false; readonly problems: readonly string[] };

/** What the file must say, because nothing else does. */
export interface ConfigNeeds {
  /** Without Kubernetes there is no Node to take a router id from. */
  readonly routerId?: boolean;
}

/** Parses and validates; `name` is how the file is called in messages. */
export function parseConfigFile(
  text: string,
  name: string,
  needs: ConfigNeeds = {},
): ParsedConfigFile {
  if (text.length > CONFIG_BYTES_MAX) {
    return refused(name, [
      { line: 1, field: "", text: `is larger than ${CONFIG_BYTES_MAX} bytes` },
    ]);
  }
  const json = parseJson(text);
  const quick = json === undefined ? undefined : configFileSchema.safeParse(json);
  if (quick?.success === true && crossReferences(quick.data, needs).length === 0) {
    return { ok: true, file: quick.data };
  }
  return parseYaml(text, name, needs);
}

/** As what it is, with the lines of everything that is wrong. */
function parseYaml(text: string, name: string, needs: ConfigNeeds): ParsedConfigFile {
  const lines = new LineCounter();
  const document = yamlDocument(text, lines);
  const lineAt = (offset: number) => lines.linePos(offset).line;
  if (document.errors.length > 0) {
    const found = document.errors.map((error) => ({
      line: lineAt(error.pos[0]),
      field: "",
      text: textOf(error, text, document),
    }));
    return refused(name, found);
  }
  const plain = plainValue(() => valuesOf([document])[0]);
  if (!plain.ok) {
    const line = lineAt(offsetOfLooseAlias(document));
    return refused(name, [{ line, field: "", text: plain.problem }]);
  }
  const content = plain.value ?? {};
  const result = configFileSchema.safeParse(content, { error: wordsOf });
  const offsetOfKey = keyOffsets(document);
  const lineOf = ({ path, isUnknown }: Finding) => {
    const key = isUnknown === true ? offsetOfKey(path) : undefined;
    return lineAt(key ?? offsetOf(document, path));
  };
  const problems = result.success
    ? crossReferences(result.data, needs)
    : findings(result.error.issues, content);
  if (problems.length > 0 || !result.success) {
    const found = problems.map((problem) => ({
      line: lineOf(problem),
      field: fieldText(problem),
      text: printable(problem.text),
      hint: () => hintOf(problem),
    }));
    return refused(name, found);
  }
  return { ok: true, file: result.data };
}

/**
 * The library's own words, but where they are for who calls it, or name nothing, and without what
 * they quote of the file: somebody may have put a password there, as in `password: |secret`.
 */
function textOf(
  { code, message, pos }: YAMLParseError,
  text: string,
  document: Document.Parsed,
): string {
  if (code === "MULTIPLE_DOCS") return "expected one document: a second one begins here";
  if (code === "TAG_RESOLVE_FAILED") return "a tag means nothing here";
  if (code !== "DUPLICATE_KEY") return unquoted(message);
  const key = KEY.exec(text.slice(pos[0], pos[0] + KEY_LENGTH_MAX))?.[1];
  const isNamed = key !== undefined && (KEY_NAMES.has(key) || hasValue(document, pos[0]));
  return `${isNamed ? `the key ${key}` : "this key"} is there already`;
}

/** Whether the key that begins there has a value: see {@link keyText}. */
function hasValue(document: Document.Parsed, offset: number): boolean {
  let found = false;
  visit(document, {
    Pair(_key, { key, value }) {
      if (!isNode(key) || key.range?.[0] !== offset) return undefined;
      found = !(value === null || (isScalar(value) && value.value === null));
      return visit.BREAK;
    },
  });
  return found;
}

/** Behind a colon the file is quoted, and behind these words. */
const QUOTES = /(?<=[\w)]): .*$|(?<=^Invalid escape sequence|^Unsupported YAML version) .*$/s;

function unquoted(message: string): string {
  return printable(message.replace(QUOTES, ""));
}

/** Where the first alias is that has no anchor before it; 0 = there is none. */
function offsetOfLooseAlias(document: Document.Parsed): number {
  const anchors = new Set<string>();
  let offset = 0;
  visit(document, {
    Node(_key, node) {
      if (!isAlias(node)) {
        if (node.anchor !== undefined) anchors.add(node.anchor);
        return undefined;
      }
      if (anchors.has(node.source)) return undefined;
      offset = node.range?.[0] ?? 0;
      return visit.BREAK;
    },
  });
  return offset;
}

function plainValue(
  read: () => unknown,
):
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly problem: string } {
  try {
    return { ok: true, value: read() };
  } catch (error) {
    return { ok: false, problem: error instanceof Error ? unquoted(error.message) : "is no YAML" };
  }
}

interface Found {
  readonly line: number;
  /** `peers[3].port`; empty for the file as a whole. */
  readonly field: string;
  readonly text: string;
  /** What stands behind it, made only for those that are listed. */
  readonly hint?: () => string;
}

function refused(name: string, found: readonly Found[]): ParsedConfigFile {
  const sorted = [...found].sort((a, b) => a.line - b.line);
  const problems = sorted.slice(0, PROBLEMS_MAX).map(({ line, field, text, hint }) => {
    return `${name}:${line}: ${field === "" ? "" : `${field}: `}${text}${hint?.() ?? ""}`;
  });
  const more = sorted.length - problems.length;
  if (more > 0) problems.push(`${name}: and ${more} more problems`);
  return { ok: false, problems };
}

/** Names that must be defined, unique addresses, sensible ranges: what a schema cannot say. */
function crossReferences(file: ConfigFile, needs: ConfigNeeds): Finding[] {
  const problems: Finding[] = [];
  if (needs.routerId === true && file.global.routerId === undefined) {
    const text = "is needed without Kubernetes, here or as --router-id";
    problems.push({ path: ["global", "routerId"], text });
  }
  const policies = uniqueNames(file.policies, "policies", problems);
  const groups = uniqueNames(file.peerGroups, "peerGroups", problems);
  uniqueNames(file.peers, "peers", problems);
  const addresses = new Map<string, string>();
  for (const [index, peer] of file.peers.entries()) {
    const other = addresses.get(peer.address);
    if (other !== undefined) {
      problems.push({
        path: ["peers", index, "address"],
        text: `${peer.address} is the address of peer ${other} too`,
      });
    }
    addresses.set(peer.address, peer.name);
    if (peer.group !== undefined && !groups.has(peer.group)) {
      problems.push({
        path: ["peers", index, "group"],
        text: `no peer group is called ${peer.group}`,
      });
    }
    const group = file.peerGroups.find((candidate) => candidate.name === peer.group);
    if (peer.remoteAs === undefined && group?.remoteAs === undefined) {
      const text = "needs remoteAs (a number, or any), here or in its group";
      problems.push({ path: ["peers", index], text });
    }
    const localAddress = peer.localAddress ?? group?.localAddress;
    if (localAddress !== undefined && familyOf(localAddress) !== familyOf(peer.address)) {
      const other = `is of another family than the peer's address, ${peer.address}`;
      const text = `${localAddress} ${other}`;
      problems.push({ path: ["peers", index, "localAddress"], text });
    }
  }
  for (const section of ["peers", "peerGroups"] as const) {
    for (const [index, entry] of file[section].entries()) {
      for (const direction of ["import", "export"] as const) {
        const wanted = entry[direction];
        if (wanted === undefined || policies.has(wanted)) continue;
        problems.push({ path: [section, index, direction], text: `no policy is called ${wanted}` });
      }
    }
  }
  return [...problems, ...prefixRanges(file), ...lengthRanges(file), ...networkMistakes(file)];
}

function uniqueNames(
  entries: readonly { readonly name: string }[],
  section: string,
  problems: Finding[],
): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [index, entry] of entries.entries()) {
    if (names.has(entry.name)) {
      problems.push({ path: [section, index, "name"], text: `${entry.name} is there already` });
    }
    names.add(entry.name);
  }
  return names;
}

/** `ge` and `le` lie between the prefix's own length and the family's. */
function prefixRanges(file: ConfigFile): Finding[] {
  return file.policies.flatMap((policy, p) =>
    policy.statements.flatMap((statement, s) =>
      (statement.match?.prefixes ?? []).flatMap((entry, e) => {
        const own = prefixLength(entry.prefix);
        const longest = ADDRESS_BITS[prefixFamily(entry.prefix)];
        const { ge, le } = matchedLengths(entry);
        if (own <= ge && ge <= le && le <= longest) return [];
        const path = ["policies", p, "statements", s, "match", "prefixes", e];
        const rule = `lengths of ${entry.prefix} must be ${own} <= ge <= le <= ${longest}`;
        return [{ path, text: `${rule}, not ge ${ge}, le ${le}` }];
      }),
    ),
  );
}

/** No AS path is longer than the longest and shorter than the shortest. */
function lengthRanges(file: ConfigFile): Finding[] {
  return file.policies.flatMap((policy, p) =>
    policy.statements.flatMap(({ match }, s) => {
      const { asPathLengthMin: min = 0, asPathLengthMax: max = min } = match ?? {};
      if (min <= max) return [];
      const path = ["policies", p, "statements", s, "match", "asPathLengthMax"];
      return [{ path, text: `${max} is less than asPathLengthMin, ${min}: nothing can match` }];
    }),
  );
}

/** One network for each prefix, and a next hop that it can be told with. */
function networkMistakes(file: ConfigFile): Finding[] {
  const prefixes = new Set<Prefix>();
  return file.networks.flatMap(({ prefix, nextHop }, index) => {
    const found: Finding[] = [];
    if (prefixes.has(prefix)) {
      found.push({ path: ["networks", index, "prefix"], text: `${prefix} is there already` });
    }
    prefixes.add(prefix);
    // The reverse is possible: RFC 8950.
    if (nextHop !== undefined && familyOf(nextHop) === 4 && prefixFamily(prefix) === 6) {
      const text = `expected an IPv6 address, for ${prefix}, not ${nextHop}`;
      found.push({ path: ["networks", index, "nextHop"], text });
    }
    return found;
  });
}

interface WithRange {
  readonly range?: readonly number[] | null | undefined;
}

/** Where the deepest node of that path that exists begins in the text. */
function offsetOf(document: { getIn(path: Path, keepScalar: true): unknown }, path: Path): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true) as WithRange | null | undefined;
    const start = node?.range?.[0];
    if (start !== undefined) return start;
  }
  return 0;
}

/** Of a key that is not repeated itself nothing is told by what it is near to. */
function hintOf({ path, isUnknown, isAlone }: Finding): string {
  const key = String(path.at(-1));
  return isUnknown === true && keyText(key, KEY_NAMES, isAlone) === key ? meantKey(path) : "";
}

/**
 * Where the key at the end of a path begins: what it leads to may begin on a later line. A mapping
 * is gone through once only, for all its keys: a file of something else has thousands.
 */
function keyOffsets(document: Document.Parsed): (path: Path) => number | undefined {
  const known = new Map<unknown, ReadonlyMap<string, number>>();
  return (path) => {
    const parent = path.length > 1 ? document.getIn(path.slice(0, -1), true) : document.contents;
    if (!isMap(parent)) return undefined;
    let offsets = known.get(parent);
    if (offsets === undefined) {
      offsets = offsetsIn(parent);
      known.set(parent, offsets);
    }
    return offsets.get(String(path.at(-1)));
  };
}

function offsetsIn({ items }: YAMLMap): ReadonlyMap<string, number> {
  const offsets = new Map<string, number>();
  for (const { key } of items) {
    if (isScalar(key) && key.range) offsets.set(String(key.value), key.range[0]);
  }
  return offsets;
}

function fieldText({ path, isAlone }: Finding): string {
  const text = path
    .map((part, index) => {
      if (typeof part === "number") return `[${part}]`;
      const isLone = isAlone === true && index === path.length - 1;
      return `${index > 0 ? "." : ""}${keyText(String(part), KEY_NAMES, isLone)}`;
    })
    .join("");
  const cut = text.slice(0, FIELD_LENGTH_MAX);
  return `${printable(cut)}${cut.length < text.length ? "…" : ""}`;
}
