/** The configuration file: what it means, and how it is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { buildNetworks, buildPeers, type PeerDefaults } from "../../src/agent/config-file/build.ts";
import { parseConfigFile } from "../../src/agent/config-file/parse.ts";
import type { ConfigFile } from "../../src/agent/config-file/schema.ts";
import { address } from "../support/address.ts";
import { processWarnings } from "../support/process-warnings.ts";

const FULL = `# a rack
global:
  as: 64512
  routerId: 192.0.2.1
  listen:
    - { address: 192.0.2.1, port: 1179 }
  maximumPaths: 4
policies:
  - name: pods-only
    default: reject
    statements:
      - name: pods
        match:
          prefixes:
            - 10.233.0.0/16
            - { prefix: 10.234.0.0/16, ge: 24, le: 26 }
          communities: ["64512:100", no-export]
        set: { localPref: 200, prepend: { as: 64512, count: 2 }, addCommunities: [64512:7] }
        result: accept
peerGroups:
  - name: tor
    remoteAs: 65001
    holdTime: 9s
    passwordFile: /run/secrets/tor
    export: pods-only
    gracefulRestart: { restartTime: 2m }
peers:
  - name: tor1
    address: 192.0.2.254
    group: tor
  - name: tor2
    address: 2001:db8::fe
    group: tor
    remoteAs: any
    holdTime: 0
    families: [ipv4, ipv6]
    shutdown: maintenance
    maximumPrefixes: { limit: 1000 }
networks:
  - prefix: 10.99.0.0/16
  - { prefix: 2001:db8:99::/48, nextHop: "2001:db8::1", med: 5 }
`;

const DEFAULTS: PeerDefaults = {
  holdSeconds: 90,
  port: 179,
  restartSeconds: 90,
  ownAddresses: [address("192.0.2.1")],
};

function parsed(text: string): ConfigFile {
  const result = parseConfigFile(text, "peers.yaml");
  assert.ok(result.ok, result.ok ? "" : result.problems.join("\n"));
  return result.file;
}

function refusals(text: string): readonly string[] {
  const result = parseConfigFile(text, "peers.yaml");
  return result.ok ? [] : result.problems;
}

test("a full file becomes peers, policies and networks", () => {
  const file = parsed(FULL);
  assert.equal(file.global.maximumPaths, 4);
  const asked: string[] = [];
  const built = buildPeers(file, DEFAULTS, (name) => {
    asked.push(name);
    return { ok: true, secret: "s3cret" };
  });
  assert.deepEqual(built.problems, []);
  assert.deepEqual(asked, ["/run/secrets/tor", "/run/secrets/tor"]);
  const [tor1, tor2] = built.peers;
  assert.equal(tor1?.remoteAs, 65001);
  assert.equal(tor1?.holdSeconds, 9);
  assert.equal(tor1?.password, "s3cret");
  assert.equal(tor1?.gracefulRestart?.restartSeconds, 120);
  assert.deepEqual(tor1?.families, [4]);
  assert.deepEqual(tor1?.exportPolicy?.statements[0], {
    name: "pods",
    match: {
      prefixes: [
        { prefix: "10.233.0.0/16", ge: 16, le: 16 },
        { prefix: "10.234.0.0/16", ge: 24, le: 26 },
      ],
      communities: [0xfc000064, 0xffffff01],
    },
    set: { localPref: 200, prepend: { as: 64512, count: 2 }, addCommunities: [0xfc000007] },
    result: "accept",
  });
  assert.equal(tor2?.remoteAs, undefined, "any");
  assert.equal(tor2?.holdSeconds, 0);
  assert.deepEqual(tor2?.families, [4, 6]);
  assert.deepEqual(tor2?.shutdown, { message: "maintenance" });
  assert.deepEqual(tor2?.maximumPrefixes, { limit: 1000, warningPercent: 75, restartSeconds: 0 });
  const networks = buildNetworks(file);
  assert.deepEqual(
    networks.map((route) => `${route.prefix} ${route.nextHop} ${route.med}`),
    ["10.99.0.0/16 undefined undefined", "2001:db8:99::/48 2001:db8::1 5"],
  );
});

test("families are a set: in another order, or said twice, it is the same peer", () => {
  for (const families of ["[ipv4, ipv6]", "[ipv6, ipv4]"]) {
    assert.deepEqual(familiesOf(families), [4, 6]);
  }
  assert.deepEqual(familiesOf("[ipv6, ipv6]"), [6]);
});

function familiesOf(families: string) {
  const file = parsed(
    `peers: [{ name: a, address: 10.0.0.3, remoteAs: 1, families: ${families} }]`,
  );
  return buildPeers(file, DEFAULTS, () => assert.fail()).peers[0]?.families;
}

test("an empty file is a valid one", () => {
  for (const text of ["", "# nothing\n", "{}"]) assert.deepEqual(parsed(text).peers, []);
});

/** Text of a file → the one sentence that refuses it: file, line, field, what was expected. */
const REFUSED: readonly (readonly [string, RegExp])[] = [
  ["peers: [\n", /^peers\.yaml:\d+: /],
  ["- x\n", /^peers\.yaml:1: expected keys with values \(global, .*\), not a list$/],
  ["peers:\n", /^peers\.yaml:1: peers: expected a list, not nothing$/],
  ["global:\n  maximumPaths: x\n", /:2: global\.maximumPaths: expected a number, not "x"$/],
  [
    "policies:\n  - name: a\n    default: maybe\n",
    /^peers\.yaml:3: policies\[0\]\.default: expected accept or reject, not "maybe"$/,
  ],
  [
    "peers:\n  - name: a\n    address: 10.0.0.300\n    remoteAs: 1\n",
    /:3: peers\[0\]\.address: expected an IPv4 or IPv6 address that a peer can have, not "10\.0\.0\.300"$/,
  ],
  [
    "peers:\n  - name: a\n    address: 224.0.0.1\n    remoteAs: 1\n",
    /^peers\.yaml:3: peers\[0\]\.address: expected .* that a peer can have, not "224\.0\.0\.1"$/,
  ],
  [
    "peers:\n  - name: a\n    address: 10.0.0.3\n    remoteAs: 0\n",
    /^peers\.yaml:4: peers\[0\]\.remoteAs: expected an AS number from .*, or any, not 0$/,
  ],
  [
    "peers:\n  - name: a\n    address: 10.0.0.3\n    remoteAs: 1\n    holdTime: 2\n",
    /^peers\.yaml:5: peers\[0\]\.holdTime: expected 0, or a hold time from 3s to 65535s, not 2$/,
  ],
  ["peers:\n  - name: a\n    address: 10.0.0.3\n", /^peers\.yaml:2: peers\[0\]: needs remoteAs/],
  [
    "peers:\n  - name: a\n    adress: 10.0.0.3\n    remoteAs: 1\n",
    /^peers\.yaml:3: peers\[0\]\.adress: is not a key/,
  ],
  [
    "global:\n  as: 64512\n  routerId: ::1\n",
    /^peers\.yaml:3: global\.routerId: expected an IPv4 address .*, not "::1"$/,
  ],
  [
    "peers:\n  - { name: a, address: 10.0.0.3, remoteAs: 1, import: none }\n",
    /^peers\.yaml:2: peers\[0\]\.import: no policy is called none/,
  ],
  [
    "peers:\n  - { name: a, address: 10.0.0.3, remoteAs: 1 }\n  - { name: b, address: 10.0.0.3, remoteAs: 1 }\n",
    /^peers\.yaml:3: peers\[1\]\.address: 10\.0\.0\.3 is the address of peer a too$/,
  ],
  [
    "policies:\n  - name: p\n    statements:\n      - match: { prefixes: [{ prefix: 10.0.0.0/8, ge: 4 }] }\n        result: accept\n",
    /^peers\.yaml:4: policies\[0\]\.statements\[0\]\.match\.prefixes\[0\]: lengths of 10\.0\.0\.0\/8 must be 8 <= ge <= le <= 32, not ge 4, le 32$/,
  ],
  [
    "policies:\n  - name: p\n    statements:\n      - match: { prefixes: [10.0.0.1/8] }\n        result: accept\n",
    /^peers\.yaml:4: policies\[0\]\.statements\[0\]\.match\.prefixes\[0\]: expected a prefix without host bits, .*, not "10\.0\.0\.1\/8"$/,
  ],
  [
    "global:\n  routerId: 0.0.0.0\n",
    /^peers\.yaml:2: global\.routerId: expected an IPv4 address other than 0\.0\.0\.0, not "0\.0\.0\.0"$/,
  ],
  [
    "peers:\n  - { name: a, address: 10.0.0.3, remoteAs: 1, localAddress: '2001:db8::1' }\n",
    /^peers\.yaml:2: peers\[0\]\.localAddress: 2001:db8::1 is of another family than .*, 10\.0\.0\.3$/,
  ],
  [
    "peerGroups:\n  - { name: g, localAddress: 10.0.0.1 }\npeers:\n" +
      "  - { name: a, address: 'fd00::3', remoteAs: 1, group: g }\n",
    /^peers\.yaml:4: peers\[0\]\.localAddress: 10\.0\.0\.1 is of another family than .* fd00::3$/,
  ],
  [
    "policies:\n  - name: p\n    statements:\n" +
      "      - match: { asPathLengthMin: 3, asPathLengthMax: 2 }\n        result: accept\n",
    /:4: policies\[0\]\.statements\[0\]\.match\.asPathLengthMax: 2 is less than asPathLengthMin, 3/,
  ],
  [
    "networks:\n  - prefix: 10.0.0.0/8\n  - { prefix: 10.0.0.0/8, med: 5 }\n",
    /^peers\.yaml:3: networks\[1\]\.prefix: 10\.0\.0\.0\/8 is there already$/,
  ],
  [
    "networks:\n  - { prefix: 'fd00::/8', nextHop: 10.0.0.1 }\n",
    /^peers\.yaml:2: networks\[0\]\.nextHop: expected an IPv6 address, for fd00::\/8, not 10\.0\.0\.1$/,
  ],
  ...["127.0.0.1", "0.0.0.0", "224.0.0.5", "240.0.0.1", "::", "::1", "ff02::1", "fe80::1"].map(
    (nextHop) =>
      [
        `networks:\n  - { prefix: 'fd00::/8', nextHop: '${nextHop}' }\n`,
        new RegExp(
          "^peers\\.yaml:2: networks\\[0\\]\\.nextHop: expected an address that peers take as a " +
            `next hop, not "${nextHop}"$`,
        ),
      ] as const,
  ),
  ['{ "peers" "x" }', /^peers\.yaml:1: Missing , or : between flow map items$/],
  [
    "peerGroups:\n  - &a { name: g }\n  - *a\n  - *b\n",
    /^peers\.yaml:4: Unresolved alias \(the anchor must be set before the alias\)$/,
  ],
  ["peers: []\npeers: []\n", /^peers\.yaml:2: the key peers is there already$/],
  ['{"peers": [{"name": "a", "name": "b"}]}', /^peers\.yaml:1: the key name is there already$/],
  ["? {}\n: 1\n", /^peers\.yaml:1: \{…: is not a key that is known here$/],
  [
    "peers: []\n---\npeers: []\n",
    /^peers\.yaml:2: expected one document: a second one begins here$/,
  ],
];

test("a wrong file is refused whole, with file, line, field and what was expected", () => {
  for (const [text, expected] of REFUSED) {
    const messages = refusals(text);
    assert.ok(messages.length > 0, `accepted: ${text}`);
    assert.ok(
      messages.some((message) => expected.test(message)),
      messages.join("\n"),
    );
  }
});

test("what is odd in a file is said as a problem, and nowhere else", async (t) => {
  const warnings = await processWarnings(t, () => {
    assert.equal(refusals("? [global]\n: 1\n").length, 1);
  });
  assert.deepEqual(warnings, []);
});

test("all problems are listed, up to a bound", () => {
  const peers = Array.from(
    { length: 30 },
    (_, i) => `  - { name: p${i}, address: x, remoteAs: 1 }`,
  );
  const messages = refusals(`peers:\n${peers.join("\n")}\n`);
  assert.equal(messages.length, 21);
  assert.match(messages[20]!, /and \d+ more problems/);
});

test("a peer whose password cannot be read is left out, not run without one", () => {
  const built = buildPeers(parsed(FULL), DEFAULTS, (file) => ({
    ok: false,
    problem: `cannot read ${file}`,
  }));
  assert.deepEqual(built.peers, []);
  assert.match(built.problems[0]!, /peer tor1 is left out: cannot read \/run\/secrets\/tor/);
});

test("aliases cannot be used to blow it up", () => {
  const levels = ["a: &a [x,x,x,x,x,x,x,x,x,x]"];
  for (let i = 0; i < 9; i++) {
    const [from, to] = [String.fromCharCode(97 + i), String.fromCharCode(98 + i)];
    levels.push(`${to}: &${to} [*${from},*${from},*${from},*${from},*${from},*${from},*${from}]`);
  }
  assert.ok(refusals(levels.join("\n")).length > 0);
});

test("any text is accepted or refused, never thrown at", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      const result = parseConfigFile(text, "x");
      assert.ok(result.ok || result.problems.length > 0);
    }),
  );
});
