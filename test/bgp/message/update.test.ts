import assert from "node:assert/strict";
import { test } from "node:test";
import type { PathAttributes } from "../../../src/bgp/message/types.ts";
import { DecoderMemory } from "../../../src/bgp/message/update.ts";
import { UpdateDecoder } from "../../../src/bgp/message/update-decoder.ts";
import { UpdateWriter } from "../../../src/bgp/message/update-writer.ts";
import { PrefixBatch } from "../../../src/ip/prefix-batch.ts";
import { bytes, hex } from "../../support/hex.ts";
import { PLAIN_ATTRIBUTES } from "../../support/plain-attributes.ts";
import {
  address,
  attribute,
  batch4,
  decoded,
  errorOf,
  external,
  rows,
  session,
  update,
} from "./build.ts";
import { seed } from "./seed.ts";

function ownRoute(nextHop: string): PathAttributes {
  return { ...PLAIN_ATTRIBUTES, nextHop: address(nextHop), localPref: 100 };
}

const NOTHING = {
  withdrawn: [],
  announced: [],
  mpUnreach: [],
  mpReach: [],
  attributes: undefined,
  mpAttributes: undefined,
  endOfRib: undefined,
  treatment: "none",
  errors: [],
};

const ORIGIN = attribute(0x40, 1, "00");
const AS_PATH = attribute(0x40, 2, "");
const NEXT_HOP = attribute(0x40, 3, "c0000201");

for (const [wire, nextHop, word] of [
  [seed.updateOfNode1, "192.168.50.50", 0x0ae94000],
  [seed.updateOfNode3, "192.168.50.52", 0x0ae94400],
] as const) {
  test(`seed UPDATE via ${nextHop}, both directions`, () => {
    assert.equal(wire.length, 48);
    const writer = new UpdateWriter(session());
    const batch = batch4([word, 24]);
    assert.equal(writer.announce(ownRoute(nextHop), batch), 1);
    assert.equal(hex(writer.take()), hex(wire));
    const decoder = new UpdateDecoder(session());
    assert.deepEqual(decoded(decoder, wire), {
      ...NOTHING,
      announced: rows(batch),
      attributes: ownRoute(nextHop),
    });
  });
}

test("seed End-of-RIB, both directions", () => {
  const writer = new UpdateWriter(session());
  assert.equal(writer.endOfRib(4), true);
  assert.equal(hex(writer.take()), hex(seed.endOfRib));
  assert.deepEqual(decoded(new UpdateDecoder(session()), seed.endOfRib), {
    ...NOTHING,
    endOfRib: 4,
  });
});

test("End-of-RIB of IPv6 is an empty MP_UNREACH_NLRI, both directions", () => {
  const writer = new UpdateWriter(session());
  assert.equal(writer.endOfRib(6), true);
  const wire = update([attribute(0x80, 15, "000201")]);
  assert.equal(hex(writer.take()), hex(wire));
  const decoder = new UpdateDecoder(session());
  assert.deepEqual(decoded(decoder, wire), { ...NOTHING, endOfRib: 6 });
  const ofIpv4 = update([attribute(0x80, 15, "000101")]);
  assert.equal(decoded(decoder, ofIpv4).endOfRib, 4);
});

test("no End-of-RIB: of a family that is not carried, or not alone", () => {
  const only4 = new UpdateDecoder(session({ families: [4] }));
  assert.equal(decoded(only4, update([attribute(0x80, 15, "000201")])).endOfRib, undefined);
  const only6 = new UpdateDecoder(session({ families: [6] }));
  assert.equal(decoded(only6, seed.endOfRib).endOfRib, undefined);
  const both = new UpdateDecoder(session());
  const unreach = attribute(0x80, 15, "000201");
  assert.equal(decoded(both, update([unreach], "", "08 0a")).endOfRib, undefined);
  assert.equal(
    decoded(both, update([unreach, attribute(0x80, 4, "00000001")])).endOfRib,
    undefined,
  );
  const withPrefix = update([attribute(0x80, 15, "000201 20 20010db8")]);
  assert.equal(decoded(both, withPrefix).endOfRib, undefined);
});

test("every attribute, both directions", () => {
  const all: PathAttributes = {
    origin: 2,
    asPath: [
      { type: 2, asns: [65_001, 4_200_000_000] },
      { type: 1, asns: [1, 2] },
    ],
    nextHop: address("192.0.2.1"),
    linkLocalNextHop: undefined,
    med: 4_294_967_295,
    localPref: 200,
    atomicAggregate: true,
    aggregator: { as: 4_200_000_000, address: 0x0a000001 },
    communities: [0xffff_ff01, 0xfde8_0001],
    extendedCommunities: ["0002fde800000064", "43000000ffffffff"],
    largeCommunities: ["4200000000:1:2", "0:0:4294967295"],
    originatorId: 0x0a000002,
    clusterList: [0x0a000003, 0xffff_fffe],
    opaque: [
      { flags: 0xe0, type: 23, value: bytes("00080000") },
      { flags: 0xe0, type: 255, value: new Uint8Array(300).fill(7) },
    ],
  };
  const wire = update(
    [
      attribute(0x40, 1, "02"),
      attribute(0x40, 2, "02 02 0000fde9 fa56ea00 01 02 00000001 00000002"),
      NEXT_HOP,
      attribute(0x80, 4, "ffffffff"),
      attribute(0x40, 5, "000000c8"),
      attribute(0x40, 6, ""),
      attribute(0xc0, 7, "fa56ea00 0a000001"),
      attribute(0xc0, 8, "ffffff01 fde80001"),
      attribute(0x80, 9, "0a000002"),
      attribute(0x80, 10, "0a000003 fffffffe"),
      attribute(0xc0, 16, "0002fde800000064 43000000ffffffff"),
      attribute(0xe0, 23, "00080000"),
      attribute(0xc0, 32, "fa56ea00 00000001 00000002 00000000 00000000 ffffffff"),
      attribute(0xf0, 255, new Uint8Array(300).fill(7)),
    ],
    "10 0a01",
  );
  const writer = new UpdateWriter(session());
  writer.announce(all, batch4([0x0a010000, 16]));
  assert.equal(hex(writer.take()), hex(wire));
  assert.deepEqual(decoded(new UpdateDecoder(session()), wire).attributes, all);
});

test("towards an external peer LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST stay here", () => {
  const writer = new UpdateWriter(session(external));
  const route = { ...ownRoute("192.0.2.1"), originatorId: 1, clusterList: [1], med: 7 };
  writer.announce(route, batch4([0x0a000000, 8]));
  const expected = update([ORIGIN, AS_PATH, NEXT_HOP, attribute(0x80, 4, "00000007")], "08 0a");
  assert.equal(hex(writer.take()), hex(expected));
});

test("the Partial flag of a known attribute stays set (RFC 4271 §5)", () => {
  const wire = update([ORIGIN, AS_PATH, NEXT_HOP, attribute(0xe0, 8, "fde80001")], "08 0a");
  const { attributes } = decoded(new UpdateDecoder(session()), wire);
  assert.deepEqual(attributes?.partial, [8]);
  const writer = new UpdateWriter(session());
  writer.announce(attributes, batch4([0x0a000000, 8]));
  assert.equal(hex(writer.take()), hex(wire));
});

test("redundant large communities are removed without a word (RFC 8092 §3)", () => {
  const [one, two] = ["fa56ea00 00000001 00000002", "00000001 00000001 00000002"];
  const large = attribute(0xc0, 32, `${one} ${two} ${one}`);
  const result = decoded(
    new UpdateDecoder(session()),
    update([ORIGIN, AS_PATH, NEXT_HOP, large], "08 0a"),
  );
  assert.equal(result.treatment, "none");
  assert.deepEqual(result.attributes?.largeCommunities, ["4200000000:1:2", "1:1:2"]);
});

test("IPv6: MP_REACH_NLRI first, next hop global and link-local (RFC 4760, RFC 2545)", () => {
  const reach = (nextHop: string) =>
    attribute(0x90, 14, `000201 ${nextHop} 00 20 20010db8 80 20010db8000000000000000000000001`);
  const global = "20010db8000000000000000000000101";
  const local = "fe800000000000000000000000000101";
  const route = { ...PLAIN_ATTRIBUTES, nextHop: address("2001:db8::101") };
  const batch = new PrefixBatch();
  batch.reset(6);
  batch.push6(0x20010db8, 0, 0, 0, 32);
  batch.push6(0x20010db8, 0, 0, 1, 128);
  for (const [nextHop, linkLocalNextHop] of [
    [`10 ${global}`, undefined],
    [`20 ${global} ${local}`, address("fe80::101")],
  ] as const) {
    const attributes = { ...route, linkLocalNextHop };
    const wire = update([reach(nextHop), ORIGIN, AS_PATH]);
    const writer = new UpdateWriter(session());
    writer.announce(attributes, batch);
    assert.equal(hex(writer.take()), hex(wire));
    assert.deepEqual(decoded(new UpdateDecoder(session()), wire), {
      ...NOTHING,
      mpReach: ["2001:db8::/32", "2001:db8::1/128"],
      mpAttributes: attributes,
    });
  }
  const writer = new UpdateWriter(session());
  writer.withdraw(batch);
  const gone = update([
    attribute(0x90, 15, "000201 20 20010db8 80 20010db8000000000000000000000001"),
  ]);
  assert.equal(hex(writer.take()), hex(gone));
  assert.deepEqual(decoded(new UpdateDecoder(session()), gone), {
    ...NOTHING,
    mpUnreach: ["2001:db8::/32", "2001:db8::1/128"],
  });
});

test("IPv4 in MP_REACH_NLRI: 4-octet next hop always, IPv6 next hop with RFC 8950", () => {
  const plain = update([attribute(0x80, 14, "000101 04 c0000202 00 08 0a"), ORIGIN, AS_PATH]);
  const seen = decoded(new UpdateDecoder(session()), plain);
  assert.deepEqual([seen.mpReach, seen.mpAttributes?.nextHop], [["10.0.0.0/8"], "192.0.2.2"]);

  const nextHop = "20010db8000000000000000000000101";
  const reach = attribute(0x90, 14, `000101 10 ${nextHop} 00 08 0a`);
  const wire = update([reach, ORIGIN, AS_PATH]);
  const both = session({ extendedNextHop: true });
  const route = { ...PLAIN_ATTRIBUTES, nextHop: address("2001:db8::101") };
  const writer = new UpdateWriter(both);
  writer.announce(route, batch4([0x0a000000, 8]));
  assert.equal(hex(writer.take()), hex(wire));
  assert.deepEqual(decoded(new UpdateDecoder(both), wire).mpAttributes, route);
  assert.equal(errorOf(new UpdateDecoder(session()), wire), `3/9 ${hex(reach)}`);
  assert.equal(new UpdateWriter(session()).carries(4, address("2001:db8::1")), false);
  assert.equal(new UpdateWriter(both).carries(6, address("192.0.2.1")), false);
});

test("path identifiers in every field (RFC 7911)", () => {
  const negotiated = session({ addPathReceive: [4, 6], addPathSend: [4, 6] });
  const six = new PrefixBatch();
  six.reset(6);
  six.push6(0x20010db8, 0, 0, 0, 32, 0xffff_ffff);
  const four = batch4([0x0a000000, 8, 7], [0x0a000000, 8, 8]);
  const writer = new UpdateWriter(negotiated);
  writer.announce(ownRoute("192.0.2.1"), four);
  writer.withdraw(four);
  const v6Route = { ...ownRoute("2001:db8::1"), localPref: undefined };
  writer.announce(v6Route, six);
  writer.withdraw(six);
  assert.equal(writer.messages, 4);
  const stream = writer.take();
  const decoder = new UpdateDecoder(negotiated);
  const messages: string[] = [];
  for (let at = 0; at < stream.length; ) {
    const end = at + ((stream[at + 16]! << 8) | stream[at + 17]!);
    const seen = decoded(decoder, stream.subarray(at, end));
    messages.push([seen.announced, seen.withdrawn, seen.mpReach, seen.mpUnreach].join(" | "));
    at = end;
  }
  assert.deepEqual(messages, [
    "10.0.0.0/8 id 7,10.0.0.0/8 id 8 |  |  | ",
    " | 10.0.0.0/8 id 7,10.0.0.0/8 id 8 |  | ",
    " |  | 2001:db8::/32 id 4294967295 | ",
    " |  |  | 2001:db8::/32 id 4294967295",
  ]);
});

test("all lengths of prefixes; bits behind the length are cleared", () => {
  const decoder = new UpdateDecoder(session());
  const nlri = "00 01ff 09ffff 17ffffff 1fffffffff 20ffffffff";
  assert.deepEqual(decoded(decoder, update([ORIGIN, AS_PATH, NEXT_HOP], nlri)).announced, [
    "0.0.0.0/0",
    "128.0.0.0/1",
    "255.128.0.0/9",
    "255.255.254.0/23",
    "255.255.255.254/31",
    "255.255.255.255/32",
  ]);
  const ones = "ff".repeat(16);
  for (const [length, expected] of [
    [0, "::/0"],
    [1, "8000::/1"],
    [31, "ffff:fffe::/31"],
    [33, "ffff:ffff:8000::/33"],
    [64, "ffff:ffff:ffff:ffff::/64"],
    [97, "ffff:ffff:ffff:ffff:ffff:ffff:8000:0/97"],
    [127, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127"],
    [128, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"],
  ] as const) {
    const prefix = hex(Uint8Array.of(length)) + ones.slice(0, Math.ceil(length / 8) * 2);
    const wire = update([attribute(0x80, 15, `000201 ${prefix}`)]);
    assert.deepEqual(decoded(decoder, wire).mpUnreach, [expected]);
  }
});

test("both encodings in one message, in any order of attributes (RFC 7606 §5.1)", () => {
  const reach = attribute(0x80, 14, "000201 10 20010db8000000000000000000000001 00 20 20010db8");
  const unreach = attribute(0x80, 15, "000201 20 20010db9");
  const wire = update([NEXT_HOP, unreach, AS_PATH, reach, ORIGIN], "08 0a", "08 0b");
  const seen = decoded(new UpdateDecoder(session()), wire);
  assert.deepEqual(seen.withdrawn, ["11.0.0.0/8"]);
  assert.deepEqual(seen.announced, ["10.0.0.0/8"]);
  assert.deepEqual(seen.mpReach, ["2001:db8::/32"]);
  assert.deepEqual(seen.mpUnreach, ["2001:db9::/32"]);
  assert.equal(seen.attributes?.nextHop, "192.0.2.1");
  assert.equal(seen.mpAttributes?.nextHop, "2001:db8::1");
});

test("equal attribute blocks give the same object, across sessions that share memory", () => {
  const memory = new DecoderMemory();
  const one = new UpdateDecoder(session(), { memory });
  const two = new UpdateDecoder(session({ remoteRouterId: 9 }), { memory });
  const other = new UpdateDecoder(session(external), { memory, enforceFirstAs: false });
  const list = [ORIGIN, AS_PATH, NEXT_HOP];
  const first = decoded(one, update(list, "08 0a")).attributes;
  assert.ok(first !== undefined);
  assert.equal(decoded(one, update(list, "08 0b")).attributes, first);
  assert.equal(decoded(two, update(list, "08 0c")).attributes, first);
  assert.notEqual(decoded(other, update(list, "08 0c")).attributes, first);
  assert.notEqual(decoded(one, update([ORIGIN, AS_PATH], "", "08 0a")).attributes, first);
});

test("decoders that share memory read in turn what each would read alone", () => {
  const memory = new DecoderMemory(1);
  const med = attribute(0x80, 4, "00000007");
  const wires = [
    update([ORIGIN, AS_PATH, NEXT_HOP, med], "08 0a"),
    update([AS_PATH, NEXT_HOP], "08 0b"),
    update([ORIGIN, ORIGIN, AS_PATH, NEXT_HOP], "08 0c"),
    update([med], "08 0d", "08 0e"),
    update([attribute(0x80, 14, "000101 04 c0000202 00 08 0a"), ORIGIN, AS_PATH]),
  ];
  const [old, only6] = [session({ fourOctetAs: false }), session({ families: [6] })];
  const sessions = [session(), only6, session(external), old];
  const sharing = sessions.map((each) => new UpdateDecoder(each, { memory }));
  for (const wire of [...wires, ...wires.toReversed()]) {
    for (const [index, decoder] of sharing.entries()) {
      const alone = new UpdateDecoder(sessions[index]!);
      assert.deepEqual(decoded(decoder, wire), decoded(alone, wire));
    }
  }
});

test("the cache never gives the attributes of another block", () => {
  const decoder = new UpdateDecoder(session(), { memory: new DecoderMemory(1) });
  for (let round = 0; round < 3; round++) {
    for (let med = 0; med < 5; med++) {
      const list = [ORIGIN, AS_PATH, NEXT_HOP, attribute(0x80, 4, `0000000${med}`)];
      assert.equal(decoded(decoder, update(list, "08 0a")).attributes?.med, med);
    }
  }
});

test("a known block is still checked for the first AS of this peer", () => {
  const memory = new DecoderMemory();
  const path = attribute(0x40, 2, "02 01 0000fde9");
  const wire = update([ORIGIN, path, NEXT_HOP], "08 0a");
  const peer = new UpdateDecoder(session(external), { memory });
  const other = new UpdateDecoder(session({ ...external, remoteAs: 65_002 }), { memory });
  assert.equal(decoded(peer, wire).treatment, "none");
  assert.equal(decoded(other, wire).treatment, "withdraw");
  assert.equal(decoded(peer, wire).treatment, "none");
});

test("prefixes of IPv4 are not read where IPv4 was not negotiated", () => {
  const only6 = new UpdateDecoder(session({ families: [6] }));
  const seen = decoded(only6, update([ORIGIN, AS_PATH, NEXT_HOP], "08 0a", "08 0b"));
  assert.deepEqual(seen, {
    ...NOTHING,
    treatment: "discard",
    errors: ["discard 0: IPv4 prefixes, which were not negotiated"],
  });
  const reach = attribute(0x80, 14, `000201 10 20010db8${"0".repeat(24)} 00 20 20010db8`);
  const ofIpv6 = decoded(only6, update([reach, ORIGIN, AS_PATH]));
  assert.deepEqual([ofIpv6.mpReach, ofIpv6.errors], [["2001:db8::/32"], []]);
});

test("prefixes of other families are left alone", () => {
  const only4 = new UpdateDecoder(session({ families: [4] }));
  const reach = attribute(0x80, 14, "000201 10 20010db8000000000000000000000001 00 20 20010db8");
  const evpn = attribute(0x80, 15, "001946 ffffffff");
  const seen = decoded(only4, update([reach, evpn, ORIGIN, AS_PATH, NEXT_HOP], "08 0a"));
  assert.deepEqual(seen.announced, ["10.0.0.0/8"]);
  assert.equal(seen.attributes?.nextHop, "192.0.2.1");
  assert.deepEqual(seen.errors, [
    "discard 14: MP_REACH_NLRI of a family that was not negotiated",
    "discard 15: MP_UNREACH_NLRI of a family that was not negotiated",
  ]);
});
