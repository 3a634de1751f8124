/** The conditions that stand: bounded text, whatever number of routes is wrong. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Prefix, prefix } from "../../src/ip/prefix.ts";
import { ConditionBook, unreachableCondition } from "../../src/routes/conditions.ts";
import { CONDITIONS_KEPT_MAX, CONDITIONS_LISTED_MAX } from "../../src/routes/limits.ts";
import { address } from "./fake-kernel.ts";

const HOP = address("192.0.2.9");
const nth = (i: number) => prefix(`10.${i >> 8}.${i & 255}.0/24`);
const unreachable = (of: Prefix) =>
  unreachableCondition({ prefix: of, nextHops: [HOP] }, HOP, { reason: "no-subnet" }, false);

test("beyond the bound prefixes are kept and counted, without their text", () => {
  const book = new ConditionBook();
  const count = CONDITIONS_KEPT_MAX + 500;
  for (let i = 0; i < count; i++) book.set(nth(i), unreachable(nth(i)));
  assert.equal(book.total, count);
  assert.equal(book.list().length, CONDITIONS_LISTED_MAX);
  assert.equal(new Set(book.prefixes()).size, count);
  assert.equal([...book.waitingFor(new Set([HOP]))].length, count);
  const last = nth(count - 1);
  assert.equal(book.get(last), undefined);
  const { version } = book;
  book.set(last, unreachable(last));
  assert.equal(book.version, version, "the same again is no change");
  book.set(nth(0), undefined);
  book.set(last, unreachable(last));
  assert.equal(book.get(last)?.prefix, last, "there is room for its text now");
  for (let i = 0; i < count; i++) book.set(nth(i), undefined);
  assert.deepEqual([book.total, [...book.prefixes()], book.list()], [0, [], []]);
});
