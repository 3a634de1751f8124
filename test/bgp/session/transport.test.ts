/** The transport contract over the network in memory and over TCP, and what only TCP can show. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TcpTransport } from "../../../src/bgp/session/tcp-transport.ts";
import type { IpAddress } from "../../../src/ip/address.ts";
import { address } from "../../support/address.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { freePort } from "../../support/free-port.ts";
import { MemoryNetwork, type MemoryNetworkOptions } from "../../support/memory-network.ts";
import { plainPolicy } from "../../support/raw-peer.ts";
import { requireReal } from "../../support/real.ts";
import { must } from "../../support/shell.ts";
import { End, transportContract } from "../../support/transport-contract.ts";

const WAIT_MS = 5_000;

function memoryWorld(options: MemoryNetworkOptions) {
  return async () => {
    const clock = new FakeClock();
    const network = new MemoryNetwork(clock, options);
    const [nearAddress, farAddress] = [address("192.0.2.1"), address("192.0.2.2")];
    return {
      near: network.host(nearAddress),
      far: network.host(farAddress),
      nearAddress,
      farAddress,
      port: 179,
      async until(condition: () => boolean, what: string) {
        for (let i = 0; i < WAIT_MS && !condition(); i++) clock.advance(1);
        assert.ok(condition(), `waited in vain: ${what}`);
      },
      async pass(ms: number) {
        clock.advance(ms);
      },
      release() {},
    };
  };
}

function tcpWorld(near: string, far: string) {
  return async () => ({
    near: new TcpTransport(),
    far: new TcpTransport(),
    nearAddress: address(near),
    farAddress: address(far),
    port: await freePort(far),
    async until(condition: () => boolean, what: string) {
      const end = performance.now() + WAIT_MS;
      while (!condition() && performance.now() < end) await sleep(2);
      assert.ok(condition(), `waited in vain: ${what}`);
    },
    pass: (ms: number) => sleep(ms),
    release() {},
  });
}

transportContract("memory", memoryWorld({}));
transportContract("memory, byte by byte", memoryWorld({ chunkBytes: 1000, windowBytes: 3000 }));
transportContract("TCP over IPv4", tcpWorld("127.0.0.1", "127.0.0.2"));
transportContract("TCP over IPv6", tcpWorld("::1", "::1"));

test("TTL security: who comes with a lower TTL is not heard", async () => {
  const world = await tcpWorld("127.0.0.1", "127.0.0.2")();
  const gtsm = { ...plainPolicy, ttlSecurity: true };
  const ends: End[] = [];
  const listener = world.far.listen(
    { address: world.farAddress, port: world.port, passwords: new Map() },
    {
      listening() {},
      accepted(connection) {
        const end = new End();
        end.connection = connection;
        ends.push(end);
        return { handler: end, policy: gtsm };
      },
      failed: (problem) => assert.fail(problem.message),
    },
  );
  const dial = (policy: typeof plainPolicy) => {
    const end = new End();
    const { farAddress, nearAddress, port } = world;
    const options = { address: farAddress, port, localAddress: nearAddress, policy };
    end.connection = world.near.dial(options, end);
    return end;
  };
  const good = dial(gtsm);
  await world.until(() => good.log.includes("connected") && ends.length === 1, "connected");
  good.connection!.write([Uint8Array.of(1)]);
  await world.until(() => ends[0]!.bytes === 1, "bytes");
  const far = dial({ ...plainPolicy, ttl: 254 });
  await world.until(() => far.log.includes("connected") && ends.length === 2, "connected");
  await world.pass(20);
  far.connection!.write([Uint8Array.of(1)]);
  await world.pass(200);
  assert.equal(ends[1]!.bytes, 0);
  // The other end would not even hear a reset from that far away.
  for (const end of [good, far, ...ends]) end.connection!.reset();
  listener.close();
});

test("an option that the kernel refuses ends the dial with a reason, not the process", async () => {
  const world = await tcpWorld("127.0.0.1", "127.0.0.2")();
  const end = new End();
  const policy = { ...plainPolicy, bindInterface: "no-such-device" };
  const options = { address: world.farAddress, port: world.port, localAddress: undefined, policy };
  world.near.dial(options, end);
  await world.until(() => end.reason !== undefined, "closed");
  assert.equal(end.reason, "no such interface");
});

test("a link-local address is dialled by its interface, and the reason says so", async () => {
  const { near, port, until } = await tcpWorld("127.0.0.1", "127.0.0.2")();
  const dial = async (to: string, from?: string, bindInterface?: string) => {
    const end = new End();
    const localAddress = from === undefined ? undefined : address(from);
    const policy = { ...plainPolicy, bindInterface };
    const dialled = near.dial({ address: address(to), port, localAddress, policy }, end);
    await until(() => end.reason !== undefined, "closed");
    dialled.reset();
    return end.reason;
  };
  const reason = "a link-local address needs its interface, by bindInterface (EINVAL)";
  assert.equal(await dial("fe80::1"), reason);
  assert.equal(await dial("::1", "fe80::1"), reason);
  assert.notEqual(await dial("fe80::1", undefined, "lo"), reason);
  assert.notEqual(await dial("fe80::1", undefined, "no-such-device"), reason);
});

test("a listener cannot have a link-local address by itself, and says so", async () => {
  const { far, port, until } = await tcpWorld("127.0.0.1", "127.0.0.2")();
  const problems: string[] = [];
  const handler = {
    listening: () => undefined,
    accepted: () => undefined,
    failed: ({ message }: { readonly message: string }) => problems.push(message),
  };
  const listener = far.listen({ address: address("fe80::1"), port, passwords: new Map() }, handler);
  await until(() => problems.length > 0, "refused");
  listener.close();
  const why = "a link-local address cannot be had without its interface, listen on :: (EINVAL)";
  assert.deepEqual(problems, [`cannot listen on fe80::1 port ${port}: ${why}`]);
});

test("more MD5 keys than the kernel has room for: who has none is refused, and named", async (t) => {
  const room = Number(readFileSync("/proc/sys/net/core/optmem_max", "utf8"));
  // A key takes more than 100 octets.
  const count = Math.ceil(room / 100);
  if (!requireReal(t, count < 20_000, `room for too many keys: ${room} octets`)) return;
  const world = await tcpWorld("127.0.0.1", "127.0.0.2")();
  const peer = (i: number) => address(`127.1.${i >> 8}.${i & 255}`);
  const keys = (from: number, to: number) =>
    new Map(Array.from({ length: to - from }, (_, i) => [peer(from + i), "key"]));
  let listening = false;
  let accepted = 0;
  const listener = world.far.listen(
    { address: world.farAddress, port: world.port, passwords: keys(0, count) },
    {
      listening() {
        listening = true;
      },
      accepted() {
        accepted++;
        return undefined;
      },
      failed: (problem) => assert.fail(problem.message),
    },
  );
  const dial = async (localAddress: IpAddress) => {
    const end = new End();
    const { farAddress, port } = world;
    world.near.dial({ address: farAddress, port, localAddress, policy: plainPolicy }, end);
    await world.until(() => end.reason !== undefined, "refused");
  };
  try {
    await world.until(() => listening, "listening, for those who have their keys, or need none");
    const said = listener.setPasswords(keys(0, count)) ?? "";
    const [, first, others] = /key of ([\d.]+) and of (\d+) other peers: no room/.exec(said) ?? [];
    assert.ok(Number(others) > 0, said);
    assert.equal(listener.setPasswords(keys(0, count)), said, "it is still so");
    await dial(address(first!));
    assert.equal(accepted, 0, "nobody may speak for a peer without its key");
    assert.equal(listener.setPasswords(keys(count - 1, count)), undefined, "there is room now");
    await dial(address(first!));
    assert.equal(accepted, 1, "it needs no key any more");
  } finally {
    listener.close();
  }
});

test("a mesh may knock at once: the kernel keeps as many connections as it ever does", async () => {
  const world = await tcpWorld("127.0.0.1", "127.0.0.2")();
  let listening = false;
  const listener = world.far.listen(
    { address: world.farAddress, port: world.port, passwords: new Map() },
    {
      listening() {
        listening = true;
      },
      accepted: () => undefined,
      failed: (problem) => assert.fail(problem.message),
    },
  );
  try {
    await world.until(() => listening, "listening");
    const stdout = await must("ss", ["-Hltn", `sport = :${world.port}`]);
    const most = Number(readFileSync("/proc/sys/net/core/somaxconn", "utf8"));
    assert.equal(Number(stdout.trim().split(/\s+/)[2]), Math.min(4096, most));
  } finally {
    listener.close();
  }
});

test("a thousand refused strangers leave the listener as it was", async () => {
  const world = await tcpWorld("127.0.0.1", "127.0.0.2")();
  let asked = 0;
  const listener = world.far.listen(
    { address: world.farAddress, port: world.port, passwords: new Map() },
    {
      listening() {},
      accepted() {
        asked++;
        return undefined;
      },
      failed: (problem) => assert.fail(problem.message),
    },
  );
  const ends: End[] = [];
  for (let i = 0; i < 1000; i++) {
    const end = new End();
    ends.push(end);
    const { farAddress, port } = world;
    const options = { address: farAddress, port, localAddress: undefined, policy: plainPolicy };
    world.near.dial(options, end);
    if (i % 100 === 99) await sleep(1);
  }
  await world.until(() => ends.every((end) => end.reason !== undefined), "all refused");
  assert.equal(asked, 1000);
  listener.close();
});
