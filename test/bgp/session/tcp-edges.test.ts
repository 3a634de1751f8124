/** What only real sockets show of a connection: half-closed peers, resets, segments. */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { mock, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Errno, errnoName, linuxSys } from "netlink-ts";
import { TcpTransport } from "../../../src/bgp/session/tcp-transport.ts";
import { QUEUE_BYTES_HIGH, QUEUE_BYTES_LOW } from "../../../src/bgp/session/transport.ts";
import { parseAddress } from "../../../src/ip/address.ts";
import { plainPolicy } from "../../support/raw-peer.ts";
import { End } from "../../support/transport-contract.ts";
import { listening, US, until } from "./tcp-lab.ts";

/** One of ours and Node's other end, which may be closed by halves. */
async function joined(t: TestContext): Promise<{ end: End; peer: Socket; heard: () => string }> {
  const { port, ends, listener } = await listening();
  t.after(() => listener.close());
  const peer = connect({ host: US, port, allowHalfOpen: true });
  peer.on("error", () => undefined);
  t.after(() => peer.destroy());
  const chunks: Buffer[] = [];
  peer.on("data", (chunk: Buffer) => chunks.push(chunk));
  await until(() => ends.length === 1, "accepted");
  t.after(() => ends[0]!.connection!.reset());
  return { end: ends[0]!, peer, heard: () => Buffer.concat(chunks).toString() };
}

test("the last words reach a peer that has said its own", async (t) => {
  const { end, peer, heard } = await joined(t);
  // More than the kernel takes at once.
  const much = Buffer.alloc(8 * 1024 * 1024, "x");
  peer.pause();
  end.connection!.write([much, Buffer.from("last")]);
  assert.ok(end.connection!.queuedBytes > 0);
  end.connection!.close();
  assert.equal(end.connection!.write([Buffer.from("more")]), true);
  peer.end();
  await sleep(50);
  peer.resume();
  await until(() => heard().endsWith("last"), "all is read");
  assert.equal(heard().length, much.length + 4);
});

test("what came before a reset is read, and then the reset", async (t) => {
  const { end, peer } = await joined(t);
  end.connection!.pause();
  peer.write("words");
  await sleep(20);
  peer.resetAndDestroy();
  await sleep(20);
  // Sending finds out first: it tells nobody, for what is there is to be read.
  assert.equal(end.connection!.write([Buffer.from("x")]), true);
  assert.equal(end.connection!.write([Buffer.from("y"), Buffer.from("z")]), true);
  assert.deepEqual([end.text, end.reason, end.connection!.queuedBytes], ["", undefined, 0]);
  end.connection!.resume();
  await until(() => end.reason !== undefined, "closed");
  assert.deepEqual([end.text, end.reason], ["words", "connection reset by peer"]);
  assert.equal(end.connection!.localAddress, undefined);
});

for (const errno of [Errno.EPERM, Errno.EACCES, Errno.ENOBUFS]) {
  test(`send(2) refused on a connection that lives (${errnoName(errno)}) ends it`, async (t) => {
    const { end, peer } = await joined(t);
    const mocked = t.mock.method(linuxSys, "send", () => -errno);
    end.connection!.write([Buffer.from("x")]);
    mocked.mock.restore();
    assert.equal(end.reason, undefined, "not from inside of the call");
    await until(() => end.reason !== undefined, "closed");
    const reason = errno === Errno.ENOBUFS ? "ENOBUFS" : "not permitted by the local system";
    assert.equal(end.reason, `cannot send: ${reason}`);
    await until(() => peer.readableEnded || peer.destroyed, "the peer hears of it");
  });
}

test("send(2) refused while the last words wait: the connection ends all the same", async (t) => {
  const { end, peer } = await joined(t);
  peer.pause();
  end.connection!.write([Buffer.alloc(8 * 1024 * 1024)]);
  end.connection!.close();
  t.mock.method(linuxSys, "send", () => -Errno.EPERM);
  const close = t.mock.method(linuxSys, "close");
  const begun = performance.now();
  peer.resume();
  await until(() => close.mock.callCount() > 0, "closed");
  assert.ok(performance.now() - begun < 1_000, "before the time for last words is over");
  assert.equal(end.reason, undefined, "who closes hears nothing");
});

test("what is written before the connection stands goes out when it does", async (t) => {
  const { port, ends, listener } = await listening();
  const near = new End();
  const options = { address: US, port, localAddress: undefined, policy: plainPolicy };
  const connection = new TcpTransport().dial(options, near);
  assert.equal(connection.localAddress, undefined);
  assert.equal(connection.write([Buffer.from("early")]), true);
  assert.deepEqual([connection.queuedBytes, connection.sentBytes], [5, 0]);
  t.after(() => {
    listener.close();
    connection.reset();
    ends[0]?.connection?.reset();
  });
  await until(() => ends[0]?.text === "early", "sent");
  assert.deepEqual([connection.queuedBytes, connection.sentBytes], [0, 5]);
});

test("a dial that the kernel refuses at once fails like any other, and leaves no socket", async () => {
  const close = mock.method(linuxSys, "close");
  const dial = () => {
    const end = new End();
    const address = parseAddress("255.255.255.255")!;
    const options = { address, port: 1, localAddress: US, policy: plainPolicy };
    end.connection = new TcpTransport().dial(options, end);
    return end;
  };
  const [waits, closes, resets] = [dial(), dial(), dial()];
  assert.equal(close.mock.callCount(), 3);
  close.mock.restore();
  const { connection } = waits;
  assert.deepEqual([connection!.remoteAddress, connection!.remotePort], ["255.255.255.255", 1]);
  assert.deepEqual([connection!.queuedBytes, connection!.sentBytes], [0, 0]);
  assert.equal(connection!.write([Buffer.from("x")]), true);
  closes.connection!.close();
  resets.connection!.reset();
  assert.deepEqual(waits.log, [], "not from inside of the call");
  await until(() => waits.reason !== undefined, "closed");
  assert.equal(waits.reason, "network unreachable");
  assert.deepEqual([closes.log, resets.log], [[], []], "who gave up hears nothing");
});

for (const [what, bytes] of [
  ["nothing", 0],
  ["much", 8 * 1024 * 1024],
] as const) {
  test(`while reading is paused a reset costs no turns, with ${what} to be sent`, async (t) => {
    const { end, peer } = await joined(t);
    peer.pause();
    end.connection!.write([Buffer.alloc(bytes)]);
    assert.equal(end.connection!.queuedBytes > 0, bytes > 0);
    end.connection!.pause();
    peer.resetAndDestroy();
    await sleep(20);
    const { epollWait } = linuxSys;
    let waits = 0;
    linuxSys.epollWait = (...args) => {
      waits++;
      return epollWait(...args);
    };
    await sleep(50);
    linuxSys.epollWait = epollWait;
    assert.ok(waits <= 1, `${waits} turns`);
    assert.deepEqual([end.connection!.queuedBytes, end.reason], [0, undefined]);
    assert.equal(end.connection!.write([Buffer.from("x")]), true);
    end.connection!.resume();
    await until(() => end.reason !== undefined, "closed");
    assert.deepEqual([end.reason, end.writables], ["connection reset by peer", 0]);
  });
}

/** As if the kernel took so much of each send, or answered it so; after these it takes all. */
function sendAnswers(t: TestContext, answers: number[]): void {
  const { send } = linuxSys;
  linuxSys.send = (fd, bytes, length) => {
    const answer = answers.shift() ?? length;
    return answer > 0 ? send(fd, bytes, answer) : answer;
  };
  t.after(() => {
    linuxSys.send = send;
  });
}

test("what the kernel has no room for, or was kept from, goes out later and once", async (t) => {
  const { end, heard } = await joined(t);
  const answers = [-Errno.EAGAIN, -Errno.EINTR, 2, -Errno.EAGAIN, 0, 2, 1];
  sendAnswers(t, answers);
  end.connection!.write([Buffer.from("abcd")]);
  end.connection!.write([Buffer.from("e"), Buffer.from("f")]);
  assert.deepEqual([end.connection!.queuedBytes, end.connection!.sentBytes], [6, 0]);
  await until(() => heard().length === 6, "all");
  assert.deepEqual([heard(), answers], ["abcdef", []]);
  assert.deepEqual([end.connection!.queuedBytes, end.connection!.sentBytes], [0, 6]);
  answers.push(-Errno.EAGAIN);
  end.connection!.write([Buffer.from("g")]);
  await until(() => heard().length > 6, "more");
  assert.deepEqual([heard(), end.reason, end.writables], ["abcdefg", undefined, 0]);
  const waits = t.mock.method(linuxSys, "epollWait");
  await sleep(20);
  assert.ok(waits.mock.callCount() <= 1, "nothing waits: nobody asks");
});

test("who resets when told to go on hears nothing more, and has closed once", async (t) => {
  const { end, peer } = await joined(t);
  const connection = end.connection!;
  const answers = Array.from({ length: 100_000 }, () => -Errno.EAGAIN);
  sendAnswers(t, answers);
  connection.pause();
  connection.write([Buffer.alloc(QUEUE_BYTES_HIGH + 1)]);
  peer.write("x");
  await sleep(20);
  const close = t.mock.method(linuxSys, "close");
  end.writable = () => connection.reset();
  answers.length = 0;
  connection.resume();
  await until(() => close.mock.callCount() > 0, "reset");
  await sleep(20);
  assert.deepEqual([close.mock.callCount(), end.text, end.reason], [1, "", undefined]);
});

test("a dial that was refused is gone: nothing is done to its number any more", async (t) => {
  const { port, transport, listener } = await listening();
  listener.close();
  const end = new End();
  const options = { address: US, port, localAddress: undefined, policy: plainPolicy };
  const connection = transport.dial(options, end);
  await until(() => end.reason !== undefined, "closed");
  assert.deepEqual([end.reason, end.log], ["connection refused", ["closed"]]);
  const calls = (["send", "close", "endWrites"] as const).map((one) =>
    t.mock.method(linuxSys, one),
  );
  connection.write([Buffer.from("x")]);
  connection.close();
  connection.reset();
  assert.deepEqual(
    calls.map(({ mock }) => mock.callCount()),
    [0, 0, 0],
  );
});

test("paused before it stands; and when it is gone, the next one is not taken for it", async (t) => {
  const { transport, port, ends, listener } = await listening();
  const dial = () => {
    const end = new End();
    const options = { address: US, port, localAddress: undefined, policy: plainPolicy };
    end.connection = transport.dial(options, end);
    t.after(() => end.connection!.reset());
    return end;
  };
  const first = dial();
  first.connection!.pause();
  t.after(() => {
    listener.close();
    for (const end of ends) end.connection!.reset();
  });
  await until(() => first.log.includes("connected") && ends.length === 1, "both ends");
  ends[0]!.connection!.write([Buffer.from("x")]);
  await sleep(20);
  assert.equal(first.text, "");
  first.connection!.resume();
  await until(() => first.text === "x", "read");
  // The next one has its number in the kernel.
  first.connection!.reset();
  const second = dial();
  first.connection!.pause();
  await until(() => second.log.includes("connected") && ends.length === 2, "the next one");
  assert.equal(first.connection!.write([Buffer.from("to nobody")]), true);
  assert.deepEqual(
    [first.connection!.localAddress, second.connection!.localAddress],
    [undefined, US],
  );
  second.connection!.write([Buffer.from("y")]);
  await until(() => ends[1]!.text !== "", "read");
  assert.equal(ends[1]!.text, "y");
  first.connection!.close();
  first.connection!.reset();
  await sleep(20);
  assert.deepEqual([first.log, second.reason], [["connected"], undefined]);
});

test("who was told to write no more is told once to go on, when little waits", async (t) => {
  const { end, heard } = await joined(t);
  const connection = end.connection!;
  const answers: number[] = [-Errno.EAGAIN];
  sendAnswers(t, answers);
  assert.equal(connection.write([Buffer.alloc(QUEUE_BYTES_HIGH)]), true);
  assert.equal(connection.write([Buffer.alloc(1)]), false);
  const seen: [number, number][] = [];
  answers.push(QUEUE_BYTES_HIGH - QUEUE_BYTES_LOW, 1, 1);
  const { epollWait } = linuxSys;
  t.after(() => {
    linuxSys.epollWait = epollWait;
  });
  linuxSys.epollWait = (...args) => {
    seen.push([connection.queuedBytes, end.writables]);
    return epollWait(...args);
  };
  await until(() => heard().length === QUEUE_BYTES_HIGH + 1, "all");
  const told = (left: number) => seen.find(([queued]) => queued === left)?.[1];
  assert.deepEqual([told(QUEUE_BYTES_LOW + 1), told(QUEUE_BYTES_LOW)], [0, 1]);
  assert.deepEqual([end.writables, connection.write([Buffer.from("x")])], [1, true]);
});

test("several messages are one send, and large ones keep their order", async (t) => {
  const { end, heard } = await joined(t);
  const { send } = linuxSys;
  const sizes: number[] = [];
  linuxSys.send = (fd, bytes, length) => {
    sizes.push(length);
    return send(fd, bytes, length);
  };
  end.connection!.write([Buffer.from("a"), Buffer.from("bc"), Buffer.from("d")]);
  end.connection!.write([Buffer.from("e")]);
  const large = Buffer.alloc(70_000, "L");
  end.connection!.write([Buffer.from("f"), large, Buffer.from("g")]);
  linuxSys.send = send;
  assert.deepEqual(sizes, [4, 1, 1, 70_000, 1]);
  await until(() => heard().length === 70_007, "all");
  assert.equal(heard(), `abcdef${large}g`);
  assert.equal(end.connection!.sentBytes, 70_007);
});

test("what a handler slices off lasts, though the memory is used again", async (t) => {
  const { end, peer } = await joined(t);
  const kept: Uint8Array[] = [];
  end.received = (chunk) => kept.push(chunk.slice(0, 1));
  peer.write("a");
  await until(() => kept.length === 1, "the first");
  peer.write("b");
  await until(() => kept.length === 2, "the second");
  assert.equal(Buffer.concat(kept).toString(), "ab");
});

test("what waits is a copy: the caller's and the common memory may change", async (t) => {
  const { end, peer, heard } = await joined(t);
  peer.pause();
  const parts: string[] = [];
  for (let i = 0; end.connection!.queuedBytes < 300_000; i++) {
    const part = `${i}`.padStart(10_000, "-");
    parts.push(part);
    end.connection!.write([Buffer.from(part), Buffer.from("|")]);
  }
  peer.resume();
  const expected = parts.map((part) => `${part}|`).join("");
  await until(() => heard().length === expected.length, "all");
  assert.ok(heard() === expected);
  assert.equal(end.writables, 1);
});

test("after input: all that has come in was read, of however many", async (t) => {
  const { transport, port, ends, listener } = await listening();
  t.after(() => listener.close());
  const peers = Array.from({ length: 300 }, () => connect({ host: US, port }));
  t.after(() => {
    for (const peer of peers) peer.destroy();
    for (const end of ends) end.connection!.reset();
  });
  await until(() => ends.length === 300 && peers.every((one) => !one.connecting), "all are there");
  for (const peer of peers) peer.write("x");
  let read = -1;
  transport.afterInput(() => {
    read = ends.filter(({ text }) => text === "x").length;
  });
  assert.equal(read, -1, "not from inside of the call");
  await until(() => read >= 0, "called");
  assert.equal(read, 300);
});
