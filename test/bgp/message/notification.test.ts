import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  decodeNotification,
  decodeShutdownCommunication,
  describeNotification,
  encodeNotification,
  encodeShutdownCommunication,
  hardReset,
  hardResetInner,
} from "../../../src/bgp/message/notification.ts";
import { sanitiseText } from "../../../src/bgp/message/text.ts";
import type { NotificationMessage } from "../../../src/bgp/message/types.ts";
import { bytes, hex } from "../../support/hex.ts";
import { record } from "./arbitraries.ts";

function decode(message: Uint8Array): NotificationMessage {
  return decodeNotification(message, 19, message.length);
}

test("wire form, both directions", () => {
  const message = { code: 6, subcode: 2, data: bytes("02 6869") };
  const wire = bytes(`${"ff".repeat(16)} 0018 03 06 02 02 6869`);
  assert.equal(hex(encodeNotification(message)), hex(wire));
  assert.deepEqual(decode(wire), message);
});

test("data is cut at 4096 octets in all", () => {
  const message = { code: 3, subcode: 5, data: new Uint8Array(60_000) };
  assert.equal(encodeNotification(message).length, 4096);
});

test("missing octets read as 0", () => {
  assert.deepEqual(decodeNotification(new Uint8Array(19), 19, 19), {
    code: 0,
    subcode: 0,
    data: new Uint8Array(0),
  });
});

const DESCRIPTIONS: readonly (readonly [number, number, string, string])[] = [
  [1, 1, "", "Message Header Error / Connection Not Synchronized"],
  [1, 2, "0012", "Message Header Error / Bad Message Length: data 0x0012"],
  [2, 0, "", "OPEN Message Error"],
  [2, 7, "010400020001", "OPEN Message Error / Unsupported Capability: data 0x010400020001"],
  [2, 11, "", "OPEN Message Error / Role Mismatch"],
  [3, 11, "", "UPDATE Message Error / Malformed AS_PATH"],
  [4, 0, "", "Hold Timer Expired"],
  [5, 1, "", "Finite State Machine Error / Receive Unexpected Message in OpenSent State"],
  [6, 1, "0001 01 000003e8", "Cease / Maximum Number of Prefixes Reached: IPv4, limit 1000"],
  [
    6,
    1,
    "0019 46 0000000a",
    "Cease / Maximum Number of Prefixes Reached: AFI 25, SAFI 70, limit 10",
  ],
  [6, 2, "05 6e6f6f6e21", 'Cease / Administrative Shutdown: "noon!"'],
  [6, 4, "03 1b5b4a", 'Cease / Administrative Reset: "[J"'],
  [6, 2, "ff 6e", "Cease / Administrative Shutdown: malformed shutdown communication"],
  [6, 2, "00", "Cease / Administrative Shutdown"],
  [6, 4, "00", "Cease / Administrative Reset"],
  [6, 9, "06 02 00", "Cease / Hard Reset: Cease / Administrative Shutdown"],
  [6, 3, "", "Cease / Peer De-configured"],
  [6, 7, "", "Cease / Connection Collision Resolution"],
  [6, 9, "06 02 02 6869", 'Cease / Hard Reset: Cease / Administrative Shutdown: "hi"'],
  [6, 9, "06 09 06 09 06 09", "Cease / Hard Reset: nested Hard Reset"],
  [6, 9, "06", "Cease / Hard Reset: data 0x06"],
  [6, 10, "", "Cease / BFD Down"],
  [7, 1, "", "ROUTE-REFRESH Message Error / Invalid Message Length"],
  [8, 0, "", "Send Hold Timer Expired"],
  [6, 77, "", "Cease / subcode 77"],
  [99, 3, "", "Error 99 / subcode 3"],
  [
    3,
    1,
    "ab".repeat(40),
    `UPDATE Message Error / Malformed Attribute List: data 0x${"ab".repeat(16)}…`,
  ],
];

for (const [code, subcode, data, expected] of DESCRIPTIONS) {
  test(`description: ${expected}`, () => {
    assert.equal(describeNotification({ code, subcode, data: bytes(data) }), expected);
  });
}

test("shutdown communication is cut at 255 octets between two characters (RFC 9003)", () => {
  const data = encodeShutdownCommunication(`x${"漢".repeat(200)}`);
  assert.equal(data.length, 1 + 253);
  assert.equal(data[0], 253);
  assert.equal(decodeShutdownCommunication(data), `x${"漢".repeat(84)}`);
  assert.equal(encodeShutdownCommunication("").length, 0);
});

test("a text of a length beyond the data is refused (CVE-2019-16159)", () => {
  assert.equal(decodeShutdownCommunication(bytes("80 6869")), undefined);
  assert.equal(decodeShutdownCommunication(bytes("00")), undefined);
  assert.equal(decodeShutdownCommunication(bytes("")), undefined);
});

test("hard reset encapsulates and opens (RFC 8538)", () => {
  const inner = { code: 6, subcode: 3, data: bytes("0102") };
  const outer = hardReset(inner);
  assert.deepEqual(outer, { code: 6, subcode: 9, data: bytes("0603 0102") });
  assert.deepEqual(hardResetInner(outer), inner);
  assert.equal(hardResetInner(inner), undefined);
  assert.equal(hardReset({ ...inner, data: new Uint8Array(9000) }).data.length, 4075);
});

test("property: decode(encode(notification)) = notification", () => {
  const octet = fc.integer({ min: 0, max: 255 });
  const any = record({ code: octet, subcode: octet, data: fc.uint8Array({ maxLength: 300 }) });
  fc.assert(fc.property(any, (n) => assert.deepEqual(decode(encodeNotification(n)), n)));
});

test("property: a description is one printable line, whatever the data", () => {
  const octet = fc.integer({ min: 0, max: 12 });
  const any = record({ code: octet, subcode: octet, data: fc.uint8Array({ maxLength: 300 }) });
  fc.assert(
    fc.property(any, (notification) => {
      assert.match(describeNotification(notification), /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$/u);
    }),
  );
});

test("property: sanitised text has no control, format or private characters", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      assert.doesNotMatch(sanitiseText(text), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/u);
    }),
  );
  assert.equal(sanitiseText("a\r\n\tb\u202ec\u0007\u009bd\ue000"), "a bcd");
});
