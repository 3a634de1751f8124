/** What a TCP connection owes a peer that is not one of ours: a bare socket on the other side. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { setImmediate as nextLoop } from "node:timers/promises";
import { Errno, errnoName, linuxSys } from "netlink-ts";
import { BULK_BYTES, socketReason } from "../../../src/bgp/session/tcp-connection.ts";
import { TcpTransport, type TcpTransportOptions } from "../../../src/bgp/session/tcp-transport.ts";
import { type Connection, LINGER_MS } from "../../../src/bgp/session/transport.ts";
import { parseAddress } from "../../../src/ip/address.ts";
import { freePort } from "../../support/free-port.ts";
import { plainPolicy } from "../../support/raw-peer.ts";
import { End } from "../../support/transport-contract.ts";
import { listening, US } from "./tcp-lab.ts";

const LOOPBACK = parseAddress("127.0.0.1")!;
/** Level and option of TCP_NODELAY. */
const [TCP, NODELAY] = [6, 1];

/** How many of these keep the process going. */
const active = (kind: string) =>
  process.getActiveResourcesInfo().filter((each) => each === kind).length;

/** A connection of ours, and the peer's end of it, which only ends when it is told to. */
async function dialled(
  t: TestContext,
  options: TcpTransportOptions = {},
): Promise<{ out: Connection; end: End; peer: Socket }> {
  const server = createServer({ allowHalfOpen: true }).listen(0, LOOPBACK);
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const end = new End();
  const where = { address: LOOPBACK, port, localAddress: undefined, policy: plainPolicy };
  const out = new TcpTransport(options).dial(where, end);
  const [peer] = (await once(server, "connection")) as [Socket];
  peer.on("error", () => undefined);
  while (!end.log.includes("connected")) await nextLoop();
  t.after(() => {
    out.reset();
    peer.destroy();
    server.close();
  });
  return { out, end, peer };
}

test("a message is sent at once, dialled or accepted: it waits for no acknowledgement", async (t) => {
  const dial = t.mock.method(linuxSys, "connect");
  const accept = t.mock.method(linuxSys, "accept");
  const port = await freePort(LOOPBACK);
  const transport = new TcpTransport();
  const accepted = new End();
  await new Promise<void>((resolve) => {
    const server = transport.listen(
      { address: LOOPBACK, port, passwords: new Map() },
      {
        listening() {
          const options = { address: LOOPBACK, port, localAddress: undefined };
          const out = transport.dial({ ...options, policy: plainPolicy }, new End());
          t.after(() => out.reset());
        },
        accepted(connection) {
          accepted.connection = connection;
          setImmediate(resolve);
          return { handler: accepted, policy: plainPolicy };
        },
        failed: (problem) => assert.fail(problem.message),
      },
    );
    t.after(() => server.close());
  });
  const value = Buffer.alloc(4);
  const fds = [dial.mock.calls[0]!.arguments[0], accept.mock.calls[0]!.result!];
  for (const fd of fds) {
    assert.equal(linuxSys.getsockopt(fd, TCP, NODELAY, value.fill(0)), 4);
    assert.equal(value.readInt32LE(), 1);
  }
});

test("closed while paused: what the peer still sends is taken, so that it comes to its end", async (t) => {
  const { out, end, peer } = await dialled(t);
  out.pause();
  out.close();
  // More than the kernel keeps for one who does not read.
  const taken = new Promise<unknown>((resolve) => {
    peer.write(new Uint8Array(16 * 1024 * 1024), resolve);
  });
  assert.equal((await taken) ?? undefined, undefined);
  assert.equal(end.bytes, 0, "who closes hears nothing");
});

test("a peer that does not end is left after the time for a last NOTIFICATION", async (t) => {
  const { out, peer } = await dialled(t);
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const write = () => new Promise<unknown>((resolve) => peer.write("x", resolve));
  out.close();
  await once(peer.resume(), "end");
  t.mock.timers.tick(LINGER_MS - 1);
  for (let i = 0; i < 20; i++) assert.equal((await write()) ?? undefined, undefined);
  t.mock.timers.tick(1);
  // The first octet after it is answered with a reset.
  while (!peer.destroyed) await write();
  assert.equal(peer.errored !== null, true);
});

test("closing: all that waits is sent, be it more than the kernel takes", async (t) => {
  const { out, peer } = await dialled(t);
  t.mock.timers.enable({ apis: ["setTimeout"] });
  out.write([new Uint8Array(16 * 1024 * 1024)]);
  out.close();
  let bytes = 0;
  peer.on("data", (chunk) => {
    bytes += chunk.length;
  });
  await once(peer, "end");
  assert.equal(bytes, 16 * 1024 * 1024);
});

for (const hasEnded of [true, false]) {
  test(`closing: when the last words are out, a peer that has ended is left (${hasEnded})`, async (t) => {
    const { out, peer } = await dialled(t);
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const close = t.mock.method(linuxSys, "close");
    const turns = async (count: number) => {
      for (let i = 0; i < count && close.mock.callCount() === 0; i++) await nextLoop();
    };
    out.write([new Uint8Array(16 * 1024 * 1024)]);
    out.close();
    if (hasEnded) peer.end();
    const waits = t.mock.method(linuxSys, "epollWait");
    await turns(50);
    assert.ok(waits.mock.callCount() < 10, "nobody is asked while nothing can be done");
    assert.equal(close.mock.callCount(), 0, "not before");
    await once(peer.resume(), "end");
    // Until the kernel tells: a busy one takes more turns than can be said.
    while (hasEnded && close.mock.callCount() === 0) await nextLoop();
    await turns(1000);
    assert.equal(close.mock.callCount() > 0, hasEnded);
  });
}

test("a peer that ends is gone at once, whatever it has not read", async (t) => {
  const { out, end, peer } = await dialled(t);
  while (out.write([new Uint8Array(64 * 1024)])) await nextLoop();
  const close = t.mock.method(linuxSys, "close");
  peer.end();
  while (end.reason === undefined) await nextLoop();
  assert.equal(end.reason, "closed by peer");
  assert.ok(close.mock.callCount() > 0);
});

test("closed, and the peer ended: nothing is left that would keep the process", async (t) => {
  const { out, peer } = await dialled(t);
  const before = active("Timeout");
  const begun = performance.now();
  out.close();
  out.close();
  assert.equal(active("Timeout"), before + 1);
  await once(peer.resume(), "end");
  peer.end();
  await once(peer, "close");
  while (active("Timeout") > before) await nextLoop();
  assert.ok(performance.now() - begun < LINGER_MS, "for it ended, not for its time was over");
});

test("a reset is one for the peer", async (t) => {
  const { out, peer } = await dialled(t);
  out.write([new Uint8Array(16 * 1024 * 1024)]);
  assert.ok(out.queuedBytes > 0);
  out.reset();
  assert.equal(out.queuedBytes, 0);
  await assert.rejects(once(peer.resume(), "close"), { code: "ECONNRESET" });
});

for (const way of ["close", "reset"] as const) {
  test(`a dial that is given up by ${way} ends, and is not waited for`, async (t) => {
    const server = createServer().listen(0, LOOPBACK);
    t.after(() => server.close());
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const before = active("Timeout");
    const options = { address: LOOPBACK, port, localAddress: undefined, policy: plainPolicy };
    const out = new TcpTransport().dial(options, new End());
    out[way]();
    assert.equal(active("Timeout"), before);
    // The kernel may have answered all the same.
    while (active("TCPSocketWrap") > 0) await nextLoop();
  });
}

test("an error has its reason, be it one without words of ours", () => {
  assert.equal(socketReason(Object.assign(new Error(), { code: "ETIMEDOUT" })), "timed out");
  assert.equal(socketReason(Object.assign(new Error(), { code: "EMFILE" })), "EMFILE");
  assert.equal(socketReason(new Error("octets of the peer")), "unknown error");
  assert.equal(socketReason({ code: "ETIMEDOUT" }), "unknown error");
  for (const [code, words] of [
    ["ECONNABORTED", "connection aborted"],
    ["EPIPE", "connection reset by peer"],
    ["EHOSTUNREACH", "host unreachable"],
    ["EADDRNOTAVAIL", "local address not available"],
    ["ENODEV", "no such interface"],
  ] as const) {
    assert.equal(socketReason(Object.assign(new Error(), { code })), words);
  }
});

for (const [errno, reason] of [
  [Errno.EPIPE, "connection reset by peer"],
  [Errno.ECONNRESET, "connection reset by peer"],
  [Errno.ECONNABORTED, "connection aborted"],
  [Errno.ECONNREFUSED, "connection refused"],
  [Errno.ENOTCONN, "ENOTCONN"],
  [Errno.ETIMEDOUT, "timed out"],
  [Errno.ENETDOWN, "ENETDOWN"],
  [Errno.ENETUNREACH, "network unreachable"],
  [Errno.EHOSTUNREACH, "host unreachable"],
] as const) {
  test(`sending finds a connection ended (${errnoName(errno)}): told when all is read`, async (t) => {
    const { out, end, peer } = await dialled(t);
    const send = t.mock.method(linuxSys, "send", () => -errno);
    assert.equal(out.write([Buffer.from("x")]), true);
    send.mock.restore();
    for (let i = 0; i < 20; i++) await nextLoop();
    assert.equal(end.reason, undefined);
    peer.end("last");
    while (end.reason === undefined) await nextLoop();
    assert.deepEqual([end.text, end.reason], ["last", reason]);
  });
}

test("what could not be sent leaves no gap: nothing is sent behind it", async (t) => {
  const { out, end } = await dialled(t);
  const send = t.mock.method(linuxSys, "send", () => -Errno.EPERM, { times: 1 });
  out.write([Buffer.from("a"), Buffer.alloc(70_000), Buffer.from("c")]);
  assert.equal(send.mock.callCount(), 1);
  assert.equal(out.sentBytes, 0);
  const close = t.mock.method(linuxSys, "close");
  out.reset();
  for (let i = 0; i < 20; i++) await nextLoop();
  const closed = close.mock.calls.map(({ arguments: [fd] }) => fd);
  assert.ok(closed.length > 0 && new Set(closed).size === closed.length, "none is closed twice");
  assert.equal(end.reason, undefined);
});

test("who writes while an octet waits waits behind it; nothing is sent of what is empty", async (t) => {
  const { out, peer } = await dialled(t);
  let heard = "";
  peer.on("data", (chunk) => {
    heard += chunk;
  });
  const { send } = linuxSys;
  const sizes: number[] = [];
  let isFull = false;
  t.mock.method(linuxSys, "send", (fd: number, bytes: Uint8Array, length: number) => {
    sizes.push(length);
    return isFull ? -Errno.EAGAIN : send(fd, bytes, length);
  });
  const large = "L".repeat(70_000);
  const write = (...texts: string[]) => out.write(texts.map((text) => Buffer.from(text)));
  assert.equal(write(), true);
  write("a");
  write("b", "c");
  write("d", large);
  isFull = true;
  write("e");
  isFull = false;
  write("f", "g");
  assert.equal(out.queuedBytes, 3);
  while (heard.length < 70_007) await nextLoop();
  isFull = true;
  write("h");
  isFull = false;
  write("i");
  assert.equal(out.queuedBytes, 2);
  while (heard.length < 70_009) await nextLoop();
  assert.ok(heard === `abcd${large}efghi`);
  assert.deepEqual(sizes, [1, 2, 1, 70_000, 1, 1, 2, 1, 1, 1]);
});

test("a read that brings nothing for now is no end; one that fails is, with its reason", async (t) => {
  const { end, peer } = await dialled(t);
  const { receive } = linuxSys;
  const answers: number[] = [-Errno.EAGAIN, -Errno.EINTR];
  t.mock.method(linuxSys, "receive", (...asked: Parameters<typeof receive>) => {
    return answers.shift() ?? receive(...asked);
  });
  peer.write("x");
  while (end.bytes === 0 && end.reason === undefined) await nextLoop();
  assert.deepEqual([end.text, end.reason, answers], ["x", undefined, []]);
  answers.push(-Errno.ETIMEDOUT);
  peer.write("y");
  while (end.reason === undefined) await nextLoop();
  assert.deepEqual([end.text, end.reason], ["x", "timed out"]);
});

test("who closes an accepted connection before it is begun hears nothing of it", async (t) => {
  let close = () => {};
  const { port, ends, listener } = await listening(() => close());
  close = () => ends.at(-1)!.connection!.close();
  const peer = connect({ host: US, port });
  t.after(() => {
    peer.destroy();
    listener.close();
    ends[0]?.connection?.reset();
  });
  peer.end("x");
  await once(peer.resume(), "close");
  for (let i = 0; i < 20; i++) await nextLoop();
  assert.deepEqual([ends.length, ends[0]!.text, ends[0]!.log], [1, "", []]);
});

test("of a table it is told before any of it is read, of short input never", async (t) => {
  assert.equal(BULK_BYTES, 4096, "the longest plain message");
  const readBefore: number[] = [];
  const { end, peer } = await dialled(t, { onBulk: () => readBefore.push(end.bytes) });
  peer.write(new Uint8Array(BULK_BYTES - 1));
  while (end.bytes < BULK_BYTES - 1) await nextLoop();
  assert.deepEqual(readBefore, []);
  peer.write(new Uint8Array(BULK_BYTES));
  while (end.bytes < 2 * BULK_BYTES - 1) await nextLoop();
  assert.deepEqual(readBefore, [BULK_BYTES - 1]);
});
