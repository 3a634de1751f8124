/** The walk over messages and attributes at their bounds, and what an error of the kernel says. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MalformedMessageError } from "../src/errors.ts";
import {
  decodeAcknowledgement,
  Flag,
  forEachAttribute,
  forEachMessage,
  type Message,
  MessageType,
} from "../src/message.ts";

const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");
/** The header of a refused request of so many bytes. */
const requestHeader = (bytes: number) => {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(bytes);
  return header;
};

/** An ERROR or DONE message, not at the start of its buffer. */
function message(type: number, flags: number, ...body: readonly Buffer[]): Message {
  const bytes = Buffer.concat([hex("00 00 00 00"), ...body, hex("0badc0de")]);
  return { type, flags, sequence: 1, port: 2, bytes, start: 4, end: bytes.length - 4 };
}

const errno = hex("efffffff");
/** MESSAGE "a\tb" and OFFSET 20. */
const extension = hex("08000100 61096200 08000200 14000000");
const said = { errno: 17, text: "a b", offset: 20 };
const silent = { errno: 17, text: undefined, offset: undefined };

test("an error's words stand behind the request, or behind its header where that is all", () => {
  const request = [requestHeader(18), hex("0102 0000")];
  const { ACK_TLVS, CAPPED } = Flag;
  const whole = message(MessageType.ERROR, ACK_TLVS, errno, ...request, extension);
  assert.deepEqual(decodeAcknowledgement(whole), said);
  const capped = [errno, requestHeader(600), extension] as const;
  const short = message(MessageType.ERROR, ACK_TLVS | CAPPED, ...capped);
  assert.deepEqual(decodeAcknowledgement(short), said);
  const unsaid = message(MessageType.ERROR, 0, errno, ...request, extension);
  assert.deepEqual(decodeAcknowledgement(unsaid), silent);
  const beyond = message(MessageType.ERROR, ACK_TLVS, ...capped);
  assert.deepEqual(decodeAcknowledgement(beyond), silent, "a request beyond the message");
  const bare = message(MessageType.ERROR, ACK_TLVS, errno, requestHeader(16));
  assert.deepEqual(decodeAcknowledgement(bare), silent);
  const cut = message(MessageType.ERROR, ACK_TLVS, errno, requestHeader(16).subarray(1));
  assert.throws(() => decodeAcknowledgement(cut), MalformedMessageError);
});

test("the end of a listing has its words behind the number, and need not have a number", () => {
  const done = message(MessageType.DONE, Flag.ACK_TLVS, errno, extension);
  assert.deepEqual(decodeAcknowledgement(done), said);
  const count = message(MessageType.DONE, 0, hex("05000000"));
  assert.deepEqual(decodeAcknowledgement(count), { ...silent, errno: 0 });
  const empty = message(MessageType.DONE, 0);
  assert.deepEqual(decodeAcknowledgement(empty), { ...silent, errno: 0 });
  assert.throws(
    () => decodeAcknowledgement(message(MessageType.ERROR, 0, errno.subarray(1))),
    MalformedMessageError,
  );
});

test("an error's text is cut, and an offset of another size is none", () => {
  const long = Buffer.concat([hex("30010100"), Buffer.alloc(300, "x")]);
  const odd = hex("06000200 1400 0000");
  const done = message(MessageType.DONE, Flag.ACK_TLVS, errno, long, odd);
  assert.deepEqual(decodeAcknowledgement(done), { ...silent, text: "x".repeat(256) });
});

test("messages and attributes of nothing but their header are read, shorter ones refused", () => {
  const two = Buffer.concat([requestHeader(16), requestHeader(17), hex("09000000")]);
  two.writeUInt32LE(7, 12);
  const seen: number[][] = [];
  forEachMessage(two, two.length, ({ port, start, end }) => seen.push([port, start, end]));
  assert.deepEqual(seen, [
    [7, 16, 16],
    [0, 32, 33],
  ]);
  const nothing = () => assert.fail("nothing to visit");
  for (const wrong of [requestHeader(15), requestHeader(17), requestHeader(16).subarray(1)]) {
    assert.throws(() => forEachMessage(wrong, wrong.length, nothing), MalformedMessageError);
  }
  const second = Buffer.concat([requestHeader(16), requestHeader(17)]);
  assert.throws(() => forEachMessage(second, 32, () => undefined), MalformedMessageError);
  const attributes: number[][] = [];
  forEachAttribute(hex("ff 04000180 05000240 aa000000 04000300 0000"), 1, 19, (...one) => {
    attributes.push(one);
  });
  assert.deepEqual(attributes, [
    [1, 5, 5],
    [2, 9, 10],
    [3, 17, 17],
  ]);
  for (const wrong of ["03000100", "05000100"]) {
    const behind = hex(`ffffffff ${wrong} ffffffff`);
    assert.throws(() => forEachAttribute(behind, 4, 8, nothing), MalformedMessageError);
  }
});
