/** GETs of the HTTP transport against a bare HTTP server: what is sent, and when which call comes. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { setImmediate as nextLoop } from "node:timers/promises";
import { type ApiError, type ApiHandlers, statusError } from "../../src/k8s/api-transport.ts";
import { HttpApiTransport } from "../../src/k8s/http-transport.ts";
import type { KubeAccess } from "../../src/k8s/kube-config.ts";
import { ERROR_BODY_BYTES_MAX } from "../../src/k8s/limits.ts";
import { until } from "./recorder.ts";

/** A server, the transport to it, and what both have seen. */
async function bench(
  t: TestContext,
  answer: RequestListener,
  { path = "", ...access }: Partial<KubeAccess> & { readonly path?: string } = {},
) {
  const sockets: Socket[] = [];
  const asked: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    asked.push(request);
    answer(request, response);
  });
  // It ends no connection by itself.
  server.keepAliveTimeout = 0;
  server.on("connection", (socket: Socket) => sockets.push(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    transport.reset();
    server.close();
    server.closeAllConnections();
  });
  let refusals = 0;
  const { port } = server.address() as AddressInfo;
  const origin = `http://127.0.0.1:${port}`;
  const transport = new HttpApiTransport({
    server: new URL(origin + path),
    requestOptions: async () => ({}),
    refused: () => {
      refusals++;
    },
    ...access,
  });
  return { transport, origin, sockets, asked, refusals: () => refusals };
}

/** Notes each call as a word. */
function noting(calls: string[], also: Partial<ApiHandlers> = {}): ApiHandlers {
  return {
    open() {
      calls.push("open");
      also.open?.();
    },
    data(chunk) {
      calls.push(`data ${chunk}`);
      also.data?.(chunk);
    },
    end: () => void calls.push("end"),
    failed: ({ kind, message }) => void calls.push(`${kind}: ${message}`),
  };
}

test("a GET: below the server's path, for JSON, with our name and our credentials", async (t) => {
  const options = { headers: { authorization: "Bearer x" } };
  const requestOptions = async () => options;
  const more = { path: "/clusters/c1/", requestOptions };
  const { transport, origin, asked } = await bench(t, (_, response) => response.end("{}"), more);
  assert.equal(transport.origin, origin);
  const calls: string[] = [];
  const addresses: unknown[] = [];
  const note = () => addresses.push(request.localAddress);
  const request = transport.get("/api/v1/nodes?limit=5", noting(calls, { open: note }));
  note();
  assert.equal(calls.length, 0, "nothing before it returns");
  // It is made when the credentials are there, and has its socket a little later.
  for (let i = 0; i < 10; i++) {
    await Promise.resolve();
    assert.equal(request.localAddress, undefined);
  }
  await until("the end", () => calls.includes("end"));
  assert.deepEqual(calls, ["open", "data {}", "end"]);
  assert.deepEqual(addresses, [undefined, "127.0.0.1"]);
  const { method, url, headers } = asked[0]!;
  assert.deepEqual([method, url], ["GET", "/clusters/c1/api/v1/nodes?limit=5"]);
  assert.equal(headers.accept, "application/json");
  assert.equal(headers["user-agent"], "podrouter");
  assert.equal(headers.authorization, "Bearer x");
});

test("a connection is used again, until a reset gives it up", async (t) => {
  const { transport, sockets } = await bench(t, (_, response) => response.end("{}"));
  const get = async () => {
    const calls: string[] = [];
    transport.get("/", noting(calls));
    await until("the end", () => calls.includes("end"));
    await nextLoop();
  };
  await get();
  await get();
  assert.equal(sockets.length, 1);
  transport.reset();
  await until("closed", () => sockets[0]!.destroyed);
  await get();
  assert.equal(sockets.length, 2);
});

test("aborted while the answer comes: the connection ends, and no call comes any more", async (t) => {
  const { transport, sockets } = await bench(t, (_, response) => void response.write("1"));
  const calls: string[] = [];
  const request = transport.get("/", noting(calls));
  await until("the beginning", () => calls.length === 2);
  request.abort();
  await until("closed", () => sockets[0]!.destroyed);
  await nextLoop();
  assert.deepEqual(calls, ["open", "data 1"]);
  assert.equal(request.localAddress, undefined);
});

test("aborted at the first octets: what else came with them is not told", async (t) => {
  const { transport, sockets } = await bench(t, (_, response) => response.end("1"));
  const calls: string[] = [];
  const request = transport.get("/", noting(calls, { open: () => request.abort() }));
  await until("closed", () => sockets[0]?.destroyed === true);
  await nextLoop();
  assert.deepEqual(calls, ["open"]);
});

test("aborted before the credentials are there: nothing is asked", async (t) => {
  const { promise, resolve } = Promise.withResolvers<object>();
  const requestOptions = () => promise;
  const { transport, sockets } = await bench(t, (_, response) => response.end("{}"), {
    requestOptions,
  });
  const calls: string[] = [];
  transport.get("/", noting(calls)).abort();
  resolve({});
  const others: string[] = [];
  transport.get("/", noting(others));
  await until("another one is done", () => others.includes("end"));
  assert.deepEqual([calls, sockets.length], [[], 1]);
});

test("credentials that cannot be had are refused, and so are those of a 401", async (t) => {
  let status = 401;
  const { transport, refusals } = await bench(t, (_, response) => {
    response.statusCode = status;
    response.end('{"message":"no"}');
  });
  const calls: string[] = [];
  transport.get("/", noting(calls));
  await until("401", () => calls.length === 1);
  assert.equal(refusals(), 1);
  status = 403;
  transport.get("/", noting(calls));
  await until("403", () => calls.length === 2);
  assert.deepEqual(calls, ["unauthorized: 401: no", "forbidden: 403: no"]);
  assert.equal(refusals(), 1);

  const failing = await bench(t, () => assert.fail("nothing is asked"), {
    requestOptions: () => Promise.reject(new Error("no such file")),
  });
  const told: string[] = [];
  failing.transport.get("/", noting(told));
  await until("told", () => told.length > 0);
  assert.deepEqual([told, failing.refusals()], [["credentials: credentials: no such file"], 1]);
});

for (const [code, message, kind] of [
  [400, "Invalid resource version", "version"],
  [400, "bad", "refused"],
  [401, "Unauthorized", "unauthorized"],
  [403, "no resource version for you", "forbidden"],
  [404, "no such path", "refused"],
  [409, "another resource version", "refused"],
  [410, "too old resource version", "gone"],
  [429, "too many", "throttled"],
  [499, "gone away", "refused"],
  [500, "no resource version", "busy"],
  [504, "Too large resource version", "version"],
  [504, "timeout", "busy"],
] as const) {
  test(`what ${code} means, with "${message}": ${kind}`, () => {
    const error = statusError({ code, message });
    assert.deepEqual([error.kind, error.message], [kind, `${code}: ${message}`]);
    assert.equal(error.retryAfterMs, 0);
  });
}

test("a status that says little is a fault of the server; one that says much is cut", () => {
  for (const status of [null, 5, {}, { code: "401", message: 7 }]) {
    const { kind, message } = statusError(status);
    assert.deepEqual([kind, message], ["busy", "500: no reason given"]);
  }
  assert.equal(statusError({ message: "x".repeat(301) }).message, `500: ${"x".repeat(300)}`);
});

for (const [header, expected] of [
  ["7", 7_000],
  ["60", 60_000],
  ["999999999", 60_000],
  ["1234567890", 0],
  ["7.5", 0],
  [undefined, 0],
] as const) {
  test(`Retry-After: ${header} is ${expected} ms`, async (t) => {
    const { transport } = await bench(t, (_, response) => {
      response.statusCode = 429;
      if (header !== undefined) response.setHeader("retry-after", header);
      response.end();
    });
    const errors: ApiError[] = [];
    transport.get("/", { ...noting([]), failed: (error) => void errors.push(error) });
    await until("told", () => errors.length > 0);
    assert.equal(errors[0]!.retryAfterMs, expected);
  });
}

for (const [size, message] of [
  [ERROR_BODY_BYTES_MAX, "busy: 500: etcd is away"],
  [ERROR_BODY_BYTES_MAX + 1, "busy: 500: without a reason"],
] as const) {
  test(`why it is refused is read of a body of ${size} octets`, async (t) => {
    const body = '{"message":"etcd is away"}'.padEnd(size);
    const { transport, sockets } = await bench(t, (_, response) => {
      response.statusCode = 500;
      // One that is too long is not waited for.
      if (size > ERROR_BODY_BYTES_MAX) response.write(body);
      else response.end(body);
    });
    const calls: string[] = [];
    transport.get("/", noting(calls));
    await until("told", () => calls.length > 0);
    if (size > ERROR_BODY_BYTES_MAX) await until("closed", () => sockets[0]!.destroyed);
    assert.deepEqual(calls, [message]);
  });
}

test("a connection that ends before the answer has failed, once", async (t) => {
  const { transport } = await bench(t, (request) => void request.socket.destroy());
  const calls: string[] = [];
  transport.get("/", noting(calls));
  await until("told", () => calls.length > 0);
  await nextLoop();
  assert.equal(calls.length, 1);
  assert.match(calls[0]!, /^unreachable: /);
});

test("an answer that breaks off has failed, and has no end", async (t) => {
  const { transport, sockets } = await bench(t, (_, response) => void response.write("1"));
  const calls: string[] = [];
  transport.get("/", noting(calls));
  await until("the beginning", () => calls.length === 2);
  sockets[0]!.destroy();
  await until("told", () => calls.length === 3);
  await nextLoop();
  assert.deepEqual(calls.slice(0, 2), ["open", "data 1"]);
  assert.match(calls[2]!, /^unreachable: /);
  assert.equal(calls.length, 3);
});
