/** Each kind of mistake that the schema of the configuration file can find, and its words. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseDocument } from "yaml";
import * as z from "zod";
import { parseConfigFile } from "../../src/agent/config-file/parse.ts";
import { configFileSchema, KEY_NAMES, KEYS_BY_PLACE } from "../../src/agent/config-file/schema.ts";
import { threadCpuMs } from "../support/yardstick.ts";

function refusals(text: string): readonly string[] {
  const result = parseConfigFile(text, "f");
  return result.ok ? [] : result.problems.map((message) => message.replace(/^f:\d+: /, ""));
}

const listen = (port: string) => `global: { listen: [{ address: 192.0.2.1, port: ${port} }] }`;
const peer = (keys: string) => `peers: [{ name: a, address: 192.0.2.1, remoteAs: 1, ${keys} }]`;
const statement = (keys: string) => `policies: [{ name: p, statements: [{ ${keys} }] }]`;
const match = (keys: string) => statement(`result: accept, match: { ${keys} }`);
const many = (count: number, entry: string) => Array.from({ length: count }, () => entry).join();

const PORT = "expected a whole number from 1 to 65535";
const HOLD = "expected 0, or a hold time from 3s to 65535s";
const KEYS = "expected keys with values";
const TOP_KEYS = `${KEYS} (global, policies, peerGroups, peers, networks)`;
const GLOBAL_KEYS = `${KEYS} (as, routerId, hostName, listen, clusterId, maximumPaths)`;
const PEER_KEYS = `${KEYS} (name, address, group, remoteAs, localAs, localAddress and 18 more)`;
const WORDS: readonly (readonly [text: string, field: string, words: string])[] = [
  [listen("70000"), "global.listen[0].port", `${PORT}, not 70000`],
  [listen("0"), "global.listen[0].port", `${PORT}, not 0`],
  [listen("1.5"), "global.listen[0].port", `${PORT}, not 1.5`],
  [listen(".inf"), "global.listen[0].port", `${PORT}, not Infinity`],
  [listen(".nan"), "global.listen[0].port", `${PORT}, not NaN`],
  [listen("1e300"), "global.listen[0].port", `${PORT}, not 1e+300`],
  [listen("x"), "global.listen[0].port", 'expected a number, not "x"'],
  [listen('"179"'), "global.listen[0].port", 'expected a number, not "179"'],
  [listen("[1]"), "global.listen[0].port", "expected a number, not a list"],
  [listen("null"), "global.listen[0].port", "expected a number, not nothing"],
  [listen("true"), "global.listen[0].port", "expected a number, not true"],
  [
    "global: { listen: [{ address: 192.0.2.1 }, { address: FE80::1 }] }",
    "global.listen[1].address",
    'expected an IPv4 or IPv6 address that is not link-local (:: takes those too), not "FE80::1"',
  ],
  [
    `global: { listen: [${many(65, "{ address: 192.0.2.1 }")}] }`,
    "global.listen",
    "expected at most 64 entries",
  ],
  [
    "global: { maximumPaths: 65 }",
    "global.maximumPaths",
    "expected a whole number from 1 to 64, not 65",
  ],
  ["global: [1]", "global", `${GLOBAL_KEYS}, not a list`],
  ["global: { asn: 1 }", "global.asn", "is not a key that is known here (Did you mean as?)"],
  ["global: { as: [1] }", "global.as", "expected an AS number from 1 to 4294967294, not a list"],
  ["global: { as: true }", "global.as", "expected an AS number from 1 to 4294967294, not true"],
  ["global: { as: 0 }", "global.as", "expected an AS number from 1 to 4294967294, not 0"],
  ["peers: 5", "peers", "expected a list, not 5"],
  ["peers: [5]", "peers[0]", `${PEER_KEYS}, not a number`],
  ["peers: [{ name: a, remoteAs: 1 }]", "peers[0].address", "is missing"],
  ["peers: [{ address: 192.0.2.1, remoteAs: 1 }]", "peers[0].name", "is missing"],
  [peer("name: 5").replace("name: a, ", ""), "peers[0].name", "expected text, not 5"],
  [peer("families: []"), "peers[0].families", "expected at least 1 entry"],
  [peer("families: [ipv4, ipv4, ipv6]"), "peers[0].families", "expected at most 2 entries"],
  [peer("families: [ipx]"), "peers[0].families[0]", 'expected ipv4 or ipv6, not "ipx"'],
  [peer("passive: yes"), "peers[0].passive", 'expected true or false, not "yes"'],
  [peer('passwordFile: ""'), "peers[0].passwordFile", "expected at least 1 character"],
  [
    peer(`bindInterface: ${"x".repeat(16)}`),
    "peers[0].bindInterface",
    `expected at most 15 characters, not "${"x".repeat(16)}"`,
  ],
  [peer("holdTime: {}"), "peers[0].holdTime", `${HOLD}, not keys with values`],
  [peer("holdTime: 2s"), "peers[0].holdTime", `${HOLD}, not "2s"`],
  [peer("holdTime:"), "peers[0].holdTime", `${HOLD}, not nothing`],
  [peer("shutdown: 5"), "peers[0].shutdown", "expected true or false, or text, not 5"],
  [
    peer(`shutdown: ${"x".repeat(256)}`),
    "peers[0].shutdown",
    `expected at most 255 characters, not "${"x".repeat(64)}…"`,
  ],
  [peer("addPath: all"), "peers[0].addPath", 'expected none or receive or send or both, not "all"'],
  [peer("maximumPrefixes: {}"), "peers[0].maximumPrefixes.limit", "is missing"],
  [
    peer("maximumPrefixes: { limit: 4294967296 }"),
    "peers[0].maximumPrefixes.limit",
    "expected a whole number from 1 to 4294967295, not 4294967296",
  ],
  [statement("name: s"), "policies[0].statements[0].result", "is missing"],
  [
    match("prefixes: [true]"),
    "policies[0].statements[0].match.prefixes[0]",
    "expected a prefix without host bits, such as 10.0.0.0/8, not true",
  ],
  [
    match("prefixes: [[]]"),
    "policies[0].statements[0].match.prefixes[0]",
    "expected a prefix without host bits, such as 10.0.0.0/8, not a list",
  ],
  [
    match("prefixes: [10.0.0.1/8]"),
    "policies[0].statements[0].match.prefixes[0]",
    'expected a prefix without host bits, such as 10.0.0.0/8, not "10.0.0.1/8"',
  ],
  [
    match("prefixes: [{ ge: 9 }]"),
    "policies[0].statements[0].match.prefixes[0].prefix",
    "is missing",
  ],
  [
    match("prefixes: [{ prefix: 10.0.0.0/8, le: 129 }]"),
    "policies[0].statements[0].match.prefixes[0].le",
    "expected a whole number from 0 to 128, not 129",
  ],
  [
    match("prefixes: [{ prefix: 10.0.0.0/8, lt: 9 }]"),
    "policies[0].statements[0].match.prefixes[0].lt",
    "is not a key that is known here (Did you mean le?)",
  ],
  [
    match("communities: []"),
    "policies[0].statements[0].match.communities",
    "expected at least 1 entry",
  ],
  // What an entry's keys are, for whom has written it without.
  [
    "networks: [10.99.0.0/16]",
    "networks[0]",
    `${KEYS} (prefix, nextHop, communities, med), not text`,
  ],
  ["global: { listen: [192.0.2.1] }", "global.listen[0]", `${KEYS} (address, port), not text`],
  [
    peer("maximumPrefixes: 100"),
    "peers[0].maximumPrefixes",
    `${KEYS} (limit, warningPercent, restart), not a number`,
  ],
  ["policies: [accept]", "policies[0]", `${KEYS} (name, default, statements), not text`],
  [
    statement("result: next, set: { prepend: 64512 }"),
    "policies[0].statements[0].set.prepend",
    `${KEYS} (as, count), not a number`,
  ],
  [
    "networks: [{ prefix: 10.0.0.0/8, med: -1 }]",
    "networks[0].med",
    "expected a whole number from 0 to 4294967295, not -1",
  ],
];

test("every mistake is said in the words of the file", () => {
  for (const [text, field, words] of WORDS) {
    assert.deepEqual(refusals(text), [`${field}: ${words}`], text);
  }
});

test("a key from outside is repeated bounded, and without what could steer a terminal", () => {
  const [message] = refusals(JSON.stringify({ [`a\u001b[2J${"x".repeat(5000)}`]: 1 }));
  assert.match(message!, /^a\?\[2Jx+….*: is not a key that is known here$/);
  assert.ok(message!.length < 400);
});

test("so is a value", () => {
  const [message] = refusals(JSON.stringify({ peers: `a\u001b[2J"\n${"x".repeat(5000)}` }));
  assert.match(message!, /^peers: expected a list, not "a\?\[2J'\?x{50,60}…"$/);
});

test("nothing that may be a password is repeated", () => {
  for (const [text, words] of [
    // A file of passwords in the place of this one.
    ["s3cret", `${TOP_KEYS}, not text`],
    ["1234567890", `${TOP_KEYS}, not a number`],
    // The password itself, where its file is to be named.
    [peer("passwordFile: 1234567890"), /^peers\[0\]\.passwordFile: expected text, not a number$/],
    [peer("passwordFile: [s3cret]"), /^peers\[0\]\.passwordFile: expected text, not a list$/],
    [peer(`passwordFile: ${"s3cret".repeat(1000)}`), /: expected at most 4096 characters$/],
    ["peerGroups: [{ name: g, passwordFile: 1234567890 }]", /: expected text, not a number$/],
    // A key that other programs have.
    [peer("password: s3cret"), /^peers\[0\]\.password: .* here \(Did you mean passwordFile\?\)$/],
    [peer("password:s3cret"), /^peers\[0\]\.password:…: is not a key that is known here$/],
    [peer("password=s3cret"), /^peers\[0\]\.password=…: is not a key that is known here$/],
    [peer("password s3cret"), /^peers\[0\]\.password …: is not a key that is known here$/],
    // A key by itself, where something between it and the key before was forgotten.
    [peer("s3cret"), /^peers\[0\]\.…: is not a key that is known here$/],
    [peer("? s3cret"), /^peers\[0\]\.…: is not a key that is known here$/],
    [`${peer("passive: true")}\ns3cret:\n`, /^…: is not a key that is known here$/],
    ['{ "s3cret": null }', /^…: is not a key that is known here$/],
    ["global: { s3cret, s3cret }", /^this key is there already$/],
    ['{ "global": { "s3cret": null, "s3cret": null } }', /^this key is there already$/],
    [peer("port:179"), /^peers\[0\]\.port:…: is not a key that is known here$/],
    [peer("s3cret words"), /^peers\[0\]\.…: is not a key that is known here$/],
    [peer("czNjcmV0="), /^peers\[0\]\.…: is not a key that is known here$/],
    ["global: { passive }", /^global\.passive: .* known here, but in peerGroups, peers$/],
    ["global: { passive, passive }", /^the key passive is there already$/],
    // Before the colon, where & or ! has made something else of the key.
    [peer("&password: s3cret passive: true"), /^peers\[0\]\.…: is not a key that is known here$/],
    [peer("!password: s3cret= 1"), /^peers\[0\]\.…: is not a key that is known here$/],
    // Behind a key that is misspelt, in the value of the one before.
    [peer("port: 1 pasword s3cret"), /^peers\[0\]\.port: expected a number, not "1 pasword…"$/],
    [peer("port: 1 passord:@s3cret"), /^peers\[0\]\.port: expected a number, not "1 passord…"$/],
    [peer("port: 1 pssword=s3cret"), /^peers\[0\]\.port: expected a number, not "1 pssword…"$/],
    // A word in the place of what has keys.
    ["peers: [s3cret]", `peers[0]: ${PEER_KEYS}, not text`],
    ["peers: [1234567890]", `peers[0]: ${PEER_KEYS}, not a number`],
    ["global: s3cret", `global: ${GLOBAL_KEYS}, not text`],
    // What the YAML library quotes.
    [peer("password: *s3cret"), /^Unresolved alias \(the anchor must be set before the alias\)$/],
    [peer("password: !<s3cret 1"), /^a tag means nothing here$/],
    ["peers:\n- password: |s3cret\n", /^Block scalar header includes extra characters$/],
    [peer('password: "\\Us3cret12"'), /^Invalid escape sequence$/],
    [peer('password: "\\us3cret"'), /^Invalid escape sequence$/],
    ["%YAML s3cret\n---\n", /^Unsupported YAML version$/],
    ["? { password: s3cret }\n: 1\n", /^\{…: is not a key that is known here$/],
  ] as const) {
    const said = refusals(text);
    assert.equal(said.length, 1, said.join("\n"));
    if (typeof words === "string") assert.equal(said[0], words);
    else assert.match(said[0]!, words);
    assert.doesNotMatch(said[0]!, /s3cret|12345/);
  }
});

test("a key of ours with no space behind its colon is named, wherever it belongs", () => {
  for (const [text, key] of [
    [peer("holdTime:90"), "peers[0].holdTime:…"],
    [peer("gracefulRestart: { restartTime:90 }"), "peers[0].gracefulRestart.restartTime:…"],
    [peer("maximumPrefixes: { limit:9 }"), "peers[0].maximumPrefixes.limit:…"],
    ["global: { listen: [{ address:192.0.2.1 }] }", "global.listen[0].address:…"],
    [match("prefixes: [{ prefix: 10.0.0.0/8, ge:24 }]"), "match.prefixes[0].ge:…"],
    [match("asPathLengthMin:2"), "match.asPathLengthMin:…"],
    [statement("result: accept, set: { localPref:200 }"), "statements[0].set.localPref:…"],
    [statement("result: accept, set: { prepend: { count:2 } }"), ".set.prepend.count:…"],
  ] as const) {
    const said = `${key}: is not a key that is known here`;
    assert.ok(
      refusals(text).some((line) => line.endsWith(said)),
      `${said}, not ${refusals(text)}`,
    );
  }
});

test("what a key that is not known was meant to be is said, if it is near", () => {
  const PREPEND = "policies.statements.set.prepend";
  const SET = "policies[0].statements[0].set";
  for (const [text, field, hint] of [
    // Misspelt, in another case, with dashes.
    [peer("holdtime: 9"), "peers[0].holdtime", " (Did you mean holdTime?)"],
    [peer("hold-time: 9"), "peers[0].hold-time", " (Did you mean holdTime?)"],
    [peer("reomteAS: 9"), "peers[0].reomteAS", " (Did you mean remoteAs?)"],
    [peer("port: 1, prot: 9"), "peers[0].prot", " (Did you mean port?)"],
    [peer("mport: 9"), "peers[0].mport", " (Did you mean one of port, import?)"],
    ["policy: []", "policy", " (Did you mean policies?)"],
    [
      statement("result: next, set: { locPref: 1 }"),
      `${SET}.locPref`,
      " (Did you mean localPref?)",
    ],
    // As other programs call it.
    ["neighbours: []", "neighbours", " (Did you mean peers?)"],
    ["neighbors: []", "neighbors", " (Did you mean peers?)"],
    [peer("peerASN: 9"), "peers[0].peerASN", " (Did you mean remoteAs?)"],
    [peer("ebgp-multihop: 9"), "peers[0].ebgp-multihop", " (Did you mean multihopTtl?)"],
    // Of somewhere else, as where a line is not indented enough.
    ["remoteAs: 9", "remoteAs", ", but in peerGroups, peers"],
    [peer("networks: []"), "peers[0].networks", ", but in the top level"],
    [peer("as: 9"), "peers[0].as", `, but in global, ${PREPEND} (Did you mean remoteAs?)`],
    // Nothing near, or not of this place.
    ["global: { neighbours: 1 }", "global.neighbours", ""],
    [peer("bfdProfile: x"), "peers[0].bfdProfile", ""],
    // What is not repeated, for it may be a password, is not told by what is near either.
    [peer("holdtime"), "peers[0].…", ""],
    [peer("holdtime 9: 1"), "peers[0].…", ""],
    [peer("password s3cret: 1"), "peers[0].password …", ""],
  ] as const) {
    const said = `${field}: is not a key that is known here${hint}`;
    assert.deepEqual(refusals(text), [said], text);
  }
});

test("a key that is not known is said with its own line, wherever what it leads to begins", () => {
  const lines = (text: string) => {
    const result = parseConfigFile(text, "f");
    return result.ok ? [] : result.problems.map((problem) => /^f:(\d+): /.exec(problem)![1]);
  };
  assert.deepEqual(lines("peers: []\nneighbours:\n\n  - name: a\n"), ["2"]);
  assert.deepEqual(lines("global:\n  as: 1\n  neighbour:\n    { x: 1 }\n"), ["3"]);
  assert.deepEqual(lines("peers: []\n12:\n  - 1\n"), ["2"]);
});

test("all keys of the file are known as such, and where they belong", () => {
  const places = new Map<string, Set<string>>();
  const collect = (schema: unknown, place: string): void => {
    if (typeof schema !== "object" || schema === null) return;
    const { properties = {}, ...rest } = schema as { readonly properties?: object };
    for (const [key, part] of Object.entries(properties)) {
      places.set(place, (places.get(place) ?? new Set()).add(key));
      collect(part, place === "" ? key : `${place}.${key}`);
    }
    for (const part of Object.values(rest)) collect(part, place);
  };
  collect(z.toJSONSchema(configFileSchema, { io: "input", unrepresentable: "any" }), "");
  assert.ok(places.get("policies.statements.match")?.has("asPathLengthMin"));
  const known = new Map([...KEYS_BY_PLACE].map(([place, keys]) => [place, new Set(keys)]));
  assert.deepEqual(known, places);
  assert.deepEqual(
    KEY_NAMES,
    new Set(["password", ...[...places.values()].flatMap((k) => [...k])]),
  );
});

/** Keys of the file with values that are mostly wrong. */
const anything = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(null, true, "", "x", "192.0.2.1", "10.0.0.0/8", 0, 1.5, -1, 1e300),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(
      fc.constantFrom(
        ...["global", "policies", "peerGroups", "peers", "networks", "name", "address", "remoteAs"],
        ...["statements", "match", "set", "result", "prefixes", "prefix", "ge", "listen", "port"],
        ...["shutdown", "families", "passwordFile", "maximumPrefixes", "limit", "prepend", "count"],
      ),
      tie("value"),
      { maxKeys: 5 },
    ),
  ),
})).value;

test("no words but ours, whatever stands in the file", () => {
  const hint = /(, but in [\w ,.]+)?( \(Did you mean [\w ,]+\?\))?$/.source;
  const key = `is not a key that is known here${hint}`;
  const own = new RegExp(`: (expected |is missing$|${key}|needs |no |lengths )`);
  fc.assert(
    fc.property(anything, (value) => {
      for (const message of refusals(JSON.stringify(value))) {
        if (/there already$|too$|more problems$/.test(message)) continue;
        assert.match(`: ${message}`, own);
        assert.doesNotMatch(message, /Invalid|Too |received|>=|<=\d|undefined/);
      }
    }),
  );
});

test("a file of something else: thousands of keys are looked up in one go", () => {
  const keys = Array.from({ length: 20_000 }, (_, index) => `key${index}: 1`).join("\n");
  const options = { uniqueKeys: false, prettyErrors: false };
  const library = threadCpuMs(() => parseDocument(keys, options));
  const ours = threadCpuMs(() => assert.equal(refusals(keys).length, 21));
  assert.ok(ours < 5 * library, `${ours} ms, of which the library needs ${library} ms`);
});
