/**
 * Property: whatever happens, the RIB's best paths and what each receiver holds after decoding all
 * that it was sent are what the naive RIB works out from scratch, and what the RIB counts is there.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { NegotiatedSession, RouteFamily } from "../../../src/bgp/message/types.ts";
import { NextHopBatch } from "../../../src/ip/next-hop-batch.ts";
import { prefix, prefixFamily } from "../../../src/ip/prefix.ts";
import { NaiveRib } from "../../support/naive-rib.ts";
import { describe, type LabPeer, LOCAL_AS, RibLab, ROUTER_ID } from "../../support/rib-lab.ts";
import { recount } from "../../support/rib-recount.ts";
import { history, NEXT_HOPS, type Operation, PEERS } from "./oracle-operations.ts";

const BOTH: readonly RouteFamily[] = [4, 6];

/** The RIB under test and the naive one, fed alike. */
class Pair {
  readonly lab: RibLab;
  readonly naive: NaiveRib;
  readonly peers: LabPeer[];
  /** What a kernel would hold that follows the changes of best routes. */
  readonly kernel = new Map<string, string>();

  constructor() {
    const groupLimits = { chunkRowsMax: 3, chunkBucketsMax: 2, sharedBytesMax: 100 };
    this.lab = new RibLab({ groupLimits, workAtOnce: 2, consumer: true });
    const globals = { localAs: LOCAL_AS, routerId: ROUTER_ID, clusterId: ROUTER_ID };
    this.naive = new NaiveRib({ ...globals, maximumPaths: 1 });
    this.peers = PEERS.map(([text, options]) => this.lab.peer(text, options));
  }

  run(operation: Operation): void {
    this.runOne(operation);
    if (!this.naive.hasLongLived) return;
    // An import policy that comes to mark them ends them, in slices.
    this.lab.settle();
    this.naive.dropUnkept();
  }

  private runOne(operation: Operation): void {
    if (!("peer" in operation)) this.runGlobal(operation);
    else {
      const peer = this.peers[operation.peer]!;
      if (operation.kind === "up") {
        // It has restarted, and nobody has noticed.
        if (peer.isUp) this.runOnPeer({ ...operation, kind: "down", retain: BOTH }, peer);
        const { routerId: remoteRouterId = peer.config.remoteRouterId } = operation;
        const negotiated = agreed({ ...peer.config.negotiated, ...operation.session });
        const { nextHops = peer.config.nextHops } = operation;
        peer.config = { ...peer.config, remoteRouterId, negotiated, nextHops };
        peer.up();
        this.naive.peerUp(peer.config);
      } else if (peer.isUp && operation.kind !== "longLived") this.runOnPeer(operation, peer);
      else if (peer.id >= 0 && this.naive.peers.has(peer.config.address)) {
        this.runOnDownPeer(operation, peer);
      }
    }
  }

  private runGlobal(operation: Exclude<Operation, { readonly peer: number }>): void {
    const { rib } = this.lab;
    switch (operation.kind) {
      case "originate":
        rib.originate(operation.routes);
        this.naive.originated = operation.routes;
        return;
      case "costs": {
        const cost = (nextHop: string) => {
          const index = (NEXT_HOPS as readonly string[]).indexOf(nextHop);
          return index < 0 ? 0 : operation.costs[index];
        };
        rib.setNextHopMetric(cost);
        this.naive.cost = cost;
        return;
      }
      case "globals":
        rib.setGlobals(operation);
        this.naive.globals = operation;
        return;
      case "take":
        this.takeBest(operation.budget);
        return;
      case "work":
        rib.work(operation.budget);
    }
  }

  private runOnPeer(operation: Operation, peer: LabPeer): void {
    const { rib } = this.lab;
    const { address: of } = peer.config;
    switch (operation.kind) {
      case "down":
        peer.isUp = false;
        rib.peerDown(peer.id, { retainStale: operation.retain });
        this.naive.peerDown(of, operation.retain);
        return;
      case "announce": {
        const usable = usableKeys(peer, operation.keys);
        peer.announce(usable, operation.attributes);
        this.naive.announce(of, usable, operation.attributes);
        return;
      }
      case "withdraw": {
        const usable = usableKeys(peer, operation.keys);
        if (operation.malformed) peer.treatAsWithdraw(usable);
        else peer.withdraw(usable);
        this.naive.withdraw(of, usable);
        return;
      }
      case "drain":
        peer.receiveSome(operation.bytes);
        return;
      case "hold":
        rib.holdOutput(peer.id, operation.held);
        if (operation.held) peer.readyCount = 0;
        return;
      case "refreshOut":
        rib.refreshOut(peer.id, operation.family, { enhanced: false });
        return;
      case "beginRefresh":
        // What is about to be swept still counts against a limit, where a refresh begins then.
        this.lab.settle();
        rib.beginRefresh(peer.id, 4);
        this.naive.beginRefresh(of, 4);
        return;
      case "endRefresh":
        rib.endRefresh(peer.id, 4);
        this.naive.sweep(of, 4);
        return;
      case "endOfRib":
        rib.endOfRib(peer.id, 4);
        if (!this.naive.peers.get(of)!.refreshes.has(4)) this.naive.sweep(of, 4);
        return;
      case "policies":
        this.changePolicies(operation, peer);
    }
  }

  private runOnDownPeer(operation: Operation, peer: LabPeer): void {
    const { address: of } = peer.config;
    if (operation.kind === "longLived") {
      if (peer.isUp) this.runOnPeer({ ...operation, kind: "down", retain: BOTH }, peer);
      this.lab.rib.markLongLived(peer.id, operation.family);
      // It comes in slices, each with what has changed until then.
      this.lab.settle();
      this.naive.markLongLived(of, operation.family);
    } else if (operation.kind === "endOfRib") {
      this.lab.rib.sweepStale(peer.id, 4);
      this.naive.sweep(of, 4);
    } else if (operation.kind === "policies") this.changePolicies(operation, peer);
  }

  private changePolicies(operation: Extract<Operation, { kind: "policies" }>, peer: LabPeer): void {
    const { importPolicy, exportPolicy, client, nextHopSelf, maximumPrefixes } = operation;
    const policies = { importPolicy, exportPolicy, nextHopSelf, maximumPrefixes };
    const changes = { ...policies, routeReflectorClient: client };
    peer.config = { ...peer.config, ...changes };
    this.lab.rib.setPeerPolicies(peer.id, changes);
    this.naive.peers.get(peer.config.address)!.config = peer.config;
  }

  compare(): void {
    this.lab.settle();
    const expected = [...this.naive.locRib()]
      .map(
        ([of, best]) => `${of} ${best.from?.address} ${best.pathId} ${describe(best.attributes)}`,
      )
      .sort();
    const actual = [...this.lab.rib.paths({ view: "loc" })]
      .filter((path) => path.best)
      .map((path) => `${path.prefix} ${path.peer?.address} ${path.pathId}`);
    assert.deepEqual(
      actual.sort(),
      expected.map((line) => line.split(" ").slice(0, 3).join(" ")).sort(),
    );
    this.compareKernel();
    for (const peer of this.peers) {
      if (!peer.isUp) continue;
      this.lab.rib.holdOutput(peer.id, false);
      peer.receive();
      assert.deepEqual(peer.heldByPrefix(), this.expectedView(peer), peer.config.name);
    }
    for (const peer of this.peers) this.compareCounters(peer);
  }

  /** Who has something to fetch knows it, and was told once. */
  checkWoken(): void {
    for (const { isUp, id, readyCount, config } of this.peers) {
      if (!isUp) continue;
      assert.ok(readyCount <= 1, `${config.name} is told again`);
      assert.ok(readyCount === 1 || !this.lab.rib.hasOutput(id), `${config.name} is not told`);
    }
  }

  /** What is counted of a peer that has heard all, or is down. */
  private compareCounters({ isUp, id, config }: LabPeer): void {
    const { rib } = this.lab;
    const known = this.naive.peers.has(config.address);
    const held = isUp ? [...this.naive.view(config)] : [];
    const told = (family: RouteFamily) =>
      held.reduce((sum, [of, all]) => sum + (prefixFamily(of) === family ? all.length : 0), 0);
    const expected = (isUp ? config.negotiated.families : known ? BOTH : []).map((family) => ({
      family,
      ...this.naive.counts(config.address, family),
      advertised: told(family),
      oversized: isUp ? this.naive.oversized(config, family) : 0,
      endOfRibSent: isUp,
    }));
    const counters = known ? rib.counters(id) : [];
    const counted = counters.map(({ endOfRibReceived: _, ...counts }) => counts);
    assert.deepEqual(counted, expected, `counters of ${config.name}`);
    if (!isUp) return;
    const said = rib.oversized().filter((oversized) => oversized.id === id);
    const families = expected.filter(({ oversized }) => oversized > 0);
    assert.deepEqual(
      said.map(({ example, count }) => [prefixFamily(example), count]).sort(),
      families.map(({ family, oversized }) => [family, oversized]).sort(),
    );
    const lacking = rib.withoutNextHop().filter((lack) => lack.id === id);
    assert.deepEqual(
      lacking.map(({ family }) => family).sort(),
      this.naive.withoutNextHop(config).sort(),
      `without a next hop: ${config.name}`,
    );
    const listed = [...rib.paths({ view: "out", peer: config.address })];
    assert.equal(listed.length, told(4) + told(6), "listed as told");
  }

  private takeBest(max: number): number {
    const routes = this.lab.rib.takeBestChanges(max);
    for (const { prefix: of, nextHops } of routes) {
      if (nextHops.length === 0) this.kernel.delete(of);
      else this.kernel.set(of, nextHops.join(" "));
    }
    return routes.length;
  }

  /** The same in columns, as the agent takes them. */
  private takeColumns(max: number): number {
    const { nextHops: reader } = this.lab.rib;
    let taken = 0;
    for (const of of BOTH) {
      const batch = new NextHopBatch();
      batch.prefixes.reset(of);
      reader.takeChanged(batch, max);
      const { prefixes, nextHops } = batch;
      for (let i = 0; i < prefixes.count; i++) {
        const ways = nextHops[i]!.join(" ");
        if (ways === "") this.kernel.delete(prefixes.prefixAt(i));
        else this.kernel.set(prefixes.prefixAt(i), ways);
      }
      reader.read(batch);
      assert.deepEqual(
        nextHops,
        Array.from(nextHops, (_, i) => {
          return this.lab.rib.lookupBest(prefixes.prefixAt(i))?.nextHops ?? [];
        }),
      );
      taken += prefixes.count;
    }
    return taken;
  }

  /** All that there is, walked in small steps. */
  private walked(): [string, string][] {
    const found: [string, string][] = [];
    for (const of of BOTH) {
      const batch = new NextHopBatch();
      let from = 0;
      do {
        batch.prefixes.reset(of);
        from = this.lab.rib.nextHops.walk(batch, from, 2);
        assert.ok(batch.prefixes.count <= 2);
        for (let i = 0; i < batch.prefixes.count; i++) {
          found.push([batch.prefixes.prefixAt(i), batch.nextHops[i]!.join(" ")]);
        }
      } while (from !== 0);
    }
    return found;
  }

  private compareKernel(): void {
    assert.equal(this.lab.rib.nextHops.changed > 0, this.takeBest(2) > 0);
    while (this.takeColumns(2) > 0) {}
    assert.equal(this.lab.rib.nextHops.changed, 0);
    assert.deepEqual(this.walked().sort(), [...this.kernel].sort());
    const expected = [...this.naive.prefixes()]
      .map((of): [string, string] => [of, this.naive.ways(of).join(" ")])
      .filter(([, ways]) => ways !== "");
    assert.deepEqual([...this.kernel].sort(), expected.sort());
  }

  /** Takes everything down: no row, no path, no attribute set may be left behind. */
  end(): void {
    const { rib } = this.lab;
    rib.originate([]);
    this.naive.originated = [];
    for (const peer of this.peers) {
      if (peer.isUp) peer.down();
      else if (peer.id >= 0 && this.naive.peers.has(peer.config.address)) {
        for (const of of BOTH) rib.sweepStale(peer.id, of);
        this.lab.settle();
      }
    }
    this.naive.peers.clear();
    this.compareKernel();
    assert.deepEqual(rib.sizes(), { prefixes: 0, paths: 0, attributeSets: 0 });
  }

  private expectedView(peer: LabPeer): string[] {
    return [...this.naive.view(peer.config)]
      .flatMap(([of, told]) => told.map((attributes) => `${of} ${describe(attributes)}`))
      .sort();
  }
}

/** As two OPENs could have agreed: nothing of families that are not carried. */
function agreed(session: NegotiatedSession): NegotiatedSession {
  const carried = (list: readonly RouteFamily[]) =>
    list.filter((family) => session.families.includes(family));
  const { addPathSend, addPathReceive } = session;
  return {
    ...session,
    addPathSend: carried(addPathSend),
    addPathReceive: carried(addPathReceive),
    extendedNextHop: session.extendedNextHop && session.families.includes(4),
  };
}

/** Path identifiers only from peers that send them; no families that were not negotiated. */
function usableKeys(peer: LabPeer, all: readonly string[]): string[] {
  const { families, addPathReceive } = peer.config.negotiated;
  return all.filter((key) => {
    const [text, id] = key.split("#");
    const of = prefixFamily(prefix(text!));
    return families.includes(of) && (id === undefined || addPathReceive.includes(of));
  });
}

function runAll(operations: readonly Operation[], compareEach: boolean): void {
  const pair = new Pair();
  for (const operation of operations) {
    pair.run(operation);
    recount(pair.lab.rib);
    pair.checkWoken();
    if (compareEach) pair.compare();
  }
  pair.compare();
  pair.end();
}

const RUNS = Number(process.env["RIB_ORACLE_RUNS"] ?? 400);
const SEED =
  process.env["RIB_ORACLE_SEED"] === undefined
    ? {}
    : { seed: Number(process.env["RIB_ORACLE_SEED"]), path: process.env["RIB_ORACLE_PATH"] ?? "" };

test("the RIB and its receivers agree with the naive RIB after any history", () => {
  fc.assert(
    fc.property(history(80), (operations) => runAll(operations, false)),
    { numRuns: RUNS, includeErrorInReport: true, ...SEED },
  );
});

test("… and after each step of it", () => {
  fc.assert(
    fc.property(history(40), (operations) => runAll(operations, true)),
    { numRuns: Math.ceil(RUNS / 4), includeErrorInReport: true, ...SEED },
  );
});
