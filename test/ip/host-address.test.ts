import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress } from "../../src/ip/address.ts";
import { canBeNextHop, parsePeerAddress } from "../../src/ip/host-address.ts";

test("next hops are addresses that a host can have, and that name it on every link", () => {
  const isOne = (text: string) => canBeNextHop(parseAddress(text)!);
  for (const text of [
    ...["1.0.0.0", "24.0.0.1", "126.255.255.255", "128.0.0.0", "192.168.50.50", "223.255.255.255"],
    ...["::2", "240::1", "2400:1::", "fd00::240", "fec0::1", "feff::1"],
  ]) {
    assert.ok(isOne(text), text);
  }
  for (const text of [
    ...["0.0.0.0", "0.255.255.255", "127.0.0.1", "224.0.0.0", "239.255.255.255", "240.0.0.0"],
    ...["249.1.2.3", "250.0.0.1", "255.255.255.254"],
    ...["::", "::1", "fe80::1", "febf::1", "ff02::1"],
  ]) {
    assert.ok(!isOne(text), text);
  }
});

test("peers are at addresses of one host, on whatever link", () => {
  for (const text of [
    ...["1.0.0.0", "127.0.0.1", "223.255.255.255", "240.0.0.1", "255.255.255.254"],
    ...["::1", "fe80::1", "feff::1", "2001:db8::1", "::ffff:c000:201", "::fffe:0:0"],
  ]) {
    assert.equal(parsePeerAddress(text), text);
  }
  for (const text of [
    ...["0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.255", "255.255.255.255"],
    ...["::", "ff02::1", "ff::x", "", "192.0.2.0/24"],
    // What the kernel would dial by IPv4.
    ...["::ffff:0.0.0.0", "::ffff:0.1.2.3", "::ffff:224.0.0.1", "::ffff:255.255.255.255"],
  ]) {
    assert.equal(parsePeerAddress(text), undefined, text);
  }
});
