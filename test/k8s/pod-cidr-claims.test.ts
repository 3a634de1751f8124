/** Who keeps a pod CIDR that several Nodes have: the sweep against the rule, word for word. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { prefix } from "../../src/ip/prefix.ts";
import { type Claim, compareClaims, decideClaims } from "../../src/k8s/pod-cidr-claims.ts";
import { prefixRange, rangesOverlap } from "../../src/k8s/ranges.ts";
import { snapshot } from "./node-objects.ts";

/** Equal, one in another, and apart. */
const CIDRS = [
  "10.0.0.0/8",
  "10.1.0.0/16",
  "10.1.0.0/24",
  "10.1.0.0/25",
  "10.1.0.128/25",
  "10.2.0.0/24",
  "fd00::/48",
  "fd00::/64",
] as const;
const NAMES = ["a", "b", "c", "d", "e"] as const;

const someNode = fc.record({
  created: fc.constantFrom("2023-01-01T00:00:00Z", "2024-01-01T00:00:00Z", "never"),
  cidrs: fc.subarray([...CIDRS], { maxLength: 3 }),
});

function claimsOf(nodes: readonly { readonly created: string; readonly cidrs: string[] }[]) {
  return nodes.flatMap(({ created, cidrs }, i): Claim[] => {
    const node = snapshot(NAMES[i]!, { created });
    return cidrs.map((text) => ({ prefix: prefix(text), range: prefixRange(prefix(text)), node }));
  });
}

const overlap = (a: Claim, b: Claim) => a.node !== b.node && rangesOverlap(a.range, b.range);

/** One after the other, in order of precedence: who overlaps with nobody that stands, stands. */
function standing(claims: readonly Claim[]): readonly Claim[] {
  const rivals = (claim: Claim) =>
    new Set(claims.filter((one) => overlap(claim, one)).map(({ node }) => node)).size;
  const rank = (claim: Claim) => [
    rivals(claim),
    claim.node.createdAt ?? Number.POSITIVE_INFINITY,
    NAMES.indexOf(claim.node.name as (typeof NAMES)[number]),
    CIDRS.indexOf(claim.prefix as (typeof CIDRS)[number]),
  ];
  const before = (a: Claim, b: Claim) => {
    const [ranks, others] = [rank(a), rank(b)];
    const at = ranks.findIndex((value, i) => value !== others[i]);
    return at < 0 ? 0 : ranks[at]! < others[at]! ? -1 : 1;
  };
  const stands: Claim[] = [];
  for (const claim of [...claims].sort(before)) {
    if (!stands.some((one) => overlap(claim, one))) stands.push(claim);
  }
  return stands;
}

const words = (claims: readonly Claim[]) =>
  claims.map(({ node, prefix: to }) => `${node.name} ${to}`);

test("of Nodes that contradict each other those stand that the rule says, and all Nodes agree", () => {
  fc.assert(
    fc.property(fc.array(someNode, { maxLength: NAMES.length }), fc.nat(), (nodes, turn) => {
      const claims = claimsOf(nodes);
      const sorted = [...claims].sort(compareClaims);
      // In whatever order they came.
      const at = claims.length === 0 ? 0 : turn % claims.length;
      const turned = [...claims.slice(at), ...claims.slice(0, at)].reverse().sort(compareClaims);
      assert.deepEqual(words(turned), words(sorted));
      const { accepted, refused, problems } = decideClaims(sorted, []);
      assert.deepEqual(words(accepted).sort(), words(standing(claims)).sort());
      assert.deepEqual(words([...accepted]), words([...accepted].sort(compareClaims)), "in order");
      assert.deepEqual(words([...accepted, ...refused]).sort(), words(claims).sort());
      assert.equal(problems.length, refused.length);
    }),
    { numRuns: 1500 },
  );
});

test("claims are ordered by address, the larger network first, then by name", () => {
  const nodes = ["b", "a"].map((name) => snapshot(name));
  const texts = ["fd00::/64", "10.1.0.0/24", "10.1.0.0/16", "9.0.0.0/8"];
  const claims = texts.flatMap((text) =>
    nodes.map((node): Claim => {
      return { prefix: prefix(text), range: prefixRange(prefix(text)), node };
    }),
  );
  assert.deepEqual(
    words(claims.sort(compareClaims)),
    [...texts].reverse().flatMap((text) => [`a ${text}`, `b ${text}`]),
  );
  for (const [i, a] of claims.entries()) {
    for (const [j, b] of claims.entries()) assert.equal(compareClaims(a, b), Math.sign(i - j));
  }
});
