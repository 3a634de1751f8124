/**
 * What is planned by number is what the straightforward form plans: the same operations, the same
 * conditions. And the guards by number say yes exactly where the others have nothing to say.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { IpAddress } from "../../src/ip/address.ts";
import { type Prefix, prefix, prefixFamily } from "../../src/ip/prefix.ts";
import { PrefixBatch, pushPrefix } from "../../src/ip/prefix-batch.ts";
import { Agenda, Portion } from "../../src/routes/agenda.ts";
import { Applier } from "../../src/routes/applier.ts";
import { ConditionBook, foreignCondition } from "../../src/routes/conditions.ts";
import { evaluate } from "../../src/routes/evaluate.ts";
import { type GuardSettings, Guards } from "../../src/routes/guards.ts";
import type { Neighbours } from "../../src/routes/neighbours.ts";
import { KernelObserver } from "../../src/routes/observer.ts";
import { planPrefix } from "../../src/routes/plan.ts";
import { Planner } from "../../src/routes/planner.ts";
import type { Tunnels } from "../../src/routes/ports.ts";
import { RetryTable } from "../../src/routes/retry-table.ts";
import { addressWords } from "../../src/routes/sorted-addresses.ts";
import { Counters } from "../../src/routes/status.ts";
import { type KernelRoute, type RouteOperation, sameRoute } from "../../src/routes/types.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { address, FakeKernel, route, STATIC, UNHEARD } from "./fake-kernel.ts";
import { FakeDesired } from "./harness.ts";

const PREFIXES = [
  ...["10.233.65.0/24", "10.233.66.0/24", "192.168.50.0/24", "192.168.50.51/32", "10.233.64.0/25"],
  ...["0.0.0.0/0", "10.0.0.0/8", "169.254.1.0/24", "fd00:65::/64", "2001:db8::/48", "fe80::/64"],
].map(prefix);
const HOPS = ["192.168.50.51", "192.168.50.52", "10.99.0.2", "2001:db8::51", "192.168.50.50"];
const SETTINGS: GuardSettings = {
  protectedAddresses: ["192.168.50.50", "192.168.50.51", "2001:db8::50"].map(address),
  ownPodCidrs: ["10.233.64.0/24", "fd00:64::/64"].map(prefix),
};
const TUNNELS: Tunnels = {
  first: false,
  way: (nextHop) =>
    nextHop === "10.99.0.2"
      ? {
          ready: true,
          hop: { gateway: nextHop, link: 9, weight: 1, onLink: true },
          source: address("192.168.50.50"),
        }
      : undefined,
  whyNone: () => undefined,
};

interface World {
  readonly there: readonly KernelRoute[];
  readonly wanted: ReadonlyMap<Prefix, readonly IpAddress[]>;
  readonly converged: boolean;
  readonly tunnels: boolean;
}

const kernelRoute: fc.Arbitrary<KernelRoute> = fc
  .record({
    of: fc.constantFrom(...PREFIXES),
    via: fc.subarray([51, 52], { minLength: 1 }),
    protocol: fc.constantFrom(17, 17, 17, 17, STATIC),
    metric: fc.constantFrom(undefined, undefined, undefined, 7),
  })
  .map(({ of, via, protocol, metric }) => {
    const net = of.includes(":") ? "2001:db8::" : "192.168.50.";
    const gateways = via.map((host) => `${net}${host}`);
    return route(of, { via: gateways, protocol, ...(metric === undefined ? {} : { metric }) });
  });

const world: fc.Arbitrary<World> = fc.record({
  // A kernel has none twice; what a dump shows twice is one route.
  there: fc.uniqueArray(kernelRoute, { maxLength: 12, comparator: sameRoute }),
  wanted: fc
    .array(
      fc.tuple(fc.constantFrom(...PREFIXES), fc.subarray(HOPS.map(address), { minLength: 1 })),
      { maxLength: 12 },
    )
    .map((entries) => new Map(entries)),
  converged: fc.boolean(),
  tunnels: fc.boolean(),
});

interface Planned {
  readonly operations: readonly RouteOperation[];
  readonly conditions: readonly string[];
}

/** All prefixes through the planner of the agent. */
async function planned(of: World): Promise<Planned> {
  const clock = new FakeClock();
  const kernel = new FakeKernel(clock);
  kernel.routes = [...of.there];
  const desired = new FakeDesired();
  for (const [to, nextHops] of of.wanted) desired.routes.set(to, { prefix: to, nextHops });
  const observer = new KernelObserver(kernel, clock, 3, UNHEARD);
  await observer.dump();
  const { index } = observer;
  const conditions = new ConditionBook(index);
  const retry = new RetryTable(index, () => 0);
  const counters = new Counters();
  const applier = new Applier(
    { kernel, clock, log: silentLog, survey: undefined },
    { observer, retry, counters },
    { conditions, onDoubt: () => undefined, onFree: () => undefined },
  );
  const agenda = new Agenda(index, desired, conditions, () => observer.view);
  const tunnels = of.tunnels ? TUNNELS : undefined;
  const planner = new Planner({ clock, observer, agenda, applier, retry, tunnels, dryRun: false });
  if (of.converged) planner.converge();
  const guards = new Guards(SETTINGS, observer.topology.addresses);
  const portion = new Portion(index);
  kernel.refuse = () => ({ code: "EIO", message: "not to be carried out" });
  for (const to of PREFIXES) {
    portion.begin(prefixFamily(to));
    portion.add(index.insertText(to));
    desired.read(portion.batch);
    planner.plan(portion, guards);
  }
  const listed = conditions.list().map((condition) => condition.message);
  applier.begin();
  return { operations: kernel.tried, conditions: listed };
}

/** The same, straightforwardly. */
async function expected(of: World): Promise<Planned> {
  const kernel = new FakeKernel(new FakeClock());
  const observer = new KernelObserver(kernel, new FakeClock(), 0, UNHEARD);
  await observer.dump();
  const { topology } = observer;
  const guards = new Guards(SETTINGS, topology.addresses);
  const operations: RouteOperation[] = [];
  const conditions: string[] = [];
  for (const to of PREFIXES) {
    const nextHops = of.wanted.get(to);
    const desired = nextHops === undefined ? undefined : { prefix: to, nextHops };
    const tunnels = of.tunnels ? TUNNELS : undefined;
    const { wanted, condition } = evaluate(desired, guards, topology, tunnels);
    const actual = of.there.filter((one) => one.prefix === to);
    const plan = planPrefix(to, wanted, actual, of.converged);
    operations.push(...plan.operations);
    const subject = { prefix: to, nextHops: nextHops ?? [] };
    const stands =
      plan.foreign.length === 0
        ? condition
        : foreignCondition(subject, plan.foreign, (link) => topology.linkName(link));
    if (stands !== undefined && plan.operations.length === 0) conditions.push(stands.message);
  }
  return { operations, conditions };
}

/** Which ways, in whatever order. */
function describe(operation: RouteOperation): string {
  const { kind, prefix: to } = operation;
  const { hops, source } = operation.kind === "delete" ? operation.route : operation;
  const ways = hops.map(({ gateway, link, onLink }) => `${gateway} ${link} ${onLink}`).sort();
  const metric = operation.kind === "delete" ? operation.route.metric : "";
  return `${kind} ${to} ${ways.join()} ${source} ${metric}`;
}

test("plans by number are those of the straightforward form", async () => {
  await fc.assert(
    fc.asyncProperty(world, async (of) => {
      const [actual, oracle] = [await planned(of), await expected(of)];
      assert.deepEqual(actual.operations.map(describe), oracle.operations.map(describe));
      assert.deepEqual([...actual.conditions].sort(), [...oracle.conditions].sort());
    }),
    { numRuns: 300 },
  );
});

const anyPrefix: fc.Arbitrary<Prefix> = fc.oneof(
  fc
    .tuple(
      fc.constantFrom("10.233.64.0", "192.168.50.50", "192.168.50.1", "0.0.0.0", "224.0.0.0"),
      fc.nat(32),
    )
    .map(([base, length]) => cut(base, length)),
  fc
    .tuple(
      fc.constantFrom(
        "2001:db8::50",
        "fd00:64::",
        "fd00:64::f000:0:0:1",
        "::1",
        "2001:db8:1::1",
        "fe80::",
        "2001:db8:1:2:3:4:5:6",
      ),
    )
    .chain(([base]) => fc.nat(128).map((length) => cut(base, length))),
  fc.tuple(fc.ipV4(), fc.nat(32)).map(([base, length]) => cut(base, length)),
);

function cut(base: string, length: number): Prefix {
  const six = base.includes(":");
  const batch = new PrefixBatch(1);
  batch.reset(six ? 6 : 4);
  const words = addressWords([address(base)]);
  const masked = [0, 1, 2, 3].map((i) => {
    const bits = Math.min(32, Math.max(0, length - 32 * i));
    return bits === 0 ? 0 : (words[i]! & (0xffff_ffff << (32 - bits))) >>> 0;
  });
  if (six) batch.push6(masked[0]!, masked[1]!, masked[2]!, masked[3]!, length);
  else batch.push4(masked[0]!, length);
  return batch.prefixAt(0);
}

test("the guards by number allow what the guards do not refuse", () => {
  const neighbours: Neighbours = new Map([
    [address("192.168.50.1"), "peer"],
    [address("10.99.0.2"), "gateway"],
    [address("2001:db8:1::1"), "gateway"],
  ]);
  const local = [address("192.168.50.49"), address("2001:db8:1::9")];
  const pods = ["10.233.64.0/22", "fd00:64::/48"].map(prefix);
  const guards = new Guards(SETTINGS, local, neighbours, pods);
  const hops = fc.subarray(HOPS.map(address));
  fc.assert(
    fc.property(anyPrefix, hops, (to, nextHops) => {
      const family = prefixFamily(to);
      const own = nextHops.filter((one) => (family === 6) === one.includes(":"));
      const batch = new PrefixBatch(1);
      batch.reset(family);
      pushPrefix(batch, to);
      const allowed = guards.allows(batch, 0, addressWords(own));
      assert.equal(allowed, guards.refusal(to, own) === undefined, to);
    }),
    { numRuns: 2000 },
  );
});
