import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { LineReader, ListReader } from "../../src/k8s/json-stream.ts";

interface Read {
  readonly objects: string[];
  readonly oversize: string[];
  readonly envelope: unknown;
  readonly tooLarge: boolean;
}

const collect = () => {
  const objects: string[] = [];
  const oversize: string[] = [];
  const handlers = {
    object: (text: string) => void objects.push(text),
    oversize: (text: string) => void oversize.push(text),
  };
  return { objects, oversize, handlers };
};

/** Cuts the text's bytes into chunks of the given sizes, again and again. */
function* chunks(text: string, sizes: readonly number[]): Generator<Buffer> {
  const bytes = Buffer.from(text);
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes.length === 0 ? bytes.length : sizes[i % sizes.length]!;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

function readList(
  text: string,
  sizes: readonly number[] = [],
  itemMax = 1000,
  envelopeMax = 1000,
): Read {
  const { objects, oversize, handlers } = collect();
  const reader = new ListReader(itemMax, envelopeMax, handlers);
  for (const chunk of chunks(text, sizes)) reader.push(chunk);
  return { objects, oversize, envelope: reader.finish(), tooLarge: reader.tooLarge };
}

function readLines(text: string, sizes: readonly number[] = [], max = 1000) {
  const { objects, oversize, handlers } = collect();
  const reader = new LineReader(max, handlers);
  for (const chunk of chunks(text, sizes)) reader.push(chunk);
  return { objects, oversize };
}

describe("lists", () => {
  test("items one by one, the rest as envelope", () => {
    const list = {
      kind: "NodeList",
      metadata: { resourceVersion: "7" },
      items: [{ a: 1 }, { b: [] }],
    };
    const { objects, envelope } = readList(JSON.stringify(list));
    assert.deepEqual(
      objects.map((text) => JSON.parse(text)),
      list.items,
    );
    assert.deepEqual(envelope, { ...list, items: [] });
  });

  test("braces, quotes and a key called items inside of items and of metadata", () => {
    const list = {
      metadata: { items: [{ no: "item" }], name: 'a"}]{' },
      items: [{ text: '\\"}],[{"', items: [{ deep: [[]] }] }, {}],
      after: { items: [1] },
      others: [{ no: "item" }, [{}]],
    };
    const { objects, envelope } = readList(JSON.stringify(list));
    assert.deepEqual(
      objects.map((text) => JSON.parse(text)),
      list.items,
    );
    assert.deepEqual(envelope, { ...list, items: [] });
  });

  test("indented text, items first", () => {
    const list = { items: [{ a: "ü€𝄞" }, { b: 2 }], metadata: {} };
    const { objects, envelope } = readList(JSON.stringify(list, undefined, 2), [1]);
    assert.deepEqual(
      objects.map((text) => JSON.parse(text)),
      list.items,
    );
    assert.deepEqual(envelope, { items: [], metadata: {} });
  });

  test("any list, cut anywhere, reads the same", () => {
    const items = fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 5 });
    const sizes = fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 5 });
    const metadata = fc.dictionary(fc.string(), fc.jsonValue());
    fc.assert(
      fc.property(items, metadata, sizes, fc.boolean(), (items, metadata, sizes, indent) => {
        const list = { kind: "NodeList", metadata, items };
        const text = JSON.stringify(list, undefined, indent ? 1 : undefined);
        const { objects, envelope } = readList(text, sizes, 1e6, 1e6);
        assert.deepEqual(
          objects.map((each) => JSON.parse(each)),
          JSON.parse(JSON.stringify(items)),
        );
        assert.deepEqual(envelope, JSON.parse(JSON.stringify({ ...list, items: [] })));
      }),
    );
  });

  test("any bytes: no crash, no endless memory", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'{}[]":,\\ items\n1') }),
        fc.integer({ min: 1, max: 9 }),
        (text, size) => {
          readList(text, [size], 20, 20);
          readList(`{"items":[${text}`, [size], 20, 20);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("a cut list is none", () => {
    const text = JSON.stringify({ metadata: { resourceVersion: "7" }, items: [{ a: 1 }] });
    for (let length = 0; length < text.length; length++) {
      assert.equal(readList(text.slice(0, length)).envelope, undefined);
    }
  });

  test("an item beyond the bound is skipped, with its beginning", () => {
    const big = { metadata: { name: "big" }, x: "y".repeat(5000) };
    const text = JSON.stringify({ items: [{ a: 1 }, big, { b: 2 }], metadata: {} });
    for (const sizes of [[], [100], [7], [1]]) {
      const { objects, oversize, envelope } = readList(text, sizes);
      assert.deepEqual(objects, ['{"a":1}', '{"b":2}']);
      assert.equal(oversize.length, 1);
      assert.ok(oversize[0]!.startsWith('{"metadata":{"name":"big"}'));
      assert.ok(oversize[0]!.length <= 4096);
      assert.deepEqual(envelope, { items: [], metadata: {} });
    }
  });

  test("an envelope beyond the bound is no list", () => {
    const { envelope, tooLarge } = readList(JSON.stringify({ html: "x".repeat(2000) }), [100]);
    assert.equal(tooLarge, true);
    assert.equal(envelope, undefined);
    const short = (more: string) => readList(`{"a":1}${more}`, [7], 1000, 7);
    assert.deepEqual([short("").tooLarge, short("").envelope], [false, { a: 1 }]);
    // What there is of it would be JSON.
    assert.deepEqual([short("\n").tooLarge, short("\n").envelope], [true, undefined]);
  });

  test("items that are no list, or deeper, belong to the envelope", () => {
    for (const odd of [{ items: { a: 1 } }, { items: { a: [{ b: 1 }] } }]) {
      const { objects, envelope } = readList(JSON.stringify(odd));
      assert.deepEqual([objects, envelope], [[], odd]);
    }
  });
});

describe("lines", () => {
  test("cut anywhere; empty lines and an unfinished last line are none", () => {
    const text = 'one\n\n{"two":"ü"}\nthree\nunfinished';
    for (const sizes of [[], [1], [2], [3, 5]]) {
      assert.deepEqual(readLines(text, sizes).objects, ["one", '{"two":"ü"}', "three"]);
    }
  });

  test("a line beyond the bound is skipped, the next ones are read", () => {
    const text = `a\n${"b".repeat(3000)}\nc\n`;
    for (const sizes of [[], [1], [999], [1001]]) {
      const { objects, oversize } = readLines(text, sizes);
      assert.deepEqual(objects, ["a", "c"]);
      assert.equal(oversize.length, 1);
      assert.match(oversize[0]!, /^b+$/);
    }
  });

  test("the bound itself is allowed; of what is beyond little is kept", () => {
    const lines = (length: number, sizes: readonly number[] = []) =>
      readLines(`${"b".repeat(length)}\n`, sizes, 5000);
    assert.deepEqual(lines(5000).objects, ["b".repeat(5000)]);
    for (const sizes of [[], [5000], [4999, 2]]) {
      assert.deepEqual(lines(5001, sizes), { objects: [], oversize: ["b".repeat(4096)] });
    }
  });
});
