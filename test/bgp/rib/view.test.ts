/** What people and the kernel's side see of the RIB. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compareAddresses } from "../../../src/ip/address.ts";
import {
  type Prefix,
  prefix,
  prefixAddress,
  prefixCovers,
  prefixLength,
} from "../../../src/ip/prefix.ts";
import { ACCEPT_ALL, address, RibLab, route } from "../../support/rib-lab.ts";

test("a path with everything that it can say", () => {
  const lab = new RibLab();
  lab.now = 1_700_000_000_000;
  const a = lab.peer("10.0.0.2", { remoteAs: 65001, name: "upstream" }).up();
  a.announce(
    ["10.1.0.0/16"],
    route({
      asPath: [
        { type: 2, asns: [65001, 65002] },
        { type: 1, asns: [65003, 65004] },
      ],
      origin: 2,
      med: 7,
      communities: [0xfde8_0064],
      extendedCommunities: ["0002fde800000001"],
      largeCommunities: ["1:2:3"],
      opaque: [{ flags: 0xe0, type: 99, value: Uint8Array.of(0xab, 1) }],
    }),
  );
  const expected = {
    prefix: "10.1.0.0/16",
    family: 4,
    best: true,
    multipath: false,
    valid: true,
    stale: false,
    lost: undefined,
    peer: { name: "upstream", address: "10.0.0.2" },
    nextHop: "192.0.2.1",
    asPath: "65001 65002 {65003 65004}",
    origin: "incomplete",
    localPref: undefined,
    med: 7,
    communities: ["65000:100"],
    extendedCommunities: ["0002fde800000001"],
    largeCommunities: ["1:2:3"],
    originatorId: undefined,
    clusterList: [],
    pathId: 0,
    since: 1_700_000_000_000,
    atomicAggregate: false,
    aggregator: undefined,
    attributesOpaque: [{ type: 99, flags: 0xe0, hex: "ab01" }],
  };
  assert.deepEqual([...lab.rib.paths({ view: "loc" })], [expected]);
  assert.deepEqual([...lab.rib.paths({ view: "in", peer: address("10.0.0.2") })], [expected]);
});

test("out: each of several paths that one peer announced is told as itself", () => {
  const lab = new RibLab();
  const a = lab.peer("10.0.0.2", { remoteAs: 65001, session: { addPathReceive: [4] } }).up();
  const all = lab.peer("10.0.0.3", { session: { addPathSend: [4] } }).up();
  const one = lab.peer("10.0.0.4").up();
  const paths = [[65001], [65001, 65002], [65001, 65002]];
  for (const [i, path] of paths.entries()) {
    lab.now = 1_000 * (i + 1);
    a.announce([`10.1.0.0/16#${i + 1}`], route({ path }));
  }
  const told = [all, one].map((peer) => {
    peer.receive();
    const listed = [...lab.rib.paths({ view: "out", peer: peer.config.address })];
    return listed.map(({ asPath, best, since }) => `${asPath} ${best} ${since}`).sort();
  });
  assert.deepEqual(told, [
    ["65001 65002 false 2000", "65001 65002 false 3000", "65001 true 1000"],
    ["65001 true 1000"],
  ]);
});

test("out: as the peer was told, without what came from itself", () => {
  const lab = new RibLab();
  const a = lab.peer("10.0.0.2", { remoteAs: 65001 }).up();
  const b = lab.peer("10.0.0.3", { remoteAs: 65002 }).up();
  a.announce(["10.1.0.0/16"], route({ path: [65001] }));
  b.announce(["10.2.0.0/16"], route({ path: [65002] }));
  for (const peer of [a, b]) peer.receive();
  const out = [...lab.rib.paths({ view: "out", peer: b.config.address })];
  assert.deepEqual(
    out.map((p) => [p.prefix, p.asPath, p.nextHop, p.peer?.address]),
    [["10.1.0.0/16", "64512 65001", "10.0.0.1", "10.0.0.2"]],
  );
  assert.deepEqual(
    lab.rib.counters(b.id).map((c) => [c.received, c.accepted, c.advertised]),
    [[1, 1, 1]],
  );
  assert.deepEqual([...lab.rib.paths({ view: "out" })], []);
  assert.deepEqual([...lab.rib.paths({ view: "loc", peer: address("10.9.9.9") })], []);
});

const POOL: readonly Prefix[] = [
  "0.0.0.0/0",
  "10.0.0.0/8",
  "10.0.0.0/9",
  "10.1.0.0/16",
  "10.1.2.0/24",
  "10.128.0.0/9",
  "192.168.0.0/16",
  "255.255.255.255/32",
  "::/0",
  "2001:db8::/32",
  "2001:db8::/48",
  "2001:db8:0:1::/64",
  "2001:db8:0:1::1/128",
  "fe80::/10",
].map(prefix);

/** IPv4 first, numeric by address, then shorter first. */
function listingOrder(a: Prefix, b: Prefix): number {
  return compareAddresses(prefixAddress(a), prefixAddress(b)) || prefixLength(a) - prefixLength(b);
}

test("queries: the prefixes asked for, in listing order, page by page", () => {
  const lab = new RibLab();
  const a = lab.peer("10.0.0.2", { session: { families: [4, 6] } }).up();
  const shuffled = POOL.toSorted((x, y) => (x.at(-1)! < y.at(-1)! ? -1 : 1));
  for (const of of shuffled) {
    a.announce([of], route(of.includes(":") ? { nextHop: address("2001:db8::9") } : {}));
  }
  const list = (query: object) =>
    [...lab.rib.paths({ view: "loc", ...query })].map((path) => path.prefix);
  const sorted = POOL.toSorted(listingOrder);
  assert.deepEqual(list({}), sorted);
  const query = fc.record({ of: fc.constantFrom(...POOL), limit: fc.integer({ min: 1, max: 6 }) });
  fc.assert(
    fc.property(query, ({ of, limit }) => {
      assert.deepEqual(list({ prefix: of }), [of]);
      const within = sorted.filter((other) => prefixCovers(of, other));
      assert.deepEqual(list({ longerThan: of }), within);
      assert.deepEqual(list({ longerThan: of, limit }), within.slice(0, limit));
      assert.deepEqual(
        list({ covering: of }),
        sorted.filter((other) => prefixCovers(other, of)),
      );
      const behind = sorted.filter((other) => listingOrder(other, of) > 0);
      assert.deepEqual(list({ after: of, limit }), behind.slice(0, limit));
    }),
  );
  assert.deepEqual(
    list({ family: 6 }),
    sorted.filter((p) => p.includes(":")),
  );
  assert.deepEqual(list({ prefix: prefix("10.3.0.0/16") }), []);
  assert.deepEqual(list({ covering: prefix("10.1.2.3/32") }), [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.0.0.0/9",
    "10.1.0.0/16",
    "10.1.2.0/24",
  ]);
});

test("best changes: each prefix once with what is best now, in portions", () => {
  const lab = new RibLab({ consumer: true });
  const a = lab.peer("10.0.0.2").up();
  const b = lab.peer("10.0.0.3").up();
  a.announce(["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"]);
  assert.equal(lab.bestDirty, 1);
  b.announce(["10.1.0.0/16"], route({ localPref: 200, nextHop: address("192.0.2.2") }));
  a.withdraw(["10.2.0.0/16"]);
  assert.equal(lab.bestDirty, 1);
  const first = lab.rib.takeBestChanges(2);
  const second = lab.rib.takeBestChanges(2);
  assert.deepEqual(
    [...first, ...second],
    [
      { prefix: "10.1.0.0/16", nextHops: ["192.0.2.2"], stale: false },
      { prefix: "10.2.0.0/16", nextHops: [], stale: false },
      { prefix: "10.3.0.0/16", nextHops: ["192.0.2.1"], stale: false },
    ],
  );
  assert.deepEqual(lab.rib.takeBestChanges(2), []);
  assert.deepEqual([...lab.rib.best()].length, 2);
  // Not the best path: nothing to say.
  b.announce(["10.3.0.0/16"], route({ localPref: 50 }));
  assert.equal(lab.bestDirty, 1);
  // The best path with other attributes, and the same next hop again: the consumer looks.
  a.announce(["10.3.0.0/16"], route({ med: 3 }));
  assert.equal(lab.bestDirty, 2);
  lab.rib.takeBestChanges(9);
  a.down();
  b.down();
  assert.deepEqual(
    lab.rib.takeBestChanges(9).map((r) => r.nextHops.length),
    [0, 0],
  );
  assert.equal(lab.rib.sizes().prefixes, 0);
});

test("best changes of both families: told once until all of both are taken", () => {
  const lab = new RibLab({ consumer: true });
  const a = lab.peer("10.0.0.2", { session: { families: [4, 6] } }).up();
  const six = route({ nextHop: address("2001:db8::9") });
  a.announce(["2001:db8::/32"], six);
  a.announce(["10.1.0.0/16"]);
  assert.equal(lab.bestDirty, 1);
  assert.deepEqual(
    lab.rib.takeBestChanges(1).map((r) => r.prefix),
    ["10.1.0.0/16"],
  );
  a.announce(["10.2.0.0/16"]);
  assert.equal(lab.bestDirty, 1);
  assert.equal(lab.rib.takeBestChanges(9).length, 2);
  a.withdraw(["2001:db8::/32"]);
  assert.equal(lab.bestDirty, 2);
});

test("nobody wants to know of best routes: nothing is kept for it", () => {
  const lab = new RibLab();
  const a = lab.peer("10.0.0.2").up();
  a.announce(["10.1.0.0/16"]);
  assert.deepEqual(lab.rib.takeBestChanges(9), []);
  assert.equal(lab.rib.lookupBest(prefix("10.1.0.0/16"))?.nextHops.length, 1);
  assert.equal(lab.rib.lookupBest(prefix("10.2.0.0/16")), undefined);
  a.withdraw(["10.1.0.0/16"]);
  assert.equal(lab.rib.sizes().prefixes, 0);
});

for (const view of ["loc", "in", "out"] as const) {
  test(`${view}: what is listed of a prefix is of one moment, however slowly it is read`, () => {
    const lab = new RibLab();
    const session = { addPathReceive: [4 as const], addPathSend: [4 as const] };
    const a = lab.peer("10.0.0.2", { remoteAs: 65001, session }).up();
    const b = lab.peer("10.0.0.3", { remoteAs: 65002, exportPolicy: ACCEPT_ALL, session }).up();
    const all = ["10.1.0.0/16#1", "10.1.0.0/16#2", "10.1.0.0/16#3"];
    a.announce(all, route({ path: [65001] }));
    a.announce(["10.9.0.0/16#1"], route({ path: [65001, 65009] }));
    b.receive();
    const peer = view === "out" ? b.config.address : a.config.address;
    const listed: string[] = [];
    for (const { prefix: of, asPath } of lab.rib.paths({ view, peer })) {
      listed.push(`${of} ${asPath.split(" ").at(-1)}`);
      if (listed.length > 1) continue;
      a.withdraw(all);
      b.receive();
      // It has the numbers of those.
      a.announce(["10.7.0.0/16#4", "10.8.0.0/16#5"], route({ path: [65001, 777] }));
      b.receive();
    }
    const first = ["10.1.0.0/16 65001", "10.1.0.0/16 65001", "10.1.0.0/16 65001"];
    assert.deepEqual(listed, [...first, "10.9.0.0/16 65009"]);
  });
}

test("a listing of a peer's paths ends with the peer, whoever has its number then", () => {
  const lab = new RibLab();
  const a = lab.peer("10.0.0.2").up();
  a.announce(["10.1.0.0/16", "10.2.0.0/16"]);
  const listed: string[] = [];
  for (const { prefix: of } of lab.rib.paths({ view: "in", peer: a.config.address })) {
    listed.push(of);
    a.down();
    const c = lab.peer("10.0.0.4").up();
    assert.equal(c.id, a.id);
    c.announce(["10.1.0.0/16", "10.2.0.0/16"]);
  }
  assert.deepEqual(listed, ["10.1.0.0/16"]);
});

test("a listing that is read slowly shows no prefix in the place of another one", () => {
  for (const [of, others] of [
    [
      ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"],
      ["192.168.0.0/16", "10.2.0.0/17"],
    ],
    [
      ["2001:db8:1::/48", "2001:db8:2::/48", "2001:db8:3::/48"],
      ["::/0", "2001:db8:2::/49"],
    ],
  ] as const) {
    const lab = new RibLab();
    const a = lab.peer("10.0.0.2", { session: { families: [4, 6] } }).up();
    const values = of[0].includes(":") ? route({ nextHop: address("2001:db8::9") }) : route();
    a.announce(of, values);
    const listing = lab.rib.paths({ view: "loc" })[Symbol.iterator]();
    const listed = [listing.next().value!.prefix];
    a.withdraw(of.slice(1, 2));
    a.withdraw(of.slice(2));
    a.announce(others, values);
    a.announce(of.slice(2), values);
    for (let next = listing.next(); !next.done; next = listing.next())
      listed.push(next.value.prefix);
    assert.deepEqual(listed, of.slice(0, 1));
    assert.equal([...lab.rib.paths({ view: "loc" })].length, 4);
  }
});
