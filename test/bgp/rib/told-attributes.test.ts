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
  return { type: SegmentType.sequence, asns: new Array<number>(255).fill(64_999) };
}

const kinds = fc.constantFrom(...Object.values(PeerKind));
const targets = fc.constantFrom(PeerKind.external, PeerKind.client, PeerKind.internal);

test("the short way from words to octets and the long one give the same", () => {
  const ways = { short: 0, long: 0 };
  fc.assert(
    fc.property(sets, kinds, targets, fc.boolean(), fc.nat(), (set, source, kind, self, id) => {
      const options: ExportOptions = {
        ...{ family: 4, kind, localAs: 64_512, clusterId: 77, nextHopSelf: self },
        ...{ ownNextHop: parseAddress("192.0.2.9"), extendedNextHop: false, longLived: false },
        policy: undefined,
      };
      const nextHops = new NextHopTable();
      const store = new AttributeStore(nextHops, 5);
      // Something before it, so that positions count.
      store.intern({ ...set, med: 4 });
      const interned = store.intern(set);
      const out = new ByteWriter(1);
      out.u8(9);
      const nextHop = exportedNextHop(options, source, set.nextHop, false) as IpAddress;
      const telling = new Telling();
      fillTelling(telling, options, source, id, wordOfAddress(nextHop));
      const told = store.tell(interned, telling, out);
      if (!told) {
        ways.long++;
        assert.equal(out.length, 1, "nothing is written");
        const rare = set.opaque.length + set.extendedCommunities.length;
        assert.ok(rare > 0 || set.partial !== undefined, "told the short way");
        return;
      }
      ways.short++;
      const expected = new ByteWriter();
      expected.u8(9);
      const from = { kind: source, routerId: id };
      const internal = kind !== PeerKind.external;
      const exported = exportedAttributes(options, from, set, UNCHANGED)!;
      encodeAttributes(exported, { internal, fourOctetAs: true, withNextHop: true }, expected);
      assert.deepEqual(out.toBytes(), expected.toBytes());
    }),
    { numRuns: 400 },
  );
  assert.ok(ways.short > 50 && ways.long > 50, JSON.stringify(ways));
});
