/**
 * What an operator reads of tunnels and of the routes that need them, after whatever has happened,
 * against what an agent says that has only just looked: nothing is stale, missing or left over.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { IpAddress, IpFamily } from "../../src/ip/address.ts";
import { type Prefix, prefix } from "../../src/ip/prefix.ts";
import { isOurDevice } from "../../src/overlay/names.ts";
import type { RemoteChange } from "../../src/overlay/remote-nodes.ts";
import type {
  FamilyAddresses,
  HostLink,
  OverlaySettings,
  OverlayWanted,
} from "../../src/overlay/types.ts";
import { FakeKernel } from "../routes/fake-kernel.ts";
import { FakeDesired } from "../routes/harness.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { FakeOverlay, FOREIGN_VXLAN, ip, NIC } from "./fake-overlay.ts";
import { Agent, excludes, JoinedOverlay, kernelOf } from "./joined-agent.ts";

const OWN = { 4: "192.168.50.50", 6: "fd00::50" } as const;
const SUBNETS = { 4: "192.168.50.0/24", 6: "fd00::/64" } as const;
/** In a subnet that the machine may have as well. */
const SECOND = { 4: "192.168.51.99", 6: "fd00:51::99" } as const;
const SECOND_SUBNETS = { 4: "192.168.51.0/24", 6: "fd00:51::/64" } as const;
const NODES = Array.from("abcdef");
const FOUR = ["192.168.50.51", "192.168.51.1", "192.168.51.2", "192.168.52.1"];
/** Two have one short name. */
const SIX = ["fd00::51", "fd00:51::1", "fd00:51::5:5ac2", "fd00:51::9:bfaa"];
const POD_CIDRS = { 4: ["10.233.64.0/24"], 6: ["fd00:10:64::/64"] } as const;
/** A pass, its retries, and a comparison of the routes; less than the time of the look at all. */
const REST_MS = 50_000;
const RUNS = Number(process.env["RUNS"] ?? 150);

class History {
  readonly clock = new FakeClock();
  readonly world: { readonly overlay: JoinedOverlay; readonly kernel: FakeKernel };
  readonly desired = new FakeDesired();
  readonly agent: Agent;
  readonly nodes = new Map<string, FamilyAddresses>();
  readonly #settings: OverlaySettings;
  #own: FamilyAddresses = { 4: ip(OWN[4]), 6: ip(OWN[6]) };
  #nextLink = 50;

  constructor(settings: OverlaySettings) {
    this.#settings = settings;
    const overlay = new JoinedOverlay([]);
    const kernel = kernelOf(this.clock);
    overlay.onGone = (link) => {
      kernel.routes = kernel.routes.filter(({ hops }) => hops.every((hop) => hop.link !== link));
    };
    this.world = { overlay, kernel };
    this.agent = new Agent(settings, this.world, this.desired, this.clock);
    for (const family of [4, 6] as const) this.#address(OWN[family], SUBNETS[family], true);
  }

  get wanted(): OverlayWanted {
    return {
      own: this.#own,
      ownPodCidrs: [...POD_CIDRS[4], ...POD_CIDRS[6]].map(prefix),
      remotes: [...this.nodes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each),
    };
  }

  node(name: string, after: FamilyAddresses | undefined): void {
    const before = this.nodes.get(name);
    if (after === undefined) this.nodes.delete(name);
    else this.nodes.set(name, after);
    const changed: readonly RemoteChange[] = [{ before, after }];
    this.agent.overlay.want(this.wanted, changed);
    // With the peers that are no Nodes any more their routes go.
    const known = new Set([...this.nodes.values()].flatMap((each) => [each[4], each[6]]));
    for (const [key, { nextHops }] of this.desired.routes) {
      if (known.has(nextHops[0])) continue;
      this.desired.routes.delete(key);
      this.desired.change(key);
    }
    this.agent.routes.changesWait();
  }

  /** BGP has what the Node announces, or what nobody does any more. */
  announced(name: string): void {
    const at = NODES.indexOf(name);
    const addresses = this.nodes.get(name);
    for (const [family, to] of [
      [4, `10.233.${65 + at}.0/24`],
      [6, `fd00:10:${65 + at}::/64`],
    ] as const) {
      const key: Prefix = prefix(to);
      const hop = addresses?.[family];
      if (hop === undefined) this.desired.routes.delete(key);
      else this.desired.routes.set(key, { prefix: key, nextHops: [hop] });
      this.desired.change(key);
    }
    this.agent.routes.changesWait();
  }

  ownNode(family: IpFamily): void {
    const has = this.#own[family] !== undefined;
    this.#own = { ...this.#own, [family]: has ? undefined : ip(OWN[family]) };
    this.agent.overlay.want(this.wanted);
  }

  ownAddress(family: IpFamily, second: boolean): void {
    const text = second ? SECOND[family] : OWN[family];
    const subnet = second ? SECOND_SUBNETS[family] : SUBNETS[family];
    const has = this.world.overlay.addresses.some((one) => one.address === ip(text));
    this.#address(text, subnet, !has);
  }

  stranger(what: string): void {
    const { overlay } = this.world;
    const local = ip(OWN[4]);
    const devices: Record<string, Omit<HostLink, "index">> = {
      vni: { ...FOREIGN_VXLAN, name: "theirs", local },
      named: { ...FOREIGN_VXLAN, name: "podrouter-vx4", vni: 5, local },
      twin: { ...NIC, name: "twin", kind: "ipip", unfit: true, local, remote: ip(FOUR[3]!) },
      used: { ...NIC, name: "used", kind: "ipip", local, remote: ip(FOUR[2]!) },
    };
    const device = devices[what]!;
    const there = overlay.link(device.name);
    if (there !== undefined && isOurDevice(there)) return;
    if (there !== undefined) {
      overlay.remove(device.name);
      overlay.listener?.onEvent({ kind: "link", change: "delete", link: there });
      return;
    }
    const ours = [...overlay.links.values()].filter(isOurDevice);
    if (ours.some((link) => excludes(link, device))) return;
    const link = { ...device, index: this.#nextLink++ };
    overlay.addLink(link);
    overlay.listener?.onEvent({ kind: "link", change: "new", link });
  }

  strangersRoute(address: IpAddress): void {
    const { overlay } = this.world;
    const to = prefix(`${address}/${address.includes(":") ? 128 : 32}`);
    const key = `route ${to}`;
    if (overlay.items.get(key)?.foreign === true) overlay.items.delete(key);
    else overlay.put({ kind: "route", prefix: to, link: 2, gateway: undefined }, true);
    overlay.listener?.onEvent({ kind: "table" });
  }

  trouble(what: "refused" | "broken" | "overrun" | "lost" | "link"): void {
    const { overlay, kernel } = this.world;
    switch (what) {
      case "refused":
        overlay.unlucky = 2;
        return;
      case "broken":
        overlay.broken = !overlay.broken;
        overlay.listener?.onFailure();
        return;
      case "overrun":
        kernel.overrun();
        overlay.listener?.onOverrun();
        return;
      case "lost":
        for (const link of overlay.links.values()) {
          if (!isOurDevice(link)) continue;
          overlay.remove(link.name);
          overlay.listener?.onEvent({ kind: "link", change: "delete", link });
          return;
        }
        return;
      case "link": {
        const link = { ...NIC, up: !overlay.links.get(NIC.index)!.up };
        overlay.links.set(NIC.index, link);
        overlay.listener?.onEvent({ kind: "link", change: "new", link });
        kernel.setLink(NIC.index, link.up);
        return;
      }
    }
  }

  async compare(): Promise<void> {
    this.world.overlay.broken = false;
    this.world.overlay.unlucky = 0;
    await this.clock.advanceAsync(REST_MS);
    const clock = new FakeClock();
    const overlay = new FakeOverlay([]);
    overlay.links.clear();
    for (const [index, link] of this.world.overlay.links) overlay.links.set(index, link);
    for (const [key, item] of this.world.overlay.items) overlay.items.set(key, item);
    overlay.addresses = [...this.world.overlay.addresses];
    const kernel = new FakeKernel(clock);
    kernel.links = [...this.world.kernel.links];
    kernel.addresses = [...this.world.kernel.addresses];
    kernel.routes = [...this.world.kernel.routes];
    const fresh = new Agent(this.#settings, { overlay, kernel }, this.desired, clock);
    await fresh.start(this.wanted);
    await clock.advanceAsync(REST_MS);
    assert.deepEqual(overlay.log, [], "nothing was left to do");
    assert.deepEqual(this.agent.said(), fresh.said());
    assert.deepEqual(this.world.kernel.ours(), kernel.ours());
    await fresh.stop();
  }

  #address(text: string, subnet: string, add: boolean): void {
    const { overlay, kernel } = this.world;
    const address = ip(text);
    const entry = { link: NIC.index, address, subnet: prefix(subnet) };
    const others = overlay.addresses.filter((one) => one.address !== address);
    overlay.addresses = add ? [...others, entry] : others;
    overlay.listener?.onEvent({ kind: "address", address });
    if (add) kernel.addAddress(entry);
    else {
      // Linux takes what has it as its source along.
      kernel.routes = kernel.routes.filter(({ source }) => source !== address);
      kernel.deleteAddress(text);
    }
  }
}

const name = fc.constantFrom(...NODES);
const family = fc.constantFrom(4 as const, 6 as const);
const addresses = fc.record({
  4: fc.option(fc.constantFrom(...FOUR), { nil: undefined, freq: 8 }),
  6: fc.option(fc.constantFrom(...SIX), { nil: undefined, freq: 8 }),
});
const event = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("node" as const),
      name,
      addresses: fc.option(addresses, { nil: undefined, freq: 4 }),
      announced: fc.boolean(),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("announced" as const), name }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("own" as const), family }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("address" as const), family, second: fc.boolean() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("stranger" as const),
      what: fc.constantFrom("vni", "named", "twin", "used"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("route" as const),
      address: fc.constantFrom(...FOUR, ...SIX),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("time" as const),
      ms: fc.constantFrom(0, 1, 1, 30, 250, 3000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("trouble" as const),
      what: fc.constantFrom(...(["refused", "broken", "overrun", "lost", "link"] as const)),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("compare" as const) }) },
);
const settings = fc.record({
  type: fc.constantFrom("subnet" as const, "full" as const),
  encap: fc.constantFrom("vxlan" as const, "ipip" as const),
  vni: fc.constant(77),
  port: fc.constant(4789),
});

test("what is said after any history is what an agent says that looks for the first time", async () => {
  await fc.assert(
    fc.asyncProperty(
      settings,
      fc.array(event, { minLength: 5, maxLength: 50 }),
      async (given, events) => {
        const history = new History(given);
        await history.agent.start(history.wanted);
        for (const one of events) {
          switch (one.kind) {
            case "node": {
              const { 4: four, 6: six } = one.addresses ?? {};
              const some = {
                4: four === undefined ? four : ip(four),
                6: six === undefined ? six : ip(six),
              };
              history.node(one.name, one.addresses === undefined ? undefined : some);
              if (one.announced) history.announced(one.name);
              break;
            }
            case "announced":
              history.announced(one.name);
              break;
            case "own":
              history.ownNode(one.family);
              break;
            case "address":
              history.ownAddress(one.family, one.second);
              break;
            case "stranger":
              history.stranger(one.what);
              break;
            case "route":
              history.strangersRoute(ip(one.address));
              break;
            case "trouble":
              history.trouble(one.what);
              break;
            case "time":
              await history.clock.advanceAsync(one.ms);
              break;
            case "compare":
              await history.compare();
              break;
          }
        }
        await history.compare();
        await history.agent.stop();
      },
    ),
    { numRuns: RUNS },
  );
});
