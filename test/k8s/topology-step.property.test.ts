/** A topology that is followed step by step against one that is computed from all Nodes each time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { NodeSnapshot } from "../../src/k8s/node-snapshot.ts";
import { type Topology, TopologyMemo, topology } from "../../src/k8s/topology.ts";
import {
  bothChanges,
  followTopology,
  goneSubnets,
  NO_CHANGE,
  type TopologyChange,
} from "../../src/k8s/topology-step.ts";
import { snapshot } from "./node-objects.ts";

/** Few enough of each that Nodes often want the same. */
const NAMES = ["node0", "node1", "node2", "node3", "node4", "node5"];
const number = (max: number) => fc.integer({ min: 0, max });
const address = fc.oneof(
  { weight: 12, arbitrary: number(200).map((n) => `192.168.50.${n + 1}`) },
  { weight: 3, arbitrary: number(99).map((n) => `fd00::${n + 1}`) },
  // Inside what some want for pods.
  { weight: 1, arbitrary: fc.constantFrom("10.1.5.7", "10.1.2.0", "240.0.0.7", "fd10::1") },
);
const external = fc.oneof(
  { weight: 4, arbitrary: fc.constant("203.0.113.1") },
  { weight: 1, arbitrary: address },
);
const cidr = fc.oneof(
  { weight: 12, arbitrary: number(250).map((n) => `10.1.${n}.0/24`) },
  { weight: 3, arbitrary: number(99).map((n) => `fd10:0:0:${n}::/64`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("10.1.4.0/23", "10.1.8.0/28", "10.0.0.0/8", "192.168.60.0/28", "x"),
  },
);
const parts = fc.record({
  internal: fc.array(address, { maxLength: 2 }),
  external: fc.oneof(fc.constant([]), fc.array(external, { maxLength: 1 })),
  cidrs: fc.array(cidr, { maxLength: 3 }),
  created: fc.constantFrom("2023-07-27T02:57:51Z", "2024-07-27T02:57:51Z"),
  uid: fc.constantFrom("a", "b"),
});
const put = fc.tuple(fc.constantFrom(...NAMES), parts);
const remove = fc.tuple(fc.constantFrom(...NAMES), fc.constant(undefined));
const event = fc.oneof({ weight: 4, arbitrary: put }, { weight: 1, arbitrary: remove });
/** Each inner list arrives together. */
const news = fc.array(fc.array(event, { minLength: 1, maxLength: 3 }), { maxLength: 40 });

/** What somebody knows who hears changes alone, and looks at the whole where they say so. */
class Follower {
  peers = new Map<string, unknown>();
  podSubnets = new Set<string>();
  nodeIps = new Set<string>();

  hear(change: TopologyChange | "all", whole: Topology): void {
    if (change === "all") {
      this.peers = new Map(whole.peers.map((peer) => [peer.name, peer]));
      this.podSubnets = new Set(whole.podSubnets);
      this.nodeIps = new Set(whole.nodeIps);
      return;
    }
    for (const [name, peer] of change.peers) {
      if (peer === undefined) this.peers.delete(name);
      else this.peers.set(name, peer);
    }
    put(this.podSubnets, change.podSubnets);
    put(this.nodeIps, change.nodeIps);

    function put(set: Set<string>, changed: ReadonlyMap<string, boolean>): void {
      for (const [key, there] of changed) {
        if (there) set.add(key);
        else set.delete(key);
      }
    }
  }

  agrees(whole: Topology): void {
    const peers = [...this.peers.values()] as Topology["peers"][number][];
    assert.deepEqual(
      peers.sort((a, b) => (a.name < b.name ? -1 : 1)),
      whole.peers,
    );
    assert.deepEqual([...this.podSubnets].sort(), [...whole.podSubnets].sort());
    assert.deepEqual([...this.nodeIps].sort(), [...whole.nodeIps].sort());
  }
}

test("step by step as in one go, and what is told of each step is all there is to tell", (t) => {
  const seen = { steps: 0, wholes: 0 };
  fc.assert(
    fc.property(news, number(5), (all, lag) => {
      const nodes = new Map<string, NodeSnapshot>();
      const memo = new TopologyMemo();
      const [prompt, late] = [new Follower(), new Follower()];
      let kept: TopologyChange | "all" = NO_CHANGE;
      let last: Topology | undefined;
      // A cluster without contradictions to begin with: otherwise there are no steps to see.
      for (const [i, name] of NAMES.entries()) {
        const quiet = { internal: `192.168.60.${i}`, cidrs: [`10.3.${i}.0/24`] };
        nodes.set(name, snapshot(name, quiet));
      }
      for (const [i, together] of [[], ...all].entries()) {
        const changed = new Set<string>();
        for (const [name, of] of together) {
          changed.add(name);
          if (of === undefined) nodes.delete(name);
          else nodes.set(name, snapshot(name, of));
        }
        const followed = followTopology("node0", nodes, i === 0 ? undefined : changed, memo);
        const whole = topology("node0", nodes);
        assert.deepEqual(followed.topology, whole);
        assert.equal(followed.change === NO_CHANGE, followed.topology === last);
        prompt.hear(followed.change, whole);
        prompt.agrees(whole);
        kept = bothChanges(kept, followed.change);
        if (i % (lag + 1) === lag) {
          late.hear(kept, whole);
          late.agrees(whole);
          kept = NO_CHANGE;
        }
        last = followed.topology;
        if (followed.change === "all") seen.wholes++;
        else if (followed.change !== NO_CHANGE) seen.steps++;
      }
    }),
    { numRuns: 300 },
  );
  t.diagnostic(`${seen.steps} steps, ${seen.wholes} times the whole`);
  assert.ok(seen.steps > 100 && seen.wholes > 100, JSON.stringify(seen));
});

test("a Node that changes leaves alone what does not change, and contests are settled whole", () => {
  const nodes = new Map<string, NodeSnapshot>();
  for (const [i, name] of NAMES.entries()) {
    const cidrs = [`10.1.${i}.0/24`];
    nodes.set(name, snapshot(name, { internal: `192.168.50.${i + 1}`, cidrs }));
  }
  const memo = new TopologyMemo();
  const first = followTopology("node0", nodes, undefined, memo);
  assert.equal(first.change, "all");
  const put = (name: string, internal: string, ...cidrs: string[]) => {
    nodes.set(name, snapshot(name, { internal, cidrs }));
    return followTopology("node0", nodes, new Set([name]), memo);
  };
  const moved = put("node3", "192.168.50.4", "10.1.77.0/24");
  assert.ok(moved.change !== "all");
  assert.deepEqual(
    [...moved.change.podSubnets],
    [
      ["10.1.3.0/24", false],
      ["10.1.77.0/24", true],
    ],
  );
  assert.deepEqual([...moved.change.peers.keys()], ["node3"]);
  assert.equal(moved.change.nodeIps.size, 0);
  assert.equal(moved.topology.nodeIps, first.topology.nodeIps);
  assert.equal(moved.topology.peers[0], first.topology.peers[0]);
  // Nothing that anyone could act on.
  assert.equal(put("node3", "192.168.50.4", "10.1.77.0/24").topology.peers.length, 5);
  const contest = put("node4", "192.168.50.5", "10.1.77.0/24");
  assert.equal(contest.change, "all");
  assert.equal(contest.topology.problems.length, 1);
  assert.equal(put("node4", "192.168.50.5", "10.1.4.0/24").change, "all");
  // At peace again.
  assert.notEqual(put("node4", "192.168.50.5", "10.1.5.128/25").change, NO_CHANGE);
  nodes.delete("node1");
  const gone = followTopology("node0", nodes, new Set(["node1"]), memo);
  assert.deepEqual(gone.topology, topology("node0", nodes));
});

/** A follower of one Node "own" and another, whose pod CIDRs are given at each step. */
function pairOf() {
  const memo = new TopologyMemo();
  const nodes = new Map<string, NodeSnapshot>();
  const put = (name: string, internal: string, ...cidrs: string[]) =>
    nodes.set(name, snapshot(name, { internal, cidrs }));
  put("own", "192.168.50.1", "10.1.1.0/24");
  put("bad", "192.168.50.2", "x");
  const follow = (...changed: string[]) =>
    followTopology("own", nodes, changed.length === 0 ? undefined : new Set(changed), memo);
  return { put, follow, first: follow() };
}

test("who has not changed is not told, and what is wrong elsewhere stays the same object", () => {
  const { put, follow, first } = pairOf();
  assert.deepEqual(follow("bad", "nobody"), { topology: first.topology, change: NO_CHANGE });
  put("other", "192.168.50.3", "10.1.3.0/24");
  const { topology, change } = follow("other", "bad");
  assert.ok(change !== "all");
  assert.deepEqual([...change.peers.keys()], ["other"]);
  assert.ok(topology.problems.length > 0);
  assert.equal(topology.problems, first.topology.problems);
  put("other", "192.168.50.3", "10.1.4.0/24");
  assert.deepEqual(follow().topology.podSubnets, ["10.1.1.0/24", "10.1.4.0/24"], "any may have");
});

test("subnets that are gone: by what is told of a step, or by comparison", () => {
  const { put, follow, first } = pairOf();
  assert.deepEqual(goneSubnets(first.change, undefined, first.topology), []);
  put("other", "192.168.50.3", "10.1.3.0/24", "10.1.4.0/24");
  const came = follow("other");
  assert.deepEqual(goneSubnets(came.change, first.topology, came.topology), []);
  put("other", "192.168.50.3", "10.1.4.0/24", "10.1.5.0/24");
  const moved = follow("other");
  assert.deepEqual(goneSubnets(moved.change, came.topology, moved.topology), ["10.1.3.0/24"]);
  assert.deepEqual(goneSubnets("all", came.topology, moved.topology), ["10.1.3.0/24"]);
  assert.deepEqual(goneSubnets("all", moved.topology, moved.topology), []);
});

test("a Node that contradicts another one at the edge of a range is seen", () => {
  for (const [internal, cidr, contested] of [
    ["10.1.2.0", "10.1.3.0/24", true],
    ["10.1.2.255", "10.1.3.0/24", true],
    ["10.1.3.0", "10.1.4.0/24", false],
    ["10.1.1.255", "10.1.4.0/24", true],
    ["192.168.50.3", "10.1.4.0/24", true],
    ["192.168.50.4", "10.1.2.0/24", true],
    ["192.168.50.4", "10.1.2.0/25", true],
    ["192.168.50.4", "10.1.2.255/32", true],
    ["192.168.50.4", "10.1.2.0/23", true],
    ["192.168.50.4", "10.1.7.0/31", true],
    ["192.168.50.4", "192.168.50.3/32", true],
    ["192.168.50.4", "192.168.50.2/31", true],
    ["192.168.50.4", "192.168.50.4/30", true],
    ["192.168.50.4", "192.168.50.8/30", false],
    ["192.168.50.4", "10.1.3.0/24", false],
  ] as const) {
    const { put, follow } = pairOf();
    put("other", "192.168.50.3", "10.1.2.0/24", "10.1.7.1/32");
    follow("other");
    put("new", internal, cidr);
    const { topology, change } = follow("new");
    assert.equal(change === "all", contested, `${internal} ${cidr}`);
    assert.equal(topology.problems.length, contested ? 2 : 1, `${internal} ${cidr}`);
  }
});
