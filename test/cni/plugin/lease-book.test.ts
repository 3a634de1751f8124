/** The in-process IPAM: what is given out, what never is, and that nothing is given out twice. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AddressRange } from "../../../src/cni/plugin/address-ranges.ts";
import {
  attachmentKey,
  decodeAlias,
  encodeAlias,
  hostLinkName,
  type Lease,
} from "../../../src/cni/plugin/attachment.ts";
import { LeaseBook } from "../../../src/cni/plugin/lease-book.ts";
import { LEASES_MAX, RANGES_REMEMBERED_MAX } from "../../../src/cni/plugin/limits.ts";
import { prefix } from "../../../src/ip/prefix.ts";
import { address as ip } from "../../support/address.ts";

const pod = (containerId: string | number, network = "mynet") => ({
  network,
  containerId: String(containerId),
  interfaceName: "eth0",
});

function bookOf(...cidrs: string[]): LeaseBook {
  const book = new LeaseBook();
  book.setRanges(cidrs.map(prefix));
  return book;
}

/** Addresses, or why there are none. */
function take(book: LeaseBook, id: string | number): readonly string[] | string {
  const reserved = book.reserve(pod(id));
  return reserved.ok ? reserved.lease.addresses : reserved.refusal.why;
}

test("network, gateway and broadcast are nobody's; then the range is full", () => {
  const book = bookOf("10.0.0.0/29");
  const given = [1, 2, 3, 4, 5].map((id) => take(book, id));
  assert.deepEqual(given.flat(), ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
  assert.equal(take(book, 6), "full");
  assert.deepEqual(book.refusal(), { why: "full", family: 4, ranges: ["10.0.0.0/29"] });
  assert.deepEqual(book.gateways(), [{ address: "10.0.0.1", length: 29 }]);
});

test("an IPv6 range has no broadcast address", () => {
  const book = bookOf("fd00::/126");
  assert.deepEqual([take(book, 1), take(book, 2), take(book, 3)].flat(), [
    "fd00::2",
    "fd00::3",
    "full",
  ]);
});

test("ranges too small for a pod are full from the start", () => {
  for (const cidr of ["10.0.0.0/31", "10.0.0.1/32", "fd00::/127", "fd00::1/128"]) {
    const book = bookOf(cidr);
    assert.equal(take(book, 1), "full", cidr);
    assert.deepEqual(book.gateways(), [], cidr);
  }
  assert.equal(new AddressRange(prefix("10.0.0.0/30")).size, 1n);
});

test("an address that was given back is the last to come again", () => {
  const book = bookOf("10.0.0.0/29");
  assert.deepEqual(take(book, 1), ["10.0.0.2"]);
  book.release(pod(1));
  assert.deepEqual(
    [2, 3, 4, 5].flatMap((id) => take(book, id)),
    ["10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"],
  );
  assert.deepEqual(take(book, 6), ["10.0.0.2"]);
});

test("one address of each family in the order of the Node, all or none", () => {
  const book = bookOf("fd00::/64", "10.0.0.0/30");
  assert.deepEqual(take(book, 1), ["fd00::2", "10.0.0.2"]);
  assert.equal(take(book, 2), "full");
  assert.equal(book.size, 2);
});

test("further ranges of a family are used when the first is full", () => {
  const book = bookOf("10.0.0.0/30", "10.0.1.0/30");
  assert.deepEqual([take(book, 1), take(book, 2), take(book, 3)].flat(), [
    "10.0.0.2",
    "10.0.1.2",
    "full",
  ]);
});

test("who has a lease keeps it, unless its range is no more", () => {
  const book = bookOf("10.0.0.0/24");
  take(book, 1);
  assert.deepEqual(book.reserve(pod(1)), {
    ok: true,
    known: true,
    lease: { ...pod(1), addresses: ["10.0.0.2"] },
  });
  book.setRanges([prefix("10.1.0.0/24")]);
  assert.deepEqual(take(book, 1), ["10.1.0.2"]);
  // Until it is known which of the two it has, both are its own.
  assert.equal(book.size, 2);
  const [before, after] = ["10.0.0.2", "10.1.0.2"].map((text) => ({
    ...pod(1),
    addresses: [ip(text)],
  }));
  book.settle(after!, before!);
  assert.equal(book.size, 1);
  assert.deepEqual(book.leases(), [after]);
});

test("before the Node's pod CIDR is known there is nothing to give", () => {
  assert.equal(take(new LeaseBook(), 1), "no-ranges");
});

test("addresses asked for by name", () => {
  const book = bookOf("10.0.0.0/24", "fd00::/64");
  const ask = (id: number, ...wanted: string[]) => {
    const reserved = book.reserve(pod(id), wanted.map(ip));
    return reserved.ok ? reserved.lease.addresses : reserved.refusal.why;
  };
  assert.deepEqual(ask(1, "10.0.0.77"), ["10.0.0.77", "fd00::2"]);
  assert.equal(ask(2, "10.0.0.77"), "taken");
  assert.equal(ask(2, "10.0.0.1"), "outside");
  assert.equal(ask(2, "10.0.0.255"), "outside");
  assert.equal(ask(2, "10.9.0.1"), "outside");
  assert.deepEqual(ask(2), ["10.0.0.78", "fd00::3"]);
});

test("what others gave out is passed over", () => {
  const book = bookOf("10.0.0.0/29");
  const foreign = new Set(["10.0.0.2", "10.0.0.4"]);
  const reserved = book.reserve(pod(1), [], (address) => foreign.has(address));
  assert.ok(reserved.ok && reserved.lease.addresses[0] === "10.0.0.3");
});

test("more leases than the bound are refused", () => {
  const book = bookOf("10.0.0.0/16");
  for (let id = 0; id < LEASES_MAX; id++) take(book, id);
  assert.equal(take(book, "one-more"), "too-many");
});

test("property: of any calls in any order no address is given out twice, and none is lost", () => {
  const call = fc.record({ id: fc.nat(20), gives: fc.boolean() });
  fc.assert(
    fc.property(fc.array(call, { maxLength: 200 }), fc.boolean(), (calls, dual) => {
      const cidrs = dual ? ["10.0.0.0/28", "fd00::/124"] : ["10.0.0.0/28"];
      let book = bookOf(...cidrs);
      const given = new Map<number, readonly string[]>();
      for (const [index, { id, gives }] of calls.entries()) {
        if (gives) {
          book.release(pod(id));
          given.delete(id);
        } else {
          const addresses = take(book, id);
          if (typeof addresses !== "string") given.set(id, addresses);
          else assert.equal(given.size, 13, "refused only when nothing is left");
        }
        const all = [...given.values()].flat();
        assert.equal(new Set(all).size, all.length);
        assert.equal(book.size, all.length);
        if (index % 17 !== 0) continue;
        // As after a restart.
        const text = book.encode();
        book = bookOf(...cidrs);
        assert.ok(book.load(text));
        assert.equal(book.encode(), text);
      }
    }),
    { numRuns: 200 },
  );
});

test("a file that is none is not taken in, not even in part", () => {
  const lease = { ...pod(1), addresses: ["10.0.0.2"] };
  for (const text of [
    "",
    "{",
    "[]",
    '{"format":2,"leases":[]}',
    '{"format":1}',
    JSON.stringify({ format: 1, leases: [lease, { ...lease, addresses: ["nowhere"] }] }),
    JSON.stringify({ format: 1, leases: [{ ...lease, addresses: ["10.0.0.2", "nowhere"] }] }),
    JSON.stringify({ format: 1, leases: [{ ...lease, addresses: [] }] }),
    ...["network", "containerId", "interfaceName", "addresses"].flatMap((key) =>
      [7, null, "", [7], {}].flatMap((value) =>
        typeof value === typeof lease[key as keyof typeof lease] && !Array.isArray(value)
          ? []
          : JSON.stringify({ format: 1, leases: [{ ...lease, [key]: value }] }),
      ),
    ),
    JSON.stringify({ format: 1, leases: [lease, null] }),
    JSON.stringify({ format: 1, leases: [7] }),
  ]) {
    const book = bookOf("10.0.0.0/24");
    assert.equal(book.load(text), false, text);
    assert.equal(book.size, 0);
  }
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void bookOf().load(text)));
});

test("a place to go on from that is none is left out of account", () => {
  assert.equal(bookOf().load('{"format":1,"leases":[]}'), true);
  const book = bookOf("10.0.0.0/24");
  const last = { "10.0.0.0/24": 5, "fd00::/64": "nowhere", "10.9.0.0/24": "10.9.0.7" };
  assert.ok(book.load(JSON.stringify({ format: 1, last, leases: [] })));
  assert.deepEqual(take(book, 1), ["10.0.0.2"]);
  const kept = JSON.parse(book.encode()).last;
  assert.deepEqual(kept, { "10.9.0.0/24": "10.9.0.7", "10.0.0.0/24": "10.0.0.2" });
});

test("a lease of which one family's range is another is given up, unless there is no other", () => {
  const book = bookOf("10.0.0.0/29", "fd00::/64");
  assert.deepEqual(take(book, 1), ["10.0.0.2", "fd00::2"]);
  book.setRanges(["10.0.1.0/29", "fd00::/64"].map(prefix));
  for (const id of [2, 3, 4, 5, 6]) take(book, id);
  assert.equal(take(book, 1), "full");
  assert.deepEqual(book.find(pod(1))?.addresses, ["10.0.0.2", "fd00::2"], "as before");
  book.release(pod(2));
  assert.deepEqual(take(book, 1), ["10.0.1.2", "fd00::8"]);
  assert.equal(book.find(pod(1))?.addresses.length, 2);
});

test("a lease of which somebody has one address, or whose pod has one, is not taken over", () => {
  const book = bookOf("10.0.0.0/24", "fd00::/64");
  const lease = (id: number, ...addresses: string[]) => ({
    ...pod(id),
    addresses: addresses.map(ip),
  });
  assert.equal(book.adopt(lease(1, "10.0.0.9", "fd00::9")), true);
  assert.equal(book.adopt(lease(2, "10.0.0.9", "fd00::8")), false);
  assert.equal(book.adopt(lease(2, "10.0.0.8", "fd00::9")), false);
  assert.equal(book.adopt(lease(1, "10.0.0.8", "fd00::8")), false);
  assert.deepEqual(
    book.leases().map(({ addresses }) => addresses),
    [["10.0.0.9", "fd00::9"]],
  );
  assert.equal(book.adopt(lease(2, "10.0.0.8", "fd00::8")), true, "nothing was kept of it");
});

test("of a node that has had any number of pod CIDRs the latest are remembered", () => {
  const book = bookOf();
  for (let i = 0; i < 3 * RANGES_REMEMBERED_MAX; i++) {
    book.setRanges([prefix("10.0.0.0/24"), prefix(`fd00:${i}::/64`)]);
    take(book, i);
    book.release(pod(i));
  }
  const { last } = JSON.parse(book.encode());
  assert.equal(Object.keys(last).length, RANGES_REMEMBERED_MAX);
  assert.equal(last["10.0.0.0/24"], `10.0.0.${1 + 3 * RANGES_REMEMBERED_MAX}`);
  const many = Array.from({ length: 1000 }, (_, i) => [`fd00:${i}::/64`, `fd00:${i}::2`]);
  const file = { format: 1, last: Object.fromEntries(many), leases: [] };
  const again = bookOf();
  assert.ok(again.load(JSON.stringify(file)));
  const kept = Object.keys(JSON.parse(again.encode()).last);
  assert.equal(kept.length, RANGES_REMEMBERED_MAX);
  assert.equal(kept.at(-1), "fd00:999::/64");
});

test("a link's alias says whose it is", () => {
  const lease: Lease = { ...pod("c0ffee"), addresses: [ip("10.0.0.2"), ip("fd00::2")] };
  assert.equal(encodeAlias(lease), "podrouter mynet c0ffee eth0 10.0.0.2,fd00::2");
  assert.deepEqual(decodeAlias(encodeAlias(lease)), lease);
  assert.equal(encodeAlias({ ...lease, network: "n".repeat(240) }), undefined);
  for (const alias of [
    undefined,
    "",
    "podrouter",
    "somebody a b c 10.0.0.1",
    "podrouter a b c x",
  ]) {
    assert.equal(decodeAlias(alias), undefined);
  }
});

test("names of links differ with whose they are, and fit", () => {
  const names = ["a", "b"].flatMap((id) =>
    ["mynet", "other"].map((network) => hostLinkName(pod(id, network))),
  );
  assert.equal(new Set(names).size, 4);
  for (const name of names) assert.match(name, /^veth[0-9a-f]{11}$/);
  assert.equal(hostLinkName(pod("a")), hostLinkName({ ...pod("a") }));
  assert.equal(attachmentKey(pod("a")), "mynet/a/eth0");
});
