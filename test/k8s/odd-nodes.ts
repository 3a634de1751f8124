/**
 * Node objects as nobody should write them: fields of wrong types, huge, contradicting each other
 * and older Nodes. Only what the rules give to a younger Node against an older one is left out: an
 * address in another's pod CIDR, and several pod CIDRs inside it.
 */
import fc from "fast-check";

const junk = fc.oneof(
  fc.constantFrom(null, undefined, 0, -1, 1e308, true, "", "x", [], {}, [[]], [null]),
  fc.jsonValue({ maxDepth: 2 }),
);

const cidr = fc.oneof(
  { weight: 8, arbitrary: fc.nat(60).map((n) => `10.234.${n}.0/24`) },
  { weight: 2, arbitrary: fc.nat(30).map((n) => `fd10:0:0:${n}::/64`) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ...["10.234.0.0/23", "10.234.4.0/25", "10.234.0.0/16", "10.234.9.9/32", "fd10::/32"],
      ...["0.0.0.0/0", "::/0", "127.0.0.0/8", "192.168.50.0/24", "192.168.0.0/16", "fd10::/15"],
      ...["10.234.1.1/24", "10.234.1/24", "10.234.7.0/33", "::ffff:10.234.3.0/120", "x", ""],
    ),
  },
  // The cluster's, and those of other Nodes.
  {
    weight: 3,
    arbitrary: fc.constantFrom("10.0.0.0/8", "10.233.64.0/22", "10.233.64.0/24", "10.233.65.0/24"),
  },
);

const address = fc.oneof(
  { weight: 8, arbitrary: fc.nat(40).map((n) => `192.168.50.${60 + n}`) },
  { weight: 3, arbitrary: fc.nat(40).map((n) => `2001:db8::${60 + n}`) },
  { weight: 2, arbitrary: fc.nat(40).map((n) => `172.30.0.${n + 1}`) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      ...["0.0.0.0", "::", "::1", "127.0.0.1", "fe80::1", "224.0.0.1", "255.255.255.255", "x", ""],
      ...[
        "240.0.0.9",
        "192.168.050.051",
        " 192.168.50.99",
        "192.168.50.99%eth0",
        "192.168.50.61/24",
      ],
    ),
  },
  // Of other Nodes.
  {
    weight: 2,
    arbitrary: fc.constantFrom("192.168.50.50", "192.168.50.51", "::ffff:192.168.50.52"),
  },
);

const type = fc.oneof(
  { weight: 4, arbitrary: fc.constant("InternalIP") },
  fc.constantFrom("ExternalIP", "Hostname", "InternalDNS", 7),
);
const addresses = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.array(fc.oneof({ weight: 9, arbitrary: fc.record({ type, address }) }, junk), {
      maxLength: 4,
    }),
  },
  junk,
  fc.integer({ min: 30, max: 600 }).map((count) =>
    Array.from({ length: count }, (_, i) => ({
      type: "InternalIP",
      address: `172.31.${i >> 8}.${i & 255}`,
    })),
  ),
);

const annotationName = fc.constantFrom(
  ...["pod-cidr", "pod-cidrs", "node.asn", "rr.server", "rr.client", "peers", "peer.ips"],
  ...["peer.asns", "peer.passwords", "path-prepend.as", "node.bgp.communities", "__proto__"],
  ...["node.bgp.customimportreject", "bgp-local-addresses", "x".repeat(300), "tünnel"],
);
const annotationValue = fc.oneof(
  fc.string({ maxLength: 30 }),
  fc.constantFrom("65001", "64512", "0", "4294967295", "1.2.3.4", "10.0.0.1,10.0.0.2", "\ud800"),
  fc.constantFrom("y".repeat(40_000), "[".repeat(5000), "10.234.1.0/24,".repeat(2000), "&a [*a]"),
  junk,
);
const named = (annotations: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(
    Object.entries(annotations).map(([name, value]) => [`kube-router.io/${name}`, value]),
  );
const annotations = fc.oneof(
  { weight: 8, arbitrary: fc.constant({}) },
  {
    weight: 4,
    arbitrary: fc.dictionary(annotationName, annotationValue, { maxKeys: 4 }).map(named),
  },
  {
    weight: 3,
    arbitrary: fc
      .array(cidr, { maxLength: 4 })
      .map((list) => named({ "pod-cidrs": list.join(",") })),
  },
  junk,
);

const spec = fc.oneof(
  {
    weight: 10,
    arbitrary: fc
      .array(cidr, { maxLength: 3 })
      .map((list) => ({ podCIDR: list[0], podCIDRs: list })),
  },
  fc.record({ podCIDR: fc.oneof(cidr, junk) }),
  fc.record({ podCIDR: junk, podCIDRs: junk }),
  junk,
);

/** All younger than 2020. */
const created = fc.constantFrom(
  ...["2021-01-01T00:00:00Z", "2022-01-01T00:00:00.123456789Z", "+275760-09-13T00:00:00.000Z"],
  ...["never", "", 7, null, undefined],
);

export const oddName = fc.oneof(
  { weight: 30, arbitrary: fc.constantFrom("odd0", "odd1", "odd2", "odd3", "a", "zzz") },
  fc.constantFrom("", "UPPER", "x".repeat(254), "-a", "a b", 7, null, "__proto__", "constructor"),
);

export const oddNode: fc.Arbitrary<Record<string, unknown>> = fc
  .record({
    kind: fc.oneof({ weight: 9, arbitrary: fc.constant("Node") }, fc.constantFrom("Pod", 3)),
    name: oddName,
    uid: fc.constantFrom("a", "b", "", "x".repeat(200), 3),
    ...{ created, annotations, spec, addresses },
  })
  .map(({ kind, name, uid, created, annotations, spec, addresses }) => ({
    kind,
    metadata: { name, uid, creationTimestamp: created, annotations },
    spec,
    status: { addresses },
  }));
