/** Tunnels that follow few Nodes at a time against those that are looked at as a whole each time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { IpAddress } from "../../src/ip/address.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { OverlayController } from "../../src/overlay/controller.ts";
import { OVERLAY_PERIOD_MS } from "../../src/overlay/limits.ts";
import type { RemoteChange } from "../../src/overlay/remote-nodes.ts";
import {
  type FamilyAddresses,
  linkOf,
  type OverlaySettings,
  type OverlayWanted,
} from "../../src/overlay/types.ts";
import type { WaysNews } from "../../src/overlay/ways.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { FakeOverlay, ip } from "./fake-overlay.ts";

const NAMES = Array.from("abcdefghij");
const number = (min: number, max: number) => fc.integer({ min, max });
/** Few, in the own subnet and others, so that Nodes often have the same; two have one short name. */
const four = fc.oneof(
  number(51, 54).map((host) => `192.168.50.${host}`),
  number(1, 8).map((host) => `192.168.51.${host}`),
);
const SIX = ["fd00::51", "fd00:51::1", "fd00:51::5:5ac2", "fd00:51::9:bfaa"];
const six = fc.constantFrom(...SIX);
const addresses = fc.record({ 4: fc.option(four, { freq: 10 }), 6: fc.option(six) });
const ALL = [
  ...[51, 52, 53, 54].map((host) => `192.168.50.${host}`),
  ...[1, 2, 3, 4, 5, 6, 7, 8].map((host) => `192.168.51.${host}`),
  ...SIX,
].map(ip);
/** Those in other subnets: of two with one short name only one gets a tunnel. */
const FAR = new Set(ALL.filter((address) => /^192.168.51|^fd00:51:/.test(address)));

const node = fc.record({
  kind: fc.constant("node" as const),
  name: fc.constantFrom(...NAMES),
  addresses: fc.option(addresses, { freq: 3 }),
});
/** What happens beside, with how often it does. */
const other = <K extends string>(weight: number, ...kinds: readonly K[]) => ({
  weight,
  arbitrary: fc.record({ kind: fc.constantFrom(...kinds), at: number(0, 30), to: four }),
});
const happenings = [
  { weight: 16, arbitrary: node },
  other(8, "soon"),
  other(7, "later", "look", "by-hand", "refused", "broken"),
  other(1, "unsettled", "own"),
];
/** Of these it shows who was sooner, the hand or the plan. */
const races = other(2, "adopted", "stranger");
/**
 * Without refusals, after which the one tries again at another time than the other: an item that a
 * hand made its own can go with its device in the one, and outlive the Node's absence in the other.
 */
const RACED = [
  { weight: 16, arbitrary: node },
  other(8, "soon"),
  other(4, "later", "look", "by-hand"),
  other(1, "own"),
  races,
];
type Happening = (typeof races | (typeof happenings)[number])["arbitrary"] extends infer A
  ? A extends fc.Arbitrary<infer T>
    ? T
    : never
  : never;
const TROUBLES: ReadonlySet<Happening["kind"]> = new Set([
  ...(["by-hand", "adopted", "refused", "broken", "unsettled", "stranger"] as const),
]);

const settings = fc.record({
  type: fc.constantFrom("subnet" as const, "full" as const),
  encap: fc.constantFrom("vxlan" as const, "ipip" as const),
  vni: fc.constant(77),
  port: fc.constant(4789),
});

const RUNS = Number(process.env["RUNS"] ?? 300);

function remote(of: { readonly 4: string | null; readonly 6: string | null }): FamilyAddresses {
  const { 4: v4, 6: v6 } = of;
  return { 4: v4 === null ? undefined : ip(v4), 6: v6 === null ? undefined : ip(v6) };
}

class Machine {
  readonly kernel = new FakeOverlay(["192.168.50.50/24", "fd00::50/64"]);
  readonly clock = new FakeClock();
  readonly overlay: OverlayController;
  settled = true;
  /** Wants of which all Nodes were gone through. */
  wholes = 0;
  #refuse = 0;
  /** What the routes know of the ways, and of Nodes in other subnets why there is none. */
  readonly known = new Map<IpAddress, readonly [way: unknown, why: unknown]>();

  #nodes: ReadonlySet<IpAddress | undefined> = new Set();
  /** Without an IPv6 address of its own a node tunnels to none. */
  #own: FamilyAddresses = { 4: ip("192.168.50.50"), 6: ip("fd00::50") };

  /** `slow`: the kernel takes its time, before and after it does what it is asked for. */
  constructor(given: OverlaySettings, slow: boolean) {
    if (slow) this.#slowDown();
    this.kernel.refuses = () => this.#refuse-- > 0;
    this.overlay = new OverlayController(
      { settings: given },
      {
        ...{ kernel: this.kernel, clock: this.clock, random: () => 0.5, log: silentLog },
        settled: () => this.settled,
        onWays: (news) => this.#hear(news),
      },
    );
    this.overlay.start();
  }

  want(nodes: ReadonlyMap<string, FamilyAddresses>, changed?: readonly RemoteChange[]): void {
    this.#nodes = new Set([...nodes.values()].flatMap((each) => [each[4], each[6]]));
    for (const address of this.known.keys()) {
      if (!this.#nodes.has(address)) this.known.delete(address);
    }
    let asked = false;
    const note = () => {
      if (!asked) this.wholes++;
      asked = true;
    };
    const wanted: OverlayWanted = {
      own: this.#own,
      ownPodCidrs: [prefix("10.233.64.0/24"), prefix("fd00:10:233:40::/64")],
      get remotes() {
        note();
        return [...nodes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each);
      },
    };
    this.overlay.want(wanted, changed);
  }

  async suffer(what: Happening & { readonly key: string }): Promise<void> {
    const { kernel, clock } = this;
    switch (what.kind) {
      case "node":
        return;
      case "soon":
        return clock.advanceAsync(what.at % 3);
      case "look":
        // Whoever needs no tunnel is not told of, unless tunnels go first; of no Node are no routes.
        for (const address of this.overlay.first ? ALL : FAR) {
          if (this.#nodes.has(address)) this.known.set(address, this.said(address));
        }
        return;
      case "refused":
        this.#refuse = 1 + (what.at % 2);
        return;
      case "broken":
        kernel.broken = !kernel.broken;
        return;
      case "own":
        this.#own = { ...this.#own, 6: this.#own[6] === undefined ? ip("fd00::50") : undefined };
        return;
      case "unsettled":
        this.settled = !this.settled;
        return;
      case "by-hand":
      case "adopted": {
        const entry = kernel.items.get(what.key);
        if (entry === undefined) return;
        if (what.kind === "by-hand") kernel.items.delete(what.key);
        else kernel.items.set(what.key, { ...entry, foreign: true });
        break;
      }
      case "stranger": {
        const route = { kind: "route", prefix: prefix(`${what.to}/32`), link: 2 } as const;
        kernel.put({ ...route, gateway: undefined }, true);
        break;
      }
      case "later":
        this.settled = true;
        kernel.broken = false;
        this.#refuse = 0;
        // Not to its end: a slow kernel would be in the middle of the look of each minute.
        return clock.advanceAsync(2.5 * OVERLAY_PERIOD_MS);
    }
    kernel.listener?.onEvent({ kind: "table" });
  }

  /** Devices by name, and what is on them. */
  state(): readonly string[] {
    const nameOf = (index: number | undefined) =>
      index === undefined ? "" : this.kernel.links.get(index)?.name;
    const items = [...this.kernel.items.values()].map(({ item, foreign }) => {
      return JSON.stringify({ ...item, link: nameOf(linkOf(item)), foreign });
    });
    return [...[...this.kernel.links.values()].map(({ name }) => name), ...items].sort();
  }

  async stop(): Promise<void> {
    const stopped = this.overlay.stop();
    await this.clock.advanceAsync(50);
    await stopped;
  }

  ways(of: Iterable<IpAddress>): readonly unknown[] {
    return [...of].map((address) => {
      const way = this.overlay.way(address);
      if (way?.ready !== true) return [address, way];
      return [
        address,
        { ...way, hop: { ...way.hop, link: this.kernel.links.get(way.hop.link)?.name } },
      ];
    });
  }

  #slowDown(): void {
    const { kernel, clock } = this;
    const wait = () => new Promise<void>((resolve) => clock.after(1, resolve));
    const slowly = <A extends unknown[], R>(call: (...args: A) => Promise<R>) => {
      return async (...args: A): Promise<R> => {
        await wait();
        const answer = await call.apply(kernel, args);
        await wait();
        return answer;
      };
    };
    kernel.apply = slowly(kernel.apply);
    kernel.read = slowly(kernel.read);
  }

  status(): unknown {
    const { repairs: _, failed: __, devices, ...counts } = this.overlay.status();
    return { ...counts, devices: [...devices].sort() };
  }

  said(address: IpAddress): readonly [way: unknown, why: unknown] {
    const { overlay } = this;
    return [overlay.way(address), FAR.has(address) ? overlay.whyNone(address) : undefined];
  }

  #hear(news: WaysNews): void {
    const told = news === "all" ? ALL : news;
    for (const address of told) {
      const known = this.known.get(address);
      if (known === undefined) continue;
      // Of some next hops those routes are looked at that wait; those that lead there directly do not.
      const leads = this.overlay.first && known[0] === undefined && !FAR.has(address);
      if (news === "all" || !leads) this.known.set(address, this.said(address));
    }
  }
}

/** Both have had time for what they were asked for. */
function compare(one: Machine, other: Machine): void {
  assert.deepEqual(one.state(), other.state());
  assert.deepEqual(one.ways(ALL), other.ways(ALL));
  assert.deepEqual(one.overlay.conditions(), other.overlay.conditions());
  assert.deepEqual(one.status(), other.status());
  for (const machine of [one, other]) {
    for (const [address, said] of machine.known) {
      assert.deepEqual(said, machine.said(address), `told of ${address}`);
    }
  }
}

async function hold(slow: boolean, seed?: number): Promise<void> {
  let [wants, wholes] = [0, 0];
  const size = { minLength: 40, maxLength: 60 };
  const troubled = fc.array(fc.oneof(...happenings), size);
  const history = slow ? troubled : fc.oneof(troubled, fc.array(fc.oneof(...RACED), size));
  await fc.assert(
    fc.asyncProperty(settings, history, async (given, events) => {
      const [one, other] = [new Machine(given, slow), new Machine(given, slow)];
      const both = [one, other];
      const nodes = new Map<string, FamilyAddresses>();
      for (const machine of both) machine.want(nodes);
      // What the kernel refuses is tried again at other times by the one than by the other.
      let calm = true;
      for (const what of events) {
        if (what.kind === "node") {
          const before = nodes.get(what.name);
          const after = what.addresses === null ? undefined : remote(what.addresses);
          if (after === undefined) nodes.delete(what.name);
          else nodes.set(what.name, after);
          one.want(new Map(nodes), [{ before, after }]);
          other.want(new Map(nodes));
          wants++;
        }
        const items = [...one.kernel.items.keys()].filter((key) => other.kernel.items.has(key));
        const key = what.kind === "node" ? "" : (items.sort()[what.at] ?? "");
        for (const machine of both) {
          await machine.suffer({ ...what, key });
          if (what.kind === "own") machine.want(new Map(nodes));
        }
        calm = what.kind === "later" || (calm && !TROUBLES.has(what.kind));
        const hadTime = what.kind === "soon" && what.at % 3 > 0 && !slow;
        if (calm && (hadTime || what.kind === "later")) compare(one, other);
      }
      wholes += one.wholes;
      for (const machine of both) await machine.suffer({ kind: "later", at: 0, to: "", key: "" });
      compare(one, other);
      for (const machine of both) await machine.stop();
    }),
    { numRuns: RUNS, ...(seed === undefined ? {} : { seed }) },
  );
  // Else little was held against anything.
  assert.ok((slow ? 1 : 2) * wholes < wants, `${wholes} looks at all for ${wants} changes`);
}

test("what follows few Nodes at a time is what looks at all", () => hold(false));
test("the same where the kernel takes its time", () => hold(true));
// An own address goes and comes, and before the Nodes are decided again their tunnels are there.
test("the same for histories that made a difference once", () => hold(true, 684_766_712));
