import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type IpAddress, parseAddress } from "../../src/ip/address.ts";
import {
  hostPrefix,
  isPrefix,
  parsePrefix,
  prefix,
  prefixAddress,
  prefixContains,
  prefixCovers,
  prefixesOverlap,
  prefixFamily,
  prefixFromBytes,
  prefixLength,
} from "../../src/ip/prefix.ts";
import { PrefixBatch } from "../../src/ip/prefix-batch.ts";

test("prefixes are canonical, or it is said what is wrong", () => {
  assert.equal(parsePrefix("10.233.65.0/24"), "10.233.65.0/24");
  assert.equal(parsePrefix("2001:DB8::/32"), "2001:db8::/32");
  assert.equal(parsePrefix("0.0.0.0/0"), "0.0.0.0/0");
  assert.deepEqual(parsePrefix("10.233.65.1/24"), { problem: "host-bits" });
  assert.deepEqual(parsePrefix("10.0.0.0/33"), { problem: "length" });
  for (const text of [
    "",
    "10.0.0.0",
    "10.0.0.0/",
    "10.0.0.0/08",
    "10.0.0.0/-1",
    "x/8",
    "1.2.3.4/8/8",
  ]) {
    assert.deepEqual(parsePrefix(text), { problem: "syntax" }, text);
  }
});

test("parts of a prefix", () => {
  const subnet = prefix("10.233.65.0/24");
  assert.equal(prefixAddress(subnet), "10.233.65.0");
  assert.equal(prefixLength(subnet), 24);
  assert.equal(prefixFamily(subnet), 4);
  assert.equal(prefixFamily(prefix("fd00::/8")), 6);
  assert.equal(hostPrefix(parseAddress("fd00::1") as IpAddress), "fd00::1/128");
});

test("covering, containing and overlapping", () => {
  const wide = prefix("10.0.0.0/8");
  const narrow = prefix("10.1.0.0/16");
  assert.ok(prefixCovers(wide, narrow) && !prefixCovers(narrow, wide) && prefixCovers(wide, wide));
  assert.ok(prefixesOverlap(narrow, wide) && !prefixesOverlap(narrow, prefix("10.2.0.0/16")));
  assert.ok(prefixContains(narrow, parseAddress("10.1.2.3") as IpAddress));
  assert.ok(!prefixContains(prefix("::/0"), parseAddress("10.1.2.3") as IpAddress));
});

test("the prefix of an address contains it, at every length", () => {
  const address = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  fc.assert(
    fc.property(address, fc.nat(128), (bytes, bits) => {
      const made = prefixFromBytes(bytes, Math.min(bits, bytes.length * 8));
      assert.equal(parsePrefix(made), made);
      const host = prefixFromBytes(bytes, bytes.length * 8);
      assert.ok(prefixContains(made, prefixAddress(host)));
    }),
  );
});

test("what is wrong with a text is no prefix", () => {
  assert.equal(isPrefix({ problem: "syntax" }), false);
});

test("a batch grows, keeps its rows and prints them", () => {
  const batch = new PrefixBatch(1);
  batch.reset(4);
  for (let i = 0; i < 300; i++) batch.push4((10 << 24) | (i << 8), 24, i);
  assert.equal(batch.count, 300);
  assert.equal(batch.prefixAt(299), "10.1.43.0/24");
  assert.equal(batch.pathId[299], 299);
  batch.reset(6);
  batch.push6(0x20010db8, 0, 0, 0, 32);
  assert.equal(batch.prefixAt(0), "2001:db8::/32");
});

test("a prefix covers no shorter one that begins alike; a short one is cut in its first byte", () => {
  assert.equal(prefixCovers(prefix("10.0.0.0/16"), prefix("10.0.0.0/8")), false);
  assert.equal(prefixCovers(prefix("fd00::/16"), prefix("fd00::/8")), false);
  assert.equal(prefixFromBytes(Uint8Array.of(255, 255, 0, 1), 4), "240.0.0.0/4");
  assert.equal(hostPrefix("192.0.2.1" as IpAddress), "192.0.2.1/32");
  assert.equal(hostPrefix("fd00::1" as IpAddress), "fd00::1/128");
});
