/** Peers that are followed from change to change against those that are planned as a whole. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type BgpPlan, planBgp } from "../../src/agent/bgp-plan.ts";
import { configure } from "../../src/agent/config.ts";
import { MeshMemo } from "../../src/agent/mesh.ts";
import { TopologyReader } from "../../src/agent/node-feed.ts";
import type { PeerConfig } from "../../src/bgp/types.ts";
import { type NodeSnapshot, nodeSnapshot } from "../../src/k8s/node-snapshot.ts";
import type { Topology } from "../../src/k8s/topology.ts";
import { bothChanges, NO_CHANGE, type TopologyChange } from "../../src/k8s/topology-step.ts";

const NAMES = ["node1", "node2", "node3", "node4", "node5"];
/** Many more than Nodes: two that want the same are settled as a whole. */
const ADDRESSES = Array.from({ length: 60 }, (_, i) => `10.0.0.${i + 1}`);
/** That of a peer that is named by flag. */
const EXTERNAL = "10.0.0.99";

const parts = fc.record({
  address: fc.oneof(
    { weight: 30, arbitrary: fc.constantFrom(...ADDRESSES) },
    { weight: 1, arbitrary: fc.constantFrom(EXTERNAL, undefined) },
  ),
  cidr: fc.option(
    fc.nat(99).map((n) => `10.1.${n}.0/24`),
    { nil: undefined },
  ),
  role: fc.constantFrom("", "", "", "rr.server", "rr.client", "node.asn"),
});
type Parts = typeof parts extends fc.Arbitrary<infer T> ? T : never;
const name = fc.oneof(
  { weight: 1, arbitrary: fc.constant("node1") },
  { weight: 15, arbitrary: fc.constantFrom(...NAMES.slice(1)) },
);
const event = fc.tuple(name, fc.option(parts, { nil: undefined, freq: 6 }));
const news = fc.array(fc.array(event, { minLength: 1, maxLength: 2 }), { maxLength: 30 });

function snapshot(name: string, { address, cidr, role }: Parts): NodeSnapshot {
  const read = nodeSnapshot({
    metadata: {
      name,
      uid: name,
      annotations: role === "" ? {} : { [`kube-router.io/${role}`]: "65001" },
    },
    spec: { podCIDRs: cidr === undefined ? [] : [cidr] },
    status: { addresses: address === undefined ? [] : [{ type: "InternalIP", address }] },
  });
  assert.ok(!("rejected" in read));
  return read;
}

function planner(flags: Readonly<Record<string, string>>) {
  const configured = configure(new Map(Object.entries(flags)), {
    nodeName: "node1",
    hostName: "",
    inCluster: true,
  });
  assert.ok(configured.ok);
  return (topology: Topology, mesh?: MeshMemo): BgpPlan | undefined => {
    const inputs = { topology, config: configured.value, loaded: undefined, restarted: false };
    const planned = planBgp(mesh === undefined ? inputs : { ...inputs, mesh });
    return planned.ok ? planned.plan : undefined;
  };
}

const flagsOf = fc.constantFrom(
  {},
  { "peer-router-ips": EXTERNAL, "peer-router-asns": "65000" },
  { "nodes-full-mesh": "false" },
);

test("peers that are followed are those that a whole plan has, objects and all", (t) => {
  const seen = { followed: 0, whole: 0 };
  fc.assert(
    fc.property(news, flagsOf, fc.integer({ min: 0, max: 3 }), (all, flags, lag) => {
      const plan = planner(flags);
      const memo = new MeshMemo();
      const reader = new TopologyReader("node1", [4, 6]);
      const nodes = new Map(
        NAMES.map((name, i) => {
          const role = "nodes-full-mesh" in flags ? "node.asn" : "";
          return [name, snapshot(name, { address: ADDRESSES[i], cidr: undefined, role })];
        }),
      );
      let nodePeers: BgpPlan["nodePeers"];
      let peers = new Map<string, PeerConfig>();
      let kept: TopologyChange | "all" = NO_CHANGE;
      for (const [i, together] of [[], ...all].entries()) {
        for (const [name, of] of together) {
          if (of === undefined) nodes.delete(name);
          else nodes.set(name, snapshot(name, of));
        }
        const names = i === 0 ? undefined : new Set(together.map(([name]) => name));
        const { topology, change } = reader.follow(nodes, names);
        kept = bothChanges(kept, change);
        if (i % (lag + 1) !== 0) continue;
        const followed = kept === "all" ? undefined : nodePeers?.change(kept.peers);
        kept = NO_CHANGE;
        if (followed === undefined) {
          const whole = plan(topology, memo);
          nodePeers = whole?.nodePeers;
          peers = new Map(whole?.peers.map((peer) => [peer.address, peer]));
          seen.whole++;
        } else {
          const put = new Set(followed.put.map(({ address }) => address));
          for (const address of followed.gone) if (!put.has(address)) peers.delete(address);
          for (const peer of followed.put) peers.set(peer.address, peer);
          if (followed.put.length + followed.gone.length > 0) seen.followed++;
        }
        const byAddress = (list: Iterable<PeerConfig>) =>
          [...list].sort((a, b) => (a.address < b.address ? -1 : 1));
        assert.deepEqual(byAddress(peers.values()), byAddress(plan(topology)?.peers ?? []));
      }
    }),
    { numRuns: 200 },
  );
  t.diagnostic(`${seen.followed} changes followed, ${seen.whole} whole plans`);
  assert.ok(seen.followed > 50, JSON.stringify(seen));
});
