import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PolicyProgram, REJECTED, UNCHANGED } from "../../../src/bgp/rib/policy.ts";
import { prepended } from "../../../src/bgp/rib/policy-actions.ts";
import { PrefixList } from "../../../src/bgp/rib/policy-prefixes.ts";
import type { Policy, PolicyMatch, PolicyStatement } from "../../../src/bgp/rib/policy-types.ts";
import { type Prefix, prefix, prefixCovers, prefixLength } from "../../../src/ip/prefix.ts";
import { batchOf, route } from "../../support/rib-lab.ts";

const POOL = ["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/9", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32"];
const POOL6 = [
  ...["::/0", "2001:db8::/32", "2001:db8::/33", "2001:db8:0:1::/64", "2001:db8:0:1:ff00::/72"],
  ...["2001:db8:0:1:ff00:1::/96", "2001:db8::1/128"],
];

test("a prefix list matches what lies in an entry with a length in its range", () => {
  const entry = fc
    .record({
      prefix: fc.constantFrom(...POOL, ...POOL6).map(prefix),
      a: fc.nat(128),
      b: fc.nat(128),
    })
    .map(({ prefix: of, a, b }) => ({ prefix: of, ge: Math.min(a, b), le: Math.max(a, b) }));
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 6 }), (entries) => {
      const list = new PrefixList(entries);
      for (const text of [...POOL, ...POOL6]) {
        const of: Prefix = prefix(text);
        const length = prefixLength(of);
        const expected = entries.some(
          (e) => prefixCovers(e.prefix, of) && length >= e.ge && length <= e.le,
        );
        assert.equal(list.matches(batchOf([text]), 0), expected, text);
      }
    }),
  );
});

function statement(match: PolicyMatch, more: Partial<PolicyStatement> = {}): PolicyStatement {
  return { name: "s", match, set: {}, result: "accept", ...more };
}

function policy(statements: PolicyStatement[], accept = false): Policy {
  return { name: "p", statements, defaultResult: accept ? "accept" : "reject" };
}

const ROUTE = route({
  path: [65001, 65002],
  communities: [1, 2],
  largeCommunities: ["1:2:3"],
});

const MATCHES: readonly [string, PolicyMatch, boolean][] = [
  ["no condition", {}, true],
  ["a community", { communities: [9, 2] }, true],
  ["no community", { communities: [9] }, false],
  ["a large community", { largeCommunities: ["1:2:3"] }, true],
  ["no large community", { largeCommunities: ["1:2:4"] }, false],
  ["path not too short", { asPathLengthMin: 2 }, true],
  ["path too short", { asPathLengthMin: 3 }, false],
  ["path not too long", { asPathLengthMax: 2 }, true],
  ["path too long", { asPathLengthMax: 1 }, false],
  ["learned", { originated: false }, true],
  ["originated", { originated: true }, false],
  ["all conditions", { communities: [1], asPathLengthMax: 9, originated: false }, true],
  ["all but one", { communities: [1], asPathLengthMax: 9, originated: true }, false],
  ["the prefix", { prefixes: [{ prefix: prefix("10.0.0.0/8"), ge: 8, le: 24 }] }, true],
  ["another prefix", { prefixes: [{ prefix: prefix("11.0.0.0/8"), ge: 8, le: 24 }] }, false],
  ["no prefix at all", { prefixes: [] }, false],
];

for (const [name, match, expected] of MATCHES) {
  test(`a statement matches: ${name}`, () => {
    const program = new PolicyProgram(policy([statement(match)]));
    const outcome = program.evaluate(ROUTE, false, batchOf(["10.1.0.0/16"]), 0);
    assert.equal(outcome, expected ? UNCHANGED : REJECTED);
  });
}

test("the first statement that accepts or rejects decides; next goes on with what it set", () => {
  const program = new PolicyProgram(
    policy([
      statement({ communities: [1] }, { result: "next", set: { addCommunities: [7] } }),
      statement({ communities: [7] }, { result: "next", set: { localPref: 300, med: 4 } }),
      statement({ communities: [8] }, { result: "reject" }),
      statement({}, { set: { removeCommunities: [2], med: 5 } }),
      statement({}, { result: "reject" }),
    ]),
  );
  const batch = batchOf(["10.0.0.0/8"]);
  const outcome = program.evaluate(ROUTE, false, batch, 0);
  const result = program.apply(outcome, ROUTE);
  assert.deepEqual([...result.communities], [1, 7]);
  assert.equal(result.localPref, 300);
  assert.equal(result.med, 5);
  assert.equal(program.setsMed(outcome), true);
  assert.equal(program.evaluate(ROUTE, false, batch, 0), outcome);
  const eight = route({ communities: [8] });
  assert.equal(program.evaluate(eight, false, batch, 0), REJECTED);
  const none = program.evaluate(route(), false, batch, 0);
  assert.notEqual(none, outcome);
  assert.equal(program.apply(none, route()).localPref, undefined);
});

test("without a deciding statement the default decides, after what `next` set", () => {
  const one = statement({}, { result: "next", set: { localPref: 7 } });
  const accept = new PolicyProgram(policy([one], true));
  const outcome = accept.evaluate(ROUTE, false, batchOf(["10.0.0.0/8"]), 0);
  assert.equal(accept.apply(outcome, ROUTE).localPref, 7);
  const reject = new PolicyProgram(policy([one]));
  assert.equal(reject.evaluate(ROUTE, false, batchOf(["10.0.0.0/8"]), 0), REJECTED);
});

test("next-hop-self: the last word counts", () => {
  const on = statement({}, { result: "next", set: { nextHopSelf: true } });
  const off = statement({ communities: [1] }, { result: "next", set: { nextHopSelf: false } });
  const program = new PolicyProgram(policy([on, off], true));
  const batch = batchOf(["10.0.0.0/8"]);
  assert.equal(program.nextHopSelf(program.evaluate(ROUTE, false, batch, 0)), false);
  assert.equal(program.nextHopSelf(program.evaluate(route(), false, batch, 0)), true);
});

test("prepending fills the first sequence up to 255, then begins another", () => {
  const path = prepended(route({ path: [1, 2] }).asPath, 9, 300);
  assert.deepEqual(
    path.map((s) => [s.type, s.asns.length]),
    [
      [2, 47],
      [2, 255],
    ],
  );
  assert.equal(path[1]!.asns.at(-1), 2);
  assert.deepEqual(prepended([{ type: 1, asns: [5] }], 9, 1), [
    { type: 2, asns: [9] },
    { type: 1, asns: [5] },
  ]);
  const [sequence, set] = [
    { type: 2, asns: [7] },
    { type: 1, asns: [5] },
  ] as const;
  assert.deepEqual(prepended([sequence, set], 9, 1), [{ type: 2, asns: [9, 7] }, set]);
});

test("lists of statements that set something are bounded: a route beyond is rejected", () => {
  const statements = Array.from({ length: 17 }, (_, i) =>
    statement({ communities: [i] }, { result: "next", set: { addCommunities: [100 + i] } }),
  );
  const program = new PolicyProgram(policy(statements, true));
  const batch = batchOf(["10.0.0.0/8"]);
  let rejected = 0;
  for (let bits = 0; bits < 2 ** 17; bits++) {
    const communities = statements.map((_, i) => i).filter((i) => (bits & (1 << i)) !== 0);
    if (program.evaluate(route({ communities }), false, batch, 0) === REJECTED) rejected++;
  }
  assert.equal(rejected, 2 ** 17 - 65_536);
});
