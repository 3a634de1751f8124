/** Random values of every message, for property tests. */
import fc from "fast-check";
import type {
  AsPathSegment,
  Capability,
  OpaqueAttribute,
  OpenMessage,
  Origin,
  PathAttributes,
} from "../../../src/bgp/message/types.ts";
import { addressFromBytes, type IpAddress } from "../../../src/ip/address.ts";
import { PrefixBatch } from "../../../src/ip/prefix-batch.ts";

/** A record with the prototype of an object literal, so that deep equality holds. */
export function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

export const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
export const family = fc.constantFrom<4 | 6>(4, 6);

/** Printable text whose UTF-8 form has at most `max` octets. */
export function text(max: number): fc.Arbitrary<string> {
  return fc
    .string({ unit: fc.constantFrom(..."abcXYZ019-._ äöß€漢"), maxLength: max })
    .filter((value) => Buffer.byteLength(value) <= max);
}

export function octets(maxLength: number): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ maxLength });
}

export const ipv4: fc.Arbitrary<IpAddress> = fc
  .tuple(fc.integer({ min: 1, max: 223 }), octet(), octet(), octet())
  .filter(([first]) => first !== 127)
  .map((parts) => addressFromBytes(Uint8Array.from(parts)));

/** Global unicast. */
export const ipv6: fc.Arbitrary<IpAddress> = fc
  .uint8Array({ minLength: 15, maxLength: 15 })
  .map((tail) => addressFromBytes(Uint8Array.of(0x20, ...tail)));

export const linkLocal: fc.Arbitrary<IpAddress> = fc
  .uint8Array({ minLength: 8, maxLength: 8 })
  .map((tail) => addressFromBytes(Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, ...tail)));

function octet(): fc.Arbitrary<number> {
  return fc.integer({ min: 0, max: 255 });
}

const preserved = { family, forwardingPreserved: fc.boolean() };

const UNKNOWN_CODES = [0, 3, 4, 7, 8, 9, 63, 66, 67, 68, 72, 76, 128, 131, 255];

export const capability: fc.Arbitrary<Capability> = fc.oneof(
  fc.constantFrom<Capability>(
    { kind: "routeRefresh" },
    { kind: "enhancedRouteRefresh" },
    { kind: "extendedMessage" },
  ),
  record({ kind: fc.constant("multiprotocol" as const), family }),
  record({ kind: fc.constant("fourOctetAs" as const), as: u32 }),
  record({ kind: fc.constant("fqdn" as const), hostName: text(64), domainName: text(64) }),
  record({
    kind: fc.constant("softwareVersion" as const),
    version: text(64).filter((version) => version.length > 0),
  }),
  record({
    kind: fc.constant("gracefulRestart" as const),
    restarted: fc.boolean(),
    notification: fc.boolean(),
    restartSeconds: fc.integer({ min: 0, max: 4095 }),
    families: fc.array(record(preserved), { maxLength: 4 }),
  }),
  record({
    kind: fc.constant("longLivedGracefulRestart" as const),
    families: fc.array(
      record({ ...preserved, staleSeconds: fc.integer({ min: 0, max: 0xff_ffff }) }),
      { maxLength: 4 },
    ),
  }),
  record({
    kind: fc.constant("addPath" as const),
    families: fc.array(record({ family, mode: fc.constantFrom<1 | 2 | 3>(1, 2, 3) }), {
      maxLength: 4,
    }),
  }),
  record({
    kind: fc.constant("extendedNextHop" as const),
    entries: fc.array(record({ family, nextHopFamily: family }), { maxLength: 4 }),
  }),
  record({
    kind: fc.constant("unknown" as const),
    code: fc.constantFrom(...UNKNOWN_CODES),
    value: octets(40),
  }),
);

export const open: fc.Arbitrary<OpenMessage> = record({
  version: fc.constant(4),
  as2: fc.integer({ min: 1, max: 65_535 }),
  holdSeconds: fc.integer({ min: 0, max: 65_535 }).filter((s) => s !== 1 && s !== 2),
  routerId: fc.integer({ min: 1, max: 0xffff_ffff }),
  capabilities: fc.array(capability, { maxLength: 20 }),
});

const asn = fc.oneof(
  fc.integer({ min: 1, max: 65_535 }),
  fc.integer({ min: 65_536, max: 0xffff_ffff }),
);
const segment = record<AsPathSegment>({
  type: fc.constantFrom<1 | 2>(1, 2),
  asns: fc.array(asn, { minLength: 1, maxLength: 12 }),
});

/** Types of which every value is carried, optional and transitive. */
const OPAQUE_TYPES = [11, 20, 28, 31, 34, 128, 200, 254, 255];
const opaque: fc.Arbitrary<OpaqueAttribute[]> = fc
  .uniqueArray(fc.constantFrom(...OPAQUE_TYPES), { maxLength: 3 })
  .chain((types) =>
    fc.tuple(
      ...types
        .sort((a, b) => a - b)
        .map((type) => octets(300).map((value) => ({ flags: 0xe0, type, value }))),
    ),
  );

const hexDigits = fc
  .uint8Array({ minLength: 8, maxLength: 8 })
  .map((value) => Buffer.from(value).toString("hex"));
const large = fc.tuple(u32, u32, u32).map((parts) => parts.join(":"));
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

/** Attributes of a route between internal peers, without a next hop. */
export const attributes: fc.Arbitrary<PathAttributes> = record<Omit<PathAttributes, "partial">>({
  origin: fc.constantFrom<Origin>(0, 1, 2),
  asPath: fc.array(segment, { maxLength: 4 }),
  nextHop: fc.constant(undefined),
  linkLocalNextHop: fc.constant(undefined),
  med: maybe(u32),
  localPref: maybe(u32),
  atomicAggregate: fc.boolean(),
  aggregator: maybe(record({ as: asn, address: u32 })),
  communities: fc.array(u32, { maxLength: 80 }),
  extendedCommunities: fc.array(hexDigits, { maxLength: 5 }),
  largeCommunities: fc.uniqueArray(large, { maxLength: 5 }),
  originatorId: maybe(u32),
  clusterList: fc.array(u32, { maxLength: 5 }),
  opaque,
});

/** A prefix as the words of a batch, host bits clear. */
export interface Row {
  readonly words: readonly [number, number, number, number];
  readonly length: number;
  readonly pathId: number;
}

export function row(rowFamily: 4 | 6): fc.Arbitrary<Row> {
  const bits = rowFamily === 4 ? 32 : 128;
  const length = fc.integer({ min: 0, max: bits });
  return fc.tuple(u32, u32, u32, u32, length, u32).map(([a, b, c, d, n, pathId]) => {
    const masked = (word: number, index: number) => {
      const kept = Math.min(32, Math.max(0, n - index * 32));
      return kept === 0 ? 0 : (word & (-1 << (32 - kept))) >>> 0;
    };
    return { words: [masked(a, 0), masked(b, 1), masked(c, 2), masked(d, 3)], length: n, pathId };
  });
}

export function batchOf(rowFamily: 4 | 6, list: readonly Row[]): PrefixBatch {
  const batch = new PrefixBatch();
  batch.reset(rowFamily);
  for (const { words, length, pathId } of list) {
    if (rowFamily === 4) batch.push4(words[0], length, pathId);
    else batch.push6(...words, length, pathId);
  }
  return batch;
}
