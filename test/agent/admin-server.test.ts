/** The admin socket: who may open it, what is replaced and what never is, and its bounds. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { AdminServer, type AdminSource } from "../../src/agent/admin-server.ts";
import { LOOK_MS } from "../../src/agent/private-socket.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { path } from "../cli/fixtures.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { run } from "../support/shell.ts";

const DEPS = { log: silentLog, clock: new FakeClock() };

const source: AdminSource = {
  status: () => {
    throw new Error("a part broke");
  },
  peers: () => [],
  paths: () => [path({})],
  pathsOf: () => [],
  pathsCovering: () => [],
  exchanged: () => [],
};

function temporary(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "podrouter-admin-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

async function started(t: TestContext, at: string, from = source): Promise<AdminServer> {
  const server = new AdminServer(from, DEPS);
  await server.start(at);
  t.after(() => server.stop());
  return server;
}

function ask(
  socketPath: string,
  url: string,
  method = "GET",
): Promise<{ readonly status: number | undefined; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const request = get({ socketPath, path: url, method, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode, body }));
      response.on("error", reject);
    });
    request.on("error", reject);
  });
}

test("folder and socket are for root alone", async (t) => {
  const folder = join(temporary(t), "run", "podrouter");
  const socket = join(folder, "podrouter.sock");
  await started(t, socket);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  assert.equal(statSync(socket).mode & 0o777, 0o600);
});

test("a folder that is there keeps its mode", async (t) => {
  const folder = temporary(t);
  const before = statSync(folder).mode;
  await started(t, join(folder, "podrouter.sock"));
  assert.equal(statSync(folder).mode, before);
});

/** Of a process that ends without closing it, as a killed agent does. */
async function deadSocket(t: TestContext): Promise<string> {
  const socket = join(temporary(t), "podrouter.sock");
  const code = `require("net").createServer().listen(${JSON.stringify(socket)}, () =>
    process.kill(process.pid, "SIGKILL"))`;
  await run(process.execPath, ["-e", code]);
  assert.ok(statSync(socket).isSocket());
  return socket;
}

test("the socket of a dead process is replaced", async (t) => {
  const socket = await deadSocket(t);
  await started(t, socket);
  assert.equal((await ask(socket, "/v1/rib")).status, 200);
});

test("of agents that find a dead one's socket at the same moment, one gets it", async (t) => {
  const socket = await deadSocket(t);
  const servers = [0, 1, 2].map(() => new AdminServer(source, DEPS));
  t.after(() => Promise.all(servers.map((server) => server.stop())));
  const tried = await Promise.allSettled(servers.map((server) => server.start(socket)));
  const refused = tried.filter((one) => one.status === "rejected");
  assert.equal(refused.length, 2);
  for (const { reason } of refused) assert.match(reason.message, /another agent runs here already/);
  assert.equal((await ask(socket, "/v1/rib")).status, 200);
});

test("the socket of another agent, or of anything that answers, is left alone", async (t) => {
  const socket = join(temporary(t), "podrouter.sock");
  await started(t, socket);
  const second = new AdminServer(source, DEPS);
  await assert.rejects(
    second.start(socket),
    new Error(
      `another agent runs here already: it answers on ${socket} ` +
        "(--admin-socket gives this one a socket of its own)",
    ),
  );
  assert.equal((await ask(socket, "/v1/rib")).status, 200);
  await second.stop();
});

test("a file that is no socket is left alone", async (t) => {
  const file = join(temporary(t), "precious");
  writeFileSync(file, "data");
  const server = new AdminServer(source, DEPS);
  await assert.rejects(server.start(file), /precious: that file is not a socket$/);
  assert.equal(statSync(file).size, 4);
});

test("a folder that cannot be made is named", async (t) => {
  const file = join(temporary(t), "file");
  writeFileSync(file, "");
  const server = new AdminServer(source, DEPS);
  await assert.rejects(
    server.start(join(file, "podrouter.sock")),
    /^Error: cannot make the folder of the admin socket .*ENOTDIR|EEXIST/,
  );
});

test("stop removes the socket", async (t) => {
  const socket = join(temporary(t), "podrouter.sock");
  const server = await started(t, socket);
  await server.stop();
  assert.throws(() => statSync(socket), { code: "ENOENT" });
});

test("wrong requests get a refusal in JSON, and the next one is answered", async (t) => {
  const socket = join(temporary(t), "podrouter.sock");
  await started(t, socket);
  const cases: readonly [string, string, number, string][] = [
    ["POST", "/v1/peers", 405, "only GET is answered here"],
    ["GET", "/v2", 404, "there is nothing at /v2"],
    ["GET", "/v1/peers/node9", 404, "there is no peer node9"],
    ["GET", "/v1/peers/%ff", 400, "the name of the peer is not properly encoded"],
    ["GET", "/v1/rib?prefix=10.0.0.1/8", 400, "10.0.0.1/8 is no prefix"],
    ["GET", "/v1/rib?address=nowhere", 400, "nowhere is no address"],
    ["GET", "/v1/rib?from=nobody", 400, "nobody is no address"],
    ["GET", "//[", 400, "the request names no path"],
    ["GET", "/v1/status", 500, "the agent failed to answer"],
  ];
  for (const [method, url, status, error] of cases) {
    const answer = await ask(socket, url, method);
    assert.deepEqual([answer.status, JSON.parse(answer.body)], [status, { error }], url);
  }
  assert.equal((await ask(socket, "/v1/rib")).status, 200);
});

test("bytes that are no HTTP end that connection and nothing else", async (t) => {
  const socket = join(temporary(t), "podrouter.sock");
  await started(t, socket);
  const raw = connect(socket);
  raw.write(Buffer.alloc(4096, 0xff));
  let answer = "";
  raw.on("data", (chunk) => {
    answer += chunk.toString("latin1");
  });
  await new Promise((resolve) => raw.once("close", resolve));
  assert.match(answer, /^HTTP\/1\.1 400 /);
  assert.equal((await ask(socket, "/v1/rib")).status, 200);
});

test("a part that breaks in the middle of a list cuts the answer off", async (t) => {
  const socket = join(temporary(t), "podrouter.sock");
  await started(t, socket, {
    ...source,
    *paths() {
      for (let i = 0; i < 1000; i++) yield path({ pathId: i });
      throw new Error("a part broke");
    },
  });
  await assert.rejects(ask(socket, "/v1/rib"), { code: "ECONNRESET" });
});

test("a client that does not read holds the walk, and its going away ends it", async (t) => {
  const socket = join(temporary(t), "podrouter.sock");
  let walked = 0;
  let ended = false;
  await started(t, socket, {
    ...source,
    *paths() {
      try {
        for (; walked < 1_000_000; walked++) yield path({ pathId: walked });
      } finally {
        ended = true;
      }
    },
  });
  const raw = connect(socket);
  raw.pause();
  raw.write("GET /v1/rib HTTP/1.1\r\nHost: agent\r\n\r\n");
  await until(() => walked > 0);
  // Other clients are answered meanwhile, and the walk stands still.
  assert.equal((await ask(socket, "/v1/peers")).status, 200);
  const before = walked;
  assert.equal((await ask(socket, "/v1/peers")).status, 200);
  assert.equal(walked, before);
  assert.ok(walked < 100_000);
  raw.destroy();
  await until(() => ended);
});

test("a client that reads at once leaves the event loop its turns in a long list", async (t) => {
  const socket = join(temporary(t), "podrouter.sock");
  let inTurn = 0;
  let most = 0;
  const row = path({});
  const chars = JSON.stringify(row).length;
  const walk = function* () {
    for (let i = 0; i < 20_000; i++) {
      most = Math.max(most, ++inTurn);
      yield row;
    }
  };
  let turns = setImmediate(function next() {
    inTurn = 0;
    turns = setImmediate(next);
  });
  t.after(() => clearImmediate(turns));
  await started(t, socket, { ...source, paths: walk });
  const { body } = await ask(socket, "/v1/rib");
  assert.equal(body.split("\n").length, 20_001);
  assert.ok(most * chars < 2 * 65_536, `${most} rows of ${chars} octets in one turn`);
});

test("a server of another kind on the path is not mistaken for a dead agent", async (t) => {
  const socket = join(temporary(t), "other.sock");
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(socket, resolve));
  t.after(() => other.close());
  const server = new AdminServer(source, DEPS);
  await assert.rejects(server.start(socket), /^Error: another agent runs here already/);
});

test("an end in the middle of the start: nobody is answered after it", async (t) => {
  const socket = join(temporary(t), "podrouter.sock");
  const server = new AdminServer(source, DEPS);
  const starting = server.start(socket);
  await server.stop();
  await starting;
  await assert.rejects(ask(socket, "/v1/peers"), { code: "ENOENT" });
  await server.start(socket);
  await assert.rejects(ask(socket, "/v1/peers"), { code: "ENOENT" });
});

test("an end while it is found out whether another agent is alive: nobody is answered", async (t) => {
  const socket = await deadSocket(t);
  const server = new AdminServer(source, DEPS);
  const starting = server.start(socket);
  await server.stop();
  await starting;
  await assert.rejects(ask(socket, "/v1/peers"), { code: "ENOENT" });
});

test("its file is removed while an answer is under way: new ones come, that one goes on", async (t) => {
  const socket = join(temporary(t), "podrouter.sock");
  let rows = 0;
  const walk = function* () {
    for (;;) yield path({ pathId: ++rows });
  };
  const clock = new FakeClock();
  const server = new AdminServer({ ...source, paths: walk }, { log: silentLog, clock });
  await server.start(socket);
  await clock.advanceAsync(0);
  const raw = connect(socket);
  raw.write("GET /v1/rib HTTP/1.1\r\nHost: agent\r\n\r\n");
  await until(() => rows > 0);
  raw.pause();
  rmSync(socket);
  mkdirSync(socket);
  await clock.advanceAsync(LOOK_MS);
  const message =
    `commands do not find this agent: cannot listen on the admin socket ${socket}: ` +
    "that file is not a socket";
  assert.deepEqual(server.conditions(), [{ name: "admin-socket", severity: "error", message }]);
  rmdirSync(socket);
  await clock.advanceAsync(LOOK_MS);
  assert.deepEqual(server.conditions(), []);
  assert.equal((await ask(socket, "/v1/peers")).status, 200);
  const before = rows;
  raw.resume();
  await until(() => rows > before + 10_000);
  const cutOff = new Promise((resolve) => raw.once("close", resolve));
  await server.stop();
  await cutOff;
  assert.throws(() => statSync(socket), { code: "ENOENT" });
});

/** Waits for I/O of this process, turn by turn of the event loop. */
async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    assert.ok(turns < 100_000, "it never came to that");
    await new Promise((resolve) => setImmediate(resolve));
  }
}
