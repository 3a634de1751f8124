/** The view in columns agrees with lists of routes by prefix, whatever happens. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Prefix, prefix, prefixFamily } from "../../src/ip/prefix.ts";
import type { RouteEvent } from "../../src/routes/ports.ts";
import { PrefixIndex } from "../../src/routes/prefix-index.ts";
import {
  hasOurKey,
  isOurs,
  type KernelRoute,
  type RouteOperation,
  sameRoute,
} from "../../src/routes/types.ts";
import { RouteView, UNUSUAL } from "../../src/routes/view.ts";
import { address, line, route, STATIC } from "./fake-kernel.ts";

const PREFIXES = ["10.233.65.0/24", "10.233.66.0/24", "fd00:65::/64"] as const;

const someRoute: fc.Arbitrary<KernelRoute> = fc
  .record({
    of: fc.constantFrom(...PREFIXES),
    hops: fc.subarray([51, 52], { minLength: 1 }),
    protocol: fc.constantFrom(17, 17, 17, STATIC),
    metric: fc.constantFrom(undefined, undefined, 5),
    plain: fc.constantFrom(true, true, false),
    source: fc.constantFrom(undefined, undefined, address("192.168.50.50")),
  })
  .map(({ of, hops, metric, ...same }) => {
    const via = hops.map((hop) => (of.includes(":") ? `2001:db8::${hop}` : `192.168.50.${hop}`));
    return route(of, { via, ...same, ...(metric === undefined ? {} : { metric }) });
  });

type RouteChange = "new" | "replace" | "delete";

type Step =
  | { readonly kind: "add" | "create" | "replace" | "delete"; readonly route: KernelRoute }
  | {
      readonly kind: "event";
      readonly route: KernelRoute;
      readonly change: RouteChange;
      /** The event is of a route that is there, if there are so many. */
      readonly pick: number;
    }
  | { readonly kind: "make" | "unmake"; readonly route: KernelRoute };

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom("add", "create", "replace", "delete", "event", "make", "unmake"),
  route: someRoute,
  change: fc.constantFrom<RouteChange>("new", "replace", "delete"),
  pick: fc.nat(3),
});

/** The same with a list of objects for each prefix. */
class PlainView {
  readonly lists = new Map<Prefix, readonly KernelRoute[]>();

  at(of: Prefix): readonly KernelRoute[] {
    return this.lists.get(of) ?? [];
  }

  applied(operation: RouteOperation): void {
    const { prefix: of } = operation;
    const routes = this.at(of);
    if (operation.kind === "delete") {
      this.lists.set(
        of,
        routes.filter((other) => !sameRoute(other, operation.route)),
      );
      return;
    }
    const made = { ...route(of), hops: operation.hops, source: operation.source };
    const at = routes.findIndex((one) => isOurs(one) && hasOurKey(one, prefixFamily(of)));
    const replaces = operation.kind === "replace" && at >= 0;
    this.lists.set(of, replaces ? routes.with(at, made) : [...routes, made]);
  }

  /** False: only the kernel's table can tell what is there now. */
  observed({ change, route: one, replaced }: RouteEvent): boolean {
    const { prefix: of } = one;
    const routes = this.at(of);
    const known = routes.findIndex((other) => sameRoute(other, one));
    const atKey = routes.filter(({ tos, metric }) => tos === one.tos && metric === one.metric);
    if (change === "delete") {
      if (known >= 0) this.lists.set(of, routes.toSpliced(known, 1));
      // Else what went is not as it was known: perhaps one of its next hops.
      return known >= 0 || atKey.every(({ protocol }) => protocol !== one.protocol);
    }
    if (replaced && atKey.length > 1) return false;
    if (replaced && atKey.length === 1) {
      this.lists.set(of, routes.with(routes.indexOf(atKey[0]!), one));
      return true;
    }
    if (known >= 0) return true;
    // Somebody's whose way the kernel lists before the only one of ours: two routes in one.
    const [ours, ...more] = atKey;
    const [first, second, ...third] = one.hops;
    const isJoined = prefixFamily(of) === 6 && ours?.protocol === 17 && more.length === 0;
    if (isJoined && first !== undefined && second !== undefined && third.length === 0) {
      const gateways = ours.hops.map(({ gateway }) => gateway);
      if (one.protocol === 17) {
        // What was appended, in the name of ours.
        const isOfBoth = gateways.join() === first.gateway;
        const joined = {
          ...one,
          protocol: isOfBoth ? 0 : 17,
          hops: isOfBoth ? [second] : one.hops,
        };
        this.lists.set(of, [...routes, joined]);
        return isOfBoth;
      }
      const left = gateways.filter((gateway) => gateway !== first.gateway);
      if (left.length === 1 && left[0] === second.gateway) {
        const alone = { ...ours, hops: [second] };
        this.lists.set(of, [
          ...routes.with(routes.indexOf(ours), alone),
          { ...one, hops: [first] },
        ]);
        return true;
      }
    }
    this.lists.set(of, [...routes, one]);
    return atKey.length === 0 || prefixFamily(of) === 4;
  }
}

function isUsual(routes: readonly KernelRoute[]): boolean {
  const [only] = routes;
  const family = only === undefined ? 4 : prefixFamily(only.prefix);
  return routes.length === 1 && isOurs(only!) && hasOurKey(only!, family) && only!.plain;
}

test("the view agrees with lists of routes after any history", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const index = new PrefixIndex(7, () => true);
      const view = new RouteView(index);
      const plain = new PlainView();
      for (const one of steps) run(one, index, view, plain);
      let installed = 0;
      let ours = 0;
      for (const text of PREFIXES) {
        const of = prefix(text);
        const id = index.insertText(of);
        const expected = plain.at(of);
        assert.deepEqual(view.at(id).map(describe), expected.map(describe));
        assert.equal(view.has(id), expected.length > 0);
        const entry = view.entry(id);
        assert.equal(entry !== 0 && entry !== UNUSUAL, isUsual(expected));
        const mine = expected.filter(isOurs);
        ours += mine.length;
        if (mine.some((each) => hasOurKey(each, prefixFamily(of)))) installed++;
      }
      assert.deepEqual([view.installed, view.countOurs()], [installed, ours]);
    }),
    { numRuns: 300 },
  );
});

function run(one: Step, index: PrefixIndex, view: RouteView, plain: PlainView): void {
  const { kind, route: subject } = one;
  const { prefix: of, hops, source } = subject;
  const id = index.insertText(of);
  const family = prefixFamily(of);
  const known = plain.at(of);
  switch (kind) {
    case "add":
      view.add(subject);
      if (!known.some((other) => sameRoute(other, subject))) {
        plain.lists.set(of, [...known, subject]);
      }
      return;
    case "event": {
      const change = one.change === "delete" ? "delete" : "new";
      const replaced = one.change === "replace";
      const event = { change, route: known[one.pick] ?? subject, replaced } as const;
      assert.equal(view.observe(id, event), plain.observed(event), "whether the event tells all");
      return;
    }
    case "delete":
    case "create":
    case "replace": {
      const target = known[0] ?? subject;
      const operation: RouteOperation =
        kind === "delete"
          ? { kind, prefix: of, route: target }
          : { kind, prefix: of, hops, source };
      view.applied(id, operation);
      plain.applied(operation);
      return;
    }
    case "make": {
      if (known.length > 0 && !isUsual(known)) return;
      const shape = view.shapes.of(family, hops, source);
      view.make(id, shape);
      plain.lists.set(of, [{ ...route(of), hops: shape.hops, source }]);
      return;
    }
    case "unmake":
      if (!isUsual(known)) return;
      view.unmake(id);
      plain.lists.set(of, []);
  }
}

/** Ways in one order: their order has no meaning. */
function describe(one: KernelRoute): string {
  const hops = [...one.hops].sort((a, b) => (a.gateway! < b.gateway! ? -1 : 1));
  return `${line({ ...one, hops })} ${one.source} ${one.plain}`;
}

const [A, B, C] = ["2001:db8::51", "2001:db8::52", "2001:db8::53"] as const;
const LETTERS: ReadonlyMap<string | undefined, string> = new Map(
  [A, B, C].map((way, i) => [way, "ABC"[i]!]),
);

for (const [what, ours, event, expected] of [
  ["one of another's beside our only way", [A], [B, A], [[A], [B]]],
  ["a listing since then shows ours with that way", [A, B], [B, A], [[A], [B]]],
  ["ours has another way by now", [C], [B, A], undefined],
  ["one beside our several", [A, C], [B, A, C], [[A, C], [B]]],
  ["several before ours", [A], [B, C, A], [[A], [B, C]]],
  ["ours has that way itself", [A], [A], undefined],
  ["nothing was joined", [A], [B], undefined],
] as const) {
  test(`a route that IPv6 joins to ours is told apart by its event: ${what}`, () => {
    const to = "fd00:65::/64";
    for (const protocol of [STATIC, 17]) {
      const index = new PrefixIndex(7, () => false);
      const view = new RouteView(index);
      view.add(route(to, { via: ours }));
      const id = index.insertText(prefix(to));
      const joined = route(to, { via: event, protocol });
      const isClear = view.observe(id, { change: "new", route: joined, replaced: false });
      const ways = view.at(id).map(({ hops }) => hops.map(({ gateway }) => gateway));
      if (protocol === 17) assert.deepEqual(ways[0], ours, "one of ours says what ours are");
      else if (expected === undefined) assert.deepEqual([isClear, ways], [false, [ours, event]]);
      else assert.deepEqual([isClear, ways], [true, expected]);
    }
  });
}

test("of several that IPv6 appends to ours the event speaks in our name", () => {
  const to = "fd00:65::/64";
  for (const [ours, event, joined] of [
    [[A], [A, B, C], [B, C]],
    [[A, B], [A, B, C], [C]],
    [[A, B], [B, A, C], [C]],
    [[B], [A, B, C], undefined],
    [[A, B], [A, B], undefined],
  ] as const) {
    const index = new PrefixIndex(7, () => false);
    const view = new RouteView(index);
    view.add(route(to, { via: ours }));
    const id = index.insertText(prefix(to));
    view.observe(id, { change: "new", route: route(to, { via: event }), replaced: false });
    const [first, second] = view.at(id);
    assert.ok(sameRoute(first!, route(to, { via: ours })));
    if (joined === undefined) continue;
    assert.deepEqual(second, route(to, { via: joined, protocol: 0 }));
    assert.equal(view.mayHaveTwinOf(id, first!), true, "it may be one of ours for all we know");
  }
});

for (const [what, before, listed, told, expected] of [
  ["ours comes first", [[A], [B]], [[17, [A, B, C]]], false, ["17: A", "0: B C"]],
  ["another's comes first", [[A, C], [B]], [[4, [B, A, C]]], false, ["17: A C", "4: B"]],
  ["they stand alone again", [[A], [B]], [[17, [A]]], false, ["17: A"]],
  ["ours is gone", [[A], [B]], [[4, [B]]], false, ["4: B"]],
  ["ours alone has more ways now", [[A]], [[17, [A, B]]], false, ["17: A B"]],
  ["the same after an event meanwhile", [[A]], [[17, [A, B]]], true, ["17: A", "0: B"]],
  ["an event meanwhile, and nothing was joined", [[A]], [[17, [A]]], true, ["17: A"]],
  ["ours was not known", [], [[17, [A, B]]], true, ["17: A B"]],
] as const) {
  test(`what IPv6 joined to ours is told apart after a dump: ${what}`, () => {
    const to = "fd00:65::/64";
    const index = new PrefixIndex(7, () => true);
    const [old, view] = [new RouteView(index), new RouteView(index)];
    const id = index.insertText(prefix(to));
    for (const [nth, via] of before.entries()) {
      old.add(route(to, { via, protocol: nth === 0 ? 17 : STATIC }));
    }
    for (const [protocol, via] of listed) view.add(route(to, { via, protocol }));
    view.partAsIn(old, told ? [id] : []);
    const found = view.at(id).map(({ protocol, hops }) => {
      return `${protocol}: ${hops.map(({ gateway }) => LETTERS.get(gateway)).join(" ")}`;
    });
    assert.deepEqual(found, expected);
  });
}

test("a listing parts no route of IPv4, and none without ways", () => {
  for (const [to, ours, all] of [
    [PREFIXES[0], ["192.168.50.51"], ["192.168.50.51", "192.168.50.52"]],
    [PREFIXES[2], [], [A]],
  ] as const) {
    const index = new PrefixIndex(7, () => true);
    const [old, view] = [new RouteView(index), new RouteView(index)];
    const known = { ...route(to, { via: ours }), ...(ours.length === 0 ? { hops: [] } : {}) };
    old.add(known);
    old.add(route(to, { via: all, protocol: STATIC }));
    view.add(route(to, { via: all }));
    view.partAsIn(old, [index.insertText(prefix(to))]);
    assert.equal(view.at(index.findText(prefix(to))).length, 1);
  }
});

test("which links may take routes by next hop objects with them, and which any route", () => {
  const index = new PrefixIndex(7, () => true);
  const view = new RouteView(index);
  const links = () =>
    [1, 2, 3].map((link) => [view.mayLoseNextHopOver(link), view.mayLeadOver(link)].map(Number));
  const via = { via: "192.168.50.51" };
  const stranger = route("10.233.67.0/24", { ...via, protocol: STATIC, link: 3 });
  for (const one of [route(PREFIXES[0], { ...via, link: 2 }), stranger]) {
    view.observe(index.insertText(one.prefix), { change: "new", replaced: false, route: one });
  }
  const plain = [
    [0, 0],
    [0, 1],
    [0, 1],
  ];
  assert.deepEqual(links(), plain);
  for (const [more, expected] of [
    [{ ...via, link: 1 }, [[1, 1], ...plain.slice(1)]],
    // The kernel does not say over which.
    [{}, Array(3).fill([1, 1])],
  ] as const) {
    const by = route(PREFIXES[1], { ...more, protocol: STATIC, nextHopId: 5 });
    const id = index.insertText(by.prefix);
    view.observe(id, { change: "new", replaced: false, route: by });
    assert.deepEqual([links(), view.goesBy(5)], [expected, true]);
    view.observe(id, { change: "delete", replaced: false, route: by });
    assert.deepEqual([links(), view.goesBy(5)], [plain, false]);
  }
});
