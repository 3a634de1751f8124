import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteWriter } from "../../../src/bgp/message/bytes.ts";
import { type PathAttributes, SegmentType } from "../../../src/bgp/message/types.ts";
import { encodeAttributes } from "../../../src/bgp/message/update-encoder.ts";
import { AttributeStore } from "../../../src/bgp/rib/attribute-store.ts";
import {
  type ExportOptions,
  exportedAttributes,
  exportedNextHop,
  fillTelling,
} from "../../../src/bgp/rib/export-rules.ts";
import { NextHopTable } from "../../../src/bgp/rib/next-hop-table.ts";
import { PeerKind } from "../../../src/bgp/rib/peer-table.ts";
import { UNCHANGED } from "../../../src/bgp/rib/policy.ts";
import { Telling } from "../../../src/bgp/rib/told-attributes.ts";
import { type IpAddress, parseAddress, wordOfAddress } from "../../../src/ip/address.ts";
import { route } from "../../support/rib-lab.ts";
import { attributes, ipv4, linkLocal } from "../message/arbitraries.ts";

const sets: fc.Arbitrary<PathAttributes> = fc
  .tuple(attributes, ipv4, fc.option(linkLocal, { nil: undefined }), fc.boolean(), fc.nat(2))
  .map(([set, nextHop, linkLocalNextHop, plain, full]) => ({
    ...set,
    nextHop,
    linkLocalNextHop,
    asPath: full === 0 ? [fullSegment(), ...set.asPath] : set.asPath,
    ...(plain ? { opaque: [], extendedCommunities: [] } : {}),
  }));

/** As long as a segment may be: one more AS in front needs another. */
function fullSegment() {
  return sequence(255);
}

const sequence = (count: number) => ({
  type: SegmentType.sequence,
  asns: new Array<number>(count).fill(64_999),
});

/** What one octet, 9, is followed by: told by words, if it can be, and by way of objects. */
function bothWays(
  set: PathAttributes,
  source: PeerKind,
  kind: PeerKind,
  nextHopSelf: boolean,
  routerId: number,
) {
  const options: ExportOptions = {
    ...{ family: 4, kind, localAs: 64_512, clusterId: 77, nextHopSelf },
    ...{ ownNextHop: parseAddress("192.0.2.9"), extendedNextHop: false, longLived: false },
    policy: undefined,
  };
  const store = new AttributeStore(new NextHopTable(), 5);
  // Something before it, so that positions count.
  store.intern({ ...set, med: 4 });
  const interned = store.intern(set);
  const out = new ByteWriter(1);
  out.u8(9);
  const nextHop = exportedNextHop(options, source, set.nextHop, false) as IpAddress;
  const telling = new Telling();
  fillTelling(telling, options, source, routerId, wordOfAddress(nextHop));
  const told = store.tell(interned, telling, out);
  const expected = new ByteWriter();
  expected.u8(9);
  const exported = exportedAttributes(options, { kind: source, routerId }, set, UNCHANGED)!;
  const internal = kind !== PeerKind.external;
  encodeAttributes(exported, { internal, fourOctetAs: true, withNextHop: true }, expected);
  return { told, out, expected };
}

const kinds = fc.constantFrom(...Object.values(PeerKind));
const targets = fc.constantFrom(PeerKind.external, PeerKind.client, PeerKind.internal);

test("the short way from words to octets and the long one give the same", () => {
  const ways = { short: 0, long: 0 };
  fc.assert(
    fc.property(sets, kinds, targets, fc.boolean(), fc.nat(), (set, source, kind, self, id) => {
      const { told, out, expected } = bothWays(set, source, kind, self, id);
      if (!told) {
        ways.long++;
        assert.equal(out.length, 1, "nothing is written");
        const rare = set.opaque.length + set.extendedCommunities.length;
        assert.ok(rare > 0 || set.partial !== undefined, "told the short way");
        return;
      }
      ways.short++;
      assert.deepEqual(out.toBytes(), expected.toBytes());
    }),
    { numRuns: 400 },
  );
  assert.ok(ways.short > 50 && ways.long > 50, JSON.stringify(ways));
});

test("long lists are told the short way, their length in one octet up to 255, then in two", () => {
  const set = route();
  const words = (count: number) => Array.from({ length: count }, (_, i) => i + 1);
  const cases = [
    { communities: words(63) },
    { communities: words(64) },
    { clusterList: words(500) },
    { largeCommunities: words(400).map((i) => `${i}:2:3`) },
    { communities: words(500), clusterList: words(500), asPath: [sequence(255), sequence(255)] },
  ];
  for (const changes of cases) {
    const one = { ...set, ...changes };
    const way = bothWays(one, PeerKind.client, PeerKind.internal, false, 8);
    assert.ok(way.told);
    assert.deepEqual(way.out.toBytes(), way.expected.toBytes());
  }
});

test("a segment that is longer than the wire allows is not told the short way", () => {
  const set = { ...route(), asPath: [sequence(256)] };
  const { told, out } = bothWays(set, PeerKind.external, PeerKind.internal, false, 8);
  assert.deepEqual([told, out.length], [false, 1]);
});
