import assert from "node:assert/strict";
import { isIPv4, isIPv6 } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import {
  addressBytes,
  addressFromBytes,
  addressFromWord,
  compareAddresses,
  type IpAddress,
  isLinkLocal,
  parseAddress,
  wordOfAddress,
} from "../../src/ip/address.ts";

const CANONICAL: readonly (readonly [string, string])[] = [
  ["192.168.50.50", "192.168.50.50"],
  ["0.0.0.0", "0.0.0.0"],
  ["::", "::"],
  ["::1", "::1"],
  ["2001:DB8::0001", "2001:db8::1"],
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
  ["::ffff:10.0.0.1", "::ffff:a00:1"],
  ["fe80:0:0:0:0:0:0:0", "fe80::"],
  // No text is longer.
  ["0000:0000:0000:0000:0000:ffff:255.255.255.255", "::ffff:ffff:ffff"],
];

const NONE = [
  "",
  "1.2.3",
  "1.2.3.4.5",
  "1..3.4",
  ".2.3.4",
  "1.2.3.",
  "256.1.1.1",
  "01.2.3.4",
  "1.2.3.4 ",
  "a.b.c.d",
  ":",
  ":::",
  "1::2::3",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7:8::",
  "fe80::1%eth0",
  "12345::",
  "::1.2.3.4:5",
  "1.2.3.4::",
  "x".repeat(1000),
];

test("an address has one canonical text", () => {
  for (const [text, canonical] of CANONICAL) assert.equal(parseAddress(text), canonical, text);
});

test("what is no address is none", () => {
  for (const text of NONE) assert.equal(parseAddress(text), undefined, text);
});

test("bytes to text to bytes gives the same bytes, and text that Node knows as an address", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    // Many zeros: the interesting part of IPv6 text.
    fc
      .array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 })
      .map((a) => Uint8Array.from(a)),
  );
  fc.assert(
    fc.property(bytes, (value) => {
      const text = addressFromBytes(value);
      assert.ok(value.length === 4 ? isIPv4(text) : isIPv6(text), text);
      assert.equal(parseAddress(text), text);
      assert.deepEqual(addressBytes(text), value);
    }),
  );
});

test("any text is an address to us exactly when it is one to Node (zones aside)", () => {
  const alphabet = fc.constantFrom(..."0123456789abcdefF:.:::".split(""));
  fc.assert(
    fc.property(fc.array(alphabet, { maxLength: 24 }), (letters) => {
      const text = letters.join("");
      assert.equal(parseAddress(text) !== undefined, isIPv4(text) || isIPv6(text), text);
    }),
    { numRuns: 2000 },
  );
});

test("link-local is fe80::/10, and nothing that only begins alike", () => {
  for (const text of ["fe80::1", "fe80::", "fe9a:1::2", "febf:ffff::"]) {
    assert.equal(isLinkLocal(parseAddress(text)!), true, text);
  }
  for (const text of ["fe8::1", "fea::", "fec0::1", "fe7f::1", "2001:db8::fe80", "169.254.0.1"]) {
    assert.equal(isLinkLocal(parseAddress(text)!), false, text);
  }
});

test("words and order", () => {
  const a = parseAddress("10.0.0.9") as IpAddress;
  const b = parseAddress("10.0.0.10") as IpAddress;
  const c = parseAddress("::1") as IpAddress;
  assert.deepEqual([c, b, a].sort(compareAddresses), [a, b, c]);
  assert.equal(wordOfAddress(parseAddress("255.0.0.1") as IpAddress), 0xff000001);
  assert.equal(addressFromWord(0xff000001), "255.0.0.1");
});
