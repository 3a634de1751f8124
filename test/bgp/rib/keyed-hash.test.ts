/** The hash of attribute sets: what the kernel's gives, and nothing that a peer could foresee. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AttributeWords } from "../../../src/bgp/rib/attribute-words.ts";
import { keyedHash } from "../../../src/bgp/rib/keyed-hash.ts";
import { PLAIN_ATTRIBUTES } from "../../support/plain-attributes.ts";

test("HalfSipHash-1-3: what Linux 6.12 tests its own with (lib/siphash_kunit.c)", () => {
  const words = Uint32Array.of(0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c);
  const hashes = [0, 1, 2, 3, 4].map((length) => keyedHash(words, length, 0x03020100, 0x07060504));
  assert.deepEqual(hashes, [0x5814c896, 0x7e059ea6, 0x577999b1, 0x6b28096c, 0x8b31d501]);
});

/** Pairs of communities of which each stands in two forms. */
const PAIRS = 12;

/**
 * Attribute sets that had one hash, whatever the key: the upper bit of a word was the upper bit of
 * its product with anything odd, and so the next word could take it back.
 */
function chosenSets(): number[][] {
  return Array.from({ length: 2 ** PAIRS }, (_, choice) =>
    Array.from({ length: PAIRS }, (_, pair) =>
      ((choice >>> pair) & 1) === 0 ? [0x0001_0001, 0x0001_0001] : [0x8001_0001, 0x8000_0001],
    ).flat(),
  );
}

test("sets that a peer chooses without the key are spread like any others", () => {
  const sets = new AttributeWords();
  for (const seed of [0, 1, 0x1234_5678, 0xdead_beef]) {
    const hashes = new Set<number>();
    const slots = new Map<number, number>();
    for (const communities of chosenSets()) {
      sets.encode({ ...PLAIN_ATTRIBUTES, communities }, 1, 0);
      const hash = sets.hash(seed);
      hashes.add(hash);
      const slot = hash & (2 ** (PAIRS + 1) - 1);
      slots.set(slot, (slots.get(slot) ?? 0) + 1);
    }
    assert.ok(hashes.size >= 2 ** PAIRS - 4, `${hashes.size} hashes of ${2 ** PAIRS} sets`);
    assert.ok(Math.max(...slots.values()) <= 10, "no slot is chosen by many");
  }
});
