/** What is taken to be in the kernel after our own operations, and which events are news. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { prefix } from "../../src/ip/prefix.ts";
import { HostState } from "../../src/overlay/host-state.ts";
import type { HostItem, HostLink, Item } from "../../src/overlay/types.ts";
import { ip } from "./fake-overlay.ts";

const link = (index: number, name: string, more: Partial<HostLink> = {}): HostLink => ({
  ...{ index, name, kind: "vxlan", mtu: 1450, up: false, loopback: false, alias: undefined },
  ...{ mac: undefined, local: undefined, remote: undefined, vni: 77, port: 4789 },
  ...more,
});
const ROUTE: Item = {
  kind: "route",
  prefix: prefix("10.1.0.0/24"),
  link: 5,
  gateway: ip("1.1.1.1"),
};
const NEIGHBOUR: Item = { kind: "neighbour", link: 6, address: ip("1.1.1.2"), mac: "0e:" };
const RULE: Item = { kind: "rule", from: prefix("10.0.0.0/24") };
const ours = (item: Item): HostItem => ({ item, foreign: false });
const host = (links: readonly HostLink[], ...items: readonly HostItem[]) =>
  new HostState({ links, addresses: [], items });

test("of several items with one key a foreign one counts, whichever comes first", () => {
  const mine = ours(ROUTE);
  const theirs: HostItem = { item: { ...ROUTE, gateway: undefined }, foreign: true };
  for (const items of [
    [mine, theirs],
    [theirs, mine],
  ]) {
    assert.deepEqual([...host([], ...items).items.values()], [theirs]);
  }
});

test("an operation that was carried out is as if it had been read", () => {
  const five = link(5, "five");
  const state = host([five], ours(ROUTE), ours(NEIGHBOUR), ours(RULE));
  state.applied({ kind: "set-device", link: five, change: { mtu: 1400, up: true } }, undefined);
  const changed = { ...five, mtu: 1400, up: true };
  assert.deepEqual(state.links.get(5), changed);
  assert.deepEqual(state.byName.get("five"), changed);
  const six = link(6, "six");
  const device = { name: "six", kind: "vxlan", mtu: 1450, local: ip("1.1.1.3") } as const;
  const create = { ...device, remote: undefined, borrowed: false, vxlan: undefined };
  state.applied({ kind: "create-device", device: create }, undefined);
  assert.equal(state.links.size, 1);
  state.applied({ kind: "create-device", device: create }, six);
  assert.deepEqual([state.links.get(6), state.byName.get("six")], [six, six]);
  state.applied({ kind: "put", item: { ...ROUTE, gateway: undefined }, replaces: true }, undefined);
  assert.deepEqual(state.items.get("route 10.1.0.0/24"), ours({ ...ROUTE, gateway: undefined }));
  state.applied({ kind: "drop", item: RULE }, undefined);
  assert.deepEqual([...state.items.keys()], ["route 10.1.0.0/24", "neighbour 6 1.1.1.2"]);
  state.applied({ kind: "delete-device", link: changed }, undefined);
  assert.deepEqual([[...state.links.keys()], [...state.byName.keys()]], [[6], ["six"]]);
  assert.deepEqual([...state.items.keys()], ["neighbour 6 1.1.1.2"], "all on it went with it");
});

test("an event is no news when it says what is known", () => {
  const five = link(5, "five");
  const state = host([five], ours(ROUTE));
  assert.equal(state.knows({ ...five }), true);
  assert.equal(state.knows({ ...five, up: true }), false);
  assert.equal(state.knows(link(6, "five")), false);
  assert.equal(state.agrees("new", { ...ROUTE }), true);
  assert.equal(state.agrees("new", { ...ROUTE, gateway: undefined }), false);
  assert.equal(state.agrees("new", RULE), false);
  assert.equal(state.agrees("delete", ROUTE), false);
  assert.equal(state.agrees("delete", RULE), true);
});
