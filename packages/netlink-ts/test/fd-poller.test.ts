/** What an epoll instance is asked, octet by octet, and who is told of what it answers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Errno } from "../src/errors.ts";
import { FdPoller, Interest } from "../src/fd-poller.ts";
import { ScriptedStreamSys } from "./support/scripted-sys.ts";

const EPOLL = 99;
/** sizeof struct epoll_event, | u32 events | u64 data |: packed by the kernel's x86 headers alone. */
const EVENT_BYTES: Readonly<Record<string, number>> = { x64: 12, arm64: 16 };
const [ADD, DELETE, CHANGE] = [1, 2, 3];

class EpollSys extends ScriptedStreamSys {
  readonly #eventBytes: number;
  readonly #data: number;

  constructor(arch: string) {
    super();
    this.#eventBytes = EVENT_BYTES[arch]!;
    this.#data = this.#eventBytes - 8;
  }

  /** Operation, fd and events of each call. */
  readonly controls: (readonly [number, number, number])[] = [];
  /** By fd: the data that it was given. */
  readonly data = new Map<number, bigint>();
  controlResult = 0;
  /** What each wait gives: events and data. */
  readonly events: (readonly (readonly [number, bigint])[])[] = [];
  readonly waits: number[] = [];

  override epollCreate(): number {
    return EPOLL;
  }
  override epollControl(epoll: number, operation: number, fd: number, event: Uint8Array): number {
    assert.deepEqual([epoll, event.length], [EPOLL, this.#eventBytes]);
    const bytes = Buffer.from(event);
    this.controls.push([operation, fd, bytes.readUInt32LE(0)]);
    if (operation === ADD || operation === CHANGE)
      this.data.set(fd, bytes.readBigUInt64LE(this.#data));
    return this.controlResult;
  }
  override epollWait(epoll: number, into: Uint8Array, max: number): number {
    assert.equal(epoll, EPOLL);
    this.waits.push(max);
    const answer = this.events.shift() ?? [];
    assert.ok(answer.length <= max && into.length >= max * this.#eventBytes);
    const bytes = Buffer.from(into.buffer, into.byteOffset, into.length);
    for (const [index, [bits, data]] of answer.entries()) {
      bytes.writeUInt32LE(bits, index * this.#eventBytes);
      bytes.writeBigUInt64LE(data, index * this.#eventBytes + this.#data);
    }
    return answer.length;
  }
}

/** A poller, and what was told: fd, readable, writable. */
function lab(arch: string) {
  const sys = new EpollSys(arch);
  const poller = new FdPoller(sys, arch);
  const told: (readonly [number, boolean, boolean])[] = [];
  const add = (fd: number, interest: number) =>
    poller.add(fd, interest, {
      ready: (readable, writable) => void told.push([fd, readable, writable]),
    });
  return { sys, poller, told, add };
}

/** What is told is the same whatever the kernel's events look like. */
function onEach(name: string, body: (arch: string) => void): void {
  for (const arch of Object.keys(EVENT_BYTES)) test(`${arch}: ${name}`, () => body(arch));
}

onEach("the kernel is asked for what is of interest, and once for what changes", (arch) => {
  const { sys, poller, add } = lab(arch);
  add(5, Interest.READ);
  add(6, Interest.WRITE);
  add(7, Interest.READ | Interest.WRITE);
  assert.deepEqual(sys.controls.splice(0), [
    [ADD, 5, 1],
    [ADD, 6, 4],
    [ADD, 7, 5],
  ]);
  const given = sys.data.get(5);
  poller.change(5, Interest.NONE);
  poller.change(5, Interest.NONE);
  poller.change(8, Interest.READ);
  // EPOLLET: what nobody asked for is told once.
  assert.deepEqual(sys.controls.splice(0), [[CHANGE, 5, 0x8000_0000]]);
  assert.equal(sys.data.get(5), given);
  poller.remove(5);
  poller.remove(5);
  assert.deepEqual(
    sys.controls.splice(0).map(([operation, fd]) => [operation, fd]),
    [[DELETE, 5]],
  );
  assert.equal(poller.size, 2);
  poller.remove(6);
  poller.remove(7);
  assert.deepEqual([sys.closed, sys.watching], [[EPOLL], false]);
});

onEach(
  "errors and hang-ups are told as both, so that whoever reads or writes finds them",
  (arch) => {
    const { sys, told, add } = lab(arch);
    add(5, Interest.READ);
    for (const [bits, readable, writable] of [
      [1, true, false],
      [4, false, true],
      [5, true, true],
      [8, true, true],
      [16, true, true],
      [2, false, false],
    ] as const) {
      sys.events.push([[bits, sys.data.get(5)!]]);
      sys.onReadable();
      assert.deepEqual(told.splice(0), [[5, readable, writable]], `events ${bits}`);
    }
  },
);

onEach(
  "of who has gone, or has a number that was another's, nothing is told; the others hear",
  (arch) => {
    const { sys, poller, told, add } = lab(arch);
    add(5, Interest.READ);
    add(6, Interest.READ);
    const before = sys.data.get(5)!;
    poller.remove(5);
    add(5, Interest.READ);
    const data = (fd: number) => sys.data.get(fd)!;
    sys.events.push([
      [1, before],
      [1, data(6)],
      [4, data(5)],
      [1, (1n << 32n) | 7n],
    ]);
    sys.onReadable();
    assert.deepEqual(told, [
      [6, true, false],
      [5, false, true],
    ]);
  },
);

onEach("one that cannot be watched leaves the others watched", (arch) => {
  const { sys, poller, add } = lab(arch);
  sys.controlResult = -Errno.EPERM;
  assert.throws(() => add(5, Interest.READ), { code: "EPERM" });
  assert.deepEqual([sys.closed, poller.size], [[EPOLL], 0]);
  sys.controlResult = 0;
  add(5, Interest.READ);
  sys.controlResult = -Errno.EPERM;
  assert.throws(() => add(6, Interest.READ), { code: "EPERM" });
  assert.throws(() => poller.change(5, Interest.WRITE), { code: "EPERM" });
  assert.deepEqual([sys.closed, sys.watching, poller.size], [[EPOLL], true, 1]);
});

onEach("a look tells all who are ready now, and nobody twice", (arch) => {
  for (const [ready, sockets, waits] of [
    [0, 1, 1],
    [1, 1, 1],
    [255, 300, 1],
    [256, 256, 1],
    [256, 257, 2],
    [257, 300, 2],
    [600, 600, 3],
  ] as const) {
    const { sys, poller, told, add } = lab(arch);
    for (let fd = 0; fd < sockets; fd++) add(fd, Interest.READ);
    const all = [...sys.data.values()].slice(0, ready).map((data) => [1, data] as const);
    while (all.length > 0) sys.events.push(all.splice(0, 256));
    poller.look();
    assert.deepEqual([told.length, sys.waits.length], [ready, waits], `${ready} of ${sockets}`);
  }
  const { sys, poller } = lab(arch);
  poller.look();
  assert.deepEqual(sys.waits, [], "nobody is watched");
});

onEach("a look at more than are told at once ends when the first of them removes all", (arch) => {
  const { sys, poller } = lab(arch);
  const all = Array.from({ length: 300 }, (_, fd) => fd);
  const ready = () => {
    for (const fd of all) poller.remove(fd);
  };
  for (const fd of all) poller.add(fd, Interest.READ, { ready });
  sys.events.push(all.slice(0, 256).map((fd) => [1, sys.data.get(fd)!]));
  poller.look();
  assert.deepEqual([sys.waits.length, sys.closed, poller.size], [1, [EPOLL], 0]);
});
