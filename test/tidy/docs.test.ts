/** Pages of docs/ that are made from the code are current, and say what the constants say. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { FLAGS, flagsPage, treatment } from "../../scripts/docs/flags-page.ts";
import { allBounds, type Bound, quantity } from "../../scripts/docs/limits-page.ts";
import { generatedPages } from "../../scripts/docs/pages.ts";
import { ABSENT_PARTS } from "../../src/agent/flags.ts";
import { ROOT } from "./source-tree.ts";

test("every generated page is current", async () => {
  const pages = await generatedPages();
  const names = ["flags", "interop", "limits", "metrics"];
  assert.deepEqual(
    [...pages.keys()],
    names.map((name) => `docs/${name}.md`),
  );
  for (const [path, text] of pages) {
    const written = readFileSync(join(ROOT, path), "utf8");
    assert.equal(written, text, `${path} is not what the code says: run \`npm run docs\``);
  }
});

test("the page of flags has each flag, and says what becomes of each of kube-router's", () => {
  const page = flagsPage();
  assert.ok(FLAGS.length > 40);
  for (const flag of FLAGS) {
    const dashes = flag.name.length === 1 ? "-" : "--";
    assert.ok(page.includes(`| \`${dashes}${flag.name}\` |`), flag.name);
  }
  for (const name of Object.keys(ABSENT_PARTS)) assert.ok(page.includes(`--${name}`), name);
  assert.equal(treatment("bgp-port", "179"), "taken");
  assert.equal(treatment("bgp-port", "1"), "taken; default `179`");
  assert.match(treatment("run-firewall", "true"), /no part for NetworkPolicies/);
  assert.match(treatment("bfd-port", "3784"), /^refused: /);
  assert.throws(() => treatment("made-up", ""), /nothing is said of/);
});

/** `NAME` or `NAME.field` → number, of everything that a module exports. */
function exportedNumbers(module: Readonly<Record<string, unknown>>): Map<string, number> {
  const numbers = new Map<string, number>();
  for (const [name, value] of Object.entries(module)) {
    if (typeof value === "number") numbers.set(name, value);
    if (typeof value !== "object" || value === null) continue;
    for (const [field, inner] of Object.entries(value)) {
      if (typeof inner === "number") numbers.set(`${name}.${field}`, inner);
    }
  }
  return numbers;
}

test("the page of limits has every constant of every limits.ts, with its number", async () => {
  const bounds = allBounds();
  const files = globSync(["src/**/limits.ts", "packages/*/src/limits.ts"], { cwd: ROOT });
  assert.ok(files.length >= 9, `${files.length} limits files`);
  let compared = 0;
  for (const path of files) {
    const module = (await import(join(ROOT, path))) as Readonly<Record<string, unknown>>;
    const listed = new Map<string, Bound>(
      bounds.get(dirname(path))?.map((bound) => [bound.name, bound]),
    );
    for (const [name, value] of exportedNumbers(module)) {
      assert.equal(listed.get(name)?.value, value, `${path}: ${name}`);
      compared++;
    }
  }
  assert.ok(compared > 80, `${compared} constants`);
});

test("numbers are written with the unit that their name ends in", () => {
  for (const [name, value, expected] of [
    ["WAIT_MS", 90_000, "90 s"],
    ["WAIT_MS_MAX", 120_000, "2 min"],
    ["WAIT_MS", 250, "250 ms"],
    ["RETRY.firstMs", 1000, "1 s"],
    ["FILE_BYTES_MAX", 4 * 1024 * 1024, "4 MiB"],
    ["FILE_BYTES_MAX", 65_535, "65,535 bytes"],
    ["TIMEOUT_SECONDS_MAX", 2_147_483, "2,147,483 s"],
    ["NODES_MAX", 16_384, "16,384"],
  ] as const) {
    assert.equal(quantity(name, value), expected);
  }
});
