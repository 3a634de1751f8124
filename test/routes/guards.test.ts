import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Prefix, prefix } from "../../src/ip/prefix.ts";
import { PrefixBatch, pushPrefix } from "../../src/ip/prefix-batch.ts";
import { describeRefusal, Guards, guardedOtherwise } from "../../src/routes/guards.ts";
import type { Neighbours } from "../../src/routes/neighbours.ts";
import { addressWords } from "../../src/routes/sorted-addresses.ts";
import { address } from "./fake-kernel.ts";

const guards = new Guards(
  {
    protectedAddresses: ["192.168.50.50", "192.168.50.51", "2001:db8::51"].map(address),
    ownPodCidrs: [prefix("10.233.64.0/24"), prefix("fd00:64::/64")],
  },
  ["127.0.0.1", "192.168.50.50", "172.30.0.9", "10.233.64.1", "fe80::1", "fd00:64::1"].map(address),
);

/** Prefix, next hop, and what the refusal says; undefined = may be installed. */
const cases: readonly [string, string, RegExp | undefined][] = [
  ["10.233.65.0/24", "192.168.50.51", undefined],
  ["fd00:65::/64", "2001:db8::51", undefined],
  ["0.0.0.0/0", "192.168.50.51", /default route/],
  ["::/0", "2001:db8::51", /default route/],
  ["0.0.0.0/1", "192.168.50.51", /this network/],
  ["128.0.0.0/1", "192.168.50.51", /link-local|multicast/],
  ["127.0.0.0/8", "192.168.50.51", /loopback/],
  ["127.1.2.0/24", "192.168.50.51", /loopback/],
  ["224.0.1.0/24", "192.168.50.51", /multicast/],
  ["169.254.7.0/24", "192.168.50.51", /link-local/],
  ["255.255.255.255/32", "192.168.50.51", /broadcast/],
  ["240.0.0.0/4", "192.168.50.51", /broadcast/],
  // As for pod CIDRs: some sites have pods there.
  ["240.1.2.0/24", "192.168.50.51", undefined],
  ["::/1", "2001:db8::51", /overlaps/],
  ["::1/128", "2001:db8::51", /loopback/],
  ["ff02::/16", "2001:db8::51", /multicast/],
  ["fe80::/64", "2001:db8::51", /link-local/],
  ["::ffff:10.0.0.0/104", "2001:db8::51", /IPv4-mapped/],
  ["192.168.50.0/24", "192.168.50.200", /covers its own next hop|node address 192\.168\.50\.50/],
  ["192.168.0.0/16", "10.9.9.9", /node address 192\.168\.50\.50/],
  ["192.168.50.51/32", "192.168.50.50", /node address 192\.168\.50\.51/],
  ["192.168.50.52/32", "192.168.50.51", undefined],
  ["192.168.50.200/32", "192.168.50.200", /own next hop/],
  ["2001:db8::/32", "fd00::1", /node address 2001:db8::51/],
  ["172.30.0.0/16", "192.168.50.51", /node address 172\.30\.0\.9/],
  ["172.31.0.0/16", "192.168.50.51", undefined],
  ["10.233.64.0/24", "192.168.50.51", /own pod CIDR 10\.233\.64\.0\/24/],
  ["10.233.64.128/25", "192.168.50.51", /own pod CIDR/],
  ["10.233.64.1/32", "192.168.50.51", /own pod CIDR/],
  ["fd00:64::/64", "2001:db8::51", /own pod CIDR/],
  // Aggregates of a router: our own, being more specific, win.
  ["10.233.0.0/16", "192.168.50.51", undefined],
  ["fd00::/16", "2001:db8::51", undefined],
];

for (const [destination, nextHop, expected] of cases) {
  test(`guards: ${destination} via ${nextHop}`, () => {
    const refusal = guards.refusal(prefix(destination), [address(nextHop)]);
    if (expected === undefined) assert.equal(refusal, undefined);
    else {
      assert.ok(refusal !== undefined, "refused");
      assert.match(describeRefusal(refusal), expected);
    }
  });
}

test("guards: any of several next hops counts", () => {
  const nextHops = ["192.168.50.51", "10.8.0.1"].map(address);
  const refusal = guards.refusal(prefix("10.8.0.0/24"), nextHops);
  assert.deepEqual(refusal, { reason: "covers-next-hop", address: "10.8.0.1" });
});

/** As {@link cases}, with neighbours on the link of 192.168.50.0/24 and in a pod CIDR of ours. */
const neighbourCases: readonly [string, string, RegExp | undefined][] = [
  ["192.168.50.1/32", "192.168.50.51", /covers the peer 192\.168\.50\.1, which is on a link/],
  ["192.168.50.0/30", "192.168.50.51", /covers the peer 192\.168\.50\.1, which/],
  ["192.168.50.254/32", "192.168.50.51", /covers the gateway 192\.168\.50\.254, which is on/],
  ["192.168.50.252/30", "192.168.50.51", /covers the gateway 192\.168\.50\.254, which/],
  ["192.168.50.1/32", "192.168.50.1", /own next hop/],
  ["192.168.0.0/16", "10.9.9.9", /node address 192\.168\.50\.50/],
  // Service addresses of a node, out of the same subnet.
  ["192.168.50.200/32", "192.168.50.51", undefined],
  ["2001:db8::1/128", "2001:db8::51", /covers the gateway 2001:db8::1, which/],
  ["2001:db8::2/128", "2001:db8::51", undefined],
  // A pod that is a peer: ours is more specific than what holds all of our pods.
  ["10.233.0.0/16", "192.168.50.51", undefined],
  ["10.233.64.9/32", "192.168.50.51", /own pod CIDR/],
];

for (const [destination, nextHop, expected] of neighbourCases) {
  test(`guards with neighbours: ${destination} via ${nextHop}`, () => {
    const hops = [address(nextHop)];
    const to = prefix(destination);
    const refusal = withNeighbours().refusal(to, hops);
    assert.equal(refusal === undefined, allows(withNeighbours(), to, nextHop), "by number");
    if (expected === undefined) assert.equal(refusal, undefined);
    else assert.match(refusal === undefined ? "allowed" : describeRefusal(refusal), expected);
  });
}

const NEIGHBOURS: Neighbours = new Map([
  [address("192.168.50.1"), "peer"],
  [address("192.168.50.254"), "gateway"],
  [address("2001:db8::1"), "gateway"],
  [address("10.233.64.9"), "peer"],
]);

function withNeighbours(): Guards {
  const settings = {
    protectedAddresses: ["192.168.50.50", "192.168.50.51"].map(address),
    ownPodCidrs: [prefix("10.233.64.0/24")],
  };
  return new Guards(settings, [address("192.168.50.50")], NEIGHBOURS);
}

function allows(all: Guards, to: Prefix, ...nextHops: string[]): boolean {
  const batch = new PrefixBatch(1);
  batch.reset(to.includes(":") ? 6 : 4);
  pushPrefix(batch, to);
  return all.allows(batch, 0, addressWords(nextHops.map(address)));
}

test("a neighbour stays one when a Node with its address comes and goes", () => {
  const met = withNeighbours();
  const to = prefix("192.168.50.1/32");
  const reason = () => met.refusal(to, [address("192.168.50.51")])?.reason;
  for (const there of [true, false]) {
    met.protect(new Map([[address("192.168.50.1"), there]]));
    assert.equal(reason(), there ? "covers-node-address" : "covers-neighbour");
    assert.equal(allows(met, to, "192.168.50.51"), false);
  }
});

test("a gateway that is met counts from then on, and names the prefixes around it, once", () => {
  const met = withNeighbours();
  const gateway = address("192.168.50.7");
  const to = prefix("192.168.50.7/32");
  assert.ok(allows(met, to, "192.168.50.51"));
  assert.equal(met.meet(gateway, "gateway").length, 33);
  assert.ok(!allows(met, to, "192.168.50.51"));
  assert.equal(met.refusal(to, [address("192.168.50.51")])?.reason, "covers-neighbour");
  assert.deepEqual(met.meet(gateway, "gateway"), []);
  assert.deepEqual(met.meet(address("192.168.50.1"), "gateway"), [], "it is a peer");
  assert.deepEqual(met.meet(address("10.233.64.7"), "gateway"), [], "a pod of ours");
});

test("of a peer that is named or not any more, the prefixes around it are looked at", () => {
  const of = (...peers: string[]) => ({
    protectedAddresses: [address("10.1.0.1")],
    ownPodCidrs: [],
    peers: peers.map(address),
  });
  assert.equal(guardedOtherwise(of(), of("192.168.50.1")).length, 33);
  assert.equal(guardedOtherwise(of("192.168.50.1"), of()).length, 33);
  assert.deepEqual(guardedOtherwise(of("192.168.50.1"), of("192.168.50.1")), []);
  const { peers: _, ...without } = of();
  assert.deepEqual(guardedOtherwise(without, of()), []);
  // It is protected before and after.
  const both = guardedOtherwise(of("10.1.0.1"), { ...of(), protectedAddresses: [] });
  assert.equal(both.length, 33);
});

test("whatever the guards say otherwise after a change is named by it", () => {
  const addresses = fc.uniqueArray(
    fc.constantFrom("10.1.0.1", "10.1.0.130", "10.2.0.1", "2001:db8::51", "2001:db8:1::1"),
  );
  const own = fc.constantFrom([], [], ["10.1.0.0/24"]);
  const settings = fc.record({ protectedAddresses: addresses, ownPodCidrs: own });
  const texts = ["10.1.0.0/24", "10.1.0.128/25", "10.1.0.1/32", "10.0.0.0/8", "10.2.0.0/15"];
  const prefixes = [...texts, "2001:db8::/32", "2001:db8::/48", "2001:db8::51/128"].map(prefix);
  fc.assert(
    fc.property(settings, settings, (before, after) => {
      const read = ({ protectedAddresses, ownPodCidrs }: typeof before) => ({
        protectedAddresses: protectedAddresses.map(address),
        ownPodCidrs: ownPodCidrs.map((text) => prefix(text)),
      });
      const touched = guardedOtherwise(read(before), read(after));
      const [old, fresh] = [new Guards(read(before), []), new Guards(read(after), [])];
      for (const one of prefixes) {
        if (touched === "all" || touched.includes(one)) continue;
        const hops = [address("192.168.50.51")];
        assert.deepEqual(fresh.refusal(one, hops), old.refusal(one, hops), one);
      }
      if (before === after) assert.deepEqual(touched, []);
    }),
  );
});

test("of one address, the prefixes around it are looked at; of many, all", () => {
  const of = (...texts: string[]) => ({ protectedAddresses: texts.map(address), ownPodCidrs: [] });
  const around = guardedOtherwise(of("10.1.0.1"), of("10.1.0.1", "10.2.3.4"));
  assert.equal(around.length, 33);
  assert.deepEqual(around.slice(0, 3), ["10.2.3.4/32", "10.2.3.4/31", "10.2.3.4/30"]);
  assert.equal(around.at(-1), "0.0.0.0/0");
  assert.equal(guardedOtherwise(of(), of("2001:db8::1")).length, 129);
  assert.deepEqual(guardedOtherwise(of("10.1.0.1"), of("10.1.0.1")), []);
  const many = Array.from({ length: 17 }, (_, i) => `10.1.0.${i}`);
  assert.equal(guardedOtherwise(of(), of(...many)), "all");
});

test("guards that are told what changed say what new ones say", () => {
  const known = fc.nat(30).map((n) => address(n < 20 ? `192.168.50.${n}` : `2001:db8::${n}`));
  const change = fc.dictionary(known, fc.boolean(), { maxKeys: 6 });
  const own = [prefix("10.233.64.0/24")];
  const local = ["192.168.50.7", "2001:db8::21", "127.0.0.1"].map(address);
  fc.assert(
    fc.property(fc.uniqueArray(known), fc.array(change, { maxLength: 8 }), (first, changes) => {
      const protectedAddresses = new Set(first);
      const settings = () => ({
        protectedAddresses: [...protectedAddresses],
        ownPodCidrs: own,
      });
      const told = new Guards(settings(), local);
      for (const each of changes) {
        const before = settings();
        const changed = new Map(
          Object.entries(each).map(([text, there]) => [address(text), there] as const),
        );
        for (const [one, there] of changed) {
          if (there) protectedAddresses.add(one);
          else protectedAddresses.delete(one);
        }
        told.protect(changed);
        const fresh = new Guards(settings(), local);
        for (let n = 0; n < 31; n++) {
          const hop = [address(n < 20 ? "192.168.60.1" : "2001:db9::1")];
          const to = prefix(n < 20 ? `192.168.50.${n}/32` : `2001:db8::${n}/128`);
          const around = prefix(n < 20 ? `192.168.50.${n & ~3}/30` : "2001:db8::/64");
          for (const one of [to, around]) {
            assert.deepEqual(told.refusal(one, hop), fresh.refusal(one, hop));
            const batch = new PrefixBatch(1);
            batch.reset(n < 20 ? 4 : 6);
            pushPrefix(batch, one);
            assert.equal(
              told.allows(batch, 0, addressWords(hop)),
              fresh.refusal(one, hop) === undefined,
            );
          }
        }
        const touched = guardedOtherwise(before, settings(), changed.keys());
        const found = guardedOtherwise(before, settings());
        assert.ok(touched !== "all" && found !== "all");
        for (const one of found) assert.ok(touched.includes(one));
      }
    }),
    { numRuns: 60 },
  );
});
