/** What each key of the configuration file makes of a session, and what holds without it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { buildPeers, type PeerDefaults } from "../../src/agent/config-file/build.ts";
import { parseConfigFile } from "../../src/agent/config-file/parse.ts";
import { address } from "../support/address.ts";

const DEFAULTS: PeerDefaults = {
  holdSeconds: 90,
  port: 1179,
  restartSeconds: 100,
  ownAddresses: ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(address),
};

function peersOf(text: string, defaults: PeerDefaults = DEFAULTS) {
  const parsed = parseConfigFile(text, "peers.yaml");
  assert.ok(parsed.ok, parsed.ok ? "" : parsed.problems.join("\n"));
  const built = buildPeers(parsed.file, defaults, (file) => ({ ok: true, secret: `of ${file}` }));
  assert.deepEqual(built.problems, []);
  return built.peers;
}

const EVERY_KEY = [
  "remoteAs: 65001",
  "localAs: 65002",
  "localAddress: 192.0.2.9",
  "port: 1180",
  "passive: true",
  "holdTime: 9",
  "families: [ipv6, ipv4]",
  "passwordFile: /run/secret",
  "ttlSecurity: false",
  "multihopTtl: 3",
  "bindInterface: eth1",
  "routeReflectorClient: true",
  "nextHopSelf: true",
  "import: first",
  "export: second",
  "gracefulRestart: { restartTime: 30s, notification: false, longLivedStaleTime: 1h }",
  "enhancedRouteRefresh: false",
  "extendedMessage: false",
  "addPath: both",
  "maximumPrefixes: { limit: 7, warningPercent: 50, restart: 60s }",
  "shutdown: maintenance",
];
const POLICIES = "policies:\n  - name: first\n  - name: second\n";
const BARE = "{ name: a, address: 192.0.2.254, remoteAs: 65001 }";

test("a peer of which only the address is said has what holds without a key", () => {
  const [peer] = peersOf(`peers:\n  - ${BARE}\n`);
  assert.deepEqual(peer, {
    name: "a",
    address: "192.0.2.254",
    port: 1179,
    remoteAs: 65001,
    localAs: undefined,
    localAddress: undefined,
    nextHops: ["192.0.2.1", "2001:db8::1"],
    nextHopsByLink: true,
    passive: false,
    holdSeconds: 90,
    families: [4],
    gracefulRestart: { restartSeconds: 100, notification: true, longLivedSeconds: undefined },
    enhancedRouteRefresh: true,
    extendedMessage: true,
    addPath: "none",
    password: undefined,
    ttlSecurity: false,
    multihopTtl: 1,
    bindInterface: undefined,
    routeReflectorClient: false,
    nextHopSelf: false,
    importPolicy: undefined,
    exportPolicy: undefined,
    maximumPrefixes: undefined,
    shutdown: undefined,
  });
});

test("each key reaches the session, said of the peer or of its group", () => {
  const expected = {
    name: "a",
    address: "192.0.2.254",
    port: 1180,
    remoteAs: 65001,
    localAs: 65002,
    localAddress: "192.0.2.9",
    nextHops: ["192.0.2.9", "2001:db8::1"],
    nextHopsByLink: true,
    passive: true,
    holdSeconds: 9,
    families: [4, 6],
    gracefulRestart: { restartSeconds: 30, notification: false, longLivedSeconds: 3600 },
    enhancedRouteRefresh: false,
    extendedMessage: false,
    addPath: "both",
    password: "of /run/secret",
    ttlSecurity: false,
    multihopTtl: 3,
    bindInterface: "eth1",
    routeReflectorClient: true,
    nextHopSelf: true,
    importPolicy: { name: "first", defaultResult: "reject", statements: [] },
    exportPolicy: { name: "second", defaultResult: "reject", statements: [] },
    maximumPrefixes: { limit: 7, warningPercent: 50, restartSeconds: 60 },
    shutdown: { message: "maintenance" },
  };
  const lines = (keys: readonly string[]) => keys.map((key) => `    ${key}\n`).join("");
  const head = "  - name: a\n    address: 192.0.2.254\n";
  const [own] = peersOf(`${POLICIES}peers:\n${head}${lines(EVERY_KEY)}`);
  assert.deepEqual(own, expected);
  const group = `peerGroups:\n  - name: g\n${lines(EVERY_KEY)}`;
  const [ofGroup] = peersOf(`${POLICIES}${group}peers:\n${head}    group: g\n`);
  assert.deepEqual(ofGroup, expected);
});

test("what the peer says goes before what its group says, also where it says no", () => {
  const group = "passive: true, nextHopSelf: true, shutdown: true, holdTime: 30, remoteAs: 65001";
  const own = "passive: false, nextHopSelf: false, shutdown: false, holdTime: 0, remoteAs: any";
  const [peer, other] = peersOf(
    `peerGroups:\n  - { name: g, ${group} }\npeers:\n` +
      `  - { name: a, address: 192.0.2.254, group: g, ${own} }\n` +
      "  - { name: b, address: 192.0.2.253, group: g, ttlSecurity: true }\n",
  );
  assert.deepEqual(
    [peer?.passive, peer?.nextHopSelf, peer?.shutdown, peer?.holdSeconds, peer?.remoteAs],
    [false, false, undefined, 0, undefined],
  );
  assert.deepEqual(
    [other?.passive, other?.nextHopSelf, other?.shutdown, other?.ttlSecurity],
    [true, true, { message: "" }, true],
  );
});

test("graceful restart: the agent's setting, unless the peer has one of its own", () => {
  const restart = (own: string, restartSeconds: number | undefined) => {
    const text = `peers:\n  - { name: a, address: 192.0.2.254, remoteAs: 1${own} }\n`;
    return peersOf(text, { ...DEFAULTS, restartSeconds })[0]?.gracefulRestart?.restartSeconds;
  };
  const on = ", gracefulRestart: { enabled: true }";
  const off = ", gracefulRestart: { enabled: false, restartTime: 5 }";
  assert.deepEqual([restart("", 100), restart("", undefined)], [100, undefined]);
  assert.deepEqual([restart(on, 100), restart(on, undefined)], [100, 90]);
  assert.deepEqual([restart(off, 100), restart(off, undefined)], [undefined, undefined]);
  // Neither on nor off: as the agent's setting has it, whatever else is said.
  const time = ", gracefulRestart: { restartTime: 5, notification: false }";
  assert.deepEqual([restart(time, 100), restart(time, undefined)], [5, undefined]);
});

test("prefixes of a policy: these alone, up to a length, from a length on", () => {
  const prefixes = [
    "10.0.0.0/8",
    "{ prefix: 10.0.0.0/8, ge: 24 }",
    "{ prefix: 10.0.0.0/8, le: 24 }",
    "{ prefix: 10.0.0.0/8, ge: 16, le: 24 }",
    "{ prefix: fd00::/8, ge: 64 }",
    "fd00::/8",
  ];
  const match = `{ prefixes: [${prefixes.join(", ")}], originated: false }`;
  const [peer] = peersOf(
    `policies:\n  - name: p\n    statements:\n      - { match: ${match}, result: next }\n` +
      `peers:\n  - ${BARE.replace("}", ", import: p }")}\n`,
  );
  const [statement] = peer!.importPolicy!.statements;
  assert.deepEqual(statement, {
    name: "p[0]",
    match: {
      prefixes: [
        { prefix: "10.0.0.0/8", ge: 8, le: 8 },
        { prefix: "10.0.0.0/8", ge: 24, le: 32 },
        { prefix: "10.0.0.0/8", ge: 8, le: 24 },
        { prefix: "10.0.0.0/8", ge: 16, le: 24 },
        { prefix: "fd00::/8", ge: 64, le: 128 },
        { prefix: "fd00::/8", ge: 8, le: 8 },
      ],
      originated: false,
    },
    set: {},
    result: "next",
  });
});
