/** docs/migration.md names flags, annotations, sets and files as the code has them. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { FLAGS, treatment } from "../../scripts/docs/flags-page.ts";
import { KUBE_ROUTER_FLAGS } from "../../scripts/docs/kube-router-flags.ts";
import { ABSENT_PARTS } from "../../src/agent/flags.ts";
import { OUR_SETS } from "../../src/ipset/types.ts";
import { ROOT, sourceFiles } from "./source-tree.ts";

const PAGE = readFileSync(join(ROOT, "docs/migration.md"), "utf8");

/** Text from a heading to the next one. */
function section(title: string): string {
  const start = PAGE.indexOf(`## ${title}\n`);
  assert.ok(start >= 0, title);
  const end = PAGE.indexOf("\n## ", start);
  return PAGE.slice(start, end < 0 ? undefined : end);
}

/** What stands in backticks in the first cells of a section's table. */
function firstCells(title: string): string[] {
  const rows = section(title).matchAll(/^\| (`[^|]*`) \|/gm);
  return [...rows].flatMap((row) => [...row[1]!.matchAll(/`([^`]+)`/g)].map((match) => match[1]!));
}

const ours = new Map(FLAGS.map((flag) => [flag.name, flag.default]));
const theirs = new Map(KUBE_ROUTER_FLAGS);

test("every flag that it names is one of podrouter's or of kube-router's", () => {
  const others = ["field-selector", "type", "all", "overwrite"];
  const named = new Set([...PAGE.matchAll(/(?<![\w-])--([a-z][\w-]*)/g)].map((match) => match[1]!));
  assert.ok(named.size > 25);
  for (const name of named) {
    assert.ok(ours.has(name) || theirs.has(name) || others.includes(name), `--${name}`);
  }
});

test("each flag of kube-router whose default differs, or that is refused by default, is named", () => {
  const listed = firstCells("Flags that differ").map((cell) => cell.replace(/^--/, ""));
  for (const [name, theirDefault] of KUBE_ROUTER_FLAGS) {
    const refusedByDefault = ABSENT_PARTS[name] !== undefined && theirDefault === "true";
    if (!refusedByDefault && !treatment(name, theirDefault).includes("; default")) continue;
    assert.ok(listed.includes(name), `--${name}`);
  }
});

test("the defaults that it tells are the defaults", () => {
  let compared = 0;
  for (const line of section("Flags that differ").split("\n")) {
    const [, flag, there, here] =
      /^\| `--([\w-]+)` \| (?:`([^`]*)`)? ?\| (?:`([^`]*)`)?/.exec(line) ?? [];
    if (flag === undefined || here === undefined) continue;
    assert.equal(there, theirs.get(flag), `kube-router's --${flag}`);
    assert.equal(here, ours.get(flag) ?? "false", `--${flag}`);
    compared++;
  }
  assert.ok(compared >= 8, `${compared} flags`);
});

test("it names exactly the annotations that are read", () => {
  const files = ["annotations.ts", "annotation-peers.ts", "node-snapshot.ts"];
  const text = sourceFiles("src/k8s")
    .filter(({ path }) => files.some((file) => path.endsWith(`/${file}`)))
    .map((file) => file.text)
    .join("\n");
  const names =
    /"((?:node\.asn|peers|peer\.\w+|rr\.\w+|path-prepend\.[\w-]+|node\.bgp\.\w+|bgp-local-\w+|pod-cidrs?))"/g;
  const read = new Set([...text.matchAll(names)].map((match) => match[1]!));
  assert.deepEqual(firstCells("Annotations").toSorted(), [...read].sort());
});

test("sets, files and links are there", () => {
  for (const { name } of OUR_SETS) {
    assert.ok(PAGE.includes(`\`${name.replace("inet6:", "")}\``), name);
  }
  for (const [, target] of PAGE.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
    assert.ok(existsSync(join(ROOT, dirname("docs/migration.md"), target!)), target);
  }
  assert.ok(existsSync(join(ROOT, "deploy/podrouter.yaml")));
});
