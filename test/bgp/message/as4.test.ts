/** 4-octet AS numbers from and to peers that know 2 octets, RFC 6793 §4.2. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AsPathSegment } from "../../../src/bgp/message/types.ts";
import { UpdateDecoder } from "../../../src/bgp/message/update-decoder.ts";
import { UpdateWriter } from "../../../src/bgp/message/update-writer.ts";
import { hex } from "../../support/hex.ts";
import { PLAIN_ATTRIBUTES } from "../../support/plain-attributes.ts";
import { address, attribute, batch4, decoded, external, session, update } from "./build.ts";

const OLD = session({ ...external, fourOctetAs: false });
const LONG = "fa56ea00"; // 4200000000

function decode(path: string, ...rest: Uint8Array[]) {
  const head = [attribute(0x40, 1, "00"), attribute(0x40, 2, path), attribute(0x40, 3, "c0000201")];
  return decoded(new UpdateDecoder(OLD), update([...head, ...rest], "08 0a")).attributes;
}

const as4Path = (value: string) => attribute(0xc0, 17, value);
const sequence = (...asns: number[]): AsPathSegment => ({ type: 2, asns });
const set = (...asns: number[]): AsPathSegment => ({ type: 1, asns });

const TRANS = "5ba0"; // 23456

const MERGES: readonly (readonly [string, string, string, readonly AsPathSegment[]])[] = [
  ["as long", `02 02 fde9 ${TRANS}`, `02 02 0000fde9 ${LONG}`, [sequence(65_001, 4_200_000_000)]],
  [
    "shorter",
    `02 03 fde9 fdea ${TRANS}`,
    `02 01 ${LONG}`,
    [sequence(65_001, 65_002, 4_200_000_000)],
  ],
  ["longer: ignored", "02 01 fde9", `02 02 0000fde9 ${LONG}`, [sequence(65_001)]],
  [
    "a set counts one",
    `02 01 fde9 01 02 fdea ${TRANS}`,
    `01 02 0000fdea ${LONG}`,
    [sequence(65_001), set(65_002, 4_200_000_000)],
  ],
  [
    "leading set is kept whole",
    `02 01 fde9 01 02 fdea fdeb 02 01 ${TRANS}`,
    `02 01 ${LONG}`,
    [sequence(65_001), set(65_002, 65_003), sequence(4_200_000_000)],
  ],
  [
    "the cut lies inside a sequence",
    `02 04 fde9 fdea ${TRANS} ${TRANS}`,
    `02 02 ${LONG} ${LONG}`,
    [sequence(65_001, 65_002, 4_200_000_000, 4_200_000_000)],
  ],
  [
    "what stands before the sequence that is joined stays",
    `02 01 fde9 01 01 fdea 02 02 fdeb ${TRANS}`,
    `02 01 ${LONG}`,
    [sequence(65_001), set(65_002), sequence(65_003, 4_200_000_000)],
  ],
  [
    "what stands behind the sequence that is joined stays",
    `02 02 fde9 ${TRANS} 01 01 fdea 02 01 fdeb`,
    `02 01 ${LONG} 01 01 0000fdea 02 01 0000fdeb`,
    [sequence(65_001, 4_200_000_000), set(65_002), sequence(65_003)],
  ],
  [
    "confederation segments are dropped (RFC 6793 §6)",
    `02 02 fde9 ${TRANS}`,
    `03 01 0000ff00 04 01 0000ff01 02 01 ${LONG}`,
    [sequence(65_001, 4_200_000_000)],
  ],
];

for (const [name, path, longPath, expected] of MERGES) {
  test(`AS4_PATH ${name}`, () => {
    assert.deepEqual(decode(path, as4Path(longPath))?.asPath, expected);
  });
}

test("AS4_AGGREGATOR replaces an AGGREGATOR of AS_TRANS", () => {
  const long = attribute(0xc0, 18, `${LONG} 0a000002`);
  const trans = decode("02 01 fde9", attribute(0xc0, 7, `${TRANS} 0a000001`), long);
  assert.deepEqual(trans?.aggregator, { as: 4_200_000_000, address: 0x0a000002 });
});

test("an AGGREGATOR of another AS makes both AS4 attributes stale", () => {
  const route = decode(
    `02 02 fde9 ${TRANS}`,
    attribute(0xc0, 7, "fde9 0a000001"),
    as4Path(`02 02 0000fde9 ${LONG}`),
    attribute(0xc0, 18, `${LONG} 0a000002`),
  );
  assert.deepEqual(route?.aggregator, { as: 65_001, address: 0x0a000001 });
  assert.deepEqual(route?.asPath, [sequence(65_001, 23_456)]);
});

test("AS4_AGGREGATOR without AGGREGATOR is nothing", () => {
  assert.equal(
    decode("02 01 fde9", attribute(0xc0, 18, `${LONG} 0a000002`))?.aggregator,
    undefined,
  );
});

test("towards an old peer: AS_TRANS in place, the real numbers beside it", () => {
  const writer = new UpdateWriter(OLD);
  const route = {
    ...PLAIN_ATTRIBUTES,
    nextHop: address("192.0.2.1"),
    asPath: [sequence(65_001, 4_200_000_000), set(1, 70_000)],
    aggregator: { as: 4_200_000_000, address: 0x0a000001 },
  };
  writer.announce(route, batch4([0x0a000000, 8]));
  const wire = update(
    [
      attribute(0x40, 1, "00"),
      attribute(0x40, 2, `02 02 fde9 ${TRANS} 01 02 0001 ${TRANS}`),
      attribute(0x40, 3, "c0000201"),
      attribute(0xc0, 7, `${TRANS} 0a000001`),
      as4Path(`02 02 0000fde9 ${LONG} 01 02 00000001 00011170`),
      attribute(0xc0, 18, `${LONG} 0a000001`),
    ],
    "08 0a",
  );
  assert.equal(hex(writer.take()), hex(wire));
  assert.deepEqual(decoded(new UpdateDecoder(OLD), wire).attributes, route);
});

test("no AS4 attribute where 2 octets are enough, nor towards a new peer", () => {
  const short = {
    ...PLAIN_ATTRIBUTES,
    nextHop: address("192.0.2.1"),
    asPath: [sequence(65_001)],
    aggregator: { as: 65_001, address: 1 },
  };
  const head = attribute(0x40, 1, "00");
  const nextHop = attribute(0x40, 3, "c0000201");
  const old = new UpdateWriter(OLD);
  old.announce(short, batch4([0x0a000000, 8]));
  const [path, aggregator] = ["02 01 fde9", "fde9 00000001"];
  const toOld = [head, attribute(0x40, 2, path), nextHop, attribute(0xc0, 7, aggregator)];
  assert.equal(hex(old.take()), hex(update(toOld, "08 0a")));
  const current = new UpdateWriter(session(external));
  const long = {
    ...short,
    asPath: [sequence(65_001, 4_200_000_000)],
    aggregator: { as: 4_200_000_000, address: 1 },
  };
  current.announce(long, batch4([0x0a000000, 8]));
  const [path4, aggregator4] = [`02 02 0000fde9 ${LONG}`, `${LONG} 00000001`];
  const toNew = [head, attribute(0x40, 2, path4), nextHop, attribute(0xc0, 7, aggregator4)];
  assert.equal(hex(current.take()), hex(update(toNew, "08 0a")));
});

test("more than 255 AS in a row are split over segments", () => {
  const asns = Array.from({ length: 600 }, (_, i) => 65_001 + (i % 3));
  const writer = new UpdateWriter(session(external));
  const route = { ...PLAIN_ATTRIBUTES, nextHop: address("192.0.2.1"), asPath: [sequence(...asns)] };
  writer.announce(route, batch4([0x0a000000, 8]));
  const back = decoded(new UpdateDecoder(session(external)), writer.take()).attributes?.asPath;
  assert.deepEqual(
    back?.map((segment) => segment.asns.length),
    [255, 255, 90],
  );
  assert.deepEqual(
    back?.flatMap((segment) => segment.asns),
    asns,
  );
});
