/** What sockets are set to, seen on the wire and in the process, over the loopback. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createServer, Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { setImmediate as nextLoop } from "node:timers/promises";
import { bindSocket, Errno, linuxSys, openTcpSocket, setMinimumTtl } from "netlink-ts";
import { setListenerKey } from "../../../src/bgp/session/tcp-options.ts";
import { TcpTransport } from "../../../src/bgp/session/tcp-transport.ts";
import type { Connection, Listener, ListenProblem } from "../../../src/bgp/session/transport.ts";
import { type IpAddress, parseAddress } from "../../../src/ip/address.ts";
import { freePort } from "../../support/free-port.ts";
import { plainPolicy } from "../../support/raw-peer.ts";
import { End } from "../../support/transport-contract.ts";

const transport = new TcpTransport();
const LOOPBACK = parseAddress("127.0.0.1")!;
const openFiles = () => readdirSync("/proc/self/fd").length;

interface Standing {
  readonly listener: Listener;
  readonly accepted: Promise<Connection>;
  readonly problem: ListenProblem | undefined;
}

/** Listens until the test ends; resolves when it is known whether it stands. */
function listen(t: TestContext, address: IpAddress, port: number, policy = plainPolicy) {
  const { promise: accepted, resolve: accept } = Promise.withResolvers<Connection>();
  return new Promise<Standing>((resolve) => {
    const listener = transport.listen(
      { address, port, passwords: new Map() },
      {
        listening: () => resolve({ listener, accepted, problem: undefined }),
        accepted(connection) {
          accept(connection);
          return { handler: new End(), policy };
        },
        failed: (problem) => resolve({ listener, accepted, problem }),
      },
    );
    t.after(() => listener.close());
  });
}

test("a TTL is set: who asks for more does not hear from less", async (t) => {
  const fd = openTcpSocket(4);
  setMinimumTtl(fd, 4, 20);
  bindSocket(fd, LOOPBACK, 0);
  const server = createServer().listen({ fd });
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const dial = (ttl: number) => {
    const end = new End();
    const policy = { ...plainPolicy, ttl };
    const out = transport.dial({ address: LOOPBACK, port, localAddress: undefined, policy }, end);
    t.after(() => out.reset());
    return end;
  };
  const [less, enough] = [dial(19), dial(20)];
  const [peer] = (await once(server, "connection")) as [Socket];
  while (!enough.log.includes("connected")) await nextLoop();
  assert.deepEqual(less.log, []);
  peer.destroy();
  server.close();
});

test("an accepted connection has its own TTL, not its listener's", async (t) => {
  const port = await freePort(LOOPBACK);
  const { accepted } = await listen(t, LOOPBACK, port, { ...plainPolicy, ttl: 19 });
  const fd = openTcpSocket(4);
  const peer = new Socket({ fd, readable: true, writable: true });
  t.after(() => peer.destroy());
  peer.connect({ host: LOOPBACK, port });
  await once(peer, "connect");
  setMinimumTtl(fd, 4, 20);
  const connection = await accepted;
  connection.write([Uint8Array.of(1)]);
  let heard = 0;
  peer.on("data", (chunk) => {
    heard += chunk.length;
  });
  for (let i = 0; i < 100; i++) await nextLoop();
  assert.equal(heard, 0);
  // It is sent again.
  setMinimumTtl(fd, 4, 19);
  await once(peer, "data");
  assert.equal(heard, 1);
});

test("an accepted connection that cannot be made ready ends", async (t) => {
  const port = await freePort(LOOPBACK);
  await listen(t, LOOPBACK, port, { ...plainPolicy, bindInterface: "no-such-device" });
  const end = new End();
  transport.dial({ address: LOOPBACK, port, localAddress: undefined, policy: plainPolicy }, end);
  while (end.reason === undefined) await nextLoop();
  assert.equal(end.log.at(-1), "closed");
});

test("a listener that begins anew stands, though connections of the last one are ending", async (t) => {
  const port = await freePort(LOOPBACK);
  const { listener, accepted } = await listen(t, LOOPBACK, port);
  const out = transport.dial(
    { address: LOOPBACK, port, localAddress: undefined, policy: plainPolicy },
    new End(),
  );
  t.after(() => out.reset());
  // Who closes first has the connection's end on its side for a minute.
  (await accepted).close();
  listener.close();
  assert.equal((await listen(t, LOOPBACK, port)).problem, undefined);
});

test("listeners on all addresses of both families stand side by side", async (t) => {
  const port = await freePort(LOOPBACK);
  for (const text of ["::", "0.0.0.0"]) {
    const { problem } = await listen(t, parseAddress(text)!, port);
    assert.equal(problem, undefined, text);
  }
});

test("a socket that could not be made ready is closed", async (t) => {
  const policy = { ...plainPolicy, bindInterface: "no-such-device" };
  const [taken, free] = [await freePort(LOOPBACK), await freePort(LOOPBACK)];
  await listen(t, LOOPBACK, taken);
  const before = openFiles();
  for (let i = 0; i < 5; i++) {
    const options = { address: LOOPBACK, port: 1, localAddress: undefined, policy };
    transport.dial(options, new End());
    const { problem } = await listen(t, parseAddress("203.0.113.1")!, 1790);
    assert.equal(problem?.code, "EADDRNOTAVAIL");
    const close = t.mock.method(linuxSys, "close");
    // At the bind, and after it.
    const refused = t.mock.method(linuxSys, "listen", () => -Errno.ENOMEM);
    for (const [count, port] of [taken, free].entries()) {
      const { listener, problem } = await listen(t, LOOPBACK, port);
      assert.equal(problem?.code, port === taken ? "EADDRINUSE" : "ENOMEM");
      listener.close();
      assert.equal(close.mock.callCount(), count + 1, "closed, and once");
    }
    for (const { mock } of [close, refused]) mock.restore();
  }
  // Those of other tests may have gone meanwhile.
  assert.ok(openFiles() <= before, `${openFiles()} of ${before}`);
});

test("to take away a key that the kernel never had is no error; any other failure is one", (t) => {
  const fd = openTcpSocket(4);
  t.after(() => new Socket({ fd }).destroy());
  assert.equal(setListenerKey(fd, LOOPBACK, undefined), undefined);
  assert.equal(setListenerKey(fd, LOOPBACK, "key"), undefined);
  assert.equal(setListenerKey(fd, LOOPBACK, undefined), undefined);
  assert.equal(setListenerKey(-1, LOOPBACK, undefined)?.code, "EBADF");
  assert.equal(setListenerKey(-1, LOOPBACK, "key")?.code, "EBADF");
});

test("a listener that is closed at once says nothing", async (t) => {
  const taken = await freePort(LOOPBACK);
  await listen(t, LOOPBACK, taken);
  const said: string[] = [];
  for (const port of [taken, await freePort(LOOPBACK)]) {
    const handler = {
      listening: () => void said.push("listening"),
      accepted: () => undefined,
      failed: () => void said.push("failed"),
    };
    transport.listen({ address: LOOPBACK, port, passwords: new Map() }, handler).close();
  }
  await nextLoop();
  assert.deepEqual(said, []);
});

test("keys of a listener that does not stand are nobody's trouble, and no socket's", async (t) => {
  const { listener } = await listen(t, LOOPBACK, await freePort(LOOPBACK));
  listener.close();
  const set = t.mock.method(linuxSys, "setsockopt");
  const keys = new Map([[parseAddress("127.0.0.2")!, "k"]]);
  assert.deepEqual([listener.setPasswords(keys), set.mock.callCount()], [undefined, 0]);
});

test("many keys for which there is no room are one sentence", async (t) => {
  const { listener } = await listen(t, LOOPBACK, await freePort(LOOPBACK));
  const keys = ["127.0.0.2", "127.0.0.3", "127.0.0.4"].map((n) => [parseAddress(n)!, "k"] as const);
  t.mock.method(linuxSys, "setsockopt", () => -Errno.ENOMEM);
  assert.equal(
    listener.setPasswords(new Map(keys)),
    "connections refused for want of the TCP MD5 key of 127.0.0.2 and of 2 other peers: " +
      "no room for so many, raise net.core.optmem_max (ENOMEM)",
  );
});

test("of keys those of the listener's family are set, and of them what has changed", async (t) => {
  const { listener } = await listen(t, LOOPBACK, await freePort(LOOPBACK));
  const [one, two, other] = ["127.0.0.2", "127.0.0.3", "2001:db8::1"].map((n) => parseAddress(n)!);
  const set = t.mock.method(linuxSys, "setsockopt");
  const calls = (...keys: [IpAddress | undefined, string][]) => {
    set.mock.resetCalls();
    const passwords = new Map(keys.map(([peer, key]) => [peer!, key]));
    assert.equal(listener.setPasswords(passwords), undefined);
    return set.mock.callCount();
  };
  assert.equal(calls([one, "a"], [two, "b"], [other, "c"]), 2);
  assert.equal(calls([one, "a"], [two, "b"], [other, "c"]), 0);
  assert.equal(calls([one, "a"], [two, "x"], [other, "d"]), 1);
  assert.equal(calls([one, "a"]), 1);
});

test("a key that the kernel would not give up is taken away at the next chance", async (t) => {
  const { listener } = await listen(t, LOOPBACK, await freePort(LOOPBACK));
  const peer = parseAddress("127.0.0.3")!;
  assert.equal(listener.setPasswords(new Map([[peer, "key"]])), undefined);
  const set = t.mock.method(linuxSys, "setsockopt", () => -Errno.ENOMEM);
  const problem = /want of the TCP MD5 key of 127\.0\.0\.3: no room for so many/;
  assert.match(listener.setPasswords(new Map()) ?? "", problem);
  set.mock.restore();
  assert.equal(listener.setPasswords(new Map()), undefined);
});

test("a key that no socket can have keeps its peer out, and nobody else", async (t) => {
  const port = await freePort(LOOPBACK);
  const [other, peer] = [parseAddress("127.0.0.2")!, parseAddress("127.0.0.3")!];
  const impossible = new Map([[peer, "k".repeat(81)]]);
  const said: string[] = [];
  const froms: IpAddress[] = [];
  await new Promise<void>((resolve) => {
    const listener = transport.listen(
      { address: LOOPBACK, port, passwords: impossible },
      {
        listening: resolve,
        accepted(connection) {
          froms.push(connection.remoteAddress);
          return undefined;
        },
        failed: ({ message }) => {
          said.push(message);
          resolve();
        },
      },
    );
    t.after(() => listener.close());
    said.push(listener.setPasswords(impossible) ?? "");
  });
  assert.deepEqual(said, [`connections refused for want of the TCP MD5 key of ${peer}: EINVAL`]);
  const set = t.mock.method(linuxSys, "setsockopt");
  for (const localAddress of [peer, other]) {
    const end = new End();
    transport.dial({ address: LOOPBACK, port, localAddress, policy: plainPolicy }, end);
    while (end.reason === undefined) await nextLoop();
  }
  assert.deepEqual(froms, [other]);
  const done = set.mock.calls.map(({ result }) => result);
  assert.deepEqual(new Set(done), new Set([0]), "one that is refused is closed, and that is all");
  // Nor later: a peer that had no key is heard no more.
  assert.match((await listen(t, other, port)).listener.setPasswords(impossible) ?? "", /EINVAL$/);
});
