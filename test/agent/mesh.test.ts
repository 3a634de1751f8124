/** What the speaker is told: peers, prefixes and identity from the Nodes and the flags. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type BgpSettings, configure } from "../../src/agent/config.ts";
import { nodeImport } from "../../src/agent/external-peers.ts";
import {
  listenAddresses,
  MeshMemo,
  meshPeers,
  ownAs,
  ownRoutes,
  routerIdOf,
} from "../../src/agent/mesh.ts";
import { TopologyReader } from "../../src/agent/node-feed.ts";
import type { IpFamily } from "../../src/ip/address.ts";
import { readNodeAnnotations } from "../../src/k8s/annotations.ts";
import { type NodeSnapshot, nodeSnapshot } from "../../src/k8s/node-snapshot.ts";
import type { SelfNode, Topology } from "../../src/k8s/topology.ts";

interface NodeFixture {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly podCidrs?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
}

function snapshot(node: NodeFixture): NodeSnapshot {
  const read = nodeSnapshot({
    metadata: { name: node.name, uid: node.name, annotations: node.annotations ?? {} },
    spec: { podCIDRs: node.podCidrs ?? [] },
    status: { addresses: node.addresses.map((address) => ({ type: "InternalIP", address })) },
  });
  if ("rejected" in read) throw new Error(read.rejected.message);
  return read;
}

function topologyOf(
  nodes: readonly NodeFixture[],
  families: readonly IpFamily[] = [4, 6],
): Topology {
  const snapshots = new Map(nodes.map((node) => [node.name, snapshot(node)]));
  return new TopologyReader("node1", families).read(snapshots);
}

function selfOf(nodes: readonly NodeFixture[]): SelfNode {
  const { self } = topologyOf(nodes);
  assert.ok(self !== undefined);
  return self;
}

function settings(flags: Readonly<Record<string, string>> = {}): BgpSettings {
  const configured = configure(new Map(Object.entries(flags)), {
    nodeName: "node1",
    hostName: "",
    inCluster: true,
  });
  assert.ok(configured.ok);
  return configured.value.bgp;
}

/** The sessions with other Nodes, by the own Node's annotations. */
function sessions(topology: Topology, bgp: BgpSettings) {
  const read = readNodeAnnotations("node1", topology.self?.annotations ?? new Map());
  return meshPeers(topology, read.values, bgp);
}

const NODE1 = {
  name: "node1",
  addresses: ["192.168.50.50"],
  podCidrs: ["10.233.64.0/24"],
} as const;
const NODE2 = {
  name: "node2",
  addresses: ["192.168.50.51"],
  podCidrs: ["10.233.65.0/24"],
} as const;
const DUAL1 = {
  name: "node1",
  addresses: ["192.168.50.50", "fd00::50"],
  podCidrs: ["10.233.64.0/24", "fd00:64::/64"],
} as const;
const DUAL2 = { name: "node2", addresses: ["192.168.50.51", "fd00::51"] } as const;

test("a session between Nodes is plain: what kube-router offers and nothing more", () => {
  assert.deepEqual(sessions(topologyOf([NODE1, NODE2]), settings()), [
    {
      name: "node2",
      address: "192.168.50.51",
      port: 179,
      remoteAs: 64512,
      localAs: undefined,
      localAddress: "192.168.50.50",
      nextHops: [],
      passive: false,
      holdSeconds: 90,
      families: [4],
      gracefulRestart: { restartSeconds: 90, notification: false, longLivedSeconds: undefined },
      enhancedRouteRefresh: false,
      extendedMessage: false,
      addPath: "none",
      password: undefined,
      ttlSecurity: false,
      multihopTtl: 1,
      bindInterface: undefined,
      routeReflectorClient: false,
      nextHopsByLink: false,
      nextHopSelf: false,
      importPolicy: nodeImport([]),
      exportPolicy: undefined,
      maximumPrefixes: { limit: 20_000, warningPercent: 75, restartSeconds: 60 },
      shutdown: undefined,
    },
  ]);
});

test("flags reach every peer", () => {
  const [peer] = sessions(
    topologyOf([NODE1, NODE2]),
    settings({
      "bgp-port": "1179",
      "bgp-holdtime": "9s",
      "bgp-graceful-restart": "false",
      "cluster-asn": "64600",
    }),
  );
  assert.deepEqual(
    [peer?.port, peer?.holdSeconds, peer?.gracefulRestart, peer?.remoteAs],
    [1179, 9, undefined, 64600],
  );
});

test("families are those that both Nodes have; the other next hop goes along", () => {
  const [dual] = sessions(topologyOf([DUAL1, DUAL2]), settings());
  assert.deepEqual([dual?.families, dual?.nextHops], [[4, 6], ["fd00::50"]]);
  const [single] = sessions(topologyOf([DUAL1, NODE2]), settings());
  assert.deepEqual(single?.families, [4]);
});

test("a family that is switched off is not used at all", () => {
  const only4 = topologyOf([DUAL1, DUAL2], [4]);
  assert.deepEqual(sessions(only4, settings())[0]?.families, [4]);
  assert.deepEqual(only4.podSubnets, ["10.233.64.0/24"]);
  const only6 = topologyOf([DUAL1, DUAL2], [6]);
  const [peer] = sessions(only6, settings());
  assert.deepEqual(
    [peer?.address, peer?.localAddress, peer?.families],
    ["fd00::51", "fd00::50", [6]],
  );
});

test("nobody is peered with without an own Node, or with --enable-ibgp=false", () => {
  assert.deepEqual(sessions(topologyOf([NODE2]), settings()), []);
  assert.deepEqual(sessions(topologyOf([NODE1, NODE2]), settings({ "enable-ibgp": "false" })), []);
});

test("without a full mesh only Nodes of the same annotated AS are peered with", () => {
  const asn = (as: string) => ({ annotations: { "kube-router.io/node.asn": as } });
  const nodes = [
    { ...NODE1, ...asn("65001") },
    { ...NODE2, ...asn("65001") },
    { name: "node3", addresses: ["192.168.50.52"], ...asn("65002") },
    { name: "node4", addresses: ["192.168.50.53"] },
  ];
  const flags = settings({ "nodes-full-mesh": "false" });
  assert.deepEqual(
    sessions(topologyOf(nodes), flags).map((peer) => [peer.name, peer.remoteAs]),
    [["node2", 65001]],
  );
  assert.equal(ownAs(selfOf(nodes), flags), 65001);
  assert.equal(ownAs(selfOf([NODE1]), flags), undefined);
  assert.equal(ownAs(selfOf(nodes), settings()), 64512);
  assert.deepEqual(sessions(topologyOf([NODE1, ...nodes.slice(1)]), flags), []);
});

test("of other Nodes the AS is read, and not what they say of their own routers", () => {
  const flags = settings({ "nodes-full-mesh": "false" });
  const annotations = { "kube-router.io/node.asn": " 65001 ", "kube-router.io/peers": "[]" };
  const topology = topologyOf([NODE1, NODE2].map((node) => ({ ...node, annotations })));
  const [node2] = topology.peers;
  const asked: string[] = [];
  const said = new Proxy(node2!.annotations, {
    get(map, name) {
      if (name !== "get") return Reflect.get(map, name, map)?.bind?.(map);
      return (key: string) => {
        asked.push(key);
        return map.get(key);
      };
    },
  });
  const peers = [{ ...node2!, annotations: said }];
  assert.equal(sessions({ ...topology, peers }, flags).length, 1);
  assert.deepEqual([...new Set(asked)], ["node.asn"]);
});

test("own pod CIDRs go out with the own address of their family", () => {
  assert.deepEqual(ownRoutes(selfOf([DUAL1])), [
    { prefix: "10.233.64.0/24", nextHop: "192.168.50.50", communities: [], med: undefined },
    { prefix: "fd00:64::/64", nextHop: "fd00::50", communities: [], med: undefined },
  ]);
  assert.deepEqual(ownRoutes(selfOf([{ ...DUAL1, addresses: ["192.168.50.50"] }])).length, 1);
});

test("the router id: given, the IPv4 address, or a hash where there is none", () => {
  const ipv6Only = { name: "node1", addresses: ["fd00::50"] };
  assert.equal(routerIdOf(selfOf([NODE1]), "primary"), "192.168.50.50");
  assert.equal(
    routerIdOf(selfOf([NODE1]), settings({ "router-id": "1.2.3.4" }).routerId),
    "1.2.3.4",
  );
  const generated = routerIdOf(selfOf([ipv6Only]), "primary");
  assert.match(generated!, /^\d+\.\d+\.\d+\.\d+$/);
  assert.equal(routerIdOf(selfOf([ipv6Only]), "generate"), generated);
  assert.notEqual(
    routerIdOf(selfOf([{ ...ipv6Only, addresses: ["fd00::51"] }]), "primary"),
    generated,
  );
  // FNV-1a of the sixteen octets ::ffff:192.168.50.50, computed apart from this code.
  assert.equal(routerIdOf(selfOf([NODE1]), "generate"), "224.164.81.91");
  assert.equal(routerIdOf(selfOf([{ name: "node1", addresses: [] }]), "primary"), undefined);
});

test("it listens on the own address of each family", () => {
  assert.deepEqual(listenAddresses(selfOf([DUAL1])), ["192.168.50.50", "fd00::50"]);
  assert.deepEqual(listenAddresses(selfOf([NODE1])), ["192.168.50.50"]);
});

test("clients of a reflector peer with reflectors alone, on both sides alike", () => {
  const node = (number: number, role: Readonly<Record<string, string>>) => ({
    name: `node${number}`,
    addresses: [`192.168.50.${49 + number}`],
    annotations: role,
  });
  const server = { "kube-router.io/rr.server": "42" };
  const client = { "kube-router.io/rr.client": "42" };
  const seen = (...roles: Readonly<Record<string, string>>[]) =>
    sessions(topologyOf(roles.map((role, i) => node(i + 1, role))), settings()).map(
      (peer) => `${peer.name}${peer.routeReflectorClient ? " client" : ""}`,
    );
  assert.deepEqual(seen(server, client, {}, server), ["node2 client", "node3", "node4"]);
  assert.deepEqual(seen(client, client, {}, server), ["node4"]);
  assert.deepEqual(seen({}, client, {}, server), ["node3", "node4"]);
});

test("a session that stays the same stays the same object, whatever else changes", () => {
  const reader = new TopologyReader("node1", [4, 6]);
  const memo = new MeshMemo();
  const nodes = new Map([NODE1, NODE2].map((node) => [node.name as string, snapshot(node)]));
  const remembered = (flags = {}) => {
    const topology = reader.read(new Map(nodes));
    const read = readNodeAnnotations("node1", topology.self?.annotations ?? new Map());
    const peers = meshPeers(topology, read.values, settings(flags), memo);
    assert.deepEqual(peers, meshPeers(topology, read.values, settings(flags)));
    return peers;
  };
  const [first] = remembered();
  nodes.set("node3", snapshot({ name: "node3", addresses: ["192.168.50.52"] }));
  assert.equal(remembered()[0], first);
  nodes.set("node2", snapshot({ ...NODE2, addresses: ["192.168.50.99"] }));
  const moved = remembered();
  assert.equal(moved[0]?.address, "192.168.50.99");
  // What all sessions have in common makes all of them new.
  const other = remembered({ "bgp-holdtime": "30s" });
  assert.equal(other[1]?.holdSeconds, 30);
  nodes.set("node1", snapshot({ ...NODE1, addresses: ["192.168.50.77"] }));
  assert.equal(remembered({ "bgp-holdtime": "30s" })[1]?.localAddress, "192.168.50.77");
  assert.equal(remembered()[1]?.holdSeconds, 90);
});

test("Nodes that come one after the other, at a plan each, have one import policy", () => {
  const reader = new TopologyReader("node1", [4, 6]);
  const memo = new MeshMemo();
  const nodes = new Map([["node1", snapshot(NODE1)]]);
  let peers: ReturnType<typeof meshPeers> = [];
  for (let i = 0; i < 60; i++) {
    // Twenty at a time, so that all are replaced again and again.
    nodes.delete(`other${i - 20}`);
    const [name, address] = [`other${i}`, `192.168.51.${i}`];
    nodes.set(name, snapshot({ name, addresses: [address] }));
    const topology = reader.read(new Map(nodes));
    const read = readNodeAnnotations("node1", topology.self?.annotations ?? new Map());
    memo.policies.begin();
    peers = meshPeers(topology, read.values, settings(), memo);
  }
  assert.equal(peers.length, 20);
  assert.equal(new Set(peers.map(({ importPolicy }) => importPolicy)).size, 1);
});
