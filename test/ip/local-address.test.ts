/** What is on a link by a router's word, from the kernel's routes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isBare, localAddressOf, onLinkPrefixOf } from "../../src/ip/local-address.ts";

const ROUTE = { destination: "fd00:9::/64", protocol: 2, type: 1, interfaceIndex: 2 };

test("the routes that say what is on a link", () => {
  for (const protocol of [2, 9]) {
    assert.deepEqual(onLinkPrefixOf({ ...ROUTE, protocol }), [{ link: 2, prefix: "fd00:9::/64" }]);
  }
  for (const other of [
    // Of an administrator, of ours.
    { protocol: 4 },
    { protocol: 17 },
    // Blackhole, by a gateway, by several ways, by no interface.
    { type: 6 },
    { gateway: "fe80::1" },
    { nextHops: [] },
    { destination: "fe80::/64" },
    { destination: "::/0" },
    { destination: "fd00:9::50/128" },
    { destination: "10.0.0.0/24" },
  ]) {
    assert.deepEqual(onLinkPrefixOf({ ...ROUTE, ...other }), [], JSON.stringify(other));
  }
  const { interfaceIndex: _, ...nowhere } = ROUTE;
  assert.deepEqual(onLinkPrefixOf(nowhere), []);
});

test("addresses that say nothing of their link: of ::1 there is nothing to be asked", () => {
  const bare = (address: string) => localAddressOf({ interfaceIndex: 2, address }).map(isBare);
  assert.deepEqual(bare("fd00:9::50/128"), [true]);
  for (const other of ["::1/128", "fd00:9::50/64", "192.0.2.1/32"]) {
    assert.deepEqual(bare(other), [false], other);
  }
});
