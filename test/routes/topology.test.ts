import assert from "node:assert/strict";
import { test } from "node:test";
import { type LocalAddress, withAnnounced } from "../../src/ip/local-address.ts";
import { prefix, prefixFamily } from "../../src/ip/prefix.ts";
import { describeUnreachable, Topology } from "../../src/routes/topology.ts";
import type { Link } from "../../src/routes/types.ts";
import { address } from "./fake-kernel.ts";

const links: Link[] = [
  { index: 2, name: "eth0", up: true },
  { index: 3, name: "eth1", up: false },
  { index: 4, name: "eth2", up: true },
  { index: 5, name: "wg0", up: true },
];

function local(link: number, own: string, subnet: string): LocalAddress {
  return { link, address: address(own), subnet: prefix(subnet) };
}

const addresses = [
  local(2, "10.0.0.1", "10.0.0.0/16"),
  local(4, "10.0.9.1", "10.0.9.0/24"),
  local(3, "10.7.0.1", "10.7.0.0/24"),
  local(5, "172.16.0.1", "172.16.0.2/32"),
  local(2, "fe80::1", "fe80::/64"),
  local(2, "2001:db8::1", "2001:db8::/64"),
];

/** Destination, next hop, and interface or reason. */
const cases: readonly [string, string, number | RegExp][] = [
  ["10.233.1.0/24", "10.0.1.1", 2],
  ["10.233.1.0/24", "10.0.9.7", 4],
  ["10.233.1.0/24", "172.16.0.2", 5],
  ["10.233.1.0/24", "172.16.0.3", /no subnet/],
  ["10.233.1.0/24", "10.7.0.9", /interface eth1 is down/],
  ["10.233.1.0/24", "10.0.0.1", /address of this machine/],
  ["10.233.1.0/24", "10.7.0.1", /address of this machine/],
  ["10.233.1.0/24", "8.8.8.8", /no subnet/],
  ["10.233.1.0/24", "2001:db8::2", /other address family/],
  ["fd00:1::/64", "2001:db8::2", 2],
  ["fd00:1::/64", "10.0.1.1", /other address family/],
  ["fd00:1::/64", "fe80::2", /no subnet/],
];

for (const [destination, nextHop, expected] of cases) {
  test(`topology: ${destination} via ${nextHop}`, () => {
    const topology = new Topology(links, addresses);
    const resolution = topology.resolve(prefixFamily(prefix(destination)), address(nextHop));
    if (typeof expected === "number") {
      assert.ok(resolution.ok);
      assert.deepEqual(resolution.hop, { gateway: nextHop, link: expected, weight: 1 });
    } else {
      assert.ok(!resolution.ok);
      assert.match(describeUnreachable(resolution.why), expected);
    }
  });
}

test("topology: equal subnets on two interfaces go to the one made first", () => {
  const twice = [local(4, "10.0.0.2", "10.0.0.0/16"), ...addresses];
  const resolution = new Topology(links, twice).resolve(4, address("10.0.3.3"));
  assert.ok(resolution.ok && resolution.hop.link === 2);
});

test("topology: what is in a VRF leads nowhere, and is no address of this machine", () => {
  const inVrf = links.map((link) => (link.index === 2 ? { ...link, vrf: true } : link));
  const topology = new Topology(inVrf, addresses);
  const reason = (nextHop: string) => {
    const way = topology.resolve(4, address(nextHop));
    return way.ok ? way.hop.link : describeUnreachable(way.why);
  };
  assert.equal(reason("10.0.1.1"), "interface eth0, which has its subnet, is in a VRF");
  assert.equal(reason("10.0.0.1"), "interface eth0, which has its subnet, is in a VRF");
  assert.equal(reason("10.0.9.7"), 4);
  assert.equal(reason("8.8.8.8"), "it is in no subnet of this machine");
  assert.equal(topology.carries(address("10.0.0.1")), false);
  // The same subnet outside of it.
  const both = new Topology(inVrf, [...addresses, local(4, "10.0.0.3", "10.0.0.0/16")]);
  const way = both.resolve(4, address("10.0.1.1"));
  assert.ok(way.ok && way.hop.link === 4);
  const before = new Topology(links, addresses);
  assert.equal(topology.differsFrom(before), true);
  assert.equal(before.linkMatters("new", inVrf[0]!), true, "enslaved");
  assert.equal(topology.linkMatters("new", { ...links[0]!, vrf: false }), true, "set free");
  assert.equal(topology.linkMatters("new", inVrf[0]!), false, "nothing new");
});

test("topology: an address of ours, and a neighbour, on a link that works or not", () => {
  const eth0 = links[0]!;
  const own = addresses.find(({ link }) => link === eth0.index)!.address;
  const neighbour = address("10.0.0.77");
  const seen = (change: Partial<Link>) => {
    const changed = links.map((link) => (link === eth0 ? { ...eth0, ...change } : link));
    const topology = new Topology(changed, addresses);
    return [topology.carries(own), topology.leadsTo(neighbour)];
  };
  assert.deepEqual(seen({}), [true, true]);
  assert.deepEqual(seen({ running: true }), [true, true]);
  assert.deepEqual(seen({ running: false }), [false, false]);
  assert.deepEqual(seen({ up: false }), [false, false]);
  assert.equal(new Topology(links, []).carries(own), false);
  const topology = new Topology(links, addresses);
  assert.equal(topology.runningChanged("new", { ...eth0, running: false }), true);
  assert.deepEqual([topology.carries(own), topology.leadsTo(neighbour)], [false, false]);
  assert.equal(topology.runningChanged("new", { ...eth0, running: false }), false);
});

test("topology: an address on several links is carried by any that works", () => {
  const shared = (link: number) => local(link, "10.0.0.99", "10.0.0.99/32");
  for (const both of [
    [shared(2), shared(3)],
    [shared(3), shared(2)],
  ]) {
    assert.equal(new Topology(links, both).carries(address("10.0.0.99")), true);
  }
  assert.equal(new Topology(links, [shared(3)]).carries(address("10.0.0.99")), false);
});

test("topology: differs by addresses on links that work, and by nothing else", () => {
  const before = new Topology(links, addresses);
  const differs = (more: LocalAddress[], others = links) =>
    new Topology(others, [...addresses, ...more]).differsFrom(before);
  assert.equal(differs([]), false);
  assert.equal(differs([local(3, "10.8.0.1", "10.8.0.1/32")]), false, "the link is down");
  assert.equal(differs([local(2, "fe80::2", "fe80::/64")]), false);
  assert.equal(differs([local(2, "10.8.0.1", "10.8.0.1/32")]), true);
  assert.equal(differs([local(2, "10.0.0.1", "10.0.0.0/24")]), true, "another subnet");
  assert.equal(differs([{ ...addresses[5]!, tentative: true }]), true);
  for (const change of [{ up: false }, { running: false }]) {
    assert.equal(differs([], [{ ...links[0]!, ...change }, ...links.slice(1)]), true);
  }
});

test("topology: any number of next hops may be asked for", () => {
  const topology = new Topology(links, addresses);
  const first = topology.resolve(4, address("10.0.1.1"));
  for (let i = 0; i < 12_000; i++) topology.resolve(4, address(`10.1.${i >> 8}.${i & 255}`));
  const again = topology.resolve(4, address("10.0.1.1"));
  assert.notEqual(again, first, "forgotten");
  assert.deepEqual(again, first);
});

test("topology: which events matter", () => {
  const topology = new Topology(links, addresses);
  const eth0 = links[0]!;
  const pod: Link = { index: 77, name: "veth77", up: true };
  assert.equal(topology.linkMatters("new", pod), false, "a pod's interface comes");
  assert.equal(topology.linkMatters("new", { ...pod, up: false }), false);
  assert.equal(topology.linkMatters("delete", pod), false, "and goes");
  assert.equal(topology.addressMatters("new", local(77, "fe80::7", "fe80::/64")), false);
  assert.equal(topology.linkMatters("new", eth0), false, "nothing new");
  assert.equal(topology.linkMatters("new", { ...eth0, up: false }), true, "down");
  assert.equal(topology.linkMatters("delete", eth0), true, "gone");
  assert.equal(topology.addressMatters("new", addresses[0]!), false, "a renewed lease");
  assert.equal(topology.addressMatters("new", local(2, "10.0.0.1", "10.0.0.0/24")), true);
  assert.equal(topology.addressMatters("delete", addresses[0]!), true);
  assert.equal(topology.addressMatters("new", local(77, "10.5.0.1", "10.5.0.0/24")), true);
});

test("topology: an address of DHCPv6, with what a router says to be on its link", () => {
  const own = local(2, "fd00:9::50", "fd00:9::50/128");
  const prefixes = (...all: [number, string][]) =>
    all.map(([link, text]) => ({ link, prefix: prefix(text) }));
  const beside = address("fd00:9::51");
  const bare = new Topology(links, withAnnounced([...addresses, own], []));
  assert.equal(bare.leadsTo(beside), false);
  for (const elsewhere of [prefixes([4, "fd00:9::/64"]), prefixes([2, "fd00:8::/64"])]) {
    assert.deepEqual(withAnnounced([own], elsewhere), [own]);
  }
  const said = prefixes([2, "fd00:9::/48"], [2, "fd00:9::/64"], [4, "fd00:9::/96"]);
  const topology = new Topology(links, withAnnounced([...addresses, own], said));
  const way = topology.resolve(6, beside);
  assert.deepEqual(way, { ok: true, hop: { gateway: beside, link: 2, weight: 1 } });
  assert.equal(topology.leadsTo(address("fd00:9:0:1::51")), false, "the longest alone");
  assert.equal(topology.differsFrom(bare), true);
  assert.equal(topology.addressMatters("new", own), false, "a renewed lease");
  assert.equal(topology.addressMatters("new", local(2, "fd00:9::50", "fd00:9::/80")), true);
  const matters = (change: "new" | "delete", link: number, text: string, at = topology) =>
    at.prefixMatters(change, { link, prefix: prefix(text) });
  assert.equal(matters("new", 2, "fd00:9::/64"), false, "said again");
  assert.equal(matters("new", 2, "fd00:9::/64", bare), true);
  assert.equal(matters("delete", 2, "fd00:9::/64"), true);
  assert.equal(matters("delete", 2, "fd00:9::/64", bare), false);
  assert.equal(matters("new", 4, "fd00:9::/64", bare), false);
  assert.equal(matters("new", 2, "2001:db8::/64"), false, "the address there says it itself");
  const tentative = { ...own, tentative: true };
  const settling = new Topology(links, withAnnounced([tentative], said));
  assert.equal(settling.addressSettled("new", own), true);
  assert.equal(settling.differsFrom(new Topology(links, withAnnounced([own], said))), false);
});
