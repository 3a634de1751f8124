/** MAC addresses of pods: one for each, and none that is the bridge's. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { linkAddressFor } from "../../../src/cni/plugin/link-address.ts";
import { type IpAddress, parseAddress } from "../../../src/ip/address.ts";

const of = (...texts: string[]) => linkAddressFor(texts.map((text) => parseAddress(text)!));

test("it is made of the IPv4 address, in whatever order the addresses are", () => {
  assert.equal(of("10.0.0.2"), "0a:58:0a:00:00:02");
  assert.equal(of("10.0.0.2", "fd00::9"), "0a:58:0a:00:00:02");
  assert.equal(of("fd00::9", "10.0.0.2"), "0a:58:0a:00:00:02");
});

test("of IPv6 ranges that differ in one octet no pods have the same", () => {
  const start = [0xfd, 0, 0, 0x10, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2];
  for (let at = 0; at < 12; at++) {
    const seen = new Set<string>();
    for (let octet = 0; octet < 256; octet++) {
      const bytes = start.with(at, octet);
      const text = Array.from({ length: 8 }, (_, group) =>
        ((bytes[2 * group]! << 8) | bytes[2 * group + 1]!).toString(16),
      ).join(":");
      seen.add(linkAddressFor([parseAddress(text) as IpAddress]));
    }
    assert.equal(seen.size, 256, `octet ${at}`);
  }
});

test("unicast, locally administered, and never of the block that the bridge's own is of", () => {
  assert.match(of("fd00:10:1::2"), /^0e:[0-9a-f]{2}:00:00:00:02$/);
});
