/** By which addresses two Nodes are peered, and that both find the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { familyOf, parseAddress } from "../../src/ip/address.ts";
import type { NodeProblem } from "../../src/k8s/problem.ts";
import { type Topology, topology } from "../../src/k8s/topology.ts";
import { type NodeParts, nodeMap, SEED, snapshot } from "./node-objects.ts";

function view(self: string, nodes: Record<string, NodeParts>): Topology {
  const snapshots = Object.entries(nodes).map(([name, parts]) => snapshot(name, parts));
  return topology(self, nodeMap(...snapshots));
}

const sessions = (from: string, nodes: Record<string, NodeParts>) =>
  Object.fromEntries(view(from, nodes).peers.map(({ name, address }) => [name, address]));

const isDuplicate = ({ code }: NodeProblem) => code === "address-duplicate";

test("primary addresses of different families: peered by a family that both have", () => {
  const nodes = {
    first4: { internal: ["10.0.0.1", "fd00::1"] },
    first6: { internal: ["fd00::2", "10.0.0.2"] },
    only4: { internal: "10.0.0.3" },
    only6: { internal: "fd00::4" },
  };
  assert.deepEqual(sessions("first4", nodes), {
    first6: "10.0.0.2",
    only4: "10.0.0.3",
    only6: "fd00::4",
  });
  assert.deepEqual(sessions("first6", nodes), {
    first4: "10.0.0.1",
    only4: "10.0.0.3",
    only6: "fd00::4",
  });
  assert.deepEqual(sessions("only4", nodes), { first4: "10.0.0.1", first6: "10.0.0.2" });
  assert.deepEqual(sessions("only6", nodes), { first4: "fd00::1", first6: "fd00::2" });
});

test("the order of a Node's addresses changes: its sessions with the others stay", () => {
  const nodes = {
    a: { internal: ["10.0.0.1", "fd00::1"] },
    b: { internal: ["10.0.0.2", "fd00::2"] },
  };
  const turned = { ...nodes, b: { internal: ["fd00::2", "10.0.0.2"] } };
  assert.deepEqual(sessions("a", turned), sessions("a", nodes));
  assert.deepEqual(sessions("b", turned), sessions("b", nodes));
});

test("a Node that is not believed to have its primary address is peered by no other either", () => {
  const nodes = {
    a: { internal: "fd00::1" },
    b: { internal: "10.0.0.1" },
    c: { internal: ["10.0.0.1", "fd00::3"], created: "2024-07-27T02:57:51Z" },
  };
  const { peers, problems } = view("a", nodes);
  assert.match(problems.find(isDuplicate)?.message ?? "", /; this Node is not peered with$/);
  assert.deepEqual(peers, []);
});

test("an address that another Node has as well is not what two Nodes are peered by", () => {
  const nodes = {
    first4: { internal: ["10.0.0.1", "fd00::1"] },
    first6: { internal: ["fd00::2", "10.0.0.3"], created: "2024-07-27T02:57:51Z" },
    owner: { internal: "10.0.0.3" },
  };
  assert.deepEqual(sessions("first4", nodes), { first6: "fd00::2", owner: "10.0.0.3" });
  assert.deepEqual(sessions("first6", nodes), { first4: "fd00::1" });
});

test("an address of 240.0.0.0/4 is what nobody is peered by: no next hop, RFC 4271 §6.3", () => {
  const cases: readonly (readonly [NodeParts, string | undefined, (string | undefined)[]])[] = [
    [{ internal: ["240.0.0.2", "10.0.0.2"] }, "10.0.0.2", ["10.0.0.2", undefined]],
    [{ internal: "240.0.0.2", external: "203.0.113.1" }, "203.0.113.1", ["203.0.113.1", undefined]],
    [{ internal: ["240.0.0.2", "fd00::2"] }, "fd00::2", [undefined, "fd00::2"]],
    [{ internal: "240.0.0.2" }, undefined, [undefined, undefined]],
  ];
  for (const [parts, primary, [four, six]] of cases) {
    const { self } = view("n", { n: parts });
    assert.equal(self?.primaryAddress, primary);
    assert.deepEqual(self?.nodeIps, { 4: four, 6: six });
  }
});

test("a Node that has no other is not peered, which is said, and its address is guarded", () => {
  const result = view("node1", {
    ...SEED,
    node3: { internal: "240.0.0.7", cidrs: ["240.1.0.0/24"] },
    node4: { internal: "192.168.50.53", cidrs: ["240.0.0.0/24"] },
  });
  assert.deepEqual(
    result.peers.map((peer) => peer.name),
    ["node2", "node4"],
  );
  assert.ok(result.nodeIps.includes(parseAddress("240.0.0.7")!));
  assert.deepEqual(
    result.problems.map(({ code, node }) => `${node} ${code}`),
    ["node3 address-invalid", "node3 address-missing", "node4 pod-cidr-covers-node"],
  );
});

test("any two Nodes agree on whether they are peered, and by which addresses", () => {
  const address = fc.oneof(
    fc.nat(9).map((n) => `10.0.0.${n + 1}`),
    fc.nat(9).map((n) => `fd00::${n + 1}`),
    fc.nat(1).map((n) => `240.0.0.${n + 1}`),
  );
  const parts = fc.record({
    internal: fc.array(address, { maxLength: 3 }),
    external: fc.array(fc.oneof(address, fc.constant("203.0.113.1")), { maxLength: 2 }),
    created: fc.constantFrom("2023-07-27T02:57:51Z", "2024-07-27T02:57:51Z"),
  });
  fc.assert(
    fc.property(fc.array(parts, { minLength: 2, maxLength: 4 }), (all) => {
      const nodes = Object.fromEntries(all.map((each, i) => [`n${i}`, each]));
      const views = new Map(Object.keys(nodes).map((name) => [name, view(name, nodes)]));
      // Who is not believed to have its primary address is peered by nobody, and does not know it.
      const refused = new Set(
        view("n0", nodes).problems.flatMap((problem) =>
          isDuplicate(problem) && problem.severity === "error" ? [problem.node] : [],
        ),
      );
      for (const [name, { self, peers }] of views) {
        if (refused.has(name)) continue;
        for (const peer of peers) {
          assert.ok(!refused.has(peer.name), peer.name);
          const family = familyOf(peer.address);
          const there = views.get(peer.name)!;
          assert.equal(there.self?.nodeIps[family], peer.address);
          const back = there.peers.find((other) => other.name === name);
          assert.equal(back?.address, self?.nodeIps[family], `${peer.name} knows ${name}`);
        }
      }
    }),
    { numRuns: 500 },
  );
});
