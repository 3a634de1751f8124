/**
 * One UPDATE, one session that comes or goes, one word of the kernel: each costs the same with 10
 * and with 1,000 peers, with 1,000 and with 100,000 prefixes. Every step of ours is counted, from
 * the octets of the message to those that go on, and to the operation for the kernel.
 */
import "../support/steps.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { BgpPart } from "../../src/agent/bgp-part.ts";
import { UpdateWriter } from "../../src/bgp/message/update-writer.ts";
import type { Policy } from "../../src/bgp/rib/policy-types.ts";
import type { IpAddress } from "../../src/ip/address.ts";
import { type Prefix, prefix } from "../../src/ip/prefix.ts";
import { PrefixBatch } from "../../src/ip/prefix-batch.ts";
import { RouteController } from "../../src/routes/controller.ts";
import type { OperationBatch } from "../../src/routes/operation-batch.ts";
import type { KernelRoute } from "../../src/routes/types.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { FakeKernel, route as kernelRoute } from "../routes/fake-kernel.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { MemoryNetwork } from "../support/memory-network.ts";
import { negotiatedSession } from "../support/negotiated-session.ts";
import { openOf, RawPeer } from "../support/raw-peer.ts";
import { ACCEPT_ALL, route } from "../support/rib-lab.ts";
import { ip, peerConfig, seededRandom, speakerConfig } from "../support/speakers.ts";
import { type Steps, stepsOf } from "../support/steps.ts";
import { Growth, holdKnown, type Known, SESSIONS } from "./growth.ts";

const OWN = ip("192.168.0.1");
const SENDER = ip("192.168.0.2");
const RECEIVER = ip("192.168.0.3");
const SENDER_AS = 65_001;
const RECEIVER_AS = 65_002;
const CHANGE_MS = 100;
const START_MS = 20_000;
const UPDATE_PREFIXES = 100;

const NOTHING: Policy = { name: "none", statements: [], defaultResult: "reject" };

interface Size {
  /** Internal ones, with one prefix each. */
  readonly peers: number;
  /** Of one external peer; another one is told of all. */
  readonly prefixes: number;
  /** Whether the internal ones are told of them. */
  readonly told: boolean;
}

/** Takes any number of routes without a look at all of them. */
class RoomyKernel extends FakeKernel {
  readonly table = new Map<Prefix, KernelRoute>();

  override async apply(batch: OperationBatch) {
    for (const operation of batch.operations()) {
      if (operation.kind === "delete") this.table.delete(operation.prefix);
      else {
        const made = { ...kernelRoute(operation.prefix), hops: operation.hops };
        this.table.set(operation.prefix, made);
      }
    }
    return new Map<number, never>();
  }

  /** By somebody else's hand. */
  lose(entry: KernelRoute): void {
    this.table.delete(entry.prefix);
    this.report("delete", entry);
  }

  override async dumpRoutes(begin: () => (route: KernelRoute) => void): Promise<void> {
    const visit = begin();
    for (const entry of this.table.values()) visit(entry);
  }
}

/** Its name, what happens, what follows from it, and within how many ms. */
type Event = readonly [
  what: string,
  () => void,
  follows?: (() => boolean) | undefined,
  ms?: number,
];

class World {
  readonly #clock = new FakeClock();
  readonly #network = new MemoryNetwork(this.#clock);
  readonly kernel = new RoomyKernel(this.#clock);
  readonly #bgp: BgpPart;
  readonly #routes: RouteController;
  readonly #size: Size;
  readonly #sender: RawPeer;
  readonly #mesh: readonly RawPeer[];

  constructor(size: Size) {
    this.#size = size;
    const deps = { clock: this.#clock, random: seededRandom(1), log: silentLog };
    this.#bgp = new BgpPart(
      { ...deps, transport: this.#network.host(OWN) },
      {
        onChangesWait: () => this.#routes.changesWait(),
        onTableChange: () => this.#routes.wantedChanged(),
        onConverged: () => undefined,
      },
    );
    this.kernel.addresses = [{ link: 2, address: OWN, subnet: prefix("192.168.0.0/16") }];
    this.kernel.links = [...this.kernel.links, { index: 3, name: "enp2s0", up: true }];
    this.#routes = new RouteController(
      { guards: { protectedAddresses: [], ownPodCidrs: [] } },
      {
        ...{ ...deps, kernel: this.kernel, desired: this.#bgp },
        onTopology: (_, news) => this.#bgp.underlayChanged(news),
      },
    );
    this.#sender = this.#peer(SENDER, SENDER_AS);
    this.#mesh = Array.from({ length: size.peers }, (_, i) => this.#peer(meshAddress(i), 64_512));
  }

  /** All sessions are up, all is told and in the kernel when it resolves. */
  async start(): Promise<void> {
    await this.#routes.start();
    const policy = { importPolicy: ACCEPT_ALL, exportPolicy: ACCEPT_ALL };
    const external = { ...policy, gracefulRestart: undefined };
    const exportPolicy = this.#size.told ? undefined : NOTHING;
    const internal = { gracefulRestart: undefined, exportPolicy };
    const plan = {
      speaker: speakerConfig(OWN),
      peers: [
        peerConfig(OWN, SENDER, { ...external, remoteAs: SENDER_AS }),
        peerConfig(OWN, RECEIVER, { ...external, remoteAs: RECEIVER_AS }),
        ...this.#mesh.map(({ address }) => peerConfig(OWN, address, internal)),
      ],
      ...{ named: [], routes: [], problems: [], warnings: [], nodePeers: undefined },
    };
    this.#peer(RECEIVER, RECEIVER_AS);
    this.#bgp.update({ ok: true, plan });
    await this.#clock.advanceAsync(START_MS);
    const { prefixes } = this.#size;
    for (let at = 0; at < prefixes; at += UPDATE_PREFIXES) {
      this.#sender.send(fromSender(at, Math.min(UPDATE_PREFIXES, prefixes - at)));
      await this.#clock.advanceAsync(2);
    }
    for (const [i, peer] of this.#mesh.entries()) peer.send(fromMesh(i));
    await this.#clock.advanceAsync(START_MS);
    this.#routes.converged();
    await this.#clock.advanceAsync(START_MS);
    // What was left of the many is cleared by the next one.
    for (const bytes of [fromSender(prefixes, 1), withdrawal(prefixes)]) {
      this.#sender.send(bytes);
      await this.rest();
    }
    const { table } = this.kernel;
    const expected = prefixes + this.#mesh.length;
    if (table.size !== expected) throw new Error(`${table.size} routes of ${expected}`);
  }

  events(): readonly Event[] {
    const sender = this.#sender;
    const { prefixes } = this.#size;
    const peer = this.#mesh[5]!;
    const foreign = kernelRoute("203.0.113.0/24", { protocol: 4 });
    const gone = kernelRoute("20.0.3.0/24", { via: SENDER });
    const other = { link: 3, address: ip("203.0.114.1"), subnet: prefix("203.0.114.0/24") };
    const ofPod = { link: 3, address: ip("fe80::1"), subnet: prefix("fe80::/64") };
    const has = (to: string) => () => this.kernel.table.has(prefix(to));
    const not = (follows: () => boolean) => () => !follows();
    const [more, ofMesh] = [has(prefixOf(20, prefixes)), has(prefixOf(50, prefixes))];
    const isUp = () => {
      const status = this.#bgp.peers().find(({ address }) => address === peer.address);
      return status?.state === "Established";
    };
    const tellsOf = (path: string) => () => {
      const [best] = [...this.#bgp.pathsOf(prefix(prefixOf(20, prefixes)))];
      return best?.asPath === path;
    };
    return [
      ["announced", () => sender.send(fromSender(prefixes, 1)), more],
      [
        "other attributes",
        () => sender.send(fromSender(prefixes, 1, [SENDER_AS, 65_003])),
        tellsOf(`${SENDER_AS} 65003`),
      ],
      ["withdrawn", () => sender.send(withdrawal(prefixes)), not(more)],
      ["announced by an internal peer", () => peer.send(fromMesh(prefixes)), ofMesh],
      ["a peer goes", () => peer.stop(), not(isUp)],
      ["a peer comes", () => peer.dial(OWN), isUp],
      ["nothing, for a second", () => undefined, undefined, 1000],
      ["a route of somebody else", () => this.kernel.add(foreign)],
      ["it goes", () => this.kernel.delete((entry) => entry === foreign)],
      ["a route of ours is removed", () => this.kernel.lose(gone), has(gone.prefix)],
      ["another link is down", () => this.kernel.setLink(3, false)],
      ["it is up", () => this.kernel.setLink(3, true)],
      ["a link of a pod has its address", () => this.kernel.addAddress(ofPod)],
      ["another link has an address", () => this.kernel.addAddress(other)],
    ];
  }

  async stepsOf([what, event, follows, ms = CHANGE_MS]: Event): Promise<Steps> {
    const steps = await stepsOf(async () => {
      event();
      await this.#clock.advanceAsync(ms);
      this.#bgp.conditions();
      this.#routes.status();
    });
    assert.notEqual(follows?.(), false, `${what}: it has followed`);
    return steps;
  }

  async rest(): Promise<void> {
    await this.#clock.advanceAsync(1000);
  }

  async stop(): Promise<void> {
    await this.#routes.stop();
    this.#bgp.stop({ notify: false });
  }

  #peer(address: IpAddress, as: number): RawPeer {
    const peer = new RawPeer(this.#network.host(address), address).listen();
    const capabilities = [{ kind: "fourOctetAs", as } as const, { kind: "routeRefresh" } as const];
    peer.autoOpen = openOf(address, { as2: as, capabilities });
    peer.keepalives = true;
    return peer;
  }
}

const meshAddress = (i: number) => ip(`192.168.${1 + (i >> 8)}.${i & 255}`);

const prefixOf = (first: number, i: number) =>
  `${first + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.0/24`;

function batchOf(first: number, at: number, count: number): PrefixBatch {
  const batch = new PrefixBatch();
  batch.reset(4);
  for (let i = at; i < at + count; i++) batch.push4(first * 2 ** 24 + i * 256, 24);
  return batch;
}

/** From 20.0.0.0/24 on, a new attribute set for each message. */
function fromSender(at: number, count: number, path = [SENDER_AS, 100_000 + at]): Uint8Array {
  const writer = new UpdateWriter(negotiatedSession({ internal: false }));
  writer.announce(route({ path, nextHop: SENDER }), batchOf(20, at, count));
  return writer.take();
}

function withdrawal(at: number): Uint8Array {
  const writer = new UpdateWriter(negotiatedSession({ internal: false }));
  writer.withdraw(batchOf(20, at, 1));
  return writer.take();
}

/** From 50.0.0.0/24 on. */
function fromMesh(i: number): Uint8Array {
  const writer = new UpdateWriter(negotiatedSession());
  writer.announce(route({ nextHop: meshAddress(0), localPref: 100 }), batchOf(50, i, 1));
  return writer.take();
}

const growths: Growth[] = [];

function hold(
  title: string,
  of: "peers" | "prefixes",
  sizes: readonly Size[],
  known: readonly Known[],
) {
  test(title, async (t) => {
    const growth = new Growth([...known, ...SESSIONS]);
    growths.push(growth);
    const runs = new Map<string, { size: number; steps: Steps }[]>();
    for (const size of sizes) {
      const world = new World(size);
      await world.start();
      for (const event of world.events()) {
        const [what] = event;
        const steps = await world.stepsOf(event);
        runs.set(what, [...(runs.get(what) ?? []), { size: size[of], steps }]);
        await world.rest();
      }
      await world.stop();
    }
    for (const [what, list] of runs) await t.test(what, () => growth.hold(what, list));
  });
}

const TOLD: readonly Known[] = [
  "src/bgp/rib/",
  "src/bgp/session/",
  "src/bgp/speaker/",
  "src/bgp/message/",
  "src/runtime/assert.ts assert",
].map((where) => ({
  where,
  at: ["announced", "other attributes", "withdrawn"],
  each: 18,
  why: "each peer is told, by the same octets",
}));

const TOLD_ALL: readonly Known[] = ["src/bgp/rib/", "src/bgp/message/", "src/ip/"].map((where) => ({
  where,
  at: ["a peer comes"],
  each: 8,
  why: "who comes is told the table, and each row is looked at for that",
}));

/** What leads to next hops may be another: an address that others can be reached by is rare. */
const ALL_ROUTES: readonly Known[] = [
  "src/routes/",
  "src/bgp/",
  "src/ip/",
  "src/agent/bgp-part.ts",
].map((where) => ({
  where,
  at: ["another link has an address"],
  each: 50,
  why: "all routes are held against the kernel, in slices, and each session is looked at",
}));

const ten = { peers: 10, prefixes: 100 };
const peers = [10, 100, 1000].map((count) => ({ ...ten, peers: count }));
const told = (so: boolean, sizes: readonly Omit<Size, "told">[]) =>
  sizes.map((size) => ({ ...size, told: so }));
hold("with more peers", "peers", told(false, peers), ALL_ROUTES);
hold("with more peers that are told", "peers", told(true, peers), [
  ...TOLD,
  ...TOLD_ALL,
  ...ALL_ROUTES,
]);
const prefixes = [1000, 10_000, 100_000].map((count) => ({ ...ten, prefixes: count }));
hold("with more prefixes", "prefixes", told(true, prefixes), [...TOLD_ALL, ...ALL_ROUTES]);
test("what is known to grow does", () => holdKnown([...TOLD, ...TOLD_ALL, ...ALL_ROUTES], growths));
