/**
 * Property: whatever other Nodes say, in whatever order, sessions, routes and members of Nodes that
 * do not change stay at every moment; and what there is in the end follows from the objects alone.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TopologyReader } from "../../src/agent/node-feed.ts";
import { decodeNodes, encodeNodes } from "../../src/k8s/node-cache.ts";
import { nodeSnapshot, sameSnapshot } from "../../src/k8s/node-snapshot.ts";
import type { Nodes } from "../../src/k8s/node-source.ts";
import { oddName, oddNode } from "../k8s/odd-nodes.ts";
import { settle } from "../support/fake-clock.ts";
import { seededRandom } from "../support/speakers.ts";
import { agentConfig, machineObject, NodeChain, OTHERS, SELF } from "./node-chain.ts";

const MACHINES = [SELF, ...OTHERS];

interface Told {
  readonly kind: "put" | "remove";
  readonly object: Record<string, unknown>;
}

type Event =
  | Told
  | { readonly kind: "list"; readonly seed: number }
  | { readonly kind: "complete"; readonly so: boolean }
  | { readonly kind: "whole" };

const told = (kind: Told["kind"], object: Told["object"]): Event => ({ kind, object });

const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 12, arbitrary: oddNode.map((object) => told("put", object)) },
  { weight: 3, arbitrary: oddName.map((name) => told("remove", { metadata: { name } })) },
  // A heartbeat.
  {
    weight: 2,
    arbitrary: fc.constantFrom(...MACHINES).map((one) => told("put", machineObject(one))),
  },
  fc.record({ kind: fc.constant("list" as const), seed: fc.nat() }),
  fc.record({ kind: fc.constant("complete" as const), so: fc.boolean() }),
  fc.record({ kind: fc.constant("whole" as const) }),
);
/** Each inner list arrives together. */
const news = fc.array(
  fc.tuple(fc.array(event, { minLength: 1, maxLength: 4 }), fc.constantFrom(0, 1, 100)),
  { maxLength: 12 },
);

const flags = fc.constantFrom<Readonly<Record<string, string>>>(
  {},
  { "enable-ipv6": "false" },
  { "peer-router-ips": "192.168.50.61", "peer-router-asns": "65000" },
);

/** The chain, and the API server's objects. */
class Cluster extends NodeChain {
  readonly #objects = new Map(MACHINES.map((one) => [one.name, machineObject(one)]));

  take(events: readonly Event[]): void {
    for (const event of events) this.#take(event);
    this.tell();
  }

  #take(event: Event): void {
    switch (event.kind) {
      case "put": {
        const read = nodeSnapshot(event.object);
        if (!("rejected" in read)) this.#objects.set(read.name, event.object);
        this.store.put(event.object);
        return;
      }
      case "remove":
        this.#objects.delete(nameOf(event));
        this.store.remove(event.object);
        return;
      case "list": {
        const staged = this.store.stage();
        for (const object of shuffled([...this.#objects.values()], event.seed)) staged.add(object);
        this.store.replace(staged);
        this.complete = true;
        this.tell(true);
        return;
      }
      case "complete":
        this.complete = event.so;
        return;
      case "whole":
        this.tell(true);
    }
  }

  /** The end of all news. */
  async quiet(): Promise<void> {
    this.complete = true;
    this.tell();
    await this.rest();
  }
}

function nameOf({ object }: Told): string {
  return String((object["metadata"] as { readonly name: unknown }).name);
}

function shuffled<T>(list: readonly T[], seed: number): T[] {
  const random = seededRandom(seed);
  return list
    .map((one) => [random(), one] as const)
    .sort(([a], [b]) => a - b)
    .map(([, one]) => one);
}

/** The same news of each Node, those of different Nodes in another order, in other portions. */
function inAnotherOrder(all: readonly Event[], seed: number): readonly Event[][] {
  const random = seededRandom(seed);
  const isTold = (one: Event): one is Told => one.kind === "put" || one.kind === "remove";
  const known = all.filter(isTold);
  const queues = [...Map.groupBy(known, nameOf).values()];
  const portions: Told[][] = [];
  while (queues.length > 0) {
    const portion: Told[] = [];
    for (let left = 1 + Math.floor(random() * 6); left > 0 && queues.length > 0; left--) {
      const at = Math.floor(random() * queues.length);
      portion.push(queues[at]!.shift()!);
      if (queues[at]!.length === 0) queues.splice(at, 1);
    }
    portions.push(portion);
  }
  return portions;
}

/** What is saved of them is what they say. */
function assertSaved(nodes: Nodes): void {
  const saved = decodeNodes(encodeNodes({ nodes, version: undefined }, 0)).nodes;
  assert.deepEqual([...saved.keys()], [...nodes.keys()]);
  for (const [name, node] of nodes) {
    const of = { ...saved.get(name)!, problems: node.problems };
    assert.ok(sameSnapshot(of, node), `${name} as it was saved`);
  }
}

test("no Node moves what is another's, and the order of news makes no difference", async (t) => {
  let contests = 0;
  await fc.assert(
    fc.asyncProperty(news, flags, fc.nat(), async (all, given, seed) => {
      const config = agentConfig(given);
      const cluster = new Cluster(config);
      await cluster.start();
      cluster.assertUnmoved("at the start");
      for (const [i, [events, waitMs]] of all.entries()) {
        cluster.take(events);
        if (waitMs === 0) await settle(1);
        else await cluster.clock.advanceAsync(waitMs);
        cluster.assertUnmoved(`after news ${i}`);
      }
      await cluster.quiet();
      cluster.assertUnmoved("in the end");
      const { nodes } = cluster.store;
      assertSaved(nodes);
      const anew = new TopologyReader(SELF.name, config.families).read(new Map(nodes));
      if (anew.problems.some(({ code }) => code === "pod-cidr-overlap")) contests++;
      const other = new Cluster(config);
      await other.start();
      for (const portion of inAnotherOrder(
        all.flatMap(([events]) => events),
        seed,
      )) {
        other.take(portion);
        if (portion.length % 2 === 0) await other.clock.advanceAsync(portion.length * 7);
      }
      await other.quiet();
      other.assertUnmoved("in another order");
      assert.deepEqual(other.state(), cluster.state());
      await Promise.all([cluster.stop(), other.stop()]);
    }),
    { numRuns: Number(process.env["NODE_CHAIN_RUNS"] ?? 60), includeErrorInReport: true },
  );
  t.diagnostic(`${contests} runs with contested pod CIDRs`);
});
