/** Configuration in JSON is what it is as YAML, only sooner; a key that stands twice is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parse as parseYaml } from "yaml";
import { parseJson } from "../../src/agent/config-file/json.ts";
import { parseConfigFile } from "../../src/agent/config-file/parse.ts";

const LETTERS = "ab:{}[]# é😀";
// Not in keys: escapes there are not always read right by the yaml package.
const letters = fc.string({ unit: fc.constantFrom(...LETTERS, `"`, "\\", "\n"), maxLength: 8 });
const keys = fc.string({ unit: fc.constantFrom(...LETTERS), maxLength: 8 });
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    letters,
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("value"), { maxLength: 4 }),
    tie("object"),
  ),
  object: fc.dictionary(keys, tie("value"), { maxKeys: 4, noNullPrototype: true }),
}));
const object = fc.dictionary(keys, value, { maxKeys: 5, noNullPrototype: true });

test("JSON of any form means what YAML says it means", () => {
  fc.assert(
    fc.property(object, fc.constantFrom(0, 1, 2, 4), (content, indent) => {
      const text = JSON.stringify(content, null, indent);
      assert.deepEqual(parseJson(text), content);
      assert.deepEqual(parseYaml(text), content);
    }),
    { numRuns: 300 },
  );
});

test("a key that stands twice, at any depth, is not taken for JSON", () => {
  assert.equal(parseJson(`{"a": 1, "a": 2}`), undefined);
  assert.equal(parseJson(`{"b": [{"a": {"c": 1}, "a" : 2}]}`), undefined);
  assert.deepEqual(parseJson(`{"a": {"a": "\\"a\\": \\\\"}, "b": [{"a": ":"}]}`), {
    a: { a: `"a": \\` },
    b: [{ a: ":" }],
  });
  const twice = parseConfigFile(`{"global": {"as": 64512,\n "as": 64513}}`, "c.json");
  assert.ok(!twice.ok);
  assert.match(twice.problems[0]!, /^c\.json:2: the key as is there already$/);
});

test("what is no JSON, and what is nested without end, is left to YAML", () => {
  for (const text of ["", "{a: 1}", `{"a": 1,}`, `["a"]`, "# no\n{}"]) {
    assert.equal(parseJson(text), undefined, text);
  }
  const depth = 100_000;
  const deep = `{"a": ${"[".repeat(depth)}${"]".repeat(depth)}}`;
  assert.notEqual(parseJson(deep), undefined);
});

test("problems in JSON are told with their lines, as in YAML", () => {
  const text = `{\n "peers": [\n  {"name": "a", "address": "192.0.2.1", "remoteAs": 0}\n ]\n}`;
  const parsed = parseConfigFile(text, "c.json");
  assert.ok(!parsed.ok);
  assert.match(parsed.problems[0]!, /^c\.json:3: peers\[0\]\.remoteAs: expected an AS/);
  const good = parseConfigFile(text.replace("0}", "65001}"), "c.json");
  assert.ok(good.ok && good.file.peers[0]!.remoteAs === 65001);
});
