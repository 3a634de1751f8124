/** Stamped messages are the bytes that encoding each would have given, and go in sends that fit. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { addressText } from "../src/address.ts";
import { MessageWriter } from "../src/message-writer.ts";
import type { RouteSpec } from "../src/route.ts";
import { RouteBatch, RouteStamp } from "../src/route-batch.ts";
import { RouteNetlink } from "../src/route-netlink.ts";
import { encodeOperation, type RouteOperation } from "../src/route-operation.ts";
import { errorMessage, ScriptedSys } from "./support/scripted-sys.ts";

/** Ways of a route of a family; the source is of the same one. */
const waysOf = (family: 4 | 6): readonly Omit<RouteSpec, "destination">[] => [
  { gateway: "192.168.1.1", interfaceIndex: 2, protocol: 17 },
  { gateway: "fd00::1", interfaceIndex: 3, priority: 1024, tos: 4 },
  { table: 1000, mtu: 1400, preferredSource: family === 4 ? "10.0.0.9" : "fd00::9" },
  { nextHops: [{ gateway: "10.0.0.1" }, { interfaceIndex: 4, weight: 3 }] },
];

interface Case {
  readonly kind: RouteOperation["kind"];
  readonly way: number;
  readonly family: 4 | 6;
  readonly length: number;
  readonly words: readonly [number, number, number, number];
  readonly stamped: boolean;
}

const word = fc.integer({ min: 0, max: 0xffff_ffff });
const operation: fc.Arbitrary<Case> = fc
  .record({
    kind: fc.constantFrom<RouteOperation["kind"]>("add", "replace", "change", "delete"),
    way: fc.nat(waysOf(4).length - 1),
    family: fc.constantFrom(4 as const, 6 as const),
    length: fc.integer({ min: 1, max: 128 }),
    words: fc.tuple(word, word, word, word),
    stamped: fc.boolean(),
  })
  .map((one) => ({ ...one, length: one.family === 4 ? Math.min(32, one.length) : one.length }));

function spec({ kind, way, family, length, words }: Case): RouteOperation {
  const bytes = Buffer.alloc(16);
  for (const [i, each] of words.entries()) bytes.writeUInt32BE(each, i * 4);
  const destination = `${addressText(bytes, 0, family === 4 ? 4 : 16)}/${length}`;
  return { kind, route: { ...waysOf(family)[way], destination } };
}

function batchOf(cases: readonly Case[]): RouteBatch {
  const stamps = new Map<string, RouteStamp>();
  const batch = new RouteBatch();
  for (const each of cases) {
    const { kind, way, family, length, words, stamped } = each;
    if (!stamped) {
      batch.addOperation(spec(each));
      continue;
    }
    const key = `${kind} ${way} ${family}`;
    const stamp = stamps.get(key) ?? new RouteStamp(kind, family, waysOf(family)[way]!);
    stamps.set(key, stamp);
    batch.add(stamp, length, ...words);
  }
  return batch;
}

test("a stamp gives the bytes of the straightforward form", () => {
  fc.assert(
    fc.property(fc.array(operation, { minLength: 1, maxLength: 40 }), (cases) => {
      const batch = batchOf(cases);
      const writer = new MessageWriter();
      for (const each of cases) encodeOperation(writer, spec(each));
      writer.seal(7, 4);
      const [part, more] = batch.parts(1000, 1_000_000);
      part!.seal(7, 4);
      assert.equal(more, undefined);
      assert.equal(batch.count, cases.length);
      assert.equal(part!.bytes.toString("hex"), writer.bytes.toString("hex", 0, writer.length));
    }),
  );
});

test("what is too much for one send goes in several, each in bounds, in order", () => {
  const bounds = [fc.integer({ min: 1, max: 9 }), fc.integer({ min: 200, max: 900 })] as const;
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 40 }), ...bounds, (cases, messages, bytes) => {
      const batch = batchOf(cases);
      const whole = batchOf(cases).parts(1000, 1_000_000)[0]?.bytes.toString("hex") ?? "";
      const parts = batch.parts(messages, bytes);
      assert.equal(parts.map((part) => part.bytes.toString("hex")).join(""), whole);
      let first = 0;
      for (const part of parts) {
        assert.equal(part.first, first);
        assert.ok(part.count <= messages && part.length <= bytes);
        first += part.count;
      }
      assert.equal(first, cases.length);
      for (const [i, next] of parts.slice(1).entries()) {
        const { count, length } = parts[i]!;
        const more = next.bytes.readUInt32LE(0);
        assert.ok(count === messages || length + more > bytes, "no send is smaller than it may be");
      }
    }),
  );
});

test("a message that is longer than a send may be goes alone", () => {
  const batch = batchOf(fc.sample(operation, { numRuns: 3, seed: 1 }));
  const parts = batch.parts(9, 1);
  assert.deepEqual(
    parts.map((part) => [part.first, part.count]),
    [
      [0, 1],
      [1, 1],
      [2, 1],
    ],
  );
  assert.equal(
    parts.reduce((sum, part) => sum + part.length, 0),
    batch.length,
  );
  const two = batch.parts(9, parts[0]!.length + parts[1]!.length);
  assert.deepEqual([two[0]!.count, two[1]!.count], [2, 1], "what fits exactly goes together");
});

test("a batch of thousands holds the same messages as small ones", () => {
  const cases = fc.sample(operation, { numRuns: 3000, seed: 2 });
  const [whole] = batchOf(cases).parts(3000, 10_000_000);
  const each = cases.map((one) => batchOf([one]).parts(1, 1000)[0]!.bytes.toString("hex"));
  assert.equal(whole!.bytes.toString("hex"), each.join(""));
});

test("an operation that is too long for one message is refused and leaves no trace", () => {
  const batch = new RouteBatch();
  // 16 octets each: the attribute of all is not too long, what is around it then is.
  const nextHops = Array.from({ length: 4095 }, () => ({ gateway: "10.0.0.1" }));
  const route = { destination: "10.9.0.0/24", nextHops };
  assert.throws(() => batch.addOperation({ kind: "add", route }), { code: "EMSGSIZE" });
  assert.deepEqual([batch.count, batch.length], [0, 0]);
});

test("a stamp is for a family that there is", () => {
  for (const family of ["inet", 5, undefined] as unknown as 4[]) {
    const refused = { code: "EINVAL", message: `EINVAL: not a family, 4 or 6: ${family}` };
    assert.throws(() => new RouteStamp("add", family, {}), refused);
  }
});

test("a batch used again is as a new one", () => {
  const cases = fc.sample(operation, { numRuns: 9, seed: 1 });
  const batch = batchOf(cases);
  batch.parts(99, 9999)[0]!.seal(1, 4);
  batch.reset();
  assert.deepEqual([batch.count, batch.length, batch.parts(9, 9999)], [0, 0, []]);
  const [only] = cases;
  batch.addOperation(spec(only!));
  const fresh = batchOf([{ ...only!, stamped: false }]).parts(9, 9999)[0]!;
  assert.deepEqual(batch.parts(9, 9999)[0]!.bytes, fresh.bytes);
});

test("failures are told by their place in the batch, over several sends too", async () => {
  const sys = new ScriptedSys();
  sys.receiveBufferBytes = 4 * 1664;
  sys.onSend = () => {
    const sent = sys.sent.at(-1)!;
    for (const number of sent) if (number % 3 === 0) sys.answers.push(errorMessage(number, 17));
    sys.answers.push(errorMessage(sent.at(-1)!, sent.at(-1)! % 3 === 0 ? 17 : 0));
  };
  const { routes } = new RouteNetlink({ sys });
  const stamp = new RouteStamp("add", 4, waysOf(4)[0]!);
  const batch = new RouteBatch();
  for (let i = 0; i < 10; i++) batch.add(stamp, 32, i);
  const failures = await routes.send(batch);
  assert.deepEqual(
    sys.sent.map((numbers) => numbers.length),
    [4, 4, 2],
  );
  assert.deepEqual([...failures.keys()], [2, 5, 8]);
  assert.equal(failures.get(2)?.code, "EEXIST");
  assert.equal((await routes.send(new RouteBatch())).size, 0);
});
