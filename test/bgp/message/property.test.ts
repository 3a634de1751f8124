/** Properties of the UPDATE codec and of the whole receiving path. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isBgpError } from "../../../src/bgp/message/errors.ts";
import { MessageFramer } from "../../../src/bgp/message/framer.ts";
import { decodeNotification, encodeNotification } from "../../../src/bgp/message/notification.ts";
import { decodeOpen } from "../../../src/bgp/message/open.ts";
import { decodeRouteRefresh } from "../../../src/bgp/message/route-refresh.ts";
import { MessageType, type PathAttributes } from "../../../src/bgp/message/types.ts";
import { DecoderMemory } from "../../../src/bgp/message/update.ts";
import { UpdateDecoder } from "../../../src/bgp/message/update-decoder.ts";
import { UpdateWriter } from "../../../src/bgp/message/update-writer.ts";
import { concat, hex } from "../../support/hex.ts";
import { attributes, batchOf, ipv4, ipv6, linkLocal, row } from "./arbitraries.ts";
import {
  attribute,
  decoded,
  errorText,
  external,
  rows,
  type Seen,
  seen,
  session,
  update,
} from "./build.ts";
import { seed } from "./seed.ts";

const SESSIONS = [
  session({ extendedNextHop: true, sendBytesMax: 65_535, receiveBytesMax: 65_535 }),
  session({ fourOctetAs: false }),
  session({ addPathReceive: [4, 6], addPathSend: [4, 6] }),
  session({ ...external, families: [4] }),
  session({ ...external, fourOctetAs: false, addPathReceive: [6] }),
] as const;

const nextHops = fc.oneof(
  ipv4.map((nextHop) => ({ nextHop, linkLocalNextHop: undefined })),
  fc
    .tuple(ipv6, fc.option(linkLocal, { nil: undefined }))
    .map(([nextHop, linkLocalNextHop]) => ({ nextHop, linkLocalNextHop })),
);

/** One string for whatever a session's decoders make of a stream. */
function receive(chunks: readonly Uint8Array[], which: number): readonly string[] {
  const negotiated = SESSIONS[which]!;
  const framer = new MessageFramer(negotiated.receiveBytesMax);
  const decoder = new UpdateDecoder(negotiated, { enforceFirstAs: false });
  const list: string[] = [];
  for (const chunk of chunks) {
    framer.feed(chunk);
    while (framer.next()) {
      const { type, buffer, body, end } = framer;
      switch (type) {
        case MessageType.open:
          list.push(JSON.stringify(decodeOpen(buffer, body, end)));
          break;
        case MessageType.update: {
          const result = decoder.decode(buffer, body, end);
          list.push(isBgpError(result) ? errorText(result) : JSON.stringify(seen(result)));
          break;
        }
        case MessageType.notification: {
          const back = encodeNotification(decodeNotification(buffer, body, end));
          assert.equal(hex(back), hex(buffer.subarray(framer.start, end)));
          list.push(hex(back));
          break;
        }
        case MessageType.keepalive:
          list.push("keepalive");
          break;
        case MessageType.routeRefresh:
          list.push(JSON.stringify(decodeRouteRefresh(buffer, body, end, true)));
          break;
      }
    }
  }
  if (framer.error !== undefined) list.push(errorText(framer.error));
  return list;
}

test("property: decode(encode(route)) = route, for both families and every encoding", () => {
  const route = fc.tuple(attributes, nextHops).map(([a, b]): PathAttributes => ({ ...a, ...b }));
  const batches = fc
    .constantFrom<4 | 6>(4, 6)
    .chain((family) =>
      fc.array(row(family), { minLength: 1, maxLength: 60 }).map((list) => batchOf(family, list)),
    );
  fc.assert(
    fc.property(route, batches, fc.constantFrom(0, 1, 2), (value, batch, which) => {
      const negotiated = SESSIONS[which]!;
      const writer = new UpdateWriter(negotiated);
      if (!writer.carries(batch.family, value.nextHop!)) return;
      assert.equal(writer.announce(value, batch), batch.count);
      fc.pre(writer.oversized.length === 0);
      const decoder = new UpdateDecoder(negotiated);
      const framer = new MessageFramer(negotiated.receiveBytesMax);
      framer.feed(writer.take());
      const back: string[] = [];
      while (framer.next()) {
        const result = decoder.decode(framer.buffer, framer.body, framer.end);
        assert.ok(!isBgpError(result));
        assert.deepEqual(result.errors, []);
        const { announced, mpReach } = seen(result);
        back.push(...announced, ...mpReach);
        assert.deepEqual(result.attributes ?? result.mpAttributes, value);
      }
      const ids = negotiated.addPathSend.length > 0;
      const expected = rows(batch).map((text) => (ids ? text : text.replace(/ id .*/, "")));
      assert.deepEqual(back, expected);
    }),
  );
});

test("property: an UPDATE of any octets never throws, and the next one is not harmed", () => {
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    attributeList().map((list) => {
      const lengths = Uint8Array.of(0, 0, list.length >>> 8, list.length & 255);
      return concat(lengths, list, Uint8Array.of(8, 10));
    }),
  );
  fc.assert(
    fc.property(body, fc.nat(SESSIONS.length - 1), (octets, which) => {
      const decoder = new UpdateDecoder(SESSIONS[which]!, { enforceFirstAs: false });
      const before = good(decoder, which);
      const result = decoder.decode(octets, 0, octets.length);
      if (isBgpError(result)) assert.equal(result.code, 3);
      else assertConsistent(seen(result));
      assert.deepEqual(good(decoder, which), before);
    }),
    { numRuns: 500 },
  );
});

/** Heads of attributes with lengths that fit, around any octets. */
function attributeList(): fc.Arbitrary<Uint8Array> {
  const flags = fc.constantFrom(0x40, 0x80, 0xc0, 0xe0, 0x50, 0x90, 0x60, 0x00, 0xff);
  const type = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 255 }));
  const value = fc.uint8Array({ maxLength: 40 });
  const one = fc.tuple(flags, type, value).map(([f, t, v]) => {
    const head = (f & 0x10) === 0 ? [f, t, v.length] : [f, t, 0, v.length];
    return concat(Uint8Array.from(head), v);
  });
  return fc.array(one, { maxLength: 8 }).map((list) => concat(...list));
}

function good(decoder: UpdateDecoder, which: number): Seen {
  const { fourOctetAs, addPathReceive } = SESSIONS[which]!;
  const list = [
    attribute(0x40, 1, "00"),
    attribute(0x40, 2, fourOctetAs ? "02 01 0000fde9" : "02 01 fde9"),
    attribute(0x40, 3, "c0000201"),
  ];
  const message = update(list, addPathReceive.includes(4) ? "00000007 08 0a" : "08 0a");
  return decoded(decoder, message);
}

function assertConsistent(result: Seen): void {
  const usable = result.treatment !== "withdraw";
  assert.equal(result.attributes !== undefined, usable && result.announced.length > 0);
  assert.equal(result.mpAttributes !== undefined, usable && result.mpReach.length > 0);
  assert.equal(result.errors.length > 0, result.treatment !== "none");
  if (result.attributes !== undefined) assert.match(result.attributes.nextHop ?? "", /^\d/);
  if (result.endOfRib !== undefined) assert.equal(result.treatment, "none");
}

/** Good messages with some octets changed: what a fuzzer would try first. */
const mutated = fc
  .tuple(
    fc.constantFrom(...Object.values(seed)),
    fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
  )
  .map(([message, changes]) => {
    const copy = message.slice();
    for (const [place, octet] of changes) copy[place % copy.length] = octet;
    return copy;
  });

test("property: one chunk and any other cut give the same, whatever the octets", () => {
  const stream = fc.array(fc.oneof(mutated, fc.uint8Array({ maxLength: 30 })), { maxLength: 6 });
  const cuts = fc.array(fc.nat(), { maxLength: 10 });
  fc.assert(
    fc.property(stream, cuts, fc.nat(SESSIONS.length - 1), (parts, places, which) => {
      const whole = concat(...parts);
      const edges = [0, ...places.map((p) => p % (whole.length + 1)), whole.length];
      edges.sort((a, b) => a - b);
      const chunks = edges.slice(1).map((end, i) => whole.slice(edges[i], end));
      const expected = receive([whole], which);
      assert.deepEqual(receive(chunks, which), expected);
      const single = Array.from(whole, (octet) => Uint8Array.of(octet));
      assert.deepEqual(receive(single, which), expected);
    }),
    { numRuns: 200 },
  );
});

test("memory of a decoder is bounded by the largest message", () => {
  const memory = new DecoderMemory();
  const decoder = new UpdateDecoder(session({ receiveBytesMax: 65_535 }), { memory });
  const message = new Uint8Array(65_535 - 19);
  for (let round = 0; round < 20; round++) {
    assert.ok(!isBgpError(decoder.decode(message, 0, message.length)));
  }
  assert.equal(memory.announced.count, message.length - 4);
  assert.ok(memory.announced.length.length < 2 * 65_536);
});
