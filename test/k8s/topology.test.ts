/** From the Nodes to the view of one of them: peers, node IPs, pod CIDRs, contradictions. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { prefixContains, prefixesOverlap } from "../../src/ip/prefix.ts";
import { RIVALS_COUNTED_MAX } from "../../src/k8s/limits.ts";
import { type Topology, topology } from "../../src/k8s/topology.ts";
import { type NodeParts, nodeMap, SEED, snapshot } from "./node-objects.ts";

const seedNodes = () => Object.entries(SEED).map(([name, parts]) => snapshot(name, parts));

function messages(result: Topology): readonly string[] {
  return result.problems.map((problem) => problem.message);
}

function view(self: string, nodes: Record<string, NodeParts>): Topology {
  const snapshots = Object.entries(nodes).map(([name, parts]) => snapshot(name, parts));
  return topology(self, nodeMap(...snapshots));
}

test("the seed's cluster, seen from node1", () => {
  const result = topology("node1", nodeMap(...seedNodes()));
  assert.equal(result.self?.name, "node1");
  assert.equal(result.self.primaryAddress, "192.168.50.50");
  assert.deepEqual(result.self.nodeIps, { 4: "192.168.50.50", 6: undefined });
  assert.deepEqual(result.self.podCidrs, ["10.233.64.0/24"]);
  assert.deepEqual(
    result.peers.map(({ name, address, podCidrs }) => ({ name, address, podCidrs })),
    [
      { name: "node2", address: "192.168.50.51", podCidrs: ["10.233.65.0/24"] },
      { name: "node3", address: "192.168.50.52", podCidrs: ["10.233.66.0/24"] },
    ],
  );
  assert.deepEqual(result.podSubnets, ["10.233.64.0/24", "10.233.65.0/24", "10.233.66.0/24"]);
  assert.deepEqual(result.nodeIps, ["192.168.50.50", "192.168.50.51", "192.168.50.52"]);
  assert.deepEqual(result.problems, []);
});

describe("which address", () => {
  const cases: [string, NodeParts, string | undefined, (string | undefined)[]][] = [
    ["first InternalIP", { internal: ["10.0.0.2", "10.0.0.1"] }, "10.0.0.2", ["10.0.0.2"]],
    ["ExternalIP without InternalIP", { external: "203.0.113.1" }, "203.0.113.1", ["203.0.113.1"]],
    ["dual stack", { internal: ["10.0.0.2", "fd00::2"] }, "10.0.0.2", ["10.0.0.2", "fd00::2"]],
    ["IPv6 first", { internal: ["fd00::2", "10.0.0.2"] }, "fd00::2", ["10.0.0.2", "fd00::2"]],
    [
      "other family only external",
      { internal: "10.0.0.2", external: ["1.2.3.4", "2001:db8::2"] },
      "10.0.0.2",
      ["10.0.0.2", "2001:db8::2"],
    ],
    ["none", {}, undefined, [undefined, undefined]],
  ];
  for (const [name, parts, primary, [four, six]] of cases) {
    test(name, () => {
      const { self } = view("n", { n: parts });
      assert.equal(self?.primaryAddress, primary);
      assert.deepEqual(self?.nodeIps, { 4: four, 6: six });
    });
  }
});

describe("Nodes that are not complete yet", () => {
  test("no address: known, not peered, its CIDR counts, info only", () => {
    const result = view("node1", { ...SEED, node3: { cidrs: ["10.233.66.0/24"] } });
    assert.deepEqual(
      result.peers.map((peer) => peer.name),
      ["node2"],
    );
    assert.equal(result.podSubnets.length, 3);
    assert.deepEqual(
      result.problems.map(({ severity, code, node }) => ({ severity, code, node })),
      [{ severity: "info", code: "address-missing", node: "node3" }],
    );
  });

  test("no pod CIDR: peered, and its addresses are node IPs", () => {
    const result = view("node1", { ...SEED, node3: { internal: "192.168.50.52" } });
    assert.deepEqual(
      result.peers.map((peer) => peer.name),
      ["node2", "node3"],
    );
    assert.equal(result.nodeIps.length, 3);
    assert.equal(result.podSubnets.length, 2);
    assert.deepEqual(result.problems, [], "its own agent says it, not each of a thousand");
    const own = view("node3", { ...SEED, node3: { internal: "192.168.50.52" } });
    assert.deepEqual(
      own.problems.map(({ severity, code, node }) => ({ severity, code, node })),
      [{ severity: "info", code: "pod-cidr-missing", node: "node3" }],
    );
  });

  test("own pod CIDR of a family without an address: not announced, which is said", () => {
    const both = { internal: "10.0.0.1", cidrs: ["10.1.0.0/24", "fd00:1::/64"] };
    const other = { internal: "10.0.0.2", cidrs: ["10.2.0.0/24", "fd00:2::/64"] };
    assert.deepEqual(messages(view("a", { a: both, b: other })), [
      'Node a: pod CIDR "fd00:1::/64" is announced to nobody: this Node (this agent\'s own) has no ' +
        "IPv6 address for a next hop, so its pods are not reached by IPv6 from other Nodes",
    ]);
    const whole = { ...both, internal: ["10.0.0.1", "fd00::1"] };
    assert.deepEqual(messages(view("a", { a: whole, b: other })), []);
  });

  test("own Node missing: nobody is peered, the sets are still known", () => {
    const result = view("node9", SEED);
    assert.equal(result.self, undefined);
    assert.deepEqual(result.peers, []);
    assert.equal(result.podSubnets.length, 3);
    assert.equal(result.nodeIps.length, 3);
    assert.match(messages(result)[0]!, /^Node node9: is this agent's own Node and .+ NODE_NAME/);
  });

  test("own Node without address: nobody is peered", () => {
    const result = view("node1", { ...SEED, node1: { cidrs: ["10.233.64.0/24"] } });
    assert.deepEqual(result.peers, []);
    assert.equal(result.self?.primaryAddress, undefined);
    assert.match(messages(result)[0]!, /no usable InternalIP or ExternalIP yet \(this agent's own/);
  });

  test("every InternalIP and ExternalIP is a node IP, once, IPv4 first and numeric", () => {
    const result = view("a", {
      a: { internal: ["10.0.0.10", "fd00::a"], external: "9.0.0.1" },
      b: { internal: "10.0.0.9", external: "9.0.0.1" },
    });
    assert.deepEqual(result.nodeIps, ["9.0.0.1", "10.0.0.9", "10.0.0.10", "fd00::a"]);
  });
});

describe("Nodes that contradict each other", () => {
  const old = "2023-01-01T00:00:00Z";
  const young = "2024-01-01T00:00:00Z";

  test("one CIDR on two Nodes: the older Node keeps it", () => {
    for (const self of ["a", "b", "c"]) {
      const result = view(self, {
        a: { internal: "10.0.0.1", cidrs: ["10.1.0.0/24"], created: young },
        b: { internal: "10.0.0.2", cidrs: ["10.1.0.0/24"], created: old },
        c: { internal: "10.0.0.3", cidrs: ["10.3.0.0/24"], created: old },
      });
      const all = [result.self!, ...result.peers].map((node) => [node.name, node.podCidrs]);
      assert.deepEqual(Object.fromEntries(all), { a: [], b: ["10.1.0.0/24"], c: ["10.3.0.0/24"] });
      assert.deepEqual(result.podSubnets, ["10.1.0.0/24", "10.3.0.0/24"]);
      assert.deepEqual(messages(result), [
        'Node a: pod CIDR "10.1.0.0/24" is also the pod CIDR of Node b, which keeps it; ' +
          "it is left out",
      ]);
    }
  });

  test("of the same age: the name that sorts first; unknown age is youngest", () => {
    const same = view("z", {
      b: { internal: "10.0.0.2", cidrs: ["10.1.0.0/24"], created: old },
      a: { internal: "10.0.0.1", cidrs: ["10.1.0.0/24"], created: old },
    });
    assert.match(messages(same).join(), /Node b: pod CIDR .* of Node a/);
    const unknown = view("z", {
      a: { internal: "10.0.0.1", cidrs: ["10.1.0.0/24"], created: "yesterday" },
      b: { internal: "10.0.0.2", cidrs: ["10.1.0.0/24"], created: young },
    });
    assert.match(messages(unknown).join(), /Node a: pod CIDR .* of Node b/);
  });

  test("overlap: only the contested CIDR is lost, the Node's others stay", () => {
    const internal = ["10.0.0.1", "fd00::1"];
    const result = view("a", {
      a: { internal, cidrs: ["10.1.0.0/24", "fd01::/64"], created: old },
      b: { internal: "10.0.0.2", cidrs: ["10.1.0.128/25", "fd02::/64"], created: young },
    });
    assert.deepEqual(result.peers[0]!.podCidrs, ["fd02::/64"]);
    assert.match(messages(result)[0]!, /"10.1.0.128\/25" overlaps 10.1.0.0\/24, the pod CIDR of/);
  });

  test("a network over many Nodes loses, even from the oldest Node", () => {
    const result = view("a", {
      a: { internal: "192.168.0.1", cidrs: ["10.0.0.0/8"], created: old },
      b: { internal: "192.168.0.2", cidrs: ["10.1.0.0/24"], created: young },
      c: { internal: "192.168.0.3", cidrs: ["10.2.0.0/24"], created: young },
    });
    assert.deepEqual(result.podSubnets, ["10.1.0.0/24", "10.2.0.0/24"]);
    assert.deepEqual(result.self?.podCidrs, []);
  });

  test("the cluster's network at several Nodes silences none of the others", () => {
    const own = ["10.1.1.0/24", "10.1.2.0/24", "10.1.3.0/24"];
    const nodes = Object.fromEntries(
      own.map((of, i) => [
        `n${i}`,
        { internal: `192.168.0.${9 + i}`, cidrs: [of], created: young },
      ]),
    );
    const result = view("n0", {
      ...nodes,
      a: { internal: "192.168.0.1", cidrs: ["10.1.0.0/16"], created: old },
      b: { internal: "192.168.0.2", cidrs: ["10.1.0.0/16"], created: old },
    });
    assert.deepEqual(result.podSubnets, own);
    assert.deepEqual(result.self?.podCidrs, [own[0]]);
    assert.equal(result.problems.length, 2);
  });

  test("at however many Nodes: a label of a whole zone is one wrong command", () => {
    const own = Array.from({ length: 40 }, (_, i) => `10.1.${i + 1}.0/24`);
    const wrong = Array.from({ length: RIVALS_COUNTED_MAX + 4 }, (_, i) => i);
    const nodes = Object.fromEntries([
      ...own.map((of, i) => [
        `n${i}`,
        { internal: `192.168.0.${9 + i}`, cidrs: [of], created: young },
      ]),
      ...wrong.map((i) => [
        `a${i}`,
        { internal: `192.168.1.${1 + i}`, cidrs: ["10.1.0.0/16"], created: old },
      ]),
    ]);
    assert.deepEqual(view("n0", nodes).podSubnets, own);
  });

  test("a Node's own CIDRs may overlap", () => {
    const result = view("a", {
      a: { internal: "192.168.0.1", cidrs: ["10.1.0.0/16", "10.1.1.0/24"] },
    });
    assert.deepEqual(result.podSubnets, ["10.1.0.0/16", "10.1.1.0/24"]);
    assert.deepEqual(result.problems, []);
  });

  test("a CIDR over the node network is refused, whoever is older", () => {
    for (const created of [old, "2025-01-01T00:00:00Z"]) {
      const result = view("node1", {
        ...SEED,
        node3: { internal: "192.168.50.52", cidrs: ["192.168.0.0/16", "10.233.66.0/24"], created },
      });
      assert.deepEqual(result.podSubnets, ["10.233.64.0/24", "10.233.65.0/24", "10.233.66.0/24"]);
      assert.deepEqual(messages(result), [
        'Node node3: pod CIDR "192.168.0.0/16" covers Node node1\'s address 192.168.50.50 and ' +
          "would swallow the node network; it is left out",
      ]);
    }
  });

  test("age decides between CIDRs, and never about the address of a Node", () => {
    for (const created of [old, young]) {
      const result = view("node1", {
        ...SEED,
        node4: { internal: "10.233.65.7", cidrs: ["10.233.67.0/24"], created },
      });
      assert.equal(result.nodeIps[0], "10.233.65.7");
      assert.deepEqual(result.podSubnets, ["10.233.64.0/24", "10.233.66.0/24", "10.233.67.0/24"]);
      assert.deepEqual(messages(result), [
        'Node node2: pod CIDR "10.233.65.0/24" covers Node node4\'s address 10.233.65.7 and would ' +
          "swallow the node network; it is left out",
      ]);
    }
  });

  test("a CIDR that covers only its own Node's address is refused too", () => {
    const result = view("a", { a: { internal: "10.1.0.9", cidrs: ["10.1.0.0/24"] } });
    assert.deepEqual(result.podSubnets, []);
    assert.match(messages(result)[0]!, /covers its own address 10.1.0.9/);
  });

  test("two Nodes with one address: the older one is peered", () => {
    const result = view("node1", {
      ...SEED,
      node4: { internal: "192.168.50.51", cidrs: ["10.233.67.0/24"], created: young },
    });
    assert.deepEqual(
      result.peers.map((peer) => peer.name),
      ["node2", "node3"],
    );
    assert.deepEqual(messages(result), [
      'Node node4: address "192.168.50.51" is also an address of Node node2, which was created ' +
        "first; this Node is not peered with",
    ]);
  });

  test("another Node with our own address is never peered", () => {
    const result = view("node4", {
      ...SEED,
      node4: { internal: "192.168.50.51", created: young },
    });
    assert.deepEqual(
      result.peers.map((peer) => peer.name),
      ["node1", "node3"],
    );
  });

  test("an ExternalIP shared behind a NAT is no problem", () => {
    const result = view("a", {
      a: { internal: "10.0.0.1", external: "203.0.113.1", cidrs: ["10.1.0.0/24"] },
      b: { internal: "10.0.0.2", external: "203.0.113.1", cidrs: ["10.2.0.0/24"] },
    });
    assert.deepEqual(result.problems, []);
    assert.equal(result.peers.length, 1);
  });

  test("an ExternalIP that two Nodes would be peered by is one", () => {
    const result = view("a", {
      a: { internal: "10.0.0.1", cidrs: ["10.1.0.0/24"] },
      b: { external: "203.0.113.1", cidrs: ["10.2.0.0/24"] },
      c: { external: "203.0.113.1", cidrs: ["10.3.0.0/24"] },
    });
    assert.deepEqual(
      result.peers.map((peer) => peer.name),
      ["b"],
    );
    assert.deepEqual(
      result.problems.map(({ severity, code, node }) => [severity, code, node]),
      [["error", "address-duplicate", "c"]],
    );
  });

  test("a secondary InternalIP on two Nodes is named; both are peered", () => {
    const result = view("a", {
      a: { internal: "10.0.0.1", cidrs: ["10.1.0.0/24"] },
      b: { internal: ["10.0.0.2", "fd00::2"], cidrs: ["10.2.0.0/24"] },
      c: { internal: ["10.0.0.3", "fd00::2"], cidrs: ["10.3.0.0/24"] },
    });
    assert.deepEqual(
      result.problems.map(({ severity, node }) => [severity, node]),
      [["warning", "c"]],
    );
    assert.equal(result.peers.length, 2);
  });

  test("a peer of a family that we have no address of is named", () => {
    const nodes = {
      a: { internal: "10.0.0.1", cidrs: ["10.1.0.0/24"] },
      b: { internal: "fd00::2", cidrs: ["10.2.0.0/24"] },
      c: { internal: "fd00::3", external: "203.0.113.1", cidrs: ["10.3.0.0/24"] },
    };
    const result = view("a", nodes);
    assert.deepEqual(result.peers, [], "nor by what may be the address of a NAT");
    assert.deepEqual(
      result.problems.map(({ code, node }) => [code, node]),
      [
        ["family-mismatch", "b"],
        ["family-mismatch", "c"],
      ],
    );
    assert.deepEqual(
      view("b", nodes).peers.map(({ name }) => name),
      ["c"],
    );
  });
});

test("any cluster: the accepted CIDRs of different Nodes never overlap nor cover a Node", () => {
  const cidr = fc
    .tuple(fc.nat(7), fc.nat(3), fc.integer({ min: 22, max: 28 }))
    .map(([a, b, length]) => {
      const word = (10 * 2 ** 24 + a * 512 + b * 64) >>> 0;
      const base =
        length === 32 ? word : Math.floor(word / 2 ** (32 - length)) * 2 ** (32 - length);
      return `${base >>> 24}.${(base >>> 16) & 255}.${(base >>> 8) & 255}.${base & 255}/${length}`;
    });
  const node = fc.record({
    created: fc.constantFrom("2023-01-01T00:00:00Z", "2024-01-01T00:00:00Z", "?"),
    cidrs: fc.array(cidr, { maxLength: 3 }),
    internal: fc.constantFrom(
      "10.0.1.77",
      "10.0.3.255",
      "10.0.5.64",
      "192.168.0.1",
      "192.168.0.2",
      "192.168.0.3",
    ),
  });
  fc.assert(
    fc.property(fc.array(node, { maxLength: 8 }), fc.nat(100), (parts, rotation) => {
      const all = parts.map((each, i) => snapshot(`n${i}`, each));
      const turn = all.length === 0 ? 0 : rotation % all.length;
      const result = topology("n0", nodeMap(...all));
      const turned = topology("n0", nodeMap(...all.slice(turn), ...all.slice(0, turn)));
      assert.deepEqual(turned, result, "the order of the Nodes must not matter");
      const nodes = [...(result.self === undefined ? [] : [result.self]), ...result.peers];
      for (const a of nodes) {
        for (const b of nodes) {
          if (a === b) continue;
          for (const x of a.podCidrs) for (const y of b.podCidrs) assert.ok(!prefixesOverlap(x, y));
        }
      }
      for (const prefix of result.podSubnets) {
        for (const ip of result.nodeIps) assert.ok(!prefixContains(prefix, ip), `${prefix} ${ip}`);
      }
      // Nothing is lost without a name, and nothing without a reason.
      for (const each of all) {
        for (const prefix of each.podCidrs) {
          const others = all.filter((other) => other !== each).flatMap((other) => other.podCidrs);
          const reason =
            others.some((other) => prefixesOverlap(other, prefix)) ||
            result.nodeIps.some((ip) => prefixContains(prefix, ip));
          const problem = result.problems.find(
            (p) => p.node === each.name && p.message.includes(`"${prefix}"`),
          );
          const kept = result.podSubnets.includes(prefix);
          assert.ok(problem === undefined ? kept : reason, `${each.name} ${prefix}`);
        }
      }
    }),
    { numRuns: 300 },
  );
});
