/** What is on a link by a router's word, from the kernel's routes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { onLinkPrefixOf } from "../../src/ip/local-address.ts";

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
