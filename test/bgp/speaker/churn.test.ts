/**
 * Property: whatever has happened to some speakers (restarts, lost connections, peers that were
 * changed, taken out and put back), once they are left in peace each has the routes of all others,
 * none of them stale, and is told of every change that comes then.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Policy } from "../../../src/bgp/rib/policy-types.ts";
import type { PeerConfig } from "../../../src/bgp/types.ts";
import { prefix } from "../../../src/ip/prefix.ts";
import { ip, type TestNode, World } from "../../support/speakers.ts";

const NODES = 4;
const acceptAll: Policy = { name: "all", statements: [], defaultResult: "accept" };
const rejectAll: Policy = { name: "none", statements: [], defaultResult: "reject" };
/** More than a message of 4,096 octets has room for. */
const MANY = Array.from({ length: 1100 }, (_, i) => 0x1_0000 + i);
const tagAll: Policy = {
  name: "tag",
  statements: [{ name: "all", match: {}, set: { addCommunities: MANY }, result: "accept" }],
  defaultResult: "reject",
};
const restart = { restartSeconds: 20, notification: false, longLivedSeconds: undefined };

/** What all peerings are, before anything happens and in the end. */
const SETTINGS: readonly Partial<PeerConfig>[] = [
  {},
  { addPath: "both", enhancedRouteRefresh: true },
  { gracefulRestart: { restartSeconds: 5, notification: true, longLivedSeconds: 60 } },
  { gracefulRestart: { restartSeconds: 0, notification: true, longLivedSeconds: 60 } },
  { holdSeconds: 0 },
  { families: [6, 4], enhancedRouteRefresh: true },
];

/** What a peering may be while nobody is in peace. */
const CHANGES: readonly Partial<PeerConfig>[] = [
  {},
  { gracefulRestart: undefined },
  { gracefulRestart: { ...restart, notification: true, longLivedSeconds: 40 } },
  { shutdown: { message: "" } },
  { importPolicy: rejectAll },
  { exportPolicy: rejectAll },
  { enhancedRouteRefresh: true, families: [4, 6] },
  { routeReflectorClient: true, addPath: "both" },
  { routeReflectorClient: true },
  { maximumPrefixes: { limit: 2, warningPercent: 50, restartSeconds: 5 } },
  { maximumPrefixes: { limit: 1, warningPercent: 50, restartSeconds: 0 } },
  { exportPolicy: tagAll },
  { exportPolicy: tagAll, extendedMessage: true },
  { nextHopSelf: true, name: "another" },
  { passive: true },
  { port: 1179 },
  { holdSeconds: 0 },
  { holdSeconds: 3, addPath: "send" },
  { localAs: 64999 },
  { remoteAs: 64999, gracefulRestart: { ...restart, restartSeconds: 0, longLivedSeconds: 20 } },
  { password: "key" },
];

const node = fc.nat(NODES - 1);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ what: fc.constant("wait" as const), ms: fc.nat(3_000) }) },
  fc.record({ what: fc.constant("wait" as const), ms: fc.nat(60_000) }),
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constant("stop" as const), node, notify: fc.boolean() }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant("start" as const),
      node,
      restarted: fc.boolean(),
      reboot: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant("peers" as const),
      node,
      change: fc.nat(CHANGES.length - 1),
      without: fc.option(node),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constantFrom("cut", "heal", "hard", "soft", "lost", "found", "dial", "refresh"),
      node,
      other: node,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant("originate" as const),
      node,
      count: fc.nat(3),
      large: fc.boolean(),
    }),
  },
  fc.record({
    what: fc.constant("config" as const),
    node,
    routerId: fc.nat(3),
    paths: fc.integer({ min: 1, max: 3 }),
    clusterId: fc.option(fc.nat(3)),
    otherAs: fc.boolean(),
  }),
);
const history = fc.array(step, { minLength: 5, maxLength: 40 });
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Each with each, in one AS or in ASes of their own, or all with the first, which reflects. */
type Shape = "mesh" | "mesh of ASes" | "star";

class Mesh {
  readonly shape: Shape;
  readonly settings: Partial<PeerConfig>;
  readonly world: World;
  readonly nodes: TestNode[];
  /** What the kernel of each would hold, which goes on forwarding while its speaker is away. */
  readonly kernels = new Map<TestNode, Map<string, string>>();

  constructor(shape: Shape, settings: Partial<PeerConfig>, seed: number) {
    this.shape = shape;
    this.settings = settings;
    this.world = new World({ seed, latencyMs: seed % 7 });
    this.nodes = Array.from({ length: NODES }, (_, index) =>
      this.world.node(`192.0.2.${index + 1}`, { as: this.asOf(index) }),
    );
    for (const one of this.nodes) this.begin(one, 0);
  }

  begin(one: TestNode, count: number): void {
    const kernel = new Map<string, string>();
    this.kernels.set(one, kernel);
    one.speaker.onBestChange((routes) => {
      for (const { prefix, nextHops } of routes) {
        if (nextHops.length === 0) kernel.delete(prefix);
        else kernel.set(prefix, nextHops.join(","));
      }
    });
    one.speaker.setPeers(this.wanted(one));
    this.originate(one, count);
    one.speaker.start();
  }

  wanted(one: TestNode, changes: Partial<PeerConfig> = {}, without?: TestNode): PeerConfig[] {
    const [first] = this.nodes;
    const isPeer = (other: TestNode) => this.shape !== "star" || one === first || other === first;
    const others = this.nodes.filter((other) => other !== one && other !== without);
    const reflects = this.shape === "star" && one === first ? { routeReflectorClient: true } : {};
    const usual = { gracefulRestart: restart, ...this.settings };
    const settings = { ...usual, ...changes, ...reflects };
    return others
      .filter(isPeer)
      .map((other) => one.peerTo(other, { ...this.relation(other), ...settings }));
  }

  private relation(other: TestNode): Partial<PeerConfig> {
    if (this.shape !== "mesh of ASes") return {};
    return {
      remoteAs: this.asOf(this.nodes.indexOf(other)),
      importPolicy: acceptAll,
      exportPolicy: acceptAll,
    };
  }

  private asOf(index: number): number {
    return this.shape === "mesh of ASes" ? 65001 + index : 64512;
  }

  originate(one: TestNode, count: number, communities: readonly number[] = []): void {
    const from = this.nodes.indexOf(one);
    const routes = Array.from({ length: count }, (_, i) => prefix(`10.${from}.${i}.0/24`));
    const more = { nextHop: one.address, communities, med: undefined };
    one.speaker.originate(routes.map((of) => ({ prefix: of, ...more })));
  }

  run(next: Step): void {
    if (next.what === "wait") {
      this.world.advance(next.ms);
      return;
    }
    const one = this.nodes[next.node]!;
    switch (next.what) {
      case "stop":
        one.speaker.stop({ notify: next.notify });
        break;
      case "start":
        one.speaker.stop({ notify: false });
        if (next.reboot) one.reboot({ ...one.speaker.config, restarted: false });
        else one.restart({ ...one.speaker.config, restarted: next.restarted });
        this.begin(one, 1);
        break;
      case "peers": {
        const without = next.without === null ? undefined : this.nodes[next.without];
        one.speaker.setPeers(this.wanted(one, CHANGES[next.change], without));
        break;
      }
      case "originate":
        this.originate(one, next.count, next.large ? MANY : []);
        break;
      case "config": {
        const { routerId, paths, clusterId, otherAs } = next;
        const settings = {
          routerId: ip(`198.51.100.${4 * routerId + next.node}`),
          maximumPaths: paths,
          clusterId: clusterId === null ? undefined : ip(`198.51.100.${64 + clusterId}`),
          as: otherAs ? 64998 : this.asOf(next.node),
        };
        one.speaker.setConfig({ ...one.speaker.config, ...settings });
        break;
      }
      default:
        this.meet(next.what, one, this.nodes[next.other]!);
    }
    this.world.advance(3);
  }

  /** What holds at any time: paths are of peers that are wanted, fresh ones of sessions that stand. */
  check(): void {
    for (const { speaker } of this.nodes) {
      const counts = new Map<string, number>();
      for (const { peer, stale } of speaker.ribPaths({ view: "in" })) {
        if (peer === undefined) continue;
        const status = speaker.peer(ip(peer.address));
        assert.ok(status !== undefined, `path of ${peer.address}, which was taken out`);
        assert.ok(stale || status.state === "Established", `fresh path of ${peer.address}`);
        assert.notEqual(status.adminState, "down");
        counts.set(peer.address, (counts.get(peer.address) ?? 0) + 1);
      }
      for (const { address, families } of speaker.peers()) {
        const sum = families.reduce((total, { received }) => total + received, 0);
        assert.equal(sum, counts.get(address) ?? 0, `paths of ${address}`);
      }
    }
  }

  private meet(what: string, one: TestNode, other: TestNode): void {
    if (one === other) return;
    if (what === "lost" || what === "found") {
      if (what === "lost") one.unreachable.add(other.address);
      else one.unreachable.delete(other.address);
      one.speaker.underlayChanged();
      return;
    }
    if (what === "dial") one.speaker.dialWaiting();
    else if (what === "refresh") one.speaker.routeRefresh(other.address);
    else if (what === "cut") this.world.network.cut(one.address, other.address);
    else if (what === "heal") this.world.network.heal(one.address, other.address);
    else one.speaker.resetPeer(other.address, what === "hard" ? "hard" : "soft");
  }

  /** From here on everybody has its first settings, and is left alone. */
  settle(): void {
    for (const one of this.nodes) {
      for (const other of this.nodes) {
        if (one !== other) this.world.network.heal(one.address, other.address);
      }
      one.unreachable.clear();
      one.speaker.underlayChanged();
      const as = this.asOf(this.nodes.indexOf(one));
      const settings = { as, clusterId: undefined, maximumPaths: 1 };
      one.speaker.setConfig({ ...one.speaker.config, ...settings });
      one.speaker.setPeers(this.wanted(one));
      one.speaker.start();
    }
    this.world.advance(900_000);
  }

  expect(count: number): void {
    for (const one of this.nodes) {
      const wanted = this.nodes.flatMap((other, index) => {
        if (other === one) return [];
        return Array.from(
          { length: count },
          (_, i) => `10.${index}.${i}.0/24 via ${other.address}`,
        );
      });
      assert.deepEqual(one.routes(), wanted.sort(), `routes of ${one.address}`);
      const held = [...this.kernels.get(one)!].map(([of, ways]) => `${of} via ${ways}`);
      assert.deepEqual(held.sort(), wanted, `kernel of ${one.address}`);
      assert.deepEqual(one.speaker.troubles(), { missing: [], withoutNextHop: [], oversized: [] });
      if (this.shape !== "mesh of ASes")
        assert.equal(one.speaker.tableSizes().paths, NODES * count);
    }
  }
}

for (const shape of ["mesh", "mesh of ASes", "star"] as const) {
  test(`a ${shape} that is left in peace is whole again`, () => {
    fc.assert(
      fc.property(history, fc.constantFrom(...SETTINGS), fc.nat(), (steps, settings, seed) => {
        const mesh = new Mesh(shape, settings, seed);
        mesh.world.advance(5_000);
        for (const next of steps) {
          mesh.run(next);
          mesh.check();
        }
        mesh.settle();
        for (const count of [1, 3, 0, 2]) {
          for (const one of mesh.nodes) mesh.originate(one, count);
          mesh.world.advance(1_000);
          mesh.expect(count);
        }
      }),
      { numRuns: Number(process.env["MESH_CHURN_RUNS"] ?? 100), includeErrorInReport: true },
    );
  });
}
