/** What of a topology stays the same object from one change of the Nodes to the next. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { NodeSnapshot } from "../../src/k8s/node-snapshot.ts";
import { type Topology, TopologyMemo, topology } from "../../src/k8s/topology.ts";
import { threadCpuMs } from "../support/yardstick.ts";
import { nodeMap, SEED, snapshot } from "./node-objects.ts";

const seedNodes = () => Object.entries(SEED).map(([name, parts]) => snapshot(name, parts));

describe("identity", () => {
  function after(change: (nodes: Map<string, NodeSnapshot>) => void): [Topology, Topology] {
    const memo = new TopologyMemo();
    const nodes = new Map(nodeMap(...seedNodes()));
    const first = topology("node1", nodes, memo);
    change(nodes);
    return [first, topology("node1", nodes, memo)];
  }

  test("nothing changed: the same topology", () => {
    const [first, second] = after((nodes) => nodes.set("node2", nodes.get("node2")!));
    assert.equal(second, first);
  });

  test("another uid of a peer changes no value, and so no identity", () => {
    const [first, second] = after((nodes) =>
      nodes.set("node3", snapshot("node3", { ...SEED.node3, uid: "other" })),
    );
    assert.equal(second.podSubnets, first.podSubnets);
    assert.equal(second.nodeIps, first.nodeIps);
    assert.equal(second.self, first.self);
    assert.equal(second.peers[0], first.peers[0]);
  });

  test("another CIDR of node3: self, node IPs and node2 stay", () => {
    const [first, second] = after((nodes) =>
      nodes.set("node3", snapshot("node3", { ...SEED.node3, cidrs: ["10.233.68.0/24"] })),
    );
    assert.equal(second.self, first.self);
    assert.equal(second.nodeIps, first.nodeIps);
    assert.equal(second.problems, first.problems);
    assert.equal(second.peers[0], first.peers[0]);
    assert.notEqual(second.peers[1], first.peers[1]);
    assert.deepEqual(second.podSubnets, ["10.233.64.0/24", "10.233.65.0/24", "10.233.68.0/24"]);
  });

  test("deleted and registered again", () => {
    const memo = new TopologyMemo();
    const nodes = new Map(nodeMap(...seedNodes()));
    topology("node1", nodes, memo);
    nodes.delete("node3");
    const without = topology("node1", nodes, memo);
    assert.deepEqual(
      without.peers.map((peer) => peer.name),
      ["node2"],
    );
    assert.equal(memo.peers.size, 1);
    nodes.set("node3", snapshot("node3", { ...SEED.node3, cidrs: ["10.233.68.0/24"], uid: "u2" }));
    const again = topology("node1", nodes, memo);
    assert.deepEqual(again.peers[1]!.podCidrs, ["10.233.68.0/24"]);
  });

  test("a problem that stays keeps its object", () => {
    const memo = new TopologyMemo();
    const nodes = new Map(
      nodeMap(...seedNodes(), snapshot("node4", { internal: "192.168.50.53", cidrs: ["bad"] })),
    );
    const first = topology("node1", nodes, memo);
    nodes.set("node2", snapshot("node2", { ...SEED.node2, internal: "192.168.50.61" }));
    const second = topology("node1", nodes, memo);
    assert.ok(first.problems.length > 0);
    assert.equal(second.problems, first.problems);
  });
});

test("1,000 Nodes of which one changes: well below 2 ms, and one peer is new", (t) => {
  const nodes = new Map<string, NodeSnapshot>();
  for (let i = 0; i < 1000; i++) {
    const name = `node-${(i * 7919) % 1000}`;
    const third = `${(i * 7919) % 250}.${Math.floor(i / 250) + 1}`;
    nodes.set(
      name,
      snapshot(name, {
        internal: [`192.168.${third}`, `fd00::${i + 1}`],
        cidrs: [`10.${Math.floor(i / 250)}.${i % 250}.0/24`, `fd10:0:0:${i.toString(16)}::/64`],
      }),
    );
  }
  const memo = new TopologyMemo();
  let last = topology("node-1", nodes, memo);
  assert.equal(last.peers.length, 999);
  const times: number[] = [];
  for (let round = 0; round < 40; round++) {
    const cidrs = [`10.99.${round}.0/24`];
    nodes.set("node-7", snapshot("node-7", { internal: "192.168.251.7", cidrs }));
    let next = last;
    times.push(
      threadCpuMs(() => {
        next = topology("node-1", nodes, memo);
      }),
    );
    assert.equal(next.peers.filter((peer, i) => peer !== last.peers[i]).length, 1);
    last = next;
  }
  times.sort((a, b) => a - b);
  t.diagnostic(`median ${times[20]!.toFixed(2)} ms, worst ${times.at(-1)!.toFixed(2)} ms`);
  assert.ok(times[20]! < 20, `median ${times[20]} ms`);
});
