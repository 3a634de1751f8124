/** Requests and answers against a scripted kernel: matching, losses, limits, closing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { applyInBatches } from "../src/batch.ts";
import { Errno } from "../src/errors.ts";
import { REQUESTS_WAITING_MAX } from "../src/limits.ts";
import { Flag, type Message } from "../src/message.ts";
import { MessageWriter } from "../src/message-writer.ts";
import { NetlinkSocket } from "../src/netlink-socket.ts";
import { NextHops } from "../src/next-hops.ts";
import { Routes } from "../src/routes.ts";
import { Rtm } from "../src/rtm.ts";
import { doneMessage, errorMessage, message, ScriptedSys } from "./support/scripted-sys.ts";

const REPLY = 24;

function setUp() {
  const sys = new ScriptedSys();
  const open = () => NetlinkSocket.open(0, { sys, dumpPauseMs: 0 });
  return { sys, open };
}

function request(writer: MessageWriter, flags: number = Flag.REQUEST): void {
  writer.begin(REPLY, flags);
  writer.u32(0);
  writer.end();
}

/** Sends `count` messages, and gives the codes of their outcomes. */
async function codes(socket: NetlinkSocket, count: number): Promise<(string | undefined)[]> {
  const operations = new Array<undefined>(count).fill(undefined);
  const outcomes = await applyInBatches(socket, operations, (writer) => request(writer));
  return outcomes.map((outcome) => outcome?.code);
}

/** A listing of the first byte of every reply. */
function list(socket: NetlinkSocket): Promise<number[]> {
  return socket.dump(
    (writer) => request(writer, Flag.REQUEST | Flag.DUMP),
    ({ bytes, start }: Message) => bytes[start],
  );
}

test("only the last message of a batch asks to be acknowledged", async () => {
  const { sys, open } = setUp();
  const flags: number[] = [];
  sys.onSend = (bytes) => {
    for (let at = 0; at < bytes.length; at += 20) flags.push(bytes.readUInt16LE(at + 6));
    sys.answers.push(errorMessage(3, 0));
  };
  assert.deepEqual(await codes(open(), 3), [undefined, undefined, undefined]);
  assert.deepEqual(flags, [Flag.REQUEST, Flag.REQUEST, Flag.REQUEST | Flag.ACK]);
});

test("errors go to the messages that they are of, whatever else is in the datagrams", async () => {
  const { sys, open } = setUp();
  sys.onSend = () => {
    sys.answers.push(
      errorMessage(4_000_000_000, Errno.EPERM),
      Buffer.concat([errorMessage(2, Errno.EEXIST), message(REPLY, 0, 3), errorMessage(0, 1)]),
      -Errno.EAGAIN,
      errorMessage(4, Errno.ESRCH),
    );
  };
  assert.deepEqual(await codes(open(), 4), [undefined, "EEXIST", undefined, "ESRCH"]);
});

test("an answer that never comes is given up", async () => {
  const { sys } = setUp();
  const socket = NetlinkSocket.open(0, { sys, replyTimeoutMs: 20 });
  assert.deepEqual(await codes(socket, 2), ["ETIMEDOUT", "ETIMEDOUT"]);
  await assert.rejects(list(socket), { code: "ETIMEDOUT" });
});

test("numbers go on from request to request: a late answer is nobody's", async () => {
  const { sys, open } = setUp();
  const socket = open();
  sys.onSend = () => sys.answers.push(errorMessage(1, 0));
  assert.deepEqual(await codes(socket, 1), [undefined]);
  sys.onSend = () => sys.answers.push(errorMessage(1, Errno.EEXIST), errorMessage(2, 0));
  assert.deepEqual(await codes(socket, 1), [undefined]);
  assert.deepEqual(sys.sent, [[1], [2]]);
});

test("after a loss what was not answered is unknown, and the next request is fine", async () => {
  const { sys, open } = setUp();
  const socket = open();
  sys.onSend = () => sys.answers.push(errorMessage(1, Errno.EEXIST), -Errno.ENOBUFS);
  assert.deepEqual(await codes(socket, 3), ["EEXIST", "ENOBUFS", "ENOBUFS"]);
  sys.onSend = () => sys.answers.push(errorMessage(4, 0));
  assert.deepEqual(await codes(socket, 1), [undefined]);
});

test("an unknown outcome is told from the kernel's own ENOBUFS and ETIMEDOUT", async () => {
  const { sys } = setUp();
  const socket = NetlinkSocket.open(0, { sys, replyTimeoutMs: 20 });
  const said = async (count: number) => {
    const writer = new MessageWriter();
    for (let i = 0; i < count; i++) request(writer);
    const errors = await socket.send(writer);
    return [...errors.values()].map(({ code, outcomeUnknown }) => [code, outcomeUnknown]);
  };
  sys.onSend = () => {
    sys.answers.push(errorMessage(1, Errno.ENOBUFS), errorMessage(2, Errno.ETIMEDOUT));
  };
  assert.deepEqual(await said(2), [
    ["ENOBUFS", false],
    ["ETIMEDOUT", false],
  ]);
  sys.onSend = () => sys.answers.push(errorMessage(3, Errno.ENOBUFS), -Errno.ENOBUFS);
  assert.deepEqual(await said(2), [
    ["ENOBUFS", false],
    ["ENOBUFS", true],
  ]);
  sys.onSend = () => undefined;
  assert.deepEqual(await said(1), [["ETIMEDOUT", true]]);
});

test("closed while an answer is waited for: that outcome is unknown, those in line are not", async () => {
  const { sys, open } = setUp();
  const socket = open();
  const isSent = new Promise<void>((resolve) => {
    sys.onSend = () => resolve();
  });
  const [sent, waiting] = [codes(socket, 1), codes(socket, 1)];
  await isSent;
  socket.close();
  await assert.rejects(sent, { code: "ECANCELED", outcomeUnknown: true });
  await assert.rejects(waiting, { code: "ECANCELED", outcomeUnknown: false });
});

test("a small receive buffer makes small batches", async () => {
  const { sys, open } = setUp();
  sys.receiveBufferBytes = 4 * 1664;
  sys.onSend = () => sys.answers.push(errorMessage(sys.sent.at(-1)?.at(-1) ?? 0, 0));
  assert.deepEqual(await codes(open(), 10), new Array(10).fill(undefined));
  assert.deepEqual(
    sys.sent.map((batch) => batch.length),
    [4, 4, 2],
  );
});

test("a batch is as long as the socket takes, and one message longer is refused alone", async () => {
  const { sys, open } = setUp();
  const socket = open();
  sys.onSend = () => sys.answers.push(errorMessage(sys.sent.at(-1)?.at(-1) ?? 0, 0));
  const sizes = [110_000, 110_000, socket.batchBytesMax, 10, 20];
  const outcomes = await applyInBatches(socket, sizes, (writer, size) => {
    writer.begin(REPLY, Flag.REQUEST);
    writer.zeros(size);
    writer.end();
  });
  assert.deepEqual(
    outcomes.map((outcome) => outcome?.code),
    [undefined, undefined, "EMSGSIZE", undefined, undefined],
  );
  assert.deepEqual(
    sys.sent.map((batch) => batch.length),
    [1, 1, 2],
  );
});

test("the reason of a failed send is found by sending again", async () => {
  const { sys, open } = setUp();
  sys.asyncResult = -1;
  sys.syncResult = -Errno.ENOBUFS;
  await assert.rejects(codes(open(), 1), { name: "SystemCallError", code: "ENOBUFS" });
  sys.syncResult = undefined;
  sys.onSend = () => sys.answers.push(errorMessage(1, 0));
  assert.deepEqual(await codes(open(), 1), [undefined]);
});

test("a listing goes over many datagrams and knows its own messages", async () => {
  const { sys, open } = setUp();
  sys.onSend = () => {
    sys.answers.push(
      message(REPLY, 2, 9, "ff"),
      Buffer.concat([message(REPLY, 2, 1, "01"), message(REPLY, 2, 1, "02")]),
      ...Array.from({ length: 9 }, () => message(REPLY, 2, 1, "03")),
      doneMessage(1),
    );
  };
  assert.deepEqual(await list(open()), [1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3]);
});

test("a listing that changed, or lost a part, is asked for again", async () => {
  const { sys, open } = setUp();
  const rounds: (Buffer | number)[][] = [
    [message(REPLY, 2, 1, "01"), message(REPLY, 2 | Flag.DUMP_INTR, 1, "02"), doneMessage(1)],
    [message(REPLY, 2, 2, "01"), -Errno.ENOBUFS, doneMessage(2)],
    [message(REPLY, 2, 3, "07"), doneMessage(3)],
  ];
  sys.onSend = () => sys.answers.push(...(rounds.shift() ?? []));
  assert.deepEqual(await list(open()), [7]);
  assert.deepEqual(sys.sent, [[1], [2], [3]]);
  sys.onSend = () => {
    const [sequence = 0] = sys.sent.at(-1) ?? [];
    sys.answers.push(message(3, 2 | Flag.DUMP_INTR, sequence, "00000000"));
  };
  await assert.rejects(list(open()), { code: "EAGAIN" });
});

test("a listing that changed is read in one go the next time", async () => {
  const { sys, open } = setUp();
  let turn = 0;
  const count = () => {
    turn++;
    counter = setImmediate(count);
  };
  let counter = setImmediate(count);
  sys.onSend = () => {
    const [sequence = 0] = sys.sent.at(-1) ?? [];
    const flags = sequence === 1 ? 2 | Flag.DUMP_INTR : 2;
    for (let i = 0; i < 20; i++) sys.answers.push(message(REPLY, flags, sequence, "01"));
    sys.answers.push(doneMessage(sequence));
  };
  const turns = new Set<number>();
  const decode = ({ sequence }: Message) => turns.add(sequence * 1000 + turn);
  await open().dump((writer) => request(writer, Flag.REQUEST | Flag.DUMP), decode);
  clearImmediate(counter);
  const [first, second] = [1, 2].map((n) => [...turns].filter((t) => Math.floor(t / 1000) === n));
  assert.equal(first?.length, 10);
  assert.equal(second?.length, 1);
});

test("a listing that breaks off is no answer, and is not asked for again where it would be refused", async () => {
  const { sys, open } = setUp();
  sys.onSend = () => {
    // As the kernel does for want of memory: it neither goes on nor begins another one.
    const again = errorMessage(sys.sent.length, Errno.EBUSY);
    sys.answers.push(...(sys.sent.length > 1 ? [again] : [message(REPLY, 2, 1), -Errno.ENOBUFS]));
  };
  await assert.rejects(list(open()), { name: "SystemCallError", code: "ENOBUFS" });
  assert.deepEqual(sys.sent, [[1]]);
});

test("what is not kept is given as it is read, and given anew when the list changed", async () => {
  const { sys, open } = setUp();
  const routes = new Routes(open());
  sys.onSend = () => {
    const [sequence = 0] = sys.sent.at(-1) ?? [];
    const family = sequence % 2 === 1 ? "02" : "0a";
    const route = message(Rtm.NEWROUTE, 2, sequence, `${family}000000fe11000100000000`);
    // The second family's first listing is interrupted: then both are asked for again.
    const flags = sequence === 2 ? 2 | Flag.DUMP_INTR : 2;
    sys.answers.push(route, route, message(3, flags, sequence, "00000000"));
  };
  const given: string[] = [];
  await routes.visit({}, () => {
    given.push("begin");
    return ({ destination }) => given.push(`${destination}, ${sys.answers.length} more to read`);
  });
  const tried = ["0.0.0.0/0", "::/0"].flatMap((all) => [
    `${all}, 2 more to read`,
    `${all}, 1 more to read`,
  ]);
  assert.deepEqual(given, ["begin", ...tried, "begin", ...tried]);
  assert.deepEqual(sys.sent, [[1], [2], [3], [4]]);
});

test("a listing that fails at its start, or at its end, says why", async () => {
  const { sys, open } = setUp();
  sys.onSend = () => sys.answers.push(errorMessage(1, Errno.ENOENT));
  await assert.rejects(list(open()), { code: "ENOENT" });
  sys.onSend = () => sys.answers.push(message(REPLY, 2, 1, "01"), doneMessage(1, Errno.EINVAL));
  await assert.rejects(list(open()), { code: "EINVAL" });
});

test("a malformed part fails the listing, which is read to its end all the same", async () => {
  const { sys, open } = setUp();
  const socket = open();
  sys.onSend = () => {
    sys.answers.push(Buffer.from("0300000018000000", "hex"), message(REPLY, 2, 1), doneMessage(1));
  };
  await assert.rejects(list(socket), { name: "MalformedMessageError" });
  assert.equal(sys.answers.length, 0);
  sys.onSend = () => sys.answers.push(Buffer.alloc(300_000), doneMessage(2));
  await assert.rejects(list(socket), { code: "EMSGSIZE" });
});

test("requests wait in line, one under way at a time, and the line is bounded", async () => {
  const { sys, open } = setUp();
  const socket = open();
  sys.onSend = () => {
    assert.equal(sys.answers.length, 0, "the answers to the one before are read");
    sys.answers.push(-Errno.EAGAIN, errorMessage(sys.sent.at(-1)?.at(-1) ?? 0, 0));
  };
  assert.deepEqual(await Promise.all([codes(socket, 1), codes(socket, 2)]), [
    [undefined],
    [undefined, undefined],
  ]);
  assert.deepEqual(sys.sent, [[1], [2, 3]]);

  const full = setUp();
  const crowded = full.open();
  const waiting = Array.from({ length: REQUESTS_WAITING_MAX }, () => codes(crowded, 1));
  await assert.rejects(codes(crowded, 1), { code: "EBUSY" });
  crowded.close();
  const results = await Promise.allSettled(waiting);
  assert.ok(results.every((result) => result.status === "rejected"));
});

test("closing ends what waits, and the fd is closed once, after the send under way", async () => {
  const { sys, open } = setUp();
  const socket = open();
  let finish = (): void => undefined;
  const sendAsync = sys.sendAsync.bind(sys);
  sys.sendAsync = async (...send) => {
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
    return sendAsync(...send);
  };
  sys.onSend = () => sys.answers.push(errorMessage(1, 0));
  const first = codes(socket, 1);
  const second = codes(socket, 1);
  await new Promise(setImmediate);
  socket.close();
  socket.close();
  assert.deepEqual(sys.closed, []);
  finish();
  assert.deepEqual(await first, [undefined]);
  await assert.rejects(second, { code: "ECANCELED" });
  await assert.rejects(codes(socket, 1), { code: "ECANCELED" });
  assert.deepEqual(sys.closed, [7]);
});

test("a socket that cannot be read any more says why, and is closed once", async () => {
  const { sys, open } = setUp();
  const socket = open();
  sys.onSend = () => sys.answers.push(-Errno.EINVAL);
  const broken = { name: "SystemCallError", code: "EINVAL", call: "recv(AF_NETLINK)" };
  await assert.rejects(codes(socket, 1), broken);
  await assert.rejects(list(socket), broken);
  assert.deepEqual(sys.closed, []);
  socket.close();
  assert.deepEqual(sys.closed, [7]);
});

test("a batch of more messages than can be answered is not sent", async () => {
  const { sys, open } = setUp();
  const socket = open();
  const writer = new MessageWriter();
  for (let i = 0; i <= socket.batchMessagesMax; i++) request(writer);
  assert.ok(writer.length < socket.batchBytesMax);
  await assert.rejects(socket.exchange(writer), { code: "EMSGSIZE" });
  assert.deepEqual(sys.sent, []);
});

test("errors come with their text and without the request; lists of routes are cut by filters", () => {
  const { sys, open } = setUp();
  open();
  const [EXT_ACK, CAP_ACK, STRICT] = ["270/11", "270/10", "270/12"];
  for (const option of [EXT_ACK, CAP_ACK, STRICT]) assert.ok(sys.options.includes(option!));
  const other = new ScriptedSys();
  NetlinkSocket.open(12, { sys: other });
  assert.equal(other.options.includes(STRICT!), false, "nfnetlink has no such option");
});

test("a socket that cannot be set up is closed again", () => {
  const { sys, open } = setUp();
  sys.bind = () => -Errno.EPERM;
  assert.throws(open, { name: "SystemCallError", code: "EPERM", call: "bind(AF_NETLINK)" });
  assert.deepEqual(sys.closed, [7]);
});

test("a kernel without next hop objects has none, and any other error is one", async () => {
  for (const errno of [Errno.EOPNOTSUPP, Errno.EPERM]) {
    const { sys, open } = setUp();
    sys.onSend = () => {
      sys.answers.push(errorMessage(1, errno));
    };
    const listing = new NextHops(open()).list();
    if (errno === Errno.EOPNOTSUPP) assert.deepEqual(await listing, []);
    else await assert.rejects(listing, { code: "EPERM" });
  }
});
