/** Pages of docs/ name what there is: metrics and labels in docs/operating.md, links in all. */
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { ROOT } from "./source-tree.ts";

const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
const BLOCKS = [...read("docs/operating.md").matchAll(/```yaml\n(.*?)```/gs)].map(
  (match) => match[1]!,
);

/** Labels by metric, of docs/metrics.md, and what every Prometheus has. */
const METRICS = new Map([
  ["up", []],
  ["process_start_time_seconds", []],
  ["process_resident_memory_bytes", []],
  ...[...read("docs/metrics.md").matchAll(/^\| `(\w+)` \| \w+ \| ([^|]*) \|/gm)].map(
    ([, name, labels]): [string, string[]] => [
      name!,
      [...labels!.matchAll(/`(\w+)`/g)].map((label) => label[1]!),
    ],
  ),
]);

interface Rules {
  readonly groups: readonly { readonly rules: readonly { readonly expr: string }[] }[];
}

test("the rules ask for metrics and labels that there are", () => {
  const rules = parse(BLOCKS.find((block) => block.includes("groups:"))!) as Rules;
  const all = rules.groups.flatMap((group) => group.rules);
  assert.ok(all.length > 10);
  for (const { expr } of all) {
    const words = expr.replaceAll(/"[^"]*"/g, '""');
    const asked = [
      ...words.matchAll(/\b((?:kube_router|podrouter|process)_\w+|up)\b(?:\{(.*?)\})?/g),
    ];
    assert.ok(asked.length > 0, expr);
    const known = new Set(["node", ...asked.flatMap(([, name]) => METRICS.get(name!) ?? [])]);
    for (const [, by] of words.matchAll(/\bby \((.*?)\)/g)) {
      for (const label of by!.split(", ")) assert.ok(known.has(label), `by (${label}) in: ${expr}`);
    }
    for (const [, name, labels = ""] of asked) {
      const known = METRICS.get(name!);
      assert.ok(known !== undefined, `${name} in: ${expr}`);
      for (const [, label] of labels.matchAll(/(\w+)=/g)) {
        assert.ok(label === "job" || known.includes(label!), `${name}{${label}} in: ${expr}`);
      }
    }
  }
});

/** GitHub's name of a heading. */
const anchor = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\w\s-]/g, "")
    .replaceAll(" ", "-");

test("links of all pages lead to files and headings that there are", () => {
  const pages = ["README.md", "ARCHITECTURE.md", ...globSync("docs/*.md", { cwd: ROOT })];
  let followed = 0;
  for (const page of pages) {
    for (const [, target = "", heading] of read(page).matchAll(/\]\(([^)#:]*)(?:#([^)]*))?\)/g)) {
      const path = target === "" ? page : join(dirname(page), target);
      assert.ok(existsSync(join(ROOT, path)), `${page}: ${path}`);
      followed++;
      if (heading === undefined) continue;
      const headings = [...read(path).matchAll(/^#+ (.*)$/gm)].map((match) => anchor(match[1]!));
      assert.ok(headings.includes(heading), `${page}: ${path}#${heading}`);
    }
  }
  assert.ok(followed > 80, `${followed} links`);
});
