import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { addressFromBytes, compareAddresses, type IpAddress } from "../../src/ip/address.ts";
import {
  prefixContains,
  prefixesOverlap,
  prefixFromBytes,
  prefix as prefixOf,
} from "../../src/ip/prefix.ts";
import {
  addressKey,
  prefixRange,
  rangeContains,
  rangesOverlap,
  reservedBlockOf,
} from "../../src/k8s/ranges.ts";

/** Few distinct bytes, so that prefixes often meet. */
const bytes = fc.oneof(
  fc.array(fc.constantFrom(0, 1, 127, 128, 255), { minLength: 4, maxLength: 4 }),
  fc.array(fc.constantFrom(0, 255), { minLength: 16, maxLength: 16 }),
);
const address = bytes.map((each): IpAddress => addressFromBytes(Uint8Array.from(each)));
const prefix = fc
  .tuple(bytes, fc.nat(128))
  .map(([each, length]) => prefixFromBytes(Uint8Array.from(each), length % (each.length * 8 + 1)));

test("keys sort as addresses do", () => {
  fc.assert(
    fc.property(address, address, (a, b) => {
      const [x, y] = [addressKey(a), addressKey(b)];
      assert.equal(x < y ? -1 : x > y ? 1 : 0, Math.sign(compareAddresses(a, b)));
    }),
  );
});

test("ranges contain and overlap as prefixes do", () => {
  fc.assert(
    fc.property(prefix, prefix, address, (a, b, ip) => {
      assert.equal(rangesOverlap(prefixRange(a), prefixRange(b)), prefixesOverlap(a, b));
      assert.equal(rangeContains(prefixRange(a), addressKey(ip)), prefixContains(a, ip));
    }),
    { numRuns: 1000 },
  );
});

test("a range ends with its first and its last address", () => {
  for (const [network, first, last, before, after] of [
    ["10.1.2.0/23", "10.1.2.0", "10.1.3.255", "10.1.1.255", "10.1.4.0"],
    ["fd00:1::/32", "fd00:1::", "fd00:1:ffff:ffff:ffff:ffff:ffff:ffff", "fd00::", "fd00:2::"],
    ["10.1.2.3/32", "10.1.2.3", "10.1.2.3", "10.1.2.2", "10.1.2.4"],
  ] as const) {
    const range = prefixRange(prefixOf(network));
    const holds = (text: string) => rangeContains(range, addressKey(text as IpAddress));
    assert.deepEqual([first, last, before, after].map(holds), [true, true, false, false], network);
  }
});

test("reserved blocks", () => {
  const blockOf = (text: string) => {
    const key = addressKey(text as IpAddress);
    return reservedBlockOf({ first: key, last: key })?.name;
  };
  assert.equal(blockOf("127.255.255.255"), "loopback");
  assert.equal(blockOf("128.0.0.0"), undefined);
  assert.equal(blockOf("239.255.255.255"), "multicast");
  assert.equal(blockOf("240.0.0.1"), undefined);
  assert.equal(blockOf("255.255.255.255"), "broadcast");
  assert.equal(blockOf("febf::1"), "link-local");
  assert.equal(blockOf("fec0::1"), undefined);
});
