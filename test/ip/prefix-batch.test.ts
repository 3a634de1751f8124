import assert from "node:assert/strict";
import { test } from "node:test";
import { prefix } from "../../src/ip/prefix.ts";
import { PrefixBatch, pushPrefix } from "../../src/ip/prefix-batch.ts";

test("a batch grows from one row and keeps each of its rows", () => {
  const numbers = Array.from({ length: 1000 }, (_, i) => i);
  const hex = (n: number) => (n * 60 + 4096).toString(16);
  const texts = {
    4: numbers.map((n) => prefix(`${n & 255}.${255 - (n & 255)}.${n % 7}.0/${24 + (n & 7)}`)),
    6: numbers.map((n) =>
      prefix(`${hex(n)}:1:2:${hex(n + 1)}:3:4:5:${hex(n + 2)}/${126 + (n & 1)}`),
    ),
  };
  for (const family of [4, 6] as const) {
    const batch = new PrefixBatch(1);
    // What is there before does not count.
    pushPrefix(batch, prefix("9.9.9.0/24"), 9);
    batch.reset(family);
    for (const [n, text] of texts[family].entries()) pushPrefix(batch, text, n);
    assert.equal(batch.count, 1000);
    assert.deepEqual(
      numbers.map((n) => batch.prefixAt(n)),
      texts[family],
    );
    assert.deepEqual([...batch.pathId.subarray(0, 1000)], numbers);
    pushPrefix(batch, texts[family][0]!);
    assert.equal(batch.pathId[1000], 0, "no path identifier is 0");
  }
});

test("room for more rows is never less than twice that of before, and the rows stay", () => {
  const batch = new PrefixBatch(4);
  batch.push4(0x0a00_0000, 8, 3);
  batch.reserve(5);
  assert.equal(batch.length.length, 8);
  batch.reserve(8);
  assert.equal(batch.length.length, 8);
  batch.reserve(100);
  assert.equal(batch.word3.length, 100);
  assert.deepEqual([batch.prefixAt(0), batch.pathId[0]], ["10.0.0.0/8", 3]);
});
