/** Bytes of no meaning: decoders refuse them in one way, and what they make can be encoded. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { addressBytes, addressText, parsePrefix } from "../src/address.ts";
import { MalformedMessageError, NetlinkError } from "../src/errors.ts";
import { decodeInterfaceAddress } from "../src/interface-address.ts";
import { decodeLink } from "../src/link.ts";
import { decodeAcknowledgement, forEachMessage } from "../src/message.ts";
import { MessageWriter } from "../src/message-writer.ts";
import { decodeNeighbour } from "../src/neighbour.ts";
import { decodeNextHopObject } from "../src/next-hop-object.ts";
import { decodeRoute, encodeRoute } from "../src/route.ts";
import { decodeRule } from "../src/rule.ts";

const DECODERS = {
  decodeRoute,
  decodeLink,
  decodeInterfaceAddress,
  decodeRule,
  decodeNeighbour,
  decodeNextHopObject,
} as const;

/** A header and attributes that mostly fit. */
const attribute = fc
  .tuple(fc.integer({ min: 0, max: 32 }), fc.uint8Array({ maxLength: 24 }))
  .map(([type, payload]) => {
    const bytes = Buffer.alloc((payload.length + 7) & ~3);
    bytes.writeUInt16LE(payload.length + 4, 0);
    bytes.writeUInt16LE(type, 2);
    bytes.set(payload, 4);
    return bytes;
  });
const header = (size: number) =>
  fc
    .tuple(fc.constantFrom(0, 2, 7, 10), fc.uint8Array({ minLength: size, maxLength: size }))
    .map(([family, bytes]) => Buffer.concat([Buffer.of(family), bytes.subarray(1)]));
const body = fc.oneof(
  fc.uint8Array({ maxLength: 120 }).map((bytes) => Buffer.from(bytes)),
  fc
    .tuple(fc.constantFrom(8, 12, 16).chain(header), fc.array(attribute, { maxLength: 6 }))
    .map(([head, attributes]) => Buffer.concat([head, ...attributes])),
);

for (const [name, decode] of Object.entries(DECODERS)) {
  test(`${name} throws nothing but MalformedMessageError, and reads nothing beyond`, () => {
    fc.assert(
      fc.property(body, (bytes) => {
        const apart = Buffer.concat([bytes, Buffer.alloc(64, 0xee)]);
        try {
          const value = decode(bytes, 0, bytes.length);
          assert.deepEqual(decode(apart, 0, bytes.length), value);
        } catch (error) {
          assert.ok(error instanceof MalformedMessageError, String(error));
        }
      }),
    );
  });
}

test("a datagram of nonsense is refused, never walked beyond its end", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (raw) => {
      const bytes = Buffer.from(raw);
      try {
        forEachMessage(bytes, bytes.length, (message) => {
          assert.ok(message.end <= bytes.length && message.start <= message.end);
          decodeAcknowledgement(message);
        });
      } catch (error) {
        assert.ok(error instanceof MalformedMessageError, String(error));
      }
    }),
  );
});

test("a refusal whose request has any length is read within its bounds", () => {
  const flags = fc.constantFrom(0x200, 0x300);
  const size = fc.oneof(fc.nat(120), fc.integer({ min: 2 ** 31 - 8, max: 2 ** 32 - 1 }));
  fc.assert(
    fc.property(body, flags, size, (rest, flag, requestBytes) => {
      const bytes = Buffer.concat([Buffer.alloc(36), rest]);
      bytes.writeUInt32LE(bytes.length, 0);
      bytes.writeUInt16LE(2, 4);
      bytes.writeUInt16LE(flag, 6);
      bytes.writeUInt32LE(requestBytes, 20);
      try {
        forEachMessage(bytes, bytes.length, (message) => void decodeAcknowledgement(message));
      } catch (error) {
        assert.ok(error instanceof MalformedMessageError, String(error));
      }
    }),
  );
});

test("IPv4 and IPv6 texts survive the way to bytes and back", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    // Runs of zeros, where the :: goes.
    fc
      .array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 })
      .map((list) => Uint8Array.from(list)),
  );
  fc.assert(
    fc.property(bytes, (given) => {
      const text = addressText(given, 0, given.length);
      assert.deepEqual(Uint8Array.from(addressBytes(text)), given);
      if (given.length === 16) assert.equal(new URL(`http://[${text}]/`).hostname, `[${text}]`);
    }),
  );
});

const BAD_ADDRESSES = [
  "",
  ".",
  "1.2.3",
  "1.2.3.4.5",
  "1.2.3.256",
  "01.2.3.4",
  "1.2.3.4 ",
  "1..2.3",
  ":",
  ":::",
  "1::2::3",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "12345::",
  "fe80::1%eth0",
  "::1.2.3.400",
  `${"0:".repeat(40)}1`,
];
for (const text of BAD_ADDRESSES) {
  test(`${JSON.stringify(text.slice(0, 24))} is no address`, () => {
    assert.throws(() => addressBytes(text), { name: "NetlinkError", code: "EINVAL" });
  });
}

for (const text of ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/08", "::/129", "/24"]) {
  test(`${JSON.stringify(text)} is no prefix`, () => {
    assert.throws(() => parsePrefix(text), { name: "NetlinkError", code: "EINVAL" });
  });
}

const BAD_ROUTES = [
  { tos: 256 },
  { protocol: -1 },
  { table: 2 ** 32 },
  { priority: 1.5 },
  { flags: Number.NaN },
  { gateway: "nonsense" },
  { nextHops: [{ weight: 0 }] },
  { nextHops: [{ weight: 257 }] },
  { nextHops: [{ interfaceIndex: -1 }] },
] as const;
for (const fields of BAD_ROUTES) {
  test(`a route with ${JSON.stringify(fields)} is refused before it is sent`, () => {
    const writer = new MessageWriter();
    writer.begin(0, 0);
    const route = { destination: "10.0.0.0/8", ...fields };
    assert.throws(() => encodeRoute(writer, route), NetlinkError);
  });
}
