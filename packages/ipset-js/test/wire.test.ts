/**
 * Messages against bytes that were seen: what ipset(8) sent, captured by strace, and what the
 * kernel answered. A fixture that both directions can make serves both.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MalformedMessageError, MessageWriter } from "netlink-ts";
import { decodeEntry, encodeEntry, formatEntry, type SetEntry } from "../src/entry.ts";
import { decodeHeader, encodeSpec, formatHeader, revisionFor } from "../src/set-header.ts";
import { Command, readBody, type WireEntry, type WireMessage, writeMessage } from "../src/wire.ts";

const SUBNETS = "kube-router-pod-subnets";
/** PROTOCOL 7, SETNAME. */
const NAMED = "05000100070000001c0002006b7562652d726f757465722d706f642d7375626e65747300";
const FAMILY = "02000000";

/** Type and body of a request. */
function written(command: number, content: WireMessage, tested?: WireEntry): string {
  const writer = new MessageWriter();
  writeMessage(writer, command, 0, content, tested);
  return writer.bytes.toString("hex", 4, 6) + writer.bytes.toString("hex", 16, writer.length);
}

function read(hex: string): WireMessage {
  const bytes = Buffer.from(`ffff${hex}ffff`, "hex");
  return readBody(bytes, 2, bytes.length - 2);
}

const timed = (member: string, timeout: number, line: number): WireEntry => ({
  ...encodeEntry({ member, timeout }),
  line,
});

const BOTH: readonly (readonly [what: string, command: number, hex: string, WireMessage])[] = [
  [
    "create hash:net with all parameters",
    Command.CREATE,
    `${NAMED}0d000300686173683a6e6574000000000500040006000000` +
      "05000500020000001c000780080006400000000008001240000004000800134000010000",
    encodeSpec({ name: SUBNETS, type: "hash:net", timeout: 0 }, 6),
  ],
  [
    "add several",
    Command.ADD,
    "0500010007000000060002007300000008000940000000005400088028000780" +
      "0c000180080001400a000000050003001800000008000640000000000800094000000001" +
      "280007800c000180080001400a0001000500030018000000080006400000003c0800094000000002",
    {
      name: "s",
      line: 0,
      entries: [timed("10.0.0.0/24", 0, 1), timed("10.0.1.0/24", 60, 2)],
    },
  ],
  [
    "add an IPv6 prefix",
    Command.ADD,
    "050001000700000006000200730000000800094000000000300008802c000780" +
      "1800018014000240fd0000100233000000000000000000000500030040000000" +
      "0800094000000001",
    {
      name: "s",
      line: 0,
      entries: [{ ...encodeEntry({ member: "fd00:10:233::/64" }), line: 1 }],
    },
  ],
  [
    "add an address and port",
    Command.ADD,
    "050001000700000006000200730000000800094000000000" +
      "2c00088028000780" +
      "0c00018008000140c0000201" +
      "0600044000350000" +
      "0500070011000000" +
      "0800094000000001",
    {
      name: "s",
      line: 0,
      entries: [{ ...encodeEntry({ member: "192.0.2.1,udp:53" }), line: 1 }],
    },
  ],
  ["destroy", Command.DESTROY, NAMED, { name: SUBNETS }],
  ["swap", Command.SWAP, `${NAMED}0600030062000000`, { name: SUBNETS, typeName: "b" }],
  ["list the header only", Command.LIST, `${NAMED}0800064000000004`, { name: SUBNETS, flags: 4 }],
];

for (const [what, command, hex, content] of BOTH) {
  test(what, () => {
    const type = Buffer.of(command, 6).toString("hex");
    assert.equal(written(command, content), `${type}${FAMILY}${hex}`);
    assert.deepEqual(read(`${FAMILY}${hex}`), { version: 7, ...content });
  });
}

test("a test asks for one entry", () => {
  assert.equal(
    written(Command.TEST, { name: SUBNETS }, encodeEntry({ member: "10.233.64.1" })),
    `0b06${FAMILY}${NAMED}100007800c000180080001400ae94001`,
  );
});

test("what the kernel lists", () => {
  const { entries = [], ...listed } = read(
    "02000000050001000700000006000200730000000d000300686173683a6e65740000000005000500020000000500" +
      "04000600000006000b40000000003400078008001240000004000800134000010000080019400000000008001a40" +
      "0000024808001840000000020800064000000000" +
      "44000880200007800c000180080001000ae94000050003001800000008000640000000002000" +
      "07800c000180080001000ae941000500030018000000080006400000003c",
  );
  const header = decodeHeader([listed]);
  assert.deepEqual(header, {
    name: "s",
    type: "hash:net",
    family: 4,
    revision: 6,
    hashSize: 1024,
    maxElements: 65_536,
    timeout: 0,
    comment: false,
    counters: false,
    skbinfo: false,
    forceAdd: false,
    elements: 2,
    references: 0,
    memoryBytes: 584,
  });
  assert.equal(formatHeader(header), "family inet hashsize 1024 maxelem 65536 timeout 0");
  assert.deepEqual(
    entries.map(decodeEntry).map((entry) => entry && formatEntry(entry)),
    ["10.233.64.0/24 timeout 0", "10.233.65.0/24 timeout 60"],
  );
});

test("a header of an IPv6 set with comments, there and back", () => {
  const spec = { name: "s", type: "hash:ip", family: 6, comment: true, maxElements: 7 } as const;
  const encoded = encodeSpec(spec, 4);
  const header = decodeHeader([{}, encoded]);
  assert.equal(header.family, 6);
  assert.equal(header.comment, true);
  assert.equal(formatHeader(header), "family inet6 hashsize 1024 maxelem 7 comment");
  const type = "hash:nothing" as "hash:ip";
  assert.throws(() => encodeSpec({ ...spec, type }, 4), { code: "EINVAL" });
  assert.throws(() => encodeSpec({ ...spec, timeout: -1 }, 4), { code: "EINVAL" });
  // As ipset(8) calls it, and as JavaScript may say it: no set of IPv4 comes of it.
  const family = "inet6" as unknown as 6;
  assert.throws(() => encodeSpec({ ...spec, family }, 4), /not a family, 4 or 6: inet6/);
});

test("a set's counts where the kernel tells none, and its bitmask of either family", () => {
  const listed = { name: "s", typeName: "hash:ip" };
  const entries = [{}, {}];
  const header = decodeHeader([{ ...listed, header: {}, entries }, { entries }, {}]);
  const { elements, references, memoryBytes, revision } = header;
  assert.deepEqual([elements, references, memoryBytes, revision], [4, 0, 0, 0]);
  assert.equal(header.comment || header.counters || header.skbinfo || header.forceAdd, false);
  for (const bitmask of [{ ipv4: "255.0.0.0" }, { ipv6: "ff::" }] as const) {
    const masked = decodeHeader([{ ...listed, header: { bitmask, references: 2 } }]);
    assert.deepEqual([masked.bitmask, masked.references], [Object.values(bitmask)[0], 2]);
  }
});

test("a listing without a set's header, name or type is refused", () => {
  const whole = { name: "s", typeName: "hash:ip", header: {} };
  for (const field of ["name", "typeName", "header"] as const) {
    const { [field]: _, ...part } = whole;
    assert.throws(() => decodeHeader([part]), { code: "EINVAL" }, field);
  }
  assert.throws(() => decodeHeader([]), { code: "EINVAL" });
});

const MEMBERS: readonly SetEntry[] = [
  { member: "10.0.0.0/24", timeout: 0 },
  { member: "192.0.2.1" },
  { member: "fd00::/48", nomatch: true },
  { member: "192.0.2.1,tcp:179", comment: "bgp" },
  { member: "fd00::1,udp:53" },
  { member: "192.0.2.1,47:0" },
];
for (const entry of MEMBERS) {
  test(`${formatEntry(entry)} to the wire and back`, () => {
    assert.deepEqual(decodeEntry(encodeEntry(entry)), entry);
  });
}

test("a host prefix is an address, a port without protocol is TCP's", () => {
  assert.equal(decodeEntry(encodeEntry({ member: "192.0.2.1/32" }))?.member, "192.0.2.1");
  assert.equal(decodeEntry(encodeEntry({ member: "192.0.2.1,80" }))?.member, "192.0.2.1,tcp:80");
  assert.equal(decodeEntry({ timeout: 0 }), undefined);
});

for (const member of [
  "",
  "x",
  "10.0.0.0/33",
  "10.0.0.1,tcp",
  "10.0.0.1,tcp:65536",
  "10.0.0.1,no:1",
  "10.0.0.1,tcp:1,2",
  "10.0.0.1,256:1",
]) {
  test(`${JSON.stringify(member)} is no member`, () => {
    assert.throws(() => encodeEntry({ member }), { name: "NetlinkError", code: "EINVAL" });
  });
}

test("what a member may have beside it has its bounds", () => {
  const member = "192.0.2.1";
  for (const timeout of [-1, 1.5, 2_147_484]) {
    assert.throws(() => encodeEntry({ member, timeout }), { code: "EINVAL" });
  }
  for (const comment of ["", "c".repeat(256), "é".repeat(128), "a\0b"]) {
    assert.throws(() => encodeEntry({ member, comment }), { code: "EINVAL" });
  }
  for (const entry of [
    { member, timeout: 2_147_483 },
    { member, comment: "c" },
    { member, comment: "c".repeat(255) },
    { member: "192.0.2.1,255:65535" },
  ]) {
    assert.deepEqual(decodeEntry(encodeEntry(entry)), entry);
  }
  const port = decodeEntry({ ip: { ipv4: member }, port: 5, flags: 0 });
  assert.deepEqual(port, { member: "192.0.2.1,0:5" });
});

test("the revision is ours or the kernel's, whichever is older", () => {
  assert.equal(revisionFor("hash:ip", 0, 6), 4);
  assert.equal(revisionFor("hash:net", 0, 3), 3);
  assert.equal(revisionFor("hash:net", 6, 9), 6);
  assert.throws(() => revisionFor("hash:net", 7, 9), { code: "TYPE_UNKNOWN" });
});

test("bytes of no meaning are refused in one way", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (raw) => {
      try {
        const { entries = [] } = readBody(Buffer.from(raw), 0, raw.length);
        for (const entry of entries) decodeEntry(entry);
      } catch (error) {
        assert.ok(error instanceof MalformedMessageError, String(error));
      }
    }),
  );
});
