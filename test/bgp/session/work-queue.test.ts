/** Fair turns, and the slices of one connection's input. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeKeepalive } from "../../../src/bgp/message/keepalive.ts";
import { SLICE_MESSAGES_MAX, TURN_MS } from "../../../src/bgp/session/limits.ts";
import { Link, type LinkOwner } from "../../../src/bgp/session/link.ts";
import type { Connection, Transport } from "../../../src/bgp/session/transport.ts";
import { WorkQueue } from "../../../src/bgp/session/work-queue.ts";

/** Time that passes only when work says that it took some; turns that a test runs. */
class Bench {
  time = 0;
  readonly deferred: (() => void)[] = [];
  readonly log: string[] = [];
  readonly clock = {
    now: () => this.time,
    wall: () => this.time,
    after: () => ({ cancel() {} }),
  };
  readonly work = new WorkQueue(this.clock, {
    defer: (callback: () => void) => void this.deferred.push(callback),
  } as Transport);

  /** One turn of the event loop. */
  turn(): string {
    this.log.length = 0;
    for (const callback of this.deferred.splice(0)) callback();
    return this.log.join(" ");
  }

  /** A task of `steps` steps of `ms` each. */
  task(name: string, steps: number, ms: number) {
    return {
      run: (deadline: number) => {
        while (steps > 0 && this.time < deadline) {
          steps--;
          this.time += ms;
          this.log.push(name);
        }
        return steps > 0;
      },
    };
  }
}

test("work that fits into the turn is done at once", () => {
  const bench = new Bench();
  bench.work.submit(bench.task("a", TURN_MS, 1));
  assert.equal(bench.log.length, TURN_MS);
  assert.equal(bench.turn(), "");
  assert.equal(bench.deferred.length, 0, "an idle queue does not run");
});

test("a long task gives way after its turn, and others come between", () => {
  const bench = new Bench();
  bench.work.submit(bench.task("a", TURN_MS * 2 + 1, 1));
  assert.equal(bench.log.length, TURN_MS);
  bench.work.submit(bench.task("b", TURN_MS - 1, 1));
  assert.equal(bench.log.length, TURN_MS, "the turn is used up");
  assert.equal(bench.turn(), "a ".repeat(TURN_MS).trim());
  assert.equal(bench.turn(), `${"b ".repeat(TURN_MS - 1)}a`);
  assert.equal(bench.turn(), "");
});

test("input does not overtake the output that waits", () => {
  const bench = new Bench();
  bench.work.schedule(bench.task("output", 1, 1));
  bench.work.submit(bench.task("input", 1, 1));
  assert.equal(bench.log.join(" "), "");
  assert.equal(bench.turn(), "output input");
});

test("the round goes on where it stopped: nobody starves", () => {
  const bench = new Bench();
  for (const name of ["a", "b", "c"]) bench.work.schedule(bench.task(name, 40, 1));
  const turns = Array.from({ length: 6 }, () => bench.turn()[0]);
  assert.deepEqual(turns, ["a", "b", "c", "a", "b", "c"]);
});

test("scheduled work never runs inside the call; removed work never runs", () => {
  const bench = new Bench();
  const task = bench.task("a", 1, 0);
  bench.work.schedule(task);
  bench.work.schedule(task);
  assert.equal(bench.log.length, 0);
  bench.work.remove(task);
  assert.equal(bench.turn(), "");
});

function linkOn(bench: Bench, costMs: number, isEstablished = false) {
  const calls: string[] = [];
  const connection = {
    pause: () => calls.push("pause"),
    resume: () => calls.push("resume"),
    close: () => calls.push("close"),
  } as unknown as Connection;
  let messages = 0;
  const owner: LinkOwner = {
    isEstablished: () => isEstablished,
    linkConnected() {},
    linkMessage() {
      messages++;
      bench.time += costMs;
    },
    linkError: (_, error) => calls.push(error.reason),
    linkClosed: (_, reason) => calls.push(reason),
    linkWritable() {},
  };
  const link = new Link(1, owner, bench.clock, bench.work);
  link.attach(connection);
  return { link, calls, messages: () => messages };
}

function keepalives(count: number): Uint8Array {
  const bytes = new Uint8Array(19 * count);
  for (let i = 0; i < count; i++) bytes.set(encodeKeepalive(), 19 * i);
  return bytes;
}

test("input that takes longer than the turn holds the peer back until it is done", () => {
  const bench = new Bench();
  const { link, calls, messages } = linkOn(bench, 1);
  link.received(keepalives(100));
  // The clock is looked at every 16 messages.
  assert.equal(messages(), 16);
  assert.deepEqual(calls, ["pause"]);
  assert.equal(link.isBehind, true, "who has sent what is unread is not silent");
  for (let i = 2; i <= 6; i++) {
    bench.turn();
    assert.equal(messages(), 16 * i);
  }
  assert.deepEqual(calls, ["pause"]);
  bench.turn();
  assert.equal(messages(), 100);
  assert.deepEqual(calls, ["pause", "resume"]);
  assert.equal(link.isBehind, false);
});

test("long messages have the clock looked at the more often", () => {
  const bench = new Bench();
  const { link, messages } = linkOn(bench, TURN_MS);
  const long = new Uint8Array(3 * 2000);
  for (let at = 0; at < long.length; at += 2000) {
    long.fill(0xff, at, at + 16);
    long.set([2000 >> 8, 2000 & 255, 2], at + 16);
  }
  link.received(long);
  assert.equal(messages(), 1);
  bench.turn();
  assert.equal(messages(), 2);
});

test("a slice is bounded in messages too, whatever the clock says", () => {
  const bench = new Bench();
  const { link, messages } = linkOn(bench, 0);
  link.received(keepalives(3 * SLICE_MESSAGES_MAX));
  assert.equal(messages(), SLICE_MESSAGES_MAX);
  bench.turn();
  assert.equal(messages(), 2 * SLICE_MESSAGES_MAX);
});

test("chunks that come while a slice waits are kept in order, whole", () => {
  const bench = new Bench();
  const { link, calls, messages } = linkOn(bench, 1);
  const all = keepalives(60);
  link.received(all.subarray(0, 500));
  link.received(all.subarray(500, 501));
  link.received(all.subarray(501));
  while (bench.deferred.length > 0) bench.turn();
  assert.equal(messages(), 60);
  assert.deepEqual(calls, ["pause", "resume"]);
});

test("a few octets that only wait for others do not stop reading; the next chunk does", () => {
  const bench = new Bench();
  const { link, calls, messages } = linkOn(bench, 1);
  bench.work.schedule(bench.task("output", 1, 0));
  link.received(keepalives(2));
  assert.deepEqual([messages(), calls], [0, []]);
  assert.equal(link.isBehind, true);
  bench.turn();
  assert.deepEqual([messages(), calls], [2, []]);
  bench.work.schedule(bench.task("output", 1, 0));
  link.received(keepalives(1));
  link.received(keepalives(1));
  assert.deepEqual(calls, ["pause"]);
  bench.turn();
  assert.deepEqual([messages(), calls], [4, ["pause", "resume"]]);
  bench.work.schedule(bench.task("output", 1, 0));
  link.received(keepalives(40));
  assert.deepEqual(calls, ["pause", "resume", "pause"], "many octets do");
});

test("a KEEPALIVE alone takes no turn in an established session, whoever waits", () => {
  const bench = new Bench();
  const { link, calls, messages } = linkOn(bench, 1, true);
  link.received(keepalives(1));
  assert.equal(messages(), 1);
  assert.equal(bench.deferred.length, 0, "the event loop need not come back for it");
  bench.work.schedule(bench.task("output", 1, 1));
  link.received(keepalives(1));
  assert.equal(messages(), 2);
  assert.equal(link.isBehind, false);
  assert.deepEqual(calls, []);
});

test("before that it takes one: what it leads to is more than a timer", () => {
  const bench = new Bench();
  const { link, messages } = linkOn(bench, 1);
  bench.work.schedule(bench.task("output", 1, 1));
  link.received(keepalives(1));
  assert.equal(messages(), 0);
  bench.turn();
  assert.equal(messages(), 1);
});

test("the few octets that complete a message take a turn, for it may be long", () => {
  const bench = new Bench();
  const { link, messages } = linkOn(bench, 1, true);
  link.received(keepalives(1).subarray(0, 10));
  bench.work.schedule(bench.task("output", 1, 0));
  link.received(keepalives(1).subarray(10));
  assert.equal(messages(), 0);
  bench.turn();
  assert.equal(messages(), 1);
});

test("the memory of a chunk may be used again as soon as the call returns", () => {
  const bench = new Bench();
  const { link, calls, messages } = linkOn(bench, 1);
  const memory = keepalives(60);
  for (const [from, to] of [
    [0, 700],
    [700, 900],
    [900, 1140],
  ] as const) {
    const chunk = memory.slice(from, to);
    link.received(chunk);
    chunk.fill(0);
  }
  assert.ok(messages() < 60);
  while (bench.deferred.length > 0) bench.turn();
  assert.equal(messages(), 60);
  assert.deepEqual(calls, ["pause", "resume"]);
});

test("what a closed connection has left is not read", () => {
  const bench = new Bench();
  const { link, messages } = linkOn(bench, 1);
  link.received(keepalives(40));
  link.close(false);
  bench.turn();
  bench.turn();
  assert.equal(messages(), 16);
});

test("a wrong header ends the reading, once", () => {
  const bench = new Bench();
  const { link, calls, messages } = linkOn(bench, 0);
  const bytes = keepalives(3);
  bytes[19] = 0;
  link.received(bytes);
  assert.equal(messages(), 1);
  assert.deepEqual(calls, ["marker is not all ones"]);
});

test("what came before the end of a connection is read before the end is told", () => {
  for (const count of [1, 100]) {
    const bench = new Bench();
    const { link, calls, messages } = linkOn(bench, 1);
    bench.work.schedule(bench.task("output", 1, 1));
    link.received(keepalives(count));
    link.closed("closed by peer");
    assert.equal(messages(), 0, "others came first");
    const turns = Math.ceil(count / 16);
    for (let turn = 1; turn < turns; turn++) bench.turn();
    assert.ok(messages() < count);
    assert.ok(!calls.includes("closed by peer"), "nothing is told before all is read");
    for (let turn = 0; turn < 3; turn++) bench.turn();
    assert.equal(messages(), count);
    assert.deepEqual(calls, count === 1 ? ["closed by peer"] : ["pause", "closed by peer"]);
  }
});

test("a message that ends the link ends it, whatever was to follow", () => {
  const bench = new Bench();
  const { link, calls, messages } = linkOn(bench, 1);
  bench.work.schedule(bench.task("output", 1, 1));
  link.received(new Uint8Array(30));
  link.received(keepalives(2));
  link.closed("closed by peer");
  link.close(false);
  bench.turn();
  assert.equal(messages(), 0);
  assert.deepEqual(calls, ["pause", "close"]);
});
