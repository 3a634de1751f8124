/** Which file descriptors sessions may have, and what is said where there are too few. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { test } from "node:test";
import { Errno, linuxSys, openFilesLimit } from "netlink-ts";
import { Descriptors } from "../../../src/bgp/session/descriptors.ts";
import { SHORTAGE_SHOWN_MS } from "../../../src/bgp/session/limits.ts";
import { TcpTransport } from "../../../src/bgp/session/tcp-transport.ts";
import { plainPolicy } from "../../support/raw-peer.ts";
import { End } from "../../support/transport-contract.ts";
import { listening, US, until } from "./tcp-lab.ts";

function lab(limit = 1024) {
  const world = { limit, now: 0 };
  const grown: number[] = [];
  const descriptors = new Descriptors({
    limit: () => world.limit,
    now: () => world.now,
    grow: (descriptors) => void grown.push(descriptors),
  });
  return { world, descriptors, grown };
}

test("sessions leave a number of descriptors to everything else, of few a share", () => {
  const { world, descriptors } = lab(1024);
  assert.deepEqual([descriptors.allows(959), descriptors.allows(960)], [true, false]);
  world.limit = 64;
  assert.deepEqual([descriptors.allows(47), descriptors.allows(48)], [true, false]);
  world.limit = 2048;
  assert.equal(descriptors.allows(960), true, "it was raised meanwhile");
});

test("a shortage is said with the limit, and no more when nobody was refused for a while", () => {
  const { world, descriptors } = lab(64);
  assert.equal(descriptors.shortage(), undefined);
  assert.equal(descriptors.allows(20), true);
  assert.equal(descriptors.shortage(), undefined);
  descriptors.refused();
  const message =
    "sessions are refused for want of file descriptors: " +
    "the limit of 64 (ulimit -n, LimitNOFILE) leaves none to more of them";
  assert.equal(descriptors.shortage(), message);
  world.now = SHORTAGE_SHOWN_MS - 1;
  assert.equal(descriptors.shortage(), message);
  world.limit = 65;
  assert.equal(descriptors.shortage(), undefined, "at once when the limit is raised");
  world.limit = 64;
  world.now = SHORTAGE_SHOWN_MS;
  assert.equal(descriptors.shortage(), undefined);
});

test("the kernel's table grows before it is full: at first, and when half of it is in use", () => {
  const { descriptors, grown } = lab(1_000_000);
  assert.deepEqual(grown, [1024]);
  for (const fd of [20, 511]) descriptors.allows(fd);
  assert.deepEqual(grown, [1024], "there is room");
  for (const fd of [512, 513, 1023]) descriptors.allows(fd);
  assert.deepEqual(grown, [1024, 2048], "asked for once");
  descriptors.allows(1024);
  assert.deepEqual(grown, [1024, 2048, 4096]);
  descriptors.allows(9000);
  assert.deepEqual(grown, [1024, 2048, 4096, 32_768], "whoever has those between");
});

test("what the limit refused is asked for when the limit has been raised", () => {
  const { world, descriptors, grown } = lab(1024);
  descriptors.allows(600);
  assert.deepEqual(grown, [1024], "there is no more to be had");
  world.limit = 8192;
  descriptors.allows(600);
  assert.deepEqual(grown, [1024, 2048]);
});

test("a transport has the kernel's table grown at its start", async () => {
  const size = () =>
    Number(/^FDSize:\s+(\d+)$/m.exec(readFileSync("/proc/self/status", "utf8"))![1]);
  // Mostly 64 before; who starts us may have given us a larger one.
  new TcpTransport();
  await until(() => size() >= 1024, "room");
});

test("the limit is this process's own", () => {
  assert.ok(openFilesLimit() > 2);
});

test("who connects when there are too few is reset, not left waiting", async (t) => {
  const { world, descriptors } = lab(4);
  const { port, ends, listener } = await listening(undefined, new TcpTransport({ descriptors }));
  t.after(() => listener.close());
  const close = t.mock.method(linuxSys, "close");
  const first = connect({ host: US, port });
  await assert.rejects(once(first.resume(), "close"), { code: "ECONNRESET" });
  assert.deepEqual([ends.length, descriptors.shortage() !== undefined], [0, true]);
  const closed = close.mock.calls.map(({ result }) => result);
  assert.deepEqual(closed, [0], "once: its number may be somebody else's by then");
  world.limit = 1_000_000;
  const second = connect({ host: US, port });
  t.after(() => second.destroy());
  await until(() => ends.length === 1, "accepted");
  ends[0]!.connection!.reset();
});

test("a dial that would take one of the others' fails with that reason", async () => {
  const { descriptors } = lab(4);
  const transport = new TcpTransport({ descriptors });
  const end = new End();
  const where = { address: US, port: 9, localAddress: undefined, policy: plainPolicy };
  transport.dial(where, end);
  await until(() => end.reason !== undefined, "closed");
  assert.equal(end.reason, "no file descriptor to spare (EMFILE)");
  assert.notEqual(transport.shortage(), undefined);
});

test("that the kernel has none at all is a shortage too, for a dial and for who connects", async (t) => {
  const { world, descriptors } = lab(1_000_000);
  const transport = new TcpTransport({ descriptors });
  const { port, ends, listener } = await listening(undefined, transport);
  const { socket, accept } = linuxSys;
  t.after(() => {
    Object.assign(linuxSys, { socket, accept });
    listener.close();
    for (const { connection } of ends) connection!.reset();
  });
  const end = new End();
  linuxSys.socket = () => -Errno.EMFILE;
  const where = { address: US, port: 9, localAddress: undefined, policy: plainPolicy };
  transport.dial(where, end);
  linuxSys.socket = socket;
  await until(() => end.reason !== undefined, "closed");
  assert.equal(end.reason, "no file descriptor to spare (EMFILE)");
  assert.notEqual(transport.shortage(), undefined);
  world.now = SHORTAGE_SHOWN_MS;
  assert.equal(transport.shortage(), undefined);
  const answers = [-Errno.EMFILE];
  linuxSys.accept = (...args) => answers.shift() ?? accept(...args);
  const peer = connect({ host: US, port }).on("error", () => undefined);
  t.after(() => peer.destroy());
  await until(() => ends.length === 1, "accepted later");
  assert.notEqual(transport.shortage(), undefined);
});
