/** What stands in messages and tables, wherever it came from. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { printable, someOf } from "../../src/runtime/operator-text.ts";

const CASES: readonly (readonly [what: string, text: string, shown: string])[] = [
  ["plain", "10.233.64.0/24 via node-1", "10.233.64.0/24 via node-1"],
  ["letters of any script", "Knoten-ä 節点 узел", "Knoten-ä 節点 узел"],
  ["an escape sequence", "\u001b[31mred\u0007", "?[31mred?"],
  ["line ends", "one\r\ntwo\u0085three\u2028four\u2029five", "one??two?three?four?five"],
  ["C1 controls and DEL", "a\u009bb\u007fc", "a?b?c"],
  ["bidi controls", "a\u202eb\u2066c\u200fd\u061ce", "a?b?c?d?e"],
  ["what has no width", "a\u200bb\ufeffc\u00add", "a?b?c?d"],
  ["half a surrogate pair", "a\ud800b", "a?b"],
  ["private use", "a\ue000b", "a?b"],
];

for (const [what, text, shown] of CASES) {
  test(`printable: ${what}`, () => assert.equal(printable(text), shown));
}

test("of many names the first are named, and the others counted", () => {
  assert.equal(someOf(["a", "b"], 2), "a, b");
  assert.equal(someOf(["a", "b", "c"], 2), "a, b and 1 more");
  assert.equal(someOf([], 2), "");
});
