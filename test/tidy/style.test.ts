/** House style that no linter knows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { sourceFiles } from "./source-tree.ts";

const LINES_MAX = 400;
const COLUMNS_MAX = 100;
const UNFINISHED = /\b(?:TODO|FIXME|XXX|HACK)\b|not implemented|unimplemented/i;

const product = sourceFiles("src", "packages/netlink-ts/src", "packages/ipset-js/src");
const packageTests = sourceFiles("packages/netlink-ts/test", "packages/ipset-js/test");
const all = [...product, ...packageTests, ...sourceFiles("test", "scripts")];

test("files stay within 400 lines, tests too", () => {
  const long = all
    .filter((file) => !file.path.endsWith(".generated.ts"))
    .map((file) => ({ path: file.path, lines: file.text.split("\n").length - 1 }))
    .filter((file) => file.lines > LINES_MAX);
  assert.deepEqual(long, []);
});

test("lines stay within 100 columns", () => {
  const long = product.flatMap((file) =>
    file.text
      .split("\n")
      .map((line, index) => ({ where: `${file.path}:${index + 1}`, columns: line.length }))
      .filter((line) => line.columns > COLUMNS_MAX),
  );
  assert.deepEqual(long, []);
});

test("nothing is left unfinished", () => {
  const found = all
    .filter((file) => !file.path.startsWith("test/tidy/"))
    .flatMap((file) =>
      file.text
        .split("\n")
        .map((line, index) => ({ where: `${file.path}:${index + 1}`, line: line.trim() }))
        .filter(({ line }) => UNFINISHED.test(line)),
    );
  assert.deepEqual(found, []);
});

test("every product file says at its top what it is", () => {
  const silent = product.filter((file) => !file.text.includes("/**")).map((file) => file.path);
  assert.deepEqual(silent, []);
});
