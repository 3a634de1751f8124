/** Numbers of prefixes and sets of them, against a Map and a Set. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Prefix, prefix, prefixFamily } from "../../src/ip/prefix.ts";
import { PrefixBatch, pushPrefix } from "../../src/ip/prefix-batch.ts";
import { type PrefixId, PrefixIndex } from "../../src/routes/prefix-index.ts";
import { PrefixSet } from "../../src/routes/prefix-set.ts";

/** Few enough to meet again, of both families, with equal words and other lengths. */
const PREFIXES: readonly Prefix[] = [
  ...Array.from({ length: 12 }, (_, i) => prefix(`10.0.${i * 16}.0/${20 + (i % 3)}`)),
  ...["0.0.0.0/0", "10.0.0.0/8", "::/0", "::/32", "fd00::/64", "fd00::/65"].map(prefix),
  ...["fd00:0:0:1::/64", "fd00::1:0:0:0/96", "fd00::1/128", "a00::/8"].map(prefix),
];

type Step =
  | {
      readonly kind: "insert" | "hold" | "release" | "need" | "unneed" | "sweep";
      readonly of: number;
    }
  | { readonly kind: "grow"; readonly of: number };

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom("insert", "hold", "release", "need", "unneed", "sweep", "grow"),
  of: fc.nat(PREFIXES.length - 1),
});

test("an index agrees with a Map after any history", () => {
  fc.assert(
    fc.property(fc.integer(), fc.array(step, { maxLength: 120 }), (seed, steps) => {
      const needed = new Set<PrefixId>();
      const index = new PrefixIndex(seed, (id) => needed.has(id));
      const ids = new Map<Prefix, PrefixId>();
      const holds = new Map<Prefix, number>();
      const drop = (one: Prefix) => {
        const id = ids.get(one);
        if (id === undefined || (holds.get(one) ?? 0) > 0 || needed.has(id)) return;
        ids.delete(one);
      };
      let more = 0;
      for (const { kind, of } of steps) {
        const one = PREFIXES[of]!;
        const id = ids.get(one);
        const held = holds.get(one) ?? 0;
        if (kind === "insert") ids.set(one, index.insertText(one));
        else if (kind === "grow") {
          for (let i = 0; i < 100; i++) {
            const other = prefix(`172.16.${more & 255}.${more >> 8}/32`);
            ids.set(other, index.insertText(other));
            more++;
          }
        } else if (id === undefined) continue;
        else if (kind === "hold") {
          index.hold(id);
          holds.set(one, held + 1);
        } else if (kind === "release" && held > 0) {
          holds.set(one, held - 1);
          index.release(id);
          if (held === 1) drop(one);
        } else if (kind === "need") needed.add(id);
        else if (kind === "unneed") needed.delete(id);
        else if (kind === "sweep") {
          index.sweep(id);
          drop(one);
        }
      }
      compare(index, ids);
    }),
  );
});

function compare(index: PrefixIndex, ids: ReadonlyMap<Prefix, PrefixId>): void {
  assert.equal(index.size, ids.size);
  assert.equal(new Set(ids.values()).size, ids.size, "each its own");
  for (const one of PREFIXES) assert.equal(index.findText(one), ids.get(one) ?? 0, one);
  for (const [one, id] of ids) {
    assert.equal(index.prefix(id), one);
    assert.equal(index.family(id), prefixFamily(one));
    assert.ok(index.isUsed(id) && id < index.limit);
    const [copied, expected] = [new PrefixBatch(1), new PrefixBatch(1)];
    for (const batch of [copied, expected]) batch.reset(prefixFamily(one));
    index.copyTo(copied, id);
    pushPrefix(expected, one);
    assert.deepEqual(copied, expected);
    assert.equal(index.find(copied, 0), id);
  }
  let used = 0;
  for (let id = 0; id < index.limit + 3; id++) if (index.isUsed(id)) used++;
  assert.equal(used, ids.size);
}

test("of thousands that go in any order the others stay found", () => {
  const PREFIXES_MANY = 3000;
  const nth = (i: number) =>
    prefix(i % 3 === 0 ? `fd00:${i.toString(16)}::/32` : `10.${i >> 8}.${i & 255}.0/24`);
  const index = new PrefixIndex(99, () => false);
  const ids = Array.from({ length: PREFIXES_MANY }, (_, i) => index.insertText(nth(i)));
  for (const id of ids) index.hold(id);
  // 1,009 is prime to the number: all, in an order of no meaning.
  const order = ids.map((_, i) => (i * 1009) % PREFIXES_MANY);
  for (const [gone, i] of order.entries()) {
    index.release(ids[i]!);
    assert.equal(index.findText(nth(i)), 0);
    if (gone % 60 !== 0) continue;
    for (const left of order.slice(gone + 1)) assert.equal(index.findText(nth(left)), ids[left]);
  }
  assert.equal(index.size, 0);
  const { limit } = index;
  for (const i of order) index.insertText(nth(i));
  assert.deepEqual([index.size, index.limit], [PREFIXES_MANY, limit], "numbers are used again");
});

test("a set agrees with a Set, and holds what is in it", () => {
  const add = fc.record({ add: fc.boolean(), of: fc.nat(90) });
  fc.assert(
    fc.property(fc.array(add, { maxLength: 200 }), (steps) => {
      const index = new PrefixIndex(1, () => false);
      const set = new PrefixSet(index);
      const expected = new Set<string>();
      const nth = (i: number) => prefix(`10.9.${i}.0/24`);
      for (const { add: adds, of } of steps) {
        const one = nth(of);
        if (adds) {
          assert.equal(set.add(index.insertText(one)), !expected.has(one));
          expected.add(one);
        } else {
          const id = index.findText(one);
          assert.equal(id !== 0 && set.delete(id), expected.delete(one));
        }
        assert.equal(set.size, expected.size);
        assert.equal(index.size, expected.size);
      }
      const listed = [...set.ids()].map((id) => index.prefix(id));
      assert.deepEqual(new Set(listed), expected);
      assert.ok([...set.ids()].every((id) => set.has(id)));
      set.clear();
      assert.deepEqual([set.size, index.size, [...set.ids()]], [0, 0, []]);
    }),
  );
});
