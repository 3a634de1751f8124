/** Entries that go from text to words against what the tables of attributes make of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MessageWriter, NetlinkError } from "netlink-ts";
import { encodeEntry, type SetEntry } from "../src/entry.ts";
import { EntryBlock } from "../src/entry-block.ts";
import { encodeWireEntry } from "../src/wire.ts";

function byTables(entry: SetEntry, line: number): string {
  const writer = new MessageWriter();
  encodeWireEntry(writer, { ...encodeEntry(entry), line });
  return writer.bytes.subarray(0, writer.length).toString("hex");
}

/** The bytes, or why there are none. */
function attempt(make: () => string): string {
  try {
    return make();
  } catch (error) {
    assert.ok(error instanceof NetlinkError, String(error));
    return error.message;
  }
}

const octet = fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 9, 10, 99, 100, 255));
const address = fc.tuple(octet, octet, octet, octet).map((four) => four.join("."));
const member = fc.oneof(
  address,
  fc.tuple(address, fc.nat(32)).map((parts) => parts.join("/")),
  // What is no member, or nearly one.
  fc.tuple(address, fc.string({ maxLength: 4 })).map((parts) => parts.join("")),
  fc.tuple(address, fc.string({ maxLength: 3 })).map((parts) => parts.join("/")),
  fc.array(fc.nat(300), { maxLength: 6 }).map((parts) => parts.join(".")),
  fc.tuple(address, fc.integer({ min: -2, max: 130 })).map((parts) => parts.join("/")),
  fc.constantFrom("fd00::/64", "::", "192.0.2.1,tcp:80", "01.2.3.4", "1.2.3.4/024", "1.2.3.4/", ""),
  fc.string({ maxLength: 20 }),
);
const entry = fc.oneof(
  { weight: 4, arbitrary: member },
  fc.record(
    { member, timeout: fc.nat(100), nomatch: fc.boolean(), comment: fc.constantFrom("a", "bc") },
    { requiredKeys: ["member"] },
  ),
);
const line = fc.integer({ min: 1, max: 0xffff_ffff });
const timeout = fc.option(fc.oneof(fc.nat(2_147_483), fc.constantFrom(0, 1 << 20)), {
  nil: undefined,
});

test("every entry, with or without a timeout for all, is what the tables write", () => {
  fc.assert(
    fc.property(entry, timeout, line, (one, seconds, number) => {
      const block = new EntryBlock(1024);
      const whole = typeof one === "string" ? { member: one } : one;
      const timed = seconds === undefined ? whole : { timeout: seconds, ...whole };
      const ours = attempt(() => {
        assert.ok(block.add(one, seconds, number));
        return Buffer.from(block.bytes).toString("hex");
      });
      assert.equal(
        ours,
        attempt(() => byTables(timed, number)),
      );
    }),
    { numRuns: 3000 },
  );
});

test("entries of both ways stand behind each other, each with its own line", () => {
  const members = [
    "10.0.0.0/24",
    "fd00::/64",
    "10.0.1.1",
    "192.0.2.1,tcp:80",
    "0.0.0.0/0",
  ] as const;
  const block = new EntryBlock(1024);
  for (const [i, one] of members.entries()) assert.ok(block.add(one, 60, i + 1));
  const each = members.map((one, i) => byTables({ member: one, timeout: 60 }, i + 1));
  assert.equal(Buffer.from(block.bytes).toString("hex"), each.join(""));
  assert.equal(block.count, members.length);
  assert.throws(() => block.add("fd00::/64", -1, 9), { code: "EINVAL" });
  assert.equal(block.count, members.length);
});

test("a block is full to the last octet, by either way", () => {
  for (const one of ["10.0.0.0/24", "192.0.2.1,tcp:80"]) {
    const bytes = byTables({ member: one, timeout: 0 }, 1).length / 2;
    const block = new EntryBlock(2 * bytes);
    assert.ok(block.add(one, 0, 1) && block.add(one, 0, 2), one);
    assert.equal(block.bytes.length, 2 * bytes);
    assert.equal(block.add(one, 0, 3), false, one);
  }
});

test("a block takes what it has room for, whole, and begins anew", () => {
  const block = new EntryBlock(100);
  assert.ok(block.add("10.0.0.0/24", 0, 1));
  assert.ok(block.add("10.0.1.0/24", 0, 2));
  const two = Buffer.from(block.bytes);
  assert.equal(block.add("10.0.2.0/24", 0, 3), false);
  assert.equal(block.add({ member: "10.0.2.0/24", comment: "long enough" }, 0, 3), false);
  assert.throws(() => block.add("nonsense", 0, 3), /not an IP address/);
  assert.equal(block.count, 2);
  assert.deepEqual(Buffer.from(block.bytes), two);
  block.reset();
  assert.equal(block.count, 0);
  assert.ok(block.add("10.0.2.0/24", 0, 3));
  assert.equal(
    Buffer.from(block.bytes).toString("hex"),
    byTables({ member: "10.0.2.0/24", timeout: 0 }, 3),
  );
});
