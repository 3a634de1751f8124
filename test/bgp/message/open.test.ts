import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { localCapabilities } from "../../../src/bgp/message/capabilities.ts";
import { isBgpError } from "../../../src/bgp/message/errors.ts";
import { withHeader } from "../../../src/bgp/message/header.ts";
import { openMessage } from "../../../src/bgp/message/negotiate.ts";
import { decodeOpen, encodeOpen } from "../../../src/bgp/message/open.ts";
import type { Capability, OpenMessage } from "../../../src/bgp/message/types.ts";
import { bytes, concat, hex } from "../../support/hex.ts";
import { open as anyOpen } from "./arbitraries.ts";
import { seed } from "./seed.ts";

function decode(message: Uint8Array) {
  return decodeOpen(message, 19, message.length);
}

function decodeBody(body: string) {
  return decode(withHeader(1, bytes(body)));
}

/** Head of a good OPEN without its parameters. */
const HEAD = "04 fc00 005a c0a83232";

/** An OPEN with one capabilities parameter around `list`. */
function withCapabilities(list: string) {
  const value = bytes(list);
  const lengths = Uint8Array.of(value.length + 2, 2, value.length);
  return decode(withHeader(1, concat(bytes(HEAD), lengths, value)));
}

function nodeOpen(hostName: string, routerId: number, restarted: boolean): OpenMessage {
  const capabilities = localCapabilities({
    as: 64_512,
    hostName,
    domainName: "",
    families: [4],
    gracefulRestart: {
      restarted,
      notification: false,
      restartSeconds: 90,
      forwardingPreserved: restarted ? [4] : [],
      longLivedSeconds: undefined,
    },
  });
  return openMessage({ as: 64_512, routerId, holdSeconds: 90, capabilities });
}

const SEED_OPENS = [
  ["node1, not restarted", seed.openOfNode1, nodeOpen("node1", 0xc0a83232, false)],
  ["node3, restarted", seed.openOfNode3, nodeOpen("node3", 0xc0a83234, true)],
] as const;

for (const [name, wire, value] of SEED_OPENS) {
  test(`seed OPEN of ${name}, both directions`, () => {
    assert.equal(wire.length, 70);
    assert.equal(hex(encodeOpen(value)), hex(wire));
    assert.deepEqual(decode(wire), value);
  });
}

test("optional capabilities stand behind those of a node peer", () => {
  const capabilities = localCapabilities({
    as: 4_200_000_000,
    hostName: "node1",
    domainName: "example.org",
    families: [4, 6],
    gracefulRestart: {
      restarted: false,
      notification: true,
      restartSeconds: 120,
      forwardingPreserved: [6],
      longLivedSeconds: 86_400,
    },
    extendedMessage: true,
    enhancedRouteRefresh: true,
    addPath: "both",
    softwareVersion: "podrouter/0.1.0",
  });
  const open = openMessage({ as: 4_200_000_000, routerId: 1, holdSeconds: 9, capabilities });
  assert.equal(open.as2, 23_456);
  assert.equal(
    hex(encodeOpen(open)).slice(38),
    hex(
      bytes(`04 5ba0 0009 00000001 6e 02 6c
        02 00
        49 12 05 6e6f646531 0b 6578616d706c652e6f7267
        01 04 00010001  01 04 00020001
        41 04 fa56ea00
        40 0a 4078 00010100 00020180
        05 06 000100010002
        06 00
        46 00
        45 08 00010103 00020103
        47 0e 00010100015180 00020180015180
        4b 10 0f 706f64726f757465722f302e312e30`),
    ),
  );
  assert.deepEqual(decode(encodeOpen(open)), open);
});

test("an IPv6-only speaker announces no extended next hop", () => {
  const options = { as: 1, hostName: "n", domainName: "", gracefulRestart: undefined };
  const kinds = localCapabilities({ ...options, families: [6] }).map((c) => c.kind);
  assert.deepEqual(kinds, ["routeRefresh", "fqdn", "multiprotocol", "fourOctetAs"]);
});

test("path identifiers are announced as they were asked for, of each family (RFC 7911 §4)", () => {
  const options = { as: 1, hostName: "n", domainName: "", gracefulRestart: undefined };
  const announced = (addPath: "none" | "receive" | "send" | "both") =>
    localCapabilities({ ...options, families: [4, 6], addPath }).filter(
      ({ kind }) => kind === "addPath",
    );
  for (const [word, mode] of [
    ["receive", 1],
    ["send", 2],
    ["both", 3],
  ] as const) {
    const families = [4, 6].map((family) => ({ family, mode }));
    assert.deepEqual(announced(word), [{ kind: "addPath", families }]);
  }
  assert.deepEqual(announced("none"), []);
});

test("no capabilities, no parameter", () => {
  const open = { ...nodeOpen("node1", 1, false), capabilities: [] };
  const wire = encodeOpen(open);
  assert.equal(wire.length, 29);
  assert.deepEqual(decode(wire), open);
});

const ERRORS: readonly (readonly [string, string, string])[] = [
  ["version 3", "03 fc00 005a c0a83232 00", "2/1 0004"],
  ["version 5", "05 fc00 005a c0a83232 00", "2/1 0004"],
  ["AS 0 (RFC 7607)", "04 0000 005a c0a83232 00", "2/2 "],
  ["identifier 0 (RFC 6286)", "04 fc00 005a 00000000 00", "2/3 "],
  ["hold time 1", "04 fc00 0001 c0a83232 00", "2/6 "],
  ["hold time 2", "04 fc00 0002 c0a83232 00", "2/6 "],
  ["parameter 1, authentication", `${HEAD} 03 01 01 00`, "2/4 "],
  ["parameter 3", `${HEAD} 02 03 00`, "2/4 "],
  ["parameter 255 behind the first", `${HEAD} 04 0200 ff00`, "2/4 "],
  ["parameters shorter than stated", `${HEAD} 05 0202 0200`, "2/0 "],
  ["parameters longer than stated", `${HEAD} 03 0202 0200`, "2/0 "],
  ["octets behind no parameters", `${HEAD} 00 0200`, "2/0 "],
  ["parameter of one octet", `${HEAD} 01 02`, "2/0 "],
  ["parameter runs over", `${HEAD} 04 0203 0200`, "2/0 "],
  ["capability of one octet", `${HEAD} 03 0201 02`, "2/0 "],
  ["capability runs over", `${HEAD} 04 0202 0201`, "2/0 "],
  ["parameters stop behind the length octet (CVE-2022-43681)", `${HEAD} ff`, "2/0 "],
  ["extended, length cut off", `${HEAD} ff ff`, "2/0 "],
  ["extended, length cut off in the middle", `${HEAD} ff ff 00`, "2/0 "],
  ["extended, one octet of a parameter (CVE-2022-40302)", `${HEAD} ff ff 0002 00 01`, "2/0 "],
  ["extended, longer than the message", `${HEAD} ff ff ffff 02 0000`, "2/0 "],
  ["extended, parameter runs over", `${HEAD} ff ff 0003 02 0001`, "2/0 "],
  ["extended, another parameter", `${HEAD} ff ff 0003 ff 0000`, "2/4 "],
];

for (const [name, body, expected] of ERRORS) {
  test(`error: ${name}`, () => {
    const error = decodeBody(body);
    assert.ok(isBgpError(error), "decoded without an error");
    assert.equal(`${error.code}/${error.subcode} ${hex(error.data)}`, expected);
  });
}

test("hold times 0 and 3 are acceptable", () => {
  for (const hold of ["0000", "0003", "ffff"]) {
    assert.ok(!isBgpError(decodeBody(`04 fc00 ${hold} c0a83232 00`)));
  }
});

test("the extended form is read at any length (RFC 9072 §2)", () => {
  const expected = { ...nodeOpen("node1", 0xc0a83232, false) };
  const list = seed.openOfNode1.subarray(31);
  for (const short of [1, 41, 255]) {
    const lengths = Uint8Array.of(short, 255, 0, list.length + 3, 2, 0, list.length);
    assert.deepEqual(decode(withHeader(1, concat(bytes(HEAD), lengths, list))), expected);
  }
});

test("more than 255 octets of parameters use the extended form", () => {
  const unknown = (length: number): Capability => {
    return { kind: "unknown", code: 128, value: new Uint8Array(length).fill(7) };
  };
  const open = { ...nodeOpen("node1", 1, false), capabilities: [unknown(251)] };
  assert.equal(encodeOpen(open)[28], 255);
  assert.equal(encodeOpen(open)[29], 2);
  const longer = { ...open, capabilities: [unknown(252)] };
  assert.equal(hex(encodeOpen(longer).subarray(28, 35)), "ffff01010200fe");
  assert.deepEqual(decode(encodeOpen(longer)), longer);
  const many = { ...open, capabilities: [unknown(255), unknown(255), unknown(255)] };
  assert.deepEqual(decode(encodeOpen(many)), many);
});

test("an OPEN never grows beyond 4096 octets", () => {
  const value = new Uint8Array(255);
  const capabilities = Array.from({ length: 16 }, () => ({ kind: "unknown", code: 9, value }));
  const open = { ...nodeOpen("node1", 1, false), capabilities: capabilities as Capability[] };
  assert.throws(() => encodeOpen(open), /bug: OPEN of 4\d+ octets/);
});

test("capabilities spread over parameters and repeated keep their order", () => {
  const open = decodeBody(`${HEAD} 10 02 02 0200 02 0a 4600 0104 00010001 4600`);
  assert.ok(!isBgpError(open));
  const kinds = open.capabilities.map((capability) => capability.kind);
  const refresh = "enhancedRouteRefresh";
  assert.deepEqual(kinds, ["routeRefresh", refresh, "multiprotocol", refresh]);
});

const MALFORMED: readonly (readonly [string, string, string])[] = [
  ["multiprotocol, empty", "01 00", "2/0 0100"],
  ["multiprotocol, short", "01 03 000100", "2/0 0103000100"],
  ["multiprotocol, long", "01 05 0001000100", "2/0 01050001000100"],
  ["4-octet AS, empty", "41 00", "2/0 4100"],
  ["4-octet AS, short", "41 03 00fc00", "2/0 410300fc00"],
  ["4-octet AS, long", "41 05 0000fc0000", "2/0 41050000fc0000"],
  ["add-path, short", "45 03 000101", "2/0 4503000101"],
  ["route refresh with a value", "02 01 00", "unknown 2"],
  ["enhanced route refresh with a value", "46 01 00", "unknown 70"],
  ["extended message with a value", "06 01 00", "unknown 6"],
  ["graceful restart, empty", "40 00", "unknown 64"],
  ["graceful restart, one octet", "40 01 00", "unknown 64"],
  ["graceful restart, family cut off", "40 05 005a 000101", "unknown 64"],
  ["long-lived restart, cut off", "47 06 000101000000", "unknown 71"],
  ["extended next hop, cut off", "05 05 0001000100", "unknown 5"],
  ["FQDN, empty", "49 00", "unknown 73"],
  ["FQDN, host name runs over", "49 02 05 6e", "unknown 73"],
  ["FQDN, domain name runs over", "49 03 01 6e 01", "unknown 73"],
  ["software version, empty (CVE-2025-43971)", "4b 00", "unknown 75"],
  ["software version, length 0", "4b 01 00", "unknown 75"],
  ["software version runs over", "4b 02 05 61", "unknown 75"],
  ["role, empty", "09 00", "unknown 9"],
  ["ORF, cut off", "03 03 000100", "unknown 3"],
  ["multiprotocol of a family that we do not carry", "01 04 00190046", "unknown 1"],
];

for (const [name, list, expected] of MALFORMED) {
  test(`capability: ${name}`, () => {
    const open = withCapabilities(`${list} 4600`);
    if (isBgpError(open)) {
      const [code, length] = bytes(list);
      const reason = `capability ${code} has a malformed value of ${length} octets`;
      assert.equal(open.reason, reason);
      assert.equal(`${open.code}/${open.subcode} ${hex(open.data)}`, expected);
      return;
    }
    const [first, second] = open.capabilities;
    assert.ok(first?.kind === "unknown");
    assert.equal(`unknown ${first.code}`, expected);
    assert.equal(second?.kind, "enhancedRouteRefresh", "the next capability survived");
  });
}

test("FQDN without a domain name part is taken", () => {
  const fqdn: Capability = { kind: "fqdn", hostName: "node1", domainName: "" };
  for (const behind of ["", "4600"]) {
    const open = withCapabilities(`49 06 05 6e6f646531 ${behind}`);
    assert.ok(!isBgpError(open));
    assert.deepEqual(open.capabilities[0], fqdn);
  }
});

test("an empty text that ends the message is none, as one before others", () => {
  for (const code of ["49", "4b"]) {
    const open = withCapabilities(`${code} 00`);
    assert.ok(!isBgpError(open));
    assert.deepEqual(open.capabilities, [
      { kind: "unknown", code: Number.parseInt(code, 16), value: new Uint8Array() },
    ]);
  }
});

test("the value of a capability that is not understood outlives the message", () => {
  const message = withHeader(1, bytes(`${HEAD} 05 0203 090101`));
  const open = decode(message);
  message.fill(0);
  assert.ok(!isBgpError(open));
  assert.deepEqual(open.capabilities, [{ kind: "unknown", code: 9, value: bytes("01") }]);
});

test("what is too large for its field is cut: a value of 255 octets, 12 bits of seconds", () => {
  const flags = { restarted: false, notification: false, families: [] };
  const capabilities: Capability[] = [
    { kind: "unknown", code: 9, value: new Uint8Array(256).fill(1) },
    { kind: "gracefulRestart", restartSeconds: 5_000, ...flags },
  ];
  const open = decode(encodeOpen({ ...nodeOpen("n", 1, false), capabilities }));
  assert.ok(!isBgpError(open));
  assert.deepEqual(open.capabilities, [
    { kind: "unknown", code: 9, value: new Uint8Array(255).fill(1) },
    { kind: "gracefulRestart", restartSeconds: 4_095, ...flags },
  ]);
});

test("text of a peer is made safe", () => {
  // "\e[31mx", U+202E, invalid UTF-8, line break
  const open = withCapabilities("49 11 0f 1b5b33316d78 e280ae ff 0a 41424344 00");
  assert.ok(!isBgpError(open));
  assert.deepEqual(open.capabilities, [
    { kind: "fqdn", hostName: "[31mx\ufffd ABCD", domainName: "" },
  ]);
});

test("families that we do not carry and modes that do not exist drop out of lists", () => {
  const open = withCapabilities(`
    40 0a 005a 00010180 00194680
    47 0e 00010100000e10 00194680000e10
    45 0c 00010104 00010101 00190603
    05 12 000100010002 000100800002 000100010019`);
  assert.ok(!isBgpError(open));
  assert.deepEqual(open.capabilities, [
    {
      kind: "gracefulRestart",
      restarted: false,
      notification: false,
      restartSeconds: 90,
      families: [{ family: 4, forwardingPreserved: true }],
    },
    {
      kind: "longLivedGracefulRestart",
      families: [{ family: 4, forwardingPreserved: false, staleSeconds: 3600 }],
    },
    { kind: "addPath", families: [{ family: 4, mode: 1 }] },
    { kind: "extendedNextHop", entries: [{ family: 4, nextHopFamily: 6 }] },
  ]);
});

test("a list ends with its capability, whatever stands behind it", () => {
  // An unknown capability whose octets are AFI 1, SAFI 1.
  const behind = "00 01 01 fd 00";
  for (const [list, count] of [
    ["40 06 0078 0002 01 80", 1],
    ["40 02 0078", 0],
    ["45 04 0002 01 03", 1],
    ["45 00", 0],
    ["47 07 0002 01 80 000e10", 1],
    ["47 00", 0],
  ] as const) {
    const result = withCapabilities(`${list} ${behind}`);
    assert.ok(!isBgpError(result));
    const [first] = result.capabilities;
    assert.ok(first !== undefined && "families" in first, list);
    assert.equal(first.families.length, count, list);
  }
  // Unknown ones that look like a family with a mode, and like an entry of next hops.
  const paths = withCapabilities("45 00  00 01 01 02 00");
  assert.ok(!isBgpError(paths));
  assert.deepEqual(paths.capabilities[0], { kind: "addPath", families: [] });
  const nextHops = withCapabilities("05 00  00 02 0001 00 02 0000");
  assert.ok(!isBgpError(nextHops));
  assert.deepEqual(nextHops.capabilities[0], { kind: "extendedNextHop", entries: [] });
});

test("long names are cut between two characters", () => {
  const capabilities: Capability[] = [
    { kind: "fqdn", hostName: "€".repeat(30), domainName: "d".repeat(300) },
    { kind: "softwareVersion", version: "v".repeat(300) },
  ];
  const open = decode(encodeOpen({ ...nodeOpen("n", 1, false), capabilities }));
  assert.ok(!isBgpError(open));
  assert.deepEqual(open.capabilities, [
    { kind: "fqdn", hostName: "€".repeat(21), domainName: "d".repeat(189) },
    { kind: "softwareVersion", version: "v".repeat(64) },
  ]);
});

test("property: decode(encode(open)) = open", () => {
  fc.assert(fc.property(anyOpen, (open) => assert.deepEqual(decode(encodeOpen(open)), open)));
});

test("property: any octets behind a good head give a message or an error", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (tail) => {
      const message = withHeader(1, concat(bytes(HEAD), tail));
      const result = decodeOpen(message, 19, message.length);
      assert.ok(isBgpError(result) ? result.code === 2 : result.version === 4);
    }),
  );
});

test("property: a good OPEN with one octet changed never throws", () => {
  fc.assert(
    fc.property(anyOpen, fc.nat(), fc.integer({ min: 0, max: 255 }), (open, place, octet) => {
      const message = encodeOpen(open);
      message[19 + (place % (message.length - 19))] = octet;
      decode(message);
    }),
  );
});
