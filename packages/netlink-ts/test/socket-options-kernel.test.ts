/** TCP options on real sockets, over the loopback of a namespace. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { type TestContext, test } from "node:test";
import {
  bindSocket,
  bindToDevice,
  clearTcpMd5Key,
  closeSocket,
  type IpFamily,
  openTcpSocket,
  setIpv6Only,
  setMinimumTtl,
  setReuseAddress,
  setTcpMd5Key,
  setTrafficClass,
  setTtl,
} from "../src/index.ts";
import { Namespace } from "./support/namespace.ts";

const PORT = 179;
/** SYNs that are dropped are sent again after a second: no answer within this is none. */
const SILENCE_MS = 300;
const LOOPBACK = { 4: "127.0.0.1", 6: "::1" } as const;

/** A listener inside the namespace, made ready by `prepare` before it is bound. */
async function listen(
  t: TestContext,
  namespace: Namespace,
  family: IpFamily,
  prepare: (fd: number) => void,
): Promise<net.Server> {
  const fd = namespace.enter(() => {
    const opened = openTcpSocket(family);
    setReuseAddress(opened);
    if (family === 6) setIpv6Only(opened);
    prepare(opened);
    bindSocket(opened, family === 4 ? "0.0.0.0" : "::", PORT);
    return opened;
  });
  const server = net.createServer((socket) => socket.on("error", () => undefined).pipe(socket));
  server.listen({ fd });
  await once(server, "listening");
  t.after(() => server.close());
  return server;
}

/** "echo" when a connection comes about and answers, "silence" when the SYN gets no answer. */
async function dial(
  namespace: Namespace,
  family: IpFamily,
  prepare: (fd: number) => void,
): Promise<string> {
  const fd = namespace.enter(() => {
    const opened = openTcpSocket(family);
    prepare(opened);
    return opened;
  });
  const socket = new net.Socket({ fd, readable: true, writable: true });
  try {
    socket.connect({ host: LOOPBACK[family], port: PORT });
    const signal = AbortSignal.timeout(SILENCE_MS);
    await once(socket, "connect", { signal });
    socket.write("echo");
    const [data] = (await once(socket, "data", { signal })) as [Buffer];
    return data.toString();
  } catch (error) {
    if (error instanceof Error && error.name === "AbortError") return "silence";
    throw error;
  } finally {
    socket.destroy();
  }
}

for (const family of [4, 6] as const) {
  test(`IPv${family}: only a peer with the same MD5 key connects`, async (t) => {
    const namespace = Namespace.make(t);
    if (namespace === undefined) return;
    await listen(t, namespace, family, (fd) => setTcpMd5Key(fd, LOOPBACK[family], "secret"));
    const withKey = (key: string) =>
      dial(namespace, family, (fd) => setTcpMd5Key(fd, LOOPBACK[family], key));
    assert.equal(await withKey("secret"), "echo");
    assert.equal(await withKey("Secret"), "silence");
    assert.equal(await dial(namespace, family, () => undefined), "silence");
  });

  test(`IPv${family}: a listener's minimum TTL keeps out who came further`, async (t) => {
    const namespace = Namespace.make(t);
    if (namespace === undefined) return;
    await listen(t, namespace, family, (fd) => {
      setTtl(fd, family, 255);
      setMinimumTtl(fd, family, 255);
      setTrafficClass(fd, family, 0xc0);
    });
    const withTtl = (ttl: number) => dial(namespace, family, (fd) => setTtl(fd, family, ttl));
    assert.equal(await withTtl(255), "echo");
    assert.equal(await withTtl(254), "silence");
  });
}

test("a key for a prefix covers its addresses, and can be taken away", async (t) => {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return;
  let listener = -1;
  await listen(t, namespace, 4, (fd) => {
    listener = fd;
    setTcpMd5Key(fd, "127.0.0.0/8", "secret");
  });
  const keyed = (fd: number) => setTcpMd5Key(fd, "127.0.0.1", "secret");
  assert.equal(await dial(namespace, 4, keyed), "echo");
  clearTcpMd5Key(listener, "127.0.0.0/8");
  assert.equal(await dial(namespace, 4, () => undefined), "echo");
});

test("a socket bound to a device reaches nothing elsewhere", async (t) => {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return;
  namespace.veth("v0", "192.0.2.1/24");
  await listen(t, namespace, 4, () => undefined);
  assert.equal(await dial(namespace, 4, (fd) => bindToDevice(fd, "lo")), "echo");
  assert.notEqual(await dial(namespace, 4, (fd) => bindToDevice(fd, "v0")).catch(String), "echo");
});

test("a refusal names the call, and never the key", (t) => {
  const fd = openTcpSocket(4);
  t.after(() => closeSocket(fd));
  assert.throws(() => setTcpMd5Key(fd, "::1", "secret"), /TCP_MD5SIG, ::1.*EINVAL/);
  assert.throws(() => clearTcpMd5Key(fd, "192.0.2.1"), { code: "ENOENT" });
  assert.throws(
    () => setTcpMd5Key(fd, "192.0.2.1", "s".repeat(81)),
    (error: Error) => /1 to 80 bytes, not 81/.test(error.message) && !/sss/.test(error.message),
  );
  assert.throws(() => setTcpMd5Key(fd, "nonsense", "secret"), /not an IP address: "nonsense"/);
  assert.throws(() => bindToDevice(fd, "no-such-device"), { code: "ENODEV" });
  assert.throws(() => setTtl(fd, 4, 256), /not a TTL from 1 to 255: 256/);
  assert.throws(() => bindSocket(fd, "198.51.100.1", 1), { code: "EADDRNOTAVAIL" });
});
