/** Events against a scripted kernel: order, losses, nonsense, closing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Errno } from "../src/errors.ts";
import { MONITOR_DATAGRAMS_PER_TURN } from "../src/limits.ts";
import { RouteMonitor, type RouteTopic } from "../src/route-monitor.ts";
import { message, ScriptedSys } from "./support/scripted-sys.ts";

const ROUTE = "02180000fe11000100000000080001000ae9410008000500c00002020800040003000000";

function setUp() {
  const sys = new ScriptedSys();
  const seen: string[] = [];
  const hooks = { onEvent: (): void => undefined };
  const monitor = new RouteMonitor(
    { sys, topics: ["route"] },
    {
      onEvent: (event) => {
        seen.push(`${event.change} ${event.kind}`);
        hooks.onEvent();
      },
      onOverrun: (reason) => seen.push(reason),
      onFailure: (error) => seen.push(error.code),
    },
  );
  return { sys, seen, monitor, hooks };
}

test("a loss is told once all that was queued is read, which is of no use any more", () => {
  const { sys, seen } = setUp();
  const [made, gone] = [message(24, 0, 0, ROUTE), message(25, 0, 0, ROUTE)];
  sys.answers.push(made, -Errno.ENOBUFS, gone, gone, -Errno.EAGAIN, made);
  sys.onReadable();
  assert.deepEqual(seen, ["new route", "overrun"]);
  sys.onReadable();
  assert.deepEqual(seen, ["new route", "overrun", "new route"]);
});

test("in a flood that comes faster than it is read each loss is told when the next one comes", () => {
  const { sys, seen } = setUp();
  const made = message(24, 0, 0, ROUTE);
  sys.answers.push(-Errno.ENOBUFS, made, -Errno.ENOBUFS, made);
  for (const still of [0, 1]) {
    if (still === 1) sys.answers.push(made);
    sys.onReadable();
  }
  assert.deepEqual(seen, ["overrun", "overrun", "new route"]);
});

test("a loss is told also when more was queued than one turn reads, and nothing comes after", async () => {
  for (const more of [-1, 0, 1, MONITOR_DATAGRAMS_PER_TURN]) {
    const { sys, seen, monitor } = setUp();
    sys.answers.push(-Errno.ENOBUFS);
    for (let i = 1; i < MONITOR_DATAGRAMS_PER_TURN + more; i++) {
      sys.answers.push(message(24, 0, 0, ROUTE));
    }
    sys.onReadable();
    // The watch may call as well.
    if (more > 0) sys.onReadable();
    for (let turn = 0; turn < 3; turn++) await nextTurn();
    assert.deepEqual(seen, ["overrun"], `${more} more`);
    monitor.close();
  }
});

test("a loss is not told after close", async () => {
  const { sys, seen, monitor } = setUp();
  sys.answers.push(-Errno.ENOBUFS);
  for (let i = 0; i < MONITOR_DATAGRAMS_PER_TURN; i++) sys.answers.push(message(24, 0, 0, ROUTE));
  sys.onReadable();
  monitor.close();
  await nextTurn();
  assert.deepEqual([seen, sys.answers.length], [[], 1]);
});

test("an event that cannot be understood counts as lost; one that is nobody's is skipped", () => {
  const { sys, seen } = setUp();
  sys.answers.push(
    message(24, 0, 0, ROUTE.slice(0, 10)),
    message(24, 0, 0, `80${ROUTE.slice(2)}`),
    message(26, 0, 0, ROUTE),
    message(99, 0, 0),
    Buffer.alloc(300_000),
    message(24, 0, 0, ROUTE),
  );
  sys.onReadable();
  assert.deepEqual(seen, ["malformed", "malformed", "new route"]);
});

test("a burst leaves the event loop its turn", () => {
  const { sys, seen } = setUp();
  const burst = MONITOR_DATAGRAMS_PER_TURN + 1;
  for (let i = 0; i < burst; i++) sys.answers.push(message(24, 0, 0, ROUTE));
  sys.onReadable();
  assert.equal(seen.length, MONITOR_DATAGRAMS_PER_TURN);
  sys.onReadable();
  assert.equal(seen.length, burst);
});

test("nothing is called after close, also when closed by an event", () => {
  const { sys, seen, monitor, hooks } = setUp();
  const both = Buffer.concat([message(24, 0, 0, ROUTE), message(25, 0, 0, ROUTE)]);
  sys.answers.push(both, both);
  hooks.onEvent = () => monitor.close();
  sys.onReadable();
  assert.deepEqual(seen, ["new route"]);
  assert.equal(sys.watching, false);
  assert.deepEqual(sys.closed, [7]);
  monitor.close();
  assert.deepEqual(sys.closed, [7]);
});

test("a broken socket is reported once and closed", () => {
  const { sys, seen } = setUp();
  sys.answers.push(-9, message(24, 0, 0, ROUTE));
  sys.onReadable();
  assert.deepEqual(seen, ["EBADF"]);
  assert.deepEqual(sys.closed, [7]);
});

/** Listens on a kernel that answers so when it is asked for that group; the groups it gave. */
function joining(refusedGroup: number, errno: number): readonly number[] {
  const sys = new ScriptedSys();
  const joined: number[] = [];
  const [NETLINK, ADD_MEMBERSHIP] = [270, 1];
  sys.setsockopt = (_fd, level, option, value) => {
    if (level !== NETLINK || option !== ADD_MEMBERSHIP) return 0;
    const group = Buffer.from(value).readInt32LE();
    if (group === refusedGroup) return -errno;
    joined.push(group);
    return 0;
  };
  const listener = { onEvent: () => undefined, onOverrun: () => undefined };
  new RouteMonitor({ sys, topics: ["nextHop", "link"] }, listener).close();
  return joined;
}

test("a kernel without next hop objects is listened to all the same", () => {
  const [LINK, NEXT_HOP] = [1, 32];
  assert.deepEqual(joining(0, 0), [NEXT_HOP, LINK]);
  assert.deepEqual(joining(NEXT_HOP, Errno.EINVAL), [LINK]);
  assert.throws(() => joining(NEXT_HOP, Errno.EPERM), { code: "EPERM" });
  assert.throws(() => joining(LINK, Errno.EINVAL), { code: "EINVAL" });
});

test("what is no topic is named, and no socket is opened for it", () => {
  for (const topic of ["routes", "toString", undefined]) {
    const sys = new ScriptedSys();
    const topics = ["link", topic as RouteTopic] as const;
    const listener = { onEvent: () => undefined, onOverrun: () => undefined };
    const named = { code: "EINVAL", message: `EINVAL: not a topic: ${JSON.stringify(topic)}` };
    assert.throws(() => new RouteMonitor({ sys, topics }, listener), named);
    assert.deepEqual(sys.options, []);
  }
});
