/** The payloads of attributes at their bounds: what is written, and what is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  be16,
  be32,
  flag,
  linkAddress,
  text,
  u8,
  u16,
  u32,
  type ValueCodec,
} from "../src/attribute-set.ts";
import { MalformedMessageError } from "../src/errors.ts";
import { MessageWriter } from "../src/message-writer.ts";

function written<T>(codec: ValueCodec<T>, value: T): string {
  const writer = new MessageWriter();
  codec.encode(writer, value);
  return writer.bytes.toString("hex", 0, writer.length);
}

const refused = { name: "NetlinkError", code: "EINVAL" };

test("numbers have their size, their order and their range, in both directions", () => {
  const cases = [
    [u8, 1, "ab", 0xab, 0xff],
    [u16, 2, "cdab", 0xabcd, 0xffff],
    [u32, 4, "010203f4", 0xf4030201, 0xffff_ffff],
    [be16, 2, "abcd", 0xabcd, 0xffff],
    [be32, 4, "f4030201", 0xf4030201, 0xffff_ffff],
  ] as const;
  for (const [codec, size, hex, value, max] of cases) {
    assert.equal(written(codec, value), hex);
    assert.equal(codec.decode(Buffer.from(hex, "hex"), 0, size), value);
    assert.throws(() => codec.decode(Buffer.alloc(8), 0, size - 1), MalformedMessageError);
    assert.equal(written(codec, max), "ff".repeat(size));
    for (const wrong of [max + 1, -1, 0.5]) assert.throws(() => written(codec, wrong), refused);
  }
});

test("a name has 1 to so many bytes and no NUL inside, and ends with one", () => {
  const name = text(4);
  assert.equal(written(name, "abcd"), "6162636400");
  for (const wrong of ["", "abcde", "äöü", "a\0b"]) {
    assert.throws(() => written(name, wrong), refused, JSON.stringify(wrong));
  }
  const bytes = Buffer.from("ab\0cd\0");
  assert.equal(name.decode(bytes, 0, 3), "ab");
  assert.equal(name.decode(bytes, 0, 6), "ab", "what is behind the NUL does not count");
  assert.equal(name.decode(bytes, 3, 5), "cd", "a NUL behind the end does not count");
  assert.equal(name.decode(Buffer.from("abcd"), 1, 3), "bc", "none at all");
  assert.equal(name.decode(Buffer.from("\0a"), 0, 2), "");
});

test("a MAC address has six bytes; what is listed may have others", () => {
  assert.equal(written(linkAddress, "02:00:aB:00:00:01"), "0200ab000001");
  for (const wrong of ["", "02:00:00:00:00", "02:00:00:00:00:01:02", "02:00:00:00:00:0g"]) {
    assert.throws(() => written(linkAddress, wrong), refused, wrong);
  }
  assert.equal(linkAddress.decode(Buffer.from("c0a80001", "hex"), 0, 4), "c0:a8:00:01");
});

test("a flag is one byte", () => {
  assert.deepEqual([written(flag, false), written(flag, true)], ["00", "01"]);
  const bytes = Buffer.from("000102", "hex");
  assert.deepEqual(
    [0, 1, 2].map((at) => flag.decode(bytes, at, at + 1)),
    [false, true, true],
  );
  assert.throws(() => flag.decode(bytes, 1, 1), MalformedMessageError);
});
