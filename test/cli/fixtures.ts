/** Peers and paths as an agent would show them, at a fixed time. */
import type { PeerStatus, RibPath } from "../../src/agent/admin-protocol.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { address } from "../support/address.ts";

export { address } from "../support/address.ts";

/** 2023-07-27T08:20:00Z. */
export const NOW = 1_690_446_000_000;

const NO_MESSAGES = {
  open: 0,
  update: 0,
  notification: 0,
  keepalive: 0,
  routeRefresh: 0,
  total: 0,
  bytes: 0,
} as const;

export function peer(changes: Partial<PeerStatus>): PeerStatus {
  return {
    name: "node2",
    address: address("192.168.50.51"),
    port: 179,
    localAddress: undefined,
    localAs: 64512,
    remoteAs: 64512,
    remoteRouterId: undefined,
    internal: true,
    state: "Idle",
    adminState: "up",
    since: undefined,
    established: 0,
    flaps: 0,
    lastError: undefined,
    passwordSet: false,
    timers: { configuredHoldSeconds: 90, holdSeconds: undefined, keepaliveSeconds: undefined },
    capabilities: { local: [], remote: [] },
    sent: NO_MESSAGES,
    received: NO_MESSAGES,
    errors: {},
    outputQueueBytes: 0,
    families: [],
    restarting: false,
    ...changes,
  };
}

export function path(changes: Partial<RibPath>): RibPath {
  return {
    prefix: prefix("10.233.65.0/24"),
    family: 4,
    best: true,
    multipath: false,
    valid: true,
    stale: false,
    lost: undefined,
    peer: { name: "node2", address: address("192.168.50.51") },
    nextHop: address("192.168.50.51"),
    asPath: "",
    origin: "igp",
    localPref: 100,
    med: undefined,
    communities: [],
    extendedCommunities: [],
    largeCommunities: [],
    atomicAggregate: false,
    aggregator: undefined,
    originatorId: undefined,
    clusterList: [],
    pathId: 0,
    since: NOW - 478_000,
    attributesOpaque: [],
    ...changes,
  };
}

/** The capabilities of the seed's OPENs: what node1 sent, and what a restarted node2 did. */
const capabilities: PeerStatus["capabilities"] = {
  local: [
    { kind: "routeRefresh" },
    { kind: "fqdn", hostName: "node1", domainName: "" },
    { kind: "multiprotocol", family: 4 },
    { kind: "fourOctetAs", as: 64512 },
    {
      kind: "gracefulRestart",
      restarted: false,
      notification: false,
      restartSeconds: 90,
      families: [{ family: 4, forwardingPreserved: false }],
    },
    { kind: "extendedNextHop", entries: [{ family: 4, nextHopFamily: 6 }] },
  ],
  remote: [
    { kind: "routeRefresh" },
    // A host name that would clear an operator's screen.
    { kind: "fqdn", hostName: "node2\u001b[2J", domainName: "" },
    { kind: "multiprotocol", family: 4 },
    { kind: "multiprotocol", family: 6 },
    { kind: "fourOctetAs", as: 64512 },
    {
      kind: "gracefulRestart",
      restarted: true,
      notification: true,
      restartSeconds: 120,
      families: [{ family: 4, forwardingPreserved: true }],
    },
    {
      kind: "longLivedGracefulRestart",
      families: [{ family: 4, forwardingPreserved: true, staleSeconds: 3600 }],
    },
    { kind: "addPath", families: [{ family: 4, mode: 3 }] },
    { kind: "softwareVersion", version: "GoBGP/4.8.0" },
    { kind: "unknown", code: 200, value: Uint8Array.of(1, 2) },
  ],
};

export const PEERS: readonly PeerStatus[] = [
  peer({
    localAddress: address("192.168.50.50"),
    remoteRouterId: address("192.168.50.51"),
    state: "Established",
    since: NOW - 478_000,
    established: 2,
    flaps: 1,
    lastError: { at: NOW - 480_000, reason: "hold timer expired" },
    timers: { configuredHoldSeconds: 90, holdSeconds: 90, keepaliveSeconds: 30 },
    capabilities,
    sent: { ...NO_MESSAGES, open: 2, update: 4, keepalive: 18, total: 24, bytes: 582 },
    received: { ...NO_MESSAGES, open: 2, update: 5, keepalive: 17, total: 24, bytes: 611 },
    errors: { "ORIGIN has a wrong value": 1 },
    families: [
      {
        family: 4,
        received: 3,
        accepted: 2,
        advertised: 1,
        oversized: 0,
        stale: 1,
        endOfRibReceived: true,
        endOfRibSent: true,
      },
    ],
  }),
  peer({
    name: "node3",
    address: address("192.168.50.152"),
    remoteAs: undefined,
    state: "Active",
    lastError: { at: NOW - 5000, reason: "connection refused" },
  }),
  peer({
    name: "tor-1",
    address: address("192.168.50.201"),
    remoteAs: 4_200_000_001,
    internal: false,
    state: "OpenSent",
    since: NOW - 90_061_000,
    passwordSet: true,
  }),
  peer({ name: "tor-2", address: address("192.168.50.202"), adminState: "down" }),
  peer({ name: "twin", address: address("fd00::51"), adminState: "prefix-limit" }),
  peer({ name: "twin", address: address("fd00::52"), state: "Connect" }),
];

export const PATHS: readonly RibPath[] = [
  path({
    prefix: prefix("10.233.64.0/24"),
    peer: undefined,
    nextHop: address("192.168.50.50"),
    localPref: undefined,
    since: NOW - 90_061_000,
  }),
  path({}),
  path({
    best: false,
    lost: "longer AS_PATH",
    peer: { name: "tor-1", address: address("192.168.50.201") },
    nextHop: address("192.168.50.201"),
    asPath: "4200000001 65001 {65002}",
    origin: "incomplete",
    localPref: undefined,
    med: 0,
    communities: ["65001:1", "no-export"],
    largeCommunities: ["65001:1:2"],
    atomicAggregate: true,
    aggregator: { as: 65033, address: address("192.0.2.7") },
    originatorId: address("10.0.0.1"),
    clusterList: [address("10.0.0.2"), address("10.0.0.3")],
    pathId: 7,
    attributesOpaque: [{ type: 40, flags: 0xc0, hex: "0102" }],
  }),
  path({
    prefix: prefix("10.233.66.0/24"),
    peer: { name: "node3", address: address("192.168.50.152") },
    nextHop: address("192.168.50.152"),
    stale: true,
  }),
  path({
    prefix: prefix("fd00:65::/64"),
    family: 6,
    nextHop: address("fd00::51"),
    best: false,
    valid: false,
    lost: "next hop unreachable",
  }),
];
