import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MessageFramer } from "../../../src/bgp/message/framer.ts";
import { EXTENDED_MESSAGE_BYTES_MAX, withHeader } from "../../../src/bgp/message/header.ts";
import { encodeKeepalive } from "../../../src/bgp/message/keepalive.ts";
import type { MessageType } from "../../../src/bgp/message/types.ts";
import { bytes, concat, hex } from "../../support/hex.ts";
import { seed } from "./seed.ts";

const MARKER = "ff".repeat(16);

/** Everything that a stream cut into `chunks` gives: messages as hex, then the error, if any. */
function pull(chunks: readonly Uint8Array[], bytesMax?: number): readonly string[] {
  const framer = new MessageFramer(bytesMax);
  const result: string[] = [];
  for (const chunk of chunks) {
    // The socket may reuse its memory once the framer is drained: overwrite it to prove that.
    const memory = chunk.slice();
    framer.feed(memory);
    while (framer.next()) {
      assert.equal(framer.body, framer.start + 19);
      result.push(`${framer.type} ${hex(framer.buffer.subarray(framer.start, framer.end))}`);
    }
    if (framer.error === undefined) memory.fill(0xaa);
  }
  const error = framer.error;
  if (error !== undefined) result.push(`${error.code}/${error.subcode} ${hex(error.data)}`);
  return result;
}

function octetByOctet(stream: Uint8Array): Uint8Array[] {
  return Array.from(stream, (octet) => Uint8Array.of(octet));
}

test("KEEPALIVE is 19 octets", () => {
  assert.equal(hex(encodeKeepalive()), hex(seed.keepalive));
});

test("messages whole in a chunk are not copied", () => {
  const stream = concat(seed.openOfNode1, seed.keepalive, seed.updateOfNode1);
  const framer = new MessageFramer();
  framer.feed(stream);
  const places: number[][] = [];
  while (framer.next()) {
    assert.equal(framer.buffer, stream);
    places.push([framer.type, framer.start, framer.body, framer.end]);
  }
  assert.deepEqual(places, [
    [1, 0, 19, 70],
    [4, 70, 89, 89],
    [2, 89, 108, 137],
  ]);
  assert.equal(framer.error, undefined);
});

test("a part of a larger buffer can be fed", () => {
  const framer = new MessageFramer();
  framer.feed(concat(bytes("0102"), seed.keepalive, bytes("03")), 2, 21);
  assert.equal(framer.next(), true);
  assert.equal(framer.next(), false);
  assert.equal(framer.error, undefined);
});

test("a chunk that is kept may change; what was pulled of it is not there twice", () => {
  const framer = new MessageFramer();
  const chunk = concat(seed.keepalive, seed.keepalive, seed.keepalive.subarray(0, 7));
  framer.feed(chunk, 0, chunk.length);
  framer.keepChunk();
  assert.ok(framer.next());
  framer.keepChunk();
  chunk.fill(0);
  assert.ok(framer.next());
  assert.deepEqual(framer.buffer.subarray(framer.start, framer.end), seed.keepalive);
  assert.ok(!framer.next());
  framer.keepChunk();
  framer.feed(seed.keepalive, 7);
  assert.ok(framer.next());
  assert.ok(!framer.next());
  assert.equal(framer.error, undefined);
});

test("feeding before all messages were pulled is a bug", () => {
  const framer = new MessageFramer();
  framer.feed(seed.keepalive);
  assert.throws(() => framer.feed(seed.keepalive), /bug: framer fed/);
});

const HEADER_ERRORS: readonly (readonly [string, string, string])[] = [
  ["first marker octet", `00${"ff".repeat(15)} 0013 04`, "1/1 "],
  ["last marker octet", `${"ff".repeat(15)}fe 0013 04`, "1/1 "],
  ["marker is judged before length and type", `${"00".repeat(16)} ffff ff`, "1/1 "],
  ["length 0", `${MARKER} 0000 04`, "1/2 0000"],
  ["length 18", `${MARKER} 0012 04`, "1/2 0012"],
  ["length 4097", `${MARKER} 1001 02`, "1/2 1001"],
  ["length 65535", `${MARKER} ffff 02`, "1/2 ffff"],
  ["length is judged before type", `${MARKER} 0012 09`, "1/2 0012"],
  ["OPEN of 28", `${MARKER} 001c 01`, "1/2 001c"],
  ["UPDATE of 22", `${MARKER} 0016 02`, "1/2 0016"],
  ["NOTIFICATION of 20", `${MARKER} 0014 03`, "1/2 0014"],
  ["KEEPALIVE of 20", `${MARKER} 0014 04`, "1/2 0014"],
  ["ROUTE-REFRESH of 22", `${MARKER} 0016 05`, "1/2 0016"],
  ["type 0", `${MARKER} 0013 00`, "1/3 00"],
  ["type 6", `${MARKER} 0013 06`, "1/3 06"],
  ["type 255", `${MARKER} 0013 ff`, "1/3 ff"],
];

for (const [name, header, expected] of HEADER_ERRORS) {
  test(`header error: ${name} (RFC 4271 §6.1)`, () => {
    const stream = concat(seed.keepalive, bytes(header), seed.keepalive);
    const result = [`4 ${hex(seed.keepalive)}`, expected];
    assert.deepEqual(pull([stream]), result);
    assert.deepEqual(pull(octetByOctet(stream)), result);
  });
}

test("long messages need RFC 8654, and OPEN stays at 4096 even then", () => {
  const update = withHeader(2, new Uint8Array(EXTENDED_MESSAGE_BYTES_MAX - 19));
  assert.deepEqual(pull([update]), ["1/2 ffff"]);
  assert.deepEqual(pull([update], EXTENDED_MESSAGE_BYTES_MAX), [`2 ${hex(update)}`]);
  const open = withHeader(1, new Uint8Array(4097 - 19));
  assert.deepEqual(pull([open], EXTENDED_MESSAGE_BYTES_MAX), ["1/2 1001"]);
  assert.equal(pull([withHeader(1, new Uint8Array(4096 - 19))]).length, 1);
});

test("the limit may be raised between two messages of one chunk", () => {
  const framer = new MessageFramer();
  framer.feed(concat(seed.openOfNode1, withHeader(2, new Uint8Array(5000))));
  assert.equal(framer.next(), true);
  framer.receiveBytesMax = EXTENDED_MESSAGE_BYTES_MAX;
  assert.equal(framer.next(), true);
  assert.equal(framer.end - framer.body, 5000);
});

const message = fc
  .tuple(fc.constantFrom<MessageType>(1, 2, 3, 4, 5), fc.uint8Array({ maxLength: 300 }))
  .map(([type, body]) => {
    const bodyMin = [0, 10, 4, 2, 0, 4][type]!;
    const whole = new Uint8Array(Math.max(bodyMin, body.length));
    whole.set(body);
    return withHeader(type, type === 4 ? new Uint8Array(0) : whole);
  });

/** Cuts `stream` at the given places (modulo its length). */
function cut(stream: Uint8Array, places: readonly number[]): Uint8Array[] {
  const at = [...places.map((place) => place % (stream.length + 1))].sort((a, b) => a - b);
  const edges = [0, ...at, stream.length];
  return edges.slice(1).map((end, i) => stream.slice(edges[i], end));
}

const cuts = fc.array(fc.nat(), { maxLength: 12 });

test("property: where a stream is cut changes nothing", () => {
  const stream = fc.array(fc.oneof(message, fc.uint8Array({ maxLength: 40 })), { maxLength: 8 });
  fc.assert(
    fc.property(stream, cuts, (parts, places) => {
      const whole = concat(...parts);
      const expected = pull([whole]);
      assert.deepEqual(pull(cut(whole, places)), expected);
      assert.deepEqual(pull(octetByOctet(whole)), expected);
    }),
  );
});

test("property: good messages all come out", () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 8 }), cuts, (messages, places) => {
      const expected = messages.map((m) => `${m[18]} ${hex(m)}`);
      assert.deepEqual(pull(cut(concat(...messages), places)), expected);
    }),
  );
});
