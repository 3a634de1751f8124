/** /healthz, /readyz and the server under them; conditions behind them. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { type TestContext, test } from "node:test";
import { Conditions } from "../../src/agent/conditions.ts";
import { healthPage, type ReadinessCheck, readyPage, waitingFor } from "../../src/agent/health.ts";
import { HttpEndpoint, type Page, plain } from "../../src/agent/http-endpoint.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { address } from "../cli/fixtures.ts";
import { until } from "../k8s/recorder.ts";
import { FakeClock, settle } from "../support/fake-clock.ts";
import { recordingLog } from "../support/recording-log.ts";

const LOOPBACK = address("127.0.0.1");

async function endpoint(
  t: TestContext,
  pages: Readonly<Record<string, Page>>,
  port = 0,
  idleMs?: number,
): Promise<{ endpoint: HttpEndpoint; problems: (string | undefined)[]; clock: FakeClock }> {
  const problems: (string | undefined)[] = [];
  const clock = new FakeClock();
  const server = new HttpEndpoint({ address: LOOPBACK, port }, new Map(Object.entries(pages)), {
    clock,
    random: () => 0,
    log: silentLog,
    onProblem: (problem) => problems.push(problem),
    ...(idleMs === undefined ? {} : { idleMs }),
  });
  await server.start();
  t.after(() => server.stop());
  return { endpoint: server, problems, clock };
}

async function fetchPage(port: number | undefined, path: string, method = "GET"): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method });
  return `${response.status} ${await response.text()}`;
}

test("healthz says OK whatever stands", async (t) => {
  const { endpoint: server } = await endpoint(t, { "/healthz": healthPage });
  assert.equal(await fetchPage(server.port, "/healthz"), "200 OK\n");
  assert.equal(await fetchPage(server.port, "/healthz?verbose"), "200 OK\n");
  assert.equal(await fetchPage(server.port, "/healthz", "HEAD"), "200 ");
  assert.equal(await fetchPage(server.port, "/healthz", "POST"), "405 GET only\n");
  assert.equal(await fetchPage(server.port, "/other"), "404 no such page\n");
});

test("readyz names each check and each condition, and turns with the checks", async (t) => {
  let problem: string | undefined = "no session yet with node2";
  const checks: readonly ReadinessCheck[] = [
    { name: "nodes", problem: () => undefined },
    { name: "bgp", problem: () => problem },
  ];
  const condition = {
    source: "routes",
    name: "foreign",
    severity: "warning",
    message: "10.233.65.0/24 is the administrator's",
    since: 0,
  } as const;
  const { endpoint: server } = await endpoint(t, {
    "/readyz": readyPage(checks, () => [condition]),
  });
  assert.equal(
    await fetchPage(server.port, "/readyz"),
    "503 [+]nodes ok\n[-]bgp not yet: no session yet with node2\n" +
      "[!]routes foreign (warning): 10.233.65.0/24 is the administrator's\nnot ready\n",
  );
  assert.deepEqual(waitingFor(checks), ["bgp: no session yet with node2"]);
  problem = undefined;
  assert.deepEqual(waitingFor(checks), []);
  assert.match(await fetchPage(server.port, "/readyz"), /^200 (?:.|\n)*\nready\n$/);
});

test("a page that breaks is a 500, and the server goes on", async (t) => {
  const { endpoint: server } = await endpoint(t, {
    "/broken": () => {
      throw new Error("secret");
    },
    "/healthz": healthPage,
  });
  assert.equal(await fetchPage(server.port, "/broken"), "500 this page failed; the log says why\n");
  assert.equal(await fetchPage(server.port, "/healthz"), "200 OK\n");
});

test("who holds connections open keeps no probe away", async (t) => {
  const { endpoint: server } = await endpoint(t, { "/healthz": healthPage });
  const { port } = server;
  assert.ok(port !== undefined);
  // More than are allowed; each of them says nothing, or only a part of a request.
  const idle = Array.from({ length: 100 }, () => connect(port, "127.0.0.1"));
  t.after(() => {
    for (const socket of idle) socket.destroy();
  });
  let closed = 0;
  for (const socket of idle) {
    socket.on("error", () => undefined);
    socket.on("close", () => closed++);
  }
  await Promise.all(
    idle.map((socket) => new Promise((resolve) => socket.write("GET /healthz HTT", resolve))),
  );
  assert.equal(await fetchPage(port, "/healthz"), "200 OK\n");
  await untilSettled(() => closed > 0);
  assert.equal(idle.at(-1)?.destroyed, false, "the newest ones are kept");
});

test("of a packet full of requests a hundred are answered", async (t) => {
  let made = 0;
  const page = () => {
    made++;
    return plain(200, "page\n");
  };
  const { endpoint: server } = await endpoint(t, { "/page": page });
  const { port } = server;
  assert.ok(port !== undefined);
  const client = connect(port, "127.0.0.1");
  t.after(() => client.destroy());
  let text = "";
  client.on("data", (chunk) => {
    text += chunk;
  });
  const closed = new Promise((resolve) => client.on("close", resolve));
  client.write("GET /page HTTP/1.1\r\nHost: podrouter\r\n\r\n".repeat(1000));
  await closed;
  assert.equal(made, 100);
  assert.equal(text.split("HTTP/1.1 200 ").length - 1, 100);
});

test("the hundredth answer on a connection says that it is the last, and is", async (t) => {
  const { endpoint: server } = await endpoint(t, { "/healthz": healthPage });
  assert.ok(server.port !== undefined);
  const client = connect(server.port, "127.0.0.1");
  t.after(() => client.destroy());
  const closed = new Promise((resolve) => client.on("close", resolve));
  const answers: string[] = [];
  for (let i = 0; i < 100; i++) {
    client.write("GET /healthz HTTP/1.1\r\nHost: podrouter\r\n\r\n");
    let text = "";
    while (!text.endsWith("\r\n\r\nOK\n")) text += (await once(client, "data"))[0];
    answers.push(text);
  }
  const answered = performance.now();
  const last = answers.map((text) => /^connection: close\r$/im.test(text));
  assert.deepEqual(last, [...Array(99).fill(false), true]);
  await closed;
  assert.ok(performance.now() - answered < 1_000, "closed at once");
});

test("an answer that nobody reads is not kept for ever", async (t) => {
  const page = () => plain(200, "x".repeat(16_000_000));
  const { endpoint: server } = await endpoint(t, { "/metrics": page }, 0, 100);
  const { port } = server;
  assert.ok(port !== undefined);
  const reader = connect(port, "127.0.0.1");
  reader.pause();
  t.after(() => reader.destroy());
  const asked = performance.now();
  reader.write("GET /metrics HTTP/1.1\r\nHost: podrouter\r\n\r\n");
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const established = new RegExp(`^ *\\d+: \\S+:${hex} \\S+ 01 `, "m");
  const isOpen = () => established.test(readFileSync("/proc/self/net/tcp", "latin1"));
  await until("accepted", isOpen);
  await until("closed", () => !isOpen());
  assert.ok(performance.now() - asked >= 90);
});

test("a port that is taken is a condition; it is tried again with growing delay", async (t) => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const { port } = other.address() as AddressInfo;
  const { endpoint: server, problems, clock } = await endpoint(t, { "/healthz": healthPage }, port);
  const sentence = `cannot listen on 127.0.0.1:${port}: another process has this port`;
  assert.deepEqual(problems, [sentence]);
  assert.equal(clock.nextDelayMs, 1000);
  clock.advance(1000);
  await untilSettled(() => problems.length === 2);
  assert.equal(clock.nextDelayMs, 2000);
  await new Promise((resolve) => other.close(resolve));
  clock.advance(2000);
  await untilSettled(() => problems.length === 3);
  assert.deepEqual(problems, [sentence, sentence, undefined]);
  assert.equal(await fetchPage(server.port, "/healthz"), "200 OK\n");
});

test("stopping while a retry waits ends the retries", async (t) => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  t.after(() => other.close());
  const { port } = other.address() as AddressInfo;
  const { endpoint: server, clock } = await endpoint(t, {}, port);
  await server.stop();
  assert.equal(clock.pendingCount, 0);
});

async function untilSettled(condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    assert.ok(turns < 10_000, "it never came to that");
    await settle(1);
  }
}

function conditions(): { book: Conditions; lines: string[]; clock: FakeClock } {
  const clock = new FakeClock(0, 1000);
  const { log, lines } = recordingLog();
  return { book: new Conditions({ clock, log }), lines, clock };
}

test("a condition is logged once when it comes, when it changes and when it goes", () => {
  const { book, lines, clock } = conditions();
  const taken = { severity: "error", message: "port 179 is taken" } as const;
  book.set("bgp", "listen", taken);
  book.set("bgp", "listen", taken);
  clock.advance(5000);
  book.set("bgp", "listen", { ...taken, message: "port 179 is not permitted" });
  assert.deepEqual(book.list(), [
    {
      source: "bgp",
      name: "listen",
      severity: "error",
      message: "port 179 is not permitted",
      since: 1000,
    },
  ]);
  clock.advance(5000);
  book.set("bgp", "listen", undefined);
  book.set("bgp", "listen", undefined);
  assert.deepEqual(book.list(), []);
  assert.deepEqual(lines, [
    "error condition raised bgp listen port 179 is taken",
    "error condition raised bgp listen port 179 is not permitted",
    "info condition cleared bgp listen 10",
  ]);
});

test("one that never says the same is a few lines a minute, its last word included", () => {
  const { book, lines, clock } = conditions();
  const say = (count: number) => {
    const message = `${count} routes are not installed`;
    book.replace("routes", [{ name: "unreachable", severity: "warning", message }]);
    assert.equal(book.list()[0]!.message, message);
    clock.advance(1000);
  };
  const numbers = () => lines.map((line) => Number(/(\d+) routes/.exec(line)![1]));
  for (let second = 0; second < 60; second++) say(second);
  assert.deepEqual(numbers(), [0, 1, 2, 3, 4]);
  for (let second = 60; second < 110; second++) say(second);
  assert.deepEqual(numbers().slice(5), [60, 61, 62, 63, 64]);
  // It rests: what it says is logged when there may be a line again, and once.
  for (let second = 0; second < 300; second++) say(7);
  assert.deepEqual(numbers().slice(10), [7]);
  // What seldom changes is logged at once.
  say(8);
  say(7);
  assert.deepEqual(numbers().slice(11), [8, 7]);
  assert.equal(book.list()[0]!.since, 1000);
});

test("replacing a source's conditions touches no other source", () => {
  const { book, lines } = conditions();
  book.set("bgp", "a", { severity: "warning", message: "m" });
  book.replace("nodes", [
    { name: "a", severity: "warning", message: "one" },
    { name: "b", severity: "warning", message: "two" },
  ]);
  lines.length = 0;
  book.replace("nodes", [
    { name: "b", severity: "warning", message: "two" },
    { name: "c", severity: "info", message: "three" },
  ]);
  assert.deepEqual(
    book.list().map((condition) => `${condition.source} ${condition.name}`),
    ["bgp a", "nodes b", "nodes c"],
  );
  assert.deepEqual(lines, [
    "info condition cleared nodes a 0",
    "info condition raised nodes c three",
  ]);
});

test("a thousand conditions stand; further ones are counted", () => {
  const { book } = conditions();
  for (let i = 0; i < 1200; i++) {
    book.set("nodes", `n${i}`, { severity: "warning", message: "m" });
  }
  assert.equal(book.list().length, 1000);
  assert.equal(book.dropped, 200);
});

test("beyond a thousand an error takes the place of a lesser one, and the rest is counted", () => {
  const { book, lines } = conditions();
  const many = (count: number) =>
    Array.from({ length: count }, (_, i) => ({
      ...{ name: `n${i}`, severity: "info" as const, message: "m" },
    }));
  const last = () => {
    const { source, name, severity, message } = book.list().at(-1)!;
    return `${source} ${name} ${severity} ${message}`;
  };
  book.replace("nodes", many(1100));
  const kept = "more conditions stand; 1000 are kept, errors first";
  assert.equal(last(), `agent more-conditions warning 100 ${kept}`);
  lines.length = 0;
  book.replace("bgp", [{ name: "listen", severity: "error", message: "in use" }]);
  // Again and again, as every second.
  for (let i = 0; i < 3; i++) book.replace("nodes", many(1100));
  assert.ok(book.list().some(({ source, name }) => `${source} ${name}` === "bgp listen"));
  assert.equal(book.list().length, 1001);
  assert.match(last(), /101 more/);
  assert.deepEqual(lines, [
    "error condition raised bgp listen in use",
    `warn condition raised agent more-conditions 101 ${kept}`,
  ]);
  book.replace("bgp", []);
  book.replace("nodes", many(3));
  assert.deepEqual(
    book
      .list()
      .map(({ name }) => name)
      .sort(),
    ["n0", "n1", "n2"],
  );
  assert.ok(lines.includes("info condition cleared agent more-conditions 0"));
});
