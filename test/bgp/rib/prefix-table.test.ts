import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Growth, grown32, larger8, larger16, larger32 } from "../../../src/bgp/rib/columns.ts";
import { PrefixTable } from "../../../src/bgp/rib/prefix-table.ts";
import { RowQueue } from "../../../src/bgp/rib/row-queue.ts";
import { RowSet } from "../../../src/bgp/rib/row-set.ts";
import { PrefixBatch } from "../../../src/ip/prefix-batch.ts";

const word = fc.oneof(fc.nat(3), fc.constantFrom(0, 0x0a00_0000, 0xffff_ffff));
// The neighbours of /31 and /32 matter: see `keyOf4`.
const length = fc.oneof(fc.nat(32), fc.constantFrom(31, 32));
const entry = fc.record({ words: fc.tuple(word, word, word, word), length });
/** The bits of an IPv4 address that belong to the prefix. */
const network = (address: number, length: number) =>
  length === 0 ? 0 : (address & (-1 << (32 - length))) >>> 0;
const step = fc.record({ entry, remove: fc.boolean() });

for (const family of [4, 6] as const) {
  test(`IPv${family}: a table of rows is a map of prefixes`, () => {
    fc.assert(
      fc.property(fc.nat(), fc.array(step, { maxLength: 300 }), (seed, steps) => {
        const table = new PrefixTable(family, seed);
        const model = new Map<string, number>();
        const batch = new PrefixBatch(1);
        for (const { entry, remove } of steps) {
          batch.reset(family);
          if (family === 4) batch.push4(network(entry.words[0], entry.length), entry.length);
          else batch.push6(...entry.words, entry.length);
          const key = batch.prefixAt(0);
          const row = model.get(key);
          assert.equal(table.find(batch, 0), row ?? 0);
          if (remove && row !== undefined) {
            table.unhold(row);
            model.delete(key);
            assert.equal(table.find(batch, 0), 0);
            assert.equal(table.isUsed(row), false);
          } else if (row === undefined) {
            const made = table.insert(batch, 0);
            table.hold(made);
            assert.ok(![...model.values()].includes(made), "a row has one prefix");
            model.set(key, made);
          } else assert.equal(table.insert(batch, 0), row);
          assert.equal(table.size, model.size);
        }
        for (const [key, row] of model) {
          batch.reset(family);
          table.copyTo(batch, row, 0);
          assert.equal(batch.prefixAt(0), key);
        }
      }),
      { numRuns: 60 },
    );
  });
}

test("many rows: all are found while the table grows and after half of them went", () => {
  const table = new PrefixTable(4, 99);
  const batch = new PrefixBatch();
  batch.reset(4);
  const rows: number[] = [];
  for (let i = 0; i < 50_000; i++) batch.push4((i << 8) >>> 0, 24);
  for (let i = 0; i < batch.count; i++) {
    const row = table.insert(batch, i);
    table.hold(row);
    table.setHead(row, i + 1);
    rows.push(row);
  }
  assert.deepEqual([table.size, table.rowLimit], [50_000, 50_001]);
  for (let i = 0; i < batch.count; i += 2) {
    table.setHead(rows[i]!, 0);
    table.unhold(rows[i]!);
  }
  assert.equal(table.size, 25_000);
  for (let i = 0; i < batch.count; i++) {
    const row = table.find(batch, i);
    assert.equal(row, i % 2 === 0 ? 0 : rows[i]);
    if (row !== 0) assert.equal(table.head(row), i + 1);
  }
  // Rows that went are used again before new ones.
  const limit = table.rowLimit;
  for (let i = 0; i < batch.count; i += 2) table.insert(batch, i);
  assert.equal(table.rowLimit, limit);
});

for (const family of [4, 6] as const) {
  test(`IPv${family}: all of a row is kept while the columns grow`, () => {
    const table = new PrefixTable(family, 3);
    const batch = new PrefixBatch();
    batch.reset(family);
    for (let i = 0; i < 5_000; i++) {
      if (family === 4) batch.push4((i << 8) >>> 0, 24);
      else batch.push6(i, i + 1, i + 2, i + 3, i % 129);
    }
    for (let i = 0; i < batch.count; i++) {
      const row = table.insert(batch, i);
      table.setHead(row, i + 4);
      table.setBest(row, i + 5);
      table.setMarks(row, i + 6);
      for (let held = 0; held <= i % 3; held++) table.hold(row);
    }
    for (let i = 0; i < batch.count; i++) {
      const row = table.find(batch, i);
      const words = family === 4 ? [i << 8, 0, 0, 0] : [i, i + 1, i + 2, i + 3];
      const read = [0, 1, 2, 3].map((at) => table.word(row, at));
      assert.deepEqual([...read, table.length(row)], [...words, family === 4 ? 24 : i % 129]);
      const columns = [table.head(row), table.best(row), table.marksOf(row)];
      assert.deepEqual(columns, [i + 4, i + 5, i + 6]);
      table.setHead(row, 0);
      for (let held = 0; held <= i % 3; held++) {
        assert.ok(table.isUsed(row));
        table.unhold(row);
      }
      assert.ok(!table.isUsed(row));
    }
  });
}

test("where a prefix stands is for nobody to foresee: that depends on the seed", () => {
  for (const family of [4, 6] as const) {
    const numbers = [1, 2, 3].map((seed) => {
      const table = new PrefixTable(family, seed);
      const batch = new PrefixBatch(1);
      batch.reset(family);
      if (family === 4) batch.push4(0x0a00_0000, 8);
      else batch.push6(0x2001_0db8, 0, 0, 0, 32);
      return table.fingerprint(table.insert(batch, 0));
    });
    assert.equal(new Set(numbers).size, 3);
  }
});

const ORDER = {
  4: [[0], [0, 8], [0x0a00_0000, 8], [0x0a00_0000, 24], [0x0a00_0100, 24], [0xff00_0000, 8]],
  6: [
    [0, 0, 0, 0, 0],
    [0, 0, 0, 9, 128],
    [0, 0, 0, 16, 124],
    [0, 0, 1, 8, 128],
    [0, 1, 0, 7, 128],
    [1, 0, 0, 6, 127],
    [1, 0, 0, 6, 128],
    [1, 0, 2, 0, 96],
    [1, 3, 0, 0, 64],
    [0xffff_ffff, 0, 0, 0, 32],
  ],
} as const;
for (const family of [4, 6] as const) {
  test(`IPv${family}: rows are ordered by address, word by word, then the shorter first`, () => {
    const table = new PrefixTable(family, 5);
    const rows = ORDER[family].map(([w0 = 0, w1 = 0, w2 = 0, w3 = 0, w4 = 0]) => {
      const batch = new PrefixBatch(1);
      batch.reset(family);
      if (family === 4) batch.push4(w0, w1);
      else batch.push6(w0, w1, w2, w3, w4);
      const row = table.insert(batch, 0);
      const expected = family === 4 ? [w0, 0, 0, 0, w1] : [w0, w1, w2, w3, w4];
      assert.deepEqual(
        [0, 1, 2, 3].map((at) => table.word(row, at)),
        expected.slice(0, 4),
      );
      assert.equal(table.length(row), expected[4]);
      return row;
    });
    for (const [i, a] of rows.entries()) {
      for (const [j, b] of rows.entries()) {
        assert.equal(Math.sign(table.compare(a, b)), Math.sign(i - j), `${i} ${j}`);
      }
    }
  });
}

/** Pairs of /128s whose hashes are equal where the seed is 1, by the words in which they differ. */
const COLLIDING = [
  [
    [445_699_211, 1_868_675_578, 2, 3],
    [255_252_679, 4_291_777_065, 2, 3],
  ],
  [
    [536_939_960, 2_387_790_951, 2_621_124_791, 3],
    [536_939_960, 3_656_166_606, 3_473_752_355, 3],
  ],
  [
    [3_652_086_624, 1, 401_026_783, 3],
    [3_642_382_964, 1, 409_158_153, 3],
  ],
  [
    [536_939_960, 1, 1_555_485_312, 4_014_934_693],
    [536_939_960, 1, 1_294_784_024, 692_939_450],
  ],
  [
    [1_012_181_326, 1, 2, 1_045_816_320],
    [1_965_727_700, 1, 2, 1_697_851_967],
  ],
] as const;

test("IPv6 prefixes of one hash are two prefixes", () => {
  for (const pair of COLLIDING) {
    const table = new PrefixTable(6, 1);
    const batch = new PrefixBatch(2);
    batch.reset(6);
    for (const [w0, w1, w2, w3] of pair) batch.push6(w0, w1, w2, w3, 128);
    const [one, two] = [table.insert(batch, 0), table.insert(batch, 1)];
    assert.equal(table.fingerprint(one), table.fingerprint(two), "they do collide");
    assert.notEqual(one, two);
    assert.deepEqual([table.find(batch, 0), table.find(batch, 1)], [one, two]);
    table.releaseIfUnused(one);
    assert.deepEqual([table.find(batch, 0), table.find(batch, 1)], [0, two]);
  }
});

test("a table through which many prefixes pass does not grow, and each begins with nothing", () => {
  const table = new PrefixTable(4, 7);
  const batch = new PrefixBatch(2);
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 150_000; i++) {
    batch.reset(4);
    batch.push4((i << 8) >>> 0, 24);
    batch.push4((i << 8) >>> 0, 25);
    const rows = [table.insert(batch, 0), table.insert(batch, 1)];
    for (const row of rows) {
      if (table.head(row) !== 0 || table.best(row) !== 0) assert.fail(`${i} begins with paths`);
      table.setHead(row, 5);
      table.setBest(row, 5);
    }
    for (const row of rows) {
      table.setHead(row, 0);
      table.releaseIfUnused(row);
    }
  }
  assert.deepEqual([table.size, table.rowLimit], [0, 3]);
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.ok(grown < 1_000_000, `${grown} octets`);
});

test("a row lives while it is held or has a path", () => {
  const table = new PrefixTable(4, 0);
  const batch = new PrefixBatch(1);
  batch.reset(4);
  batch.push4(0x0a00_0000, 8);
  const row = table.insert(batch, 0);
  const used = () => [0, row, table.rowLimit].map((one) => table.isUsed(one));
  assert.deepEqual(used(), [false, true, false]);
  assert.throws(() => table.unhold(row), /bug/);
  table.hold(row);
  table.hold(row);
  table.unhold(row);
  table.releaseIfUnused(row);
  assert.equal(table.find(batch, 0), row, "one still holds it");
  table.setHead(row, 5);
  table.unhold(row);
  table.releaseIfUnused(row);
  assert.equal(table.find(batch, 0), row, "it has a path");
  table.setHead(row, 0);
  table.releaseIfUnused(row);
  assert.equal(table.find(batch, 0), 0);
  assert.deepEqual(used(), [false, false, false]);
  assert.throws(() => table.hold(row), /bug/);
  assert.throws(() => table.releaseIfUnused(row), /bug/);
});

test("columns grow one at a time and always in time", () => {
  for (const columns of [1, 5, 11]) {
    const growth = new Growth(columns, 16);
    const words: Uint32Array[] = Array.from({ length: columns }, () => new Uint32Array(16));
    let halves: Uint16Array = new Uint16Array(16);
    let octets: Uint8Array = new Uint8Array(16);
    let most = 0;
    for (let index = 0; index < 100_000; index++) {
      let grown = 0;
      while (growth.isDue(index)) {
        const column = growth.next();
        words[column] = larger32(words[column]!);
        if (column === 0) [halves, octets] = [larger16(halves), larger8(octets)];
        grown++;
      }
      if (index > 5000) most = Math.max(most, grown);
      halves[index] = index;
      octets[index] = index;
      for (const column of words) {
        column[index] = index;
        assert.ok(column[index] === index && column[index >>> 1] === index >>> 1);
      }
      assert.ok(halves[index] === (index & 0xffff) && octets[index] === (index & 0xff));
    }
    assert.equal(most, 1);
  }
});

test("the engine is not made to look for garbage by room that is not used yet", () => {
  const before = process.memoryUsage().external;
  const grown = [larger32(new Uint32Array(16_384)), larger8(new Uint8Array(16_384))];
  for (let i = 0; i < 20; i++) grown.push(larger32(new Uint32Array(16_384).fill(i)));
  assert.deepEqual([grown[5]!.length, grown[5]![16_383], grown[5]![16_384]], [2 ** 21, 3, 0]);
  const counted = process.memoryUsage().external - before;
  // V8 looks after 64 MB; these are 170.
  assert.ok(counted < 8e6, `${counted} bytes`);
  // But it is to look for what goes with a group.
  const ofGroup = grown32(new Uint32Array(16), 2 ** 21);
  assert.ok(process.memoryUsage().external - before > ofGroup.byteLength, "not counted");
});

test("RowQueue and RowSet against plain models", () => {
  const steps = fc.array(fc.record({ row: fc.integer({ min: 1, max: 200 }), take: fc.boolean() }), {
    maxLength: 400,
  });
  fc.assert(
    fc.property(steps, (all) => {
      const queue = new RowQueue();
      const set = new RowSet();
      let list: number[] = [];
      for (const { row, take } of all) {
        if (take) {
          assert.equal(queue.take(), list[0] ?? 0);
          if (list.length > 0) assert.equal(set.delete(list[0]!), true);
          list = list.slice(1);
        } else {
          assert.equal(queue.push(row), !list.includes(row));
          assert.equal(set.add(row), !list.includes(row));
          if (!list.includes(row)) list.push(row);
        }
        assert.equal(queue.length, list.length);
        assert.equal(queue.endPosition - queue.position, list.length);
        assert.equal(set.size, list.length);
        const sorted = list.toSorted((a, b) => a - b);
        const walked: number[] = [];
        for (let at = set.nextFrom(1); at !== 0; at = set.nextFrom(at + 1)) walked.push(at);
        assert.deepEqual(walked, sorted);
        for (let r = 0; r < 210; r += 7) {
          assert.equal(queue.has(r), list.includes(r));
          assert.equal(set.has(r), list.includes(r));
        }
      }
    }),
    { numRuns: 40 },
  );
});
