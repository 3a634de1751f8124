import assert from "node:assert/strict";
import { test } from "node:test";
import { sizeFor } from "../../src/ipset/desired.ts";
import { planSet, type SetPlan } from "../../src/ipset/plan.ts";
import type { ActualSet, DesiredSet } from "../../src/ipset/types.ts";

function desired(...members: string[]): DesiredSet {
  return {
    name: "s",
    type: "hash:net",
    family: 4,
    ...sizeFor(members.length),
    members: new Set(members),
  };
}

function actual(members: readonly string[], fields: Partial<ActualSet> = {}): ActualSet {
  return {
    name: "s",
    type: "hash:net",
    family: 4,
    maxElements: 65_536,
    plain: true,
    elements: members.length,
    references: 0,
    members: new Map(members.map((member) => [member, true])),
    ...fields,
  };
}

function text(plan: SetPlan): string {
  switch (plan.kind) {
    case "none":
      return "none";
    case "create":
    case "rebuild":
      return `${plan.kind} ${plan.parameters.maxElements}: ${plan.add}`;
    case "update":
      return `+${plan.add} -${plan.remove}`;
    case "conflict":
      return plan.why;
  }
}

const many = Array.from({ length: 65_537 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`);
const full = actual(["a", "b", "c"], { maxElements: 3 });

const cases: readonly [string, DesiredSet, ActualSet | undefined, string][] = [
  ["no set", desired("a", "b"), undefined, "create 65536: a,b"],
  ["an empty one wanted", desired(), undefined, "create 65536: "],
  ["right already", desired("a", "b"), actual(["b", "a"]), "none"],
  ["only the difference", desired("a", "c"), actual(["a", "b"]), "+c -b"],
  ["flushed", desired("a", "b"), actual([]), "+a,b -"],
  ["stale members", desired(), actual(["a"]), "+ -a"],
  [
    "a member with a timeout of its own is added again",
    desired("a", "b"),
    actual([], {
      members: new Map([
        ["a", true],
        ["b", false],
      ]),
    }),
    "+b -",
  ],
  [
    "another type",
    desired("a"),
    actual([], { type: "hash:ip" }),
    "it is of type hash:ip family inet, not hash:net family inet",
  ],
  [
    "another family",
    desired("a"),
    actual([], { family: 6 }),
    "it is of type hash:net family inet6, not hash:net family inet",
  ],
  ["other options", desired("a"), actual(["a"], { plain: false }), "rebuild 65536: a"],
  [
    "too small from the start",
    desired("a"),
    actual(["a"], { maxElements: 16 }),
    "rebuild 65536: a",
  ],
  ["larger than needed is fine", desired("a"), actual(["a"], { maxElements: 131_072 }), "none"],
  [
    "grows beyond the usual size",
    desired(...many),
    actual(many.slice(0, 65_536)),
    `rebuild 131072: ${many}`,
  ],
];

for (const [name, want, is, expected] of cases) {
  test(`plan of a set: ${name}`, () => {
    assert.equal(text(planSet(want, is)), expected);
  });
}

test("plan of a set: old and new members that do not fit together go by an exchange", () => {
  const wanted = { ...desired("a", "b", "d"), maxElements: 3 };
  assert.equal(text(planSet(wanted, full)), "rebuild 65536: a,b,d");
  assert.equal(text(planSet({ ...desired("a", "b"), maxElements: 3 }, full)), "+ -c");
});
