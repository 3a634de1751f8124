/**
 * docs/limits.md from the constants themselves. Of a `limits.ts` each constant is listed with the
 * comment above it, which says what happens beyond it; bounds that stand elsewhere are named here,
 * with that sentence. Numbers are read from the source, so that they cannot differ from it.
 */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { MORE_BOUNDS } from "./more-bounds.ts";
import { generatedFrom, table } from "./table.ts";

const ROOT = join(import.meta.dirname, "..", "..");

export interface Bound {
  readonly name: string;
  readonly value: number;
  /** What it bounds, and what happens beyond. */
  readonly text: string;
}

const TITLES: Readonly<Record<string, string>> = {
  "src/runtime": "Files in YAML",
  "src/k8s": "Nodes: objects, annotations, API server",
  "src/agent": "The agent: configuration file, admin socket, HTTP, log",
  "src/cli": "The commands",
  "src/bgp/message": "BGP messages",
  "src/bgp/fsm": "BGP sessions: timers of the state machine",
  "src/bgp/session": "BGP sessions: connections and turns of work",
  "src/bgp/speaker": "The speaker",
  "src/bgp/rib": "The routing table",
  "src/routes": "Kernel routes",
  "src/ipset": "ipsets",
  "src/cni": "CNI configuration, bridge, packet rules",
  "src/cni/plugin": "The plugin podrouter-cni",
  "src/overlay": "Tunnels to Nodes in other subnets",
  "packages/netlink-ts/src": "netlink",
  "packages/ipset-js/src": "ipset requests",
};

const HEAD = `${generatedFrom("the limits.ts files and scripts/docs/more-bounds.ts")}

# Limits

Everything that comes from outside is bounded; beyond a bound the agent does what stands here, and
says so where something is left out (\`podrouter status\`, the log, a metric). Most are constants in
the \`limits.ts\` of their folder. Flags and fields of the configuration file have ranges of their
own: [flags.md](flags.md), [config.md](config.md).
`;

/** The page. */
export function limitsPage(): string {
  const sections = [...allBounds()].map(([folder, bounds]) => {
    const rows = groups(bounds).map((group) => [
      group.map(({ name }) => `\`${name}\``).join(", "),
      group.map(({ name, value }) => quantity(name, value)).join(", "),
      group[0]!.text,
    ]);
    const columns = ["constant", "bound", "of what, and what happens beyond"];
    return `## ${TITLES[folder] ?? folder}\n\n\`${folder}/\`\n\n${table(columns, rows)}\n`;
  });
  return [HEAD, ...sections].join("\n");
}

/** All bounds by folder, in the order of the page. */
export function allBounds(): ReadonlyMap<string, readonly Bound[]> {
  const files = globSync(["src/**/limits.ts", "packages/*/src/limits.ts"], { cwd: ROOT });
  const byFolder = new Map<string, Bound[]>(Object.keys(TITLES).map((folder) => [folder, []]));
  const add = (path: string, bounds: readonly Bound[]) => {
    // A folder within another stands behind it.
    const folder = Object.keys(TITLES).findLast((known) => path.startsWith(`${known}/`));
    if (folder === undefined) throw new Error(`${path} has limits and no title in limits.md`);
    byFolder.get(folder)!.push(...bounds);
  };
  for (const path of files.sort()) add(path, documentedBounds(read(path), path));
  for (const { path, bounds } of MORE_BOUNDS) add(path, namedBounds(read(path), path, bounds));
  return new Map([...byFolder].filter(([, bounds]) => bounds.length > 0));
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** A doc comment; its text is the group. */
const COMMENT = String.raw`/\*\*((?:(?!\*/)[\s\S])*)\*/`;
const DECLARATION = new RegExp(
  String.raw`(?:${COMMENT}\n)?(?:export )?const ([A-Z0-9_]+)(?::[^=]+)? = ([^;]+);`,
  "g",
);

/** Every constant of a limits.ts; one without a comment belongs to the one above it. */
function documentedBounds(text: string, path: string): readonly Bound[] {
  const bounds: Bound[] = [];
  let comment = "";
  for (const [, above, name, value] of text.matchAll(DECLARATION)) {
    if (above !== undefined) comment = plainComment(above);
    if (value!.trim().startsWith("{")) bounds.push(...objectBounds(text, name!, value!, comment));
    else bounds.push({ name: name!, value: evaluate(value!, path), text: comment });
  }
  const silent = bounds.find((bound) => bound.text === "");
  if (silent !== undefined) throw new Error(`${path}: nothing is said of ${silent.name}`);
  return bounds;
}

/** A constant that is a record of bounds: its fields, described where their type describes them. */
function objectBounds(text: string, name: string, value: string, comment: string): Bound[] {
  const fields = [...value.matchAll(/(\w+): ([^,}\n]+)/g)];
  return fields.map(([, field, expression]) => {
    const declared = new RegExp(String.raw`${COMMENT}\s*readonly ${field}:`).exec(text);
    const said = declared === null ? comment : plainComment(declared[1]!);
    return { name: `${name}.${field}`, value: evaluate(expression!, name), text: said };
  });
}

/** The constants of a file that are named, with what is said of them. */
function namedBounds(
  text: string,
  path: string,
  wanted: Readonly<Record<string, string>>,
): readonly Bound[] {
  const values = new Map(
    [...text.matchAll(DECLARATION)].map(([, , name, value]) => [name!, value!]),
  );
  return Object.entries(wanted).map(([name, said]) => {
    const value = values.get(name);
    if (value === undefined) throw new Error(`${path} has no ${name} any more`);
    return { name, value: evaluate(value, path), text: said };
  });
}

function plainComment(comment: string): string {
  return comment
    .split("\n")
    .map((line) => line.replace(/^\s*\*? ?/, ""))
    .join(" ")
    .replaceAll(/\{@link (\w+)\}/g, "$1")
    .trim();
}

/** Sums and products of numbers, which is all that a bound is made of. */
function evaluate(expression: string, where: string): number {
  const total = expression
    .split("+")
    .map((term) => term.split("*").reduce((product, factor) => product * number(factor), 1))
    .reduce((sum, term) => sum + term, 0);
  if (Number.isNaN(total)) throw new Error(`${where}: ${expression} is no number`);
  return total;
}

function number(text: string): number {
  return Number(text.trim().replaceAll("_", "") || Number.NaN);
}

/** Neighbours that one comment speaks of. */
function groups(bounds: readonly Bound[]): Bound[][] {
  const result: Bound[][] = [];
  for (const bound of bounds) {
    const last = result.at(-1);
    if (last !== undefined && last[0]!.text === bound.text) last.push(bound);
    else result.push([bound]);
  }
  return result;
}

/** The number with the unit that the name ends in. */
export function quantity(name: string, value: number): string {
  if (/_MS\b|_MS_|Ms\b/.test(name)) return milliseconds(value);
  if (/SECONDS/.test(name)) return `${grouped(value)} s`;
  if (/BYTES|bytes/i.test(name)) return bytes(value);
  return grouped(value);
}

function milliseconds(value: number): string {
  if (value % 60_000 === 0) return `${grouped(value / 60_000)} min`;
  return value % 1000 === 0 ? `${grouped(value / 1000)} s` : `${grouped(value)} ms`;
}

function bytes(value: number): string {
  if (value > 0 && value % (1024 * 1024) === 0) return `${grouped(value / 1024 / 1024)} MiB`;
  if (value > 0 && value % 1024 === 0) return `${grouped(value / 1024)} KiB`;
  return `${grouped(value)} bytes`;
}

function grouped(value: number): string {
  return String(value).replaceAll(/\B(?=(\d{3})+$)/g, ",");
}
