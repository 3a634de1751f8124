/** The order in which rows are listed, and what a list of all costs. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { PrefixTable } from "../../../src/bgp/rib/prefix-table.ts";
import { selectRows } from "../../../src/bgp/rib/row-select.ts";
import { PrefixBatch } from "../../../src/ip/prefix-batch.ts";
import { run } from "../../support/shell.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const word = fc.oneof(fc.nat(3), fc.nat(0xffff_ffff), fc.constant(0xffff_ffff));
const words = fc.tuple(word, word, word, word);

for (const family of [4, 6] as const) {
  test(`IPv${family}: all rows are listed in the order that some are`, () => {
    const lengths = fc.nat(family === 4 ? 32 : 128);
    const prefixes = fc.array(fc.tuple(words, lengths), { maxLength: 200 });
    fc.assert(
      fc.property(prefixes, fc.nat(9), (list, modulus) => {
        const table = new PrefixTable(family, 7);
        for (const [[w0, w1, w2, w3], length] of list) {
          const batch = new PrefixBatch(1);
          batch.reset(family);
          if (family === 4) batch.push4(w0, length);
          else batch.push6(w0, w1, w2, w3, length);
          if (table.find(batch, 0) === 0) table.hold(table.insert(batch, 0));
        }
        const accept = (row: number) => row % (modulus + 1) === 0;
        const all = [...selectRows(table, {}, Number.POSITIVE_INFINITY, accept)];
        const rows = Array.from({ length: table.rowLimit - 1 }, (_, index) => index + 1);
        const expected = rows.filter(accept).sort((a, b) => table.compare(a, b));
        assert.deepEqual(all, expected);
        assert.deepEqual([...selectRows(table, {}, 3, accept)], expected.slice(0, 3));
      }),
    );
  });
}

/** Inserts a million prefixes, which are columns, and lists them. */
const LISTING = `
import { PrefixTable } from ${JSON.stringify(join(ROOT, "src/bgp/rib/prefix-table.ts"))};
import { selectRows } from ${JSON.stringify(join(ROOT, "src/bgp/rib/row-select.ts"))};
import { PrefixBatch } from ${JSON.stringify(join(ROOT, "src/ip/prefix-batch.ts"))};
const table = new PrefixTable(4, 7);
const batch = new PrefixBatch(1);
for (let i = 0; i < 1_000_000; i++) {
  batch.reset(4);
  batch.push4((Math.imul(i, 0x9e37_79b1) & 0xffff_ff00) >>> 0, 24 + (i & 7));
  if (table.find(batch, 0) === 0) table.hold(table.insert(batch, 0));
}
const rows = selectRows(table, {}, Infinity, () => true);
process.stdout.write(String(rows.length > 900_000));
`;

test("a list of a million rows is not on JavaScript's heap", async () => {
  const heap = ["--max-old-space-size=16", "--max-semi-space-size=1"];
  const program = [...heap, "--input-type=module", "-e", LISTING];
  const { stdout, stderr } = await run(process.execPath, program);
  assert.equal(stdout, "true", stderr);
});
