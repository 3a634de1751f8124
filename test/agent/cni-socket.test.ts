/** The plugin's socket: what it takes, what it does not, and how it ends. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, statSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { CniSocket } from "../../src/agent/cni-socket.ts";
import { LOOK_MS } from "../../src/agent/private-socket.ts";
import { REQUEST_BYTES_MAX } from "../../src/cni/plugin/limits.ts";
import type { PluginRequest } from "../../src/cni/plugin/request.ts";
import { CniSpecError } from "../../src/cni/plugin/spec.ts";
import { decodeAnswer, encodeCall } from "../../src/cni/plugin/wire.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { FakeClock, settle } from "../support/fake-clock.ts";

const folder = mkdtempSync(join(tmpdir(), "podrouter-socket-"));
after(() => rmSync(folder, { recursive: true }));
let count = 0;

type Handle = (request: PluginRequest) => Promise<Readonly<Record<string, unknown>> | undefined>;

async function started(t: TestContext, handle: Handle) {
  const clock = new FakeClock();
  const server = new CniSocket({ handle }, { log: silentLog, clock });
  const path = join(folder, `${++count}`, "cni.sock");
  await server.start(path);
  t.after(() => server.stop());
  return { server, path, clock };
}

/** All that is answered until the connection ends. */
function ask(path: string, ...parts: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let text = "";
    socket.on("data", (chunk) => (text += chunk.toString()));
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(text));
    for (const part of parts) socket.write(part);
  });
}

const add = (containerId: string, config = '{"cniVersion":"1.0.0","name":"mynet"}') =>
  encodeCall({
    environment: {
      CNI_COMMAND: "ADD",
      CNI_CONTAINERID: containerId,
      CNI_NETNS: "/run/netns/a",
      CNI_IFNAME: "eth0",
    },
    config,
  });

test("only root can open it", async (t) => {
  const { path } = await started(t, () => Promise.resolve(undefined));
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await assert.rejects(
    new CniSocket(
      { handle: async () => undefined },
      {
        ...{ log: silentLog, clock: new FakeClock() },
      },
    ).start(path),
    /another agent runs here already: it answers on .* \(--cni-socket gives this one/,
  );
});

test("calls, in one piece or several, many at once", async (t) => {
  const { path } = await started(t, (request) =>
    Promise.resolve({ id: "containerId" in request ? request.containerId : "" }),
  );
  const whole = add("a");
  assert.deepEqual(decodeAnswer(await ask(path, whole.slice(0, 20), whole.slice(20))), {
    status: 0,
    output: '{"id":"a"}',
  });
  const ids = Array.from({ length: 100 }, (_, index) => `c${index}`);
  const answers = await Promise.all(ids.map((id) => ask(path, add(id))));
  assert.deepEqual(
    answers.map((answer) => decodeAnswer(answer)?.output),
    ids.map((id) => JSON.stringify({ id })),
  );
});

test("failures have their code; a bug is told from an error, and is no crash", async (t) => {
  const { path } = await started(t, (request) => {
    if ("containerId" in request && request.containerId === "bug") throw new TypeError("bug");
    return Promise.reject(new CniSpecError(101, "no address is left"));
  });
  const code = async (call: string) => JSON.parse(decodeAnswer(await ask(path, call))!.output).code;
  assert.equal(await code(add("a")), 101);
  assert.equal(await code(add("bug")), 11);
  assert.equal(await code(add("a", '{"cniVersion":"9.9.9"}')), 1);
  assert.equal(await code(add("../a")), 4);
});

test("what is no call gets no answer", async (t) => {
  const { path } = await started(t, () => assert.fail("nothing is to be done"));
  assert.equal(await ask(path, "GET / HTTP/1.1\r\n\r\n"), "");
  assert.equal(await ask(path, '{"env":{"CNI_COMMAND":7},"config":""}\n'), "");
  assert.equal(await ask(path, "x".repeat(REQUEST_BYTES_MAX + 1)), "");
});

test("a call beyond the bound is not carried out, however it ends", async (t) => {
  let calls = 0;
  const { path } = await started(t, async () => {
    calls++;
    return {};
  });
  assert.equal(await ask(path, " ".repeat(REQUEST_BYTES_MAX) + add("large")), "");
  assert.notEqual(await ask(path, add("after")), "");
  assert.equal(calls, 1);
});

test("at the end calls under way come to theirs, and no further one is taken", async (t) => {
  let finish = (): void => {};
  const busy = new Promise<void>((resolve) => {
    finish = resolve;
  });
  let enter = (): void => {};
  const entered = new Promise<void>((resolve) => {
    enter = resolve;
  });
  const { server, path } = await started(t, async () => {
    enter();
    await busy;
    return { done: true };
  });
  const asked = ask(path, add("a"));
  await entered;
  const stopping = server.stop();
  assert.equal(await ask(path, add("late")), "");
  finish();
  await stopping;
  assert.equal(decodeAnswer(await asked)?.output, '{"done":true}');
});

test("an end in the middle of the start: both come to their end, and nobody is answered", async () => {
  const deps = { log: silentLog, clock: new FakeClock() };
  const server = new CniSocket({ handle: async () => undefined }, deps);
  const path = join(folder, `${++count}`, "cni.sock");
  const starting = server.start(path);
  await server.stop();
  await starting;
  assert.equal(existsSync(path), false);
});

test("a call that does not end holds the agent for a bounded time only", async (t) => {
  const never = new Promise<void>(() => {});
  const { server, path, clock } = await started(t, async () => {
    await never;
    return undefined;
  });
  const asked = ask(path, add("a"));
  const stopping = server.stop();
  await clock.advance(3000);
  await stopping;
  assert.equal(await asked, "");
});

test("its file is removed while a call is under way: new ones are taken, both end in time", async (t) => {
  const calls: (() => void)[] = [];
  const { server, path, clock } = await started(t, () => {
    return new Promise((resolve) => calls.push(() => resolve({ call: calls.length })));
  });
  await clock.advanceAsync(0);
  const before = ask(path, add("before"));
  while (calls.length < 1) await settle();
  rmSync(path);
  mkdirSync(path);
  await clock.advanceAsync(LOOK_MS);
  const message =
    `podrouter-cni can connect no pod: cannot listen on the CNI socket ${path}: ` +
    "that file is not a socket";
  assert.deepEqual(server.conditions(), [{ name: "cni-socket", severity: "error", message }]);
  rmdirSync(path);
  await clock.advanceAsync(LOOK_MS);
  assert.deepEqual(server.conditions(), []);
  const after = ask(path, add("after"));
  while (calls.length < 2) await settle();
  const stopping = server.stop();
  for (const finish of calls) finish();
  await stopping;
  const answer = { status: 0, output: '{"call":2}' };
  assert.deepEqual([await before, await after].map(decodeAnswer), [answer, answer]);
});
