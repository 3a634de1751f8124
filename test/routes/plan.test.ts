import assert from "node:assert/strict";
import { test } from "node:test";
import { prefix } from "../../src/ip/prefix.ts";
import { planPrefix, type Wanted } from "../../src/routes/plan.ts";
import type { KernelRoute, RouteOperation } from "../../src/routes/types.ts";
import { address, line, route, STATIC } from "./fake-kernel.ts";

const P4 = "10.233.65.0/24";
const P6 = "fd00:65::/64";
const ABSENT: Wanted = { kind: "absent" };
const REFUSED: Wanted = { kind: "refused" };

function wanted(...via: string[]): Wanted {
  return { kind: "route", hops: route(P4, { via }).hops };
}

function held(...via: string[]): Wanted {
  return { kind: "held", nextHops: via.map(address) };
}

function text(operation: RouteOperation): string {
  if (operation.kind === "delete") return `delete ${line(operation.route)}`;
  return `${operation.kind} ${operation.prefix} ${operation.hops.map((hop) => hop.gateway)}`;
}

interface Case {
  readonly name: string;
  readonly wanted: Wanted;
  readonly actual: readonly KernelRoute[];
  readonly mayDelete?: boolean;
  readonly prefix?: string;
  readonly operations: readonly string[];
  readonly foreign?: readonly KernelRoute[];
}

const A = "192.168.50.51";
const B = "192.168.50.52";
const viaA = route(P4, { via: A });
const viaB = route(P4, { via: B });
const fixed = route(P4, { via: B, protocol: STATIC });
const fixedElsewhere = route(P4, { via: B, protocol: STATIC, metric: 100 });
const leftover = route(P4, { via: B, metric: 50 });
const deletesA = `delete ${line(viaA)}`;

const cases: readonly Case[] = [
  { name: "nothing there", wanted: wanted(A), actual: [], operations: [`create ${P4} ${A}`] },
  { name: "right already", wanted: wanted(A), actual: [viaA], operations: [] },
  {
    name: "another next hop is replaced, not deleted",
    wanted: wanted(B),
    actual: [viaA],
    mayDelete: false,
    operations: [`replace ${P4} ${B}`],
  },
  {
    name: "one next hop becomes several",
    wanted: wanted(A, B),
    actual: [viaA],
    operations: [`replace ${P4} ${A},${B}`],
  },
  {
    name: "the order of next hops does not matter",
    wanted: wanted(A, B),
    actual: [route(P4, { via: [B, A] })],
    operations: [],
  },
  {
    name: "one next hop twice is not two",
    wanted: wanted(A, B),
    actual: [route(P4, { via: [A, A] })],
    operations: [`replace ${P4} ${A},${B}`],
  },
  {
    name: "another interface is another route",
    wanted: wanted(A),
    actual: [route(P4, { via: A, link: 7 })],
    operations: [`replace ${P4} ${A}`],
  },
  {
    name: "a device route of ours (kube-router's tunnel) is replaced",
    wanted: wanted(A),
    actual: [{ ...viaA, hops: [{ gateway: undefined, link: 9, weight: 1 }], plain: false }],
    operations: [`replace ${P4} ${A}`],
  },
  {
    name: "ours with a source address or a type is replaced",
    wanted: wanted(A),
    actual: [{ ...viaA, plain: false }],
    operations: [`replace ${P4} ${A}`],
  },
  {
    name: "a foreign route keeps its place",
    wanted: wanted(A),
    actual: [fixed],
    operations: [],
    foreign: [fixed],
  },
  {
    name: "a foreign route with another metric is in nobody's way",
    wanted: wanted(A),
    actual: [fixedElsewhere],
    operations: [`create ${P4} ${A}`],
  },
  {
    name: "a foreign route with another TOS is in nobody's way",
    wanted: wanted(A),
    actual: [{ ...fixed, tos: 16 }],
    operations: [`create ${P4} ${A}`],
  },
  {
    name: "ours gives way to one appended by hand, and no replace is tried",
    wanted: wanted(B),
    actual: [viaA, fixed],
    operations: [deletesA],
    foreign: [fixed],
  },
  {
    name: "ours gives way to one put before it",
    wanted: wanted(A),
    actual: [fixed, viaA],
    operations: [deletesA],
    foreign: [fixed],
  },
  {
    name: "leftovers of ours at another metric go after ours is in place",
    wanted: wanted(A),
    actual: [leftover],
    operations: [`create ${P4} ${A}`, `delete ${line(leftover)}`],
  },
  {
    name: "doubles of ours go, the right one stays",
    wanted: wanted(A),
    actual: [viaB, viaA],
    operations: [`delete ${line(viaB)}`],
  },
  { name: "absent and nothing there", wanted: ABSENT, actual: [], operations: [] },
  { name: "absent: ours goes", wanted: ABSENT, actual: [viaA], operations: [deletesA] },
  {
    name: "absent: adopted and not spoken of stays",
    wanted: ABSENT,
    actual: [viaA],
    mayDelete: false,
    operations: [],
  },
  { name: "absent: a foreign one stays", wanted: ABSENT, actual: [fixed], operations: [] },
  {
    name: "absent: only ours of several goes",
    wanted: ABSENT,
    actual: [fixed, viaA, fixedElsewhere],
    operations: [deletesA],
  },
  {
    name: "refused: ours goes even before convergence",
    wanted: REFUSED,
    actual: [viaA, fixedElsewhere],
    mayDelete: false,
    operations: [deletesA],
  },
  { name: "held: nothing is made", wanted: held(A), actual: [], operations: [] },
  {
    name: "held: ours to the same next hop stays",
    wanted: held(A),
    actual: [viaA],
    operations: [],
  },
  {
    name: "held: ours to a subset of the next hops stays",
    wanted: held(A, B),
    actual: [viaA],
    operations: [],
  },
  {
    name: "held: ours to another next hop goes",
    wanted: held(B),
    actual: [viaA],
    operations: [deletesA],
  },
  {
    name: "held: ours to more next hops than wanted goes",
    wanted: held(A),
    actual: [route(P4, { via: [A, B] })],
    operations: [`delete ${line(route(P4, { via: [A, B] }))}`],
  },
  {
    name: "IPv6: nothing there",
    prefix: P6,
    wanted: wanted("2001:db8::51"),
    actual: [],
    operations: [`create ${P6} 2001:db8::51`],
  },
  {
    name: "IPv6: right already, at the kernel's metric 1024",
    prefix: P6,
    wanted: wanted("2001:db8::51"),
    actual: [route(P6, { via: "2001:db8::51" })],
    operations: [],
  },
  {
    name: "IPv6: foreign at 1024 is in the way",
    prefix: P6,
    wanted: wanted("2001:db8::51"),
    actual: [route(P6, { via: "2001:db8::52", protocol: STATIC })],
    operations: [],
    foreign: [route(P6, { via: "2001:db8::52", protocol: STATIC })],
  },
  {
    name: "IPv6: the kernel's own at 256 is not",
    prefix: P6,
    wanted: wanted("2001:db8::51"),
    actual: [route(P6, { protocol: 2, metric: 256 })],
    operations: [`create ${P6} 2001:db8::51`],
  },
];

for (const entry of cases) {
  test(`plan: ${entry.name}`, () => {
    const to = prefix(entry.prefix ?? P4);
    const plan = planPrefix(to, entry.wanted, entry.actual, entry.mayDelete ?? true);
    assert.deepEqual(plan.operations.map(text), entry.operations);
    assert.deepEqual(plan.foreign, entry.foreign ?? []);
  });
}
