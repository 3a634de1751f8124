/** Peers outside the cluster: flags over annotations, and the policies that go with them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { BgpSettings } from "../../src/agent/config.ts";
import { externalPeers, nodeImport, unusedOptions } from "../../src/agent/external-peers.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { readNodeAnnotations } from "../../src/k8s/annotations.ts";
import type { SelfNode } from "../../src/k8s/topology.ts";
import { address } from "../support/address.ts";

const self: SelfNode = {
  name: "node1",
  primaryAddress: address("192.168.50.50"),
  uid: "1",
  addresses: [{ type: "InternalIP", address: address("192.168.50.50") }],
  nodeIps: { 4: address("192.168.50.50"), 6: undefined },
  podCidrs: [prefix("10.233.64.0/24")],
  annotations: new Map(),
};

const settings: BgpSettings = {
  clusterAs: 64512,
  port: 179,
  holdSeconds: 90,
  routerId: "primary",
  maximumPaths: 1,
  restartSeconds: 90,
  deferralSeconds: 10,
  fullMesh: true,
  nodePeers: true,
  advertisePodCidr: true,
  overrideNextHop: false,
  external: { peers: [], multihopTtl: 0, passwordsFile: undefined },
};

const NONE = { peers: [], multihopTtl: 0, passwordsFile: undefined };

function annotations(entries: Record<string, string>) {
  const read = readNodeAnnotations("node1", new Map(Object.entries(entries)));
  assert.deepEqual(read.problems, []);
  return read.values;
}

test("a peer of the annotation, with prepending and communities on what goes out", () => {
  const values = annotations({
    peers: "- remoteip: 192.168.50.1\n  remoteasn: 65001\n  password: c2VjcmV0\n",
    "path-prepend.as": "64512",
    "path-prepend.repeat-n": "3",
    "node.bgp.communities": "64512:7,no-export",
  });
  const [peer, ...others] = externalPeers(self, values, NONE, settings);
  assert.deepEqual(others, []);
  assert.equal(peer?.remoteAs, 65001);
  assert.equal(peer?.password, "secret");
  assert.equal(peer?.localAddress, "192.168.50.50");
  assert.equal(peer?.multihopTtl, 1);
  assert.equal(peer?.exportPolicy?.defaultResult, "reject");
  assert.deepEqual(
    peer?.exportPolicy?.statements.map((statement) => statement.set),
    [{ addCommunities: [0xfc000007, 0xffffff01], prepend: { as: 64512, count: 3 } }],
  );
});

test("what an external session is where nothing else is said", () => {
  const both = { ...self, nodeIps: { 4: address("192.168.50.50"), 6: address("2001:db8::50") } };
  const values = annotations({
    peers: "- remoteip: 2001:db8::1\n  remoteasn: 65001\n",
  });
  const [peer] = externalPeers(both, values, NONE, settings);
  assert.deepEqual(peer, {
    name: "2001:db8::1",
    address: "2001:db8::1",
    port: 179,
    remoteAs: 65001,
    localAs: undefined,
    localAddress: "2001:db8::50",
    nextHops: ["192.168.50.50", "2001:db8::50"],
    nextHopsByLink: false,
    passive: false,
    holdSeconds: 90,
    families: [4, 6],
    gracefulRestart: { restartSeconds: 90, notification: true, longLivedSeconds: undefined },
    enhancedRouteRefresh: true,
    extendedMessage: false,
    addPath: "none",
    password: undefined,
    ttlSecurity: false,
    multihopTtl: 1,
    bindInterface: undefined,
    routeReflectorClient: false,
    nextHopSelf: false,
    importPolicy: nodeImport([]),
    exportPolicy: {
      name: "to external peers",
      statements: [
        { name: "own pod CIDRs", match: { originated: true }, set: {}, result: "accept" },
      ],
      defaultResult: "reject",
    },
    maximumPrefixes: undefined,
    shutdown: undefined,
  });
  const own = annotations({
    peers: "- remoteip: 192.168.50.1\n  remoteasn: 65001\n  localip: 192.168.50.60\n",
  });
  const off = { ...settings, restartSeconds: undefined, holdSeconds: 30 };
  const [other] = externalPeers(self, own, NONE, off);
  assert.equal(other?.localAddress, "192.168.50.60");
  assert.equal(other?.gracefulRestart, undefined);
  assert.equal(other?.holdSeconds, 30);
  assert.deepEqual([other?.nextHops, other?.families], [["192.168.50.50"], [4]]);
});

test("peers of the flags hold for all nodes, and silence the annotation", () => {
  const values = annotations({ peers: "- remoteip: 192.168.50.1\n  remoteasn: 65001\n" });
  const flags = {
    peers: [
      {
        address: address("192.168.50.2"),
        as: 65002,
        port: 1179,
        localAddress: undefined,
        password: undefined,
      },
    ],
    multihopTtl: 5,
    passwordsFile: undefined,
  };
  const peers = externalPeers(self, values, flags, { ...settings, overrideNextHop: true });
  assert.deepEqual(
    peers.map((peer) => [peer.address, peer.port, peer.multihopTtl, peer.nextHopSelf]),
    [["192.168.50.2", 1179, 5, true]],
  );
  // Left out while their passwords cannot be had: that is no reason to peer with others.
  const without = { ...flags, peers: [], passwordsFile: "/etc/podrouter/passwords" };
  assert.deepEqual(externalPeers(self, values, without, settings), []);
});

test("without --advertise-pod-cidr nothing goes out", () => {
  const values = annotations({ peers: "- remoteip: 192.168.50.1\n  remoteasn: 65001\n" });
  const [peer] = externalPeers(self, values, NONE, { ...settings, advertisePodCidr: false });
  assert.deepEqual(peer?.exportPolicy?.statements, []);
  assert.equal(peer?.exportPolicy?.defaultResult, "reject");
});

test("default routes and customimportreject, longer prefixes included, are refused", () => {
  const values = annotations({ "node.bgp.customimportreject": "10.0.0.0/8,2001:db8::/32" });
  const [statement] = nodeImport(values.importReject).statements;
  assert.equal(statement?.result, "reject");
  assert.deepEqual(statement?.match.prefixes, [
    { prefix: "0.0.0.0/0", ge: 0, le: 0 },
    { prefix: "::/0", ge: 0, le: 0 },
    { prefix: "10.0.0.0/8", ge: 8, le: 32 },
    { prefix: "2001:db8::/32", ge: 32, le: 128 },
  ]);
});

test("BFD that the annotation asks for is said not to be there, once for all peers", () => {
  const peer = (n: number, bfd: string) =>
    `- remoteip: 192.168.50.${n}\n  remoteasn: 65001\n  bfd:\n    enabled: ${bfd}\n`;
  const asked = annotations({ peers: peer(1, "true") + peer(2, "false") + peer(3, "true") });
  const [condition, ...others] = unusedOptions(asked, NONE);
  assert.deepEqual(others, []);
  assert.equal(condition?.severity, "warning");
  assert.match(
    condition.message,
    /asks for BFD, which podrouter does not have: .* 192\.168\.50\.1, 192\.168\.50\.3 runs without/,
  );
  const six = annotations({ peers: [1, 2, 3, 4, 5, 6].map((n) => peer(n, "true")).join("") });
  assert.match(unusedOptions(six, NONE)[0]!.message, /192\.168\.50\.5 and 1 more runs without/);
  assert.deepEqual(unusedOptions(annotations({ peers: peer(2, "false") }), NONE), []);
  const [byFlag] = asked.peers;
  assert.deepEqual(unusedOptions(asked, { ...NONE, peers: [byFlag!] }), []);
});
