/** The API source over real sockets, against the embedded API server, through a kubeconfig file. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ApiNodeSource } from "../../src/k8s/api-source.ts";
import { HttpApiTransport } from "../../src/k8s/http-transport.ts";
import { loadKubeAccess } from "../../src/k8s/kube-config.ts";
import { type Log, silentLog } from "../../src/runtime/log.ts";
import { ApiServer, type ApiServerOptions } from "../support/api-server/api-server.ts";
import { FakeClock, settle } from "../support/fake-clock.ts";
import { nodeObject, SEED } from "./node-objects.ts";
import { nextTry, Recorder, until } from "./recorder.ts";

const MERGE = "application/merge-patch+json";
const TLS = join(import.meta.dirname, "..", "fixtures", "tls");

interface Bench {
  readonly server: ApiServer;
  readonly source: ApiNodeSource;
  readonly recorder: Recorder;
  /** Moves only when the test says so; the sockets are real. */
  readonly clock: FakeClock;
  readonly logged: string[];
}

interface BenchOptions extends ApiServerOptions {
  readonly nodes?: readonly Record<string, unknown>[];
  readonly kubeconfig?: (server: ApiServer) => string;
}

async function bench(t: TestContext, options: BenchOptions = {}): Promise<Bench> {
  const server = new ApiServer(options);
  server.nodes.load(
    options.nodes ?? [nodeObject("node1", SEED.node1), nodeObject("node2", SEED.node2)],
  );
  await server.start();
  const folder = await mkdtemp(join(tmpdir(), "podrouter-k8s-"));
  const kubeconfig = join(folder, "kubeconfig");
  await writeFile(kubeconfig, options.kubeconfig?.(server) ?? server.kubeconfig());
  const logged: string[] = [];
  const clock = new FakeClock();
  const source = new ApiNodeSource({
    transport: new HttpApiTransport(loadKubeAccess({ kubeconfig })),
    clock,
    random: () => 0,
    log: recordingLog(logged),
  });
  t.after(async () => {
    await source.stop();
    await server.stop();
    await rm(folder, { recursive: true });
  });
  const recorder = new Recorder();
  source.start(recorder.onChange);
  return { server, source, recorder, clock, logged };
}

function recordingLog(lines: string[]): Log {
  const add = (fields: unknown, message: string) =>
    void lines.push(JSON.stringify({ fields, message }));
  return { ...silentLog, debug: add, info: add, warn: add, error: add };
}

async function synced(t: TestContext, options?: BenchOptions): Promise<Bench> {
  const made = await bench(t, options);
  await made.recorder.until("first sync", () => true);
  await until("the watch is open", () => made.server.watches.count === 1);
  return made;
}

test("the life of a Node: late address, other address, other CIDR, deleted, back again", async (t) => {
  const { server, recorder } = await synced(t);
  const patchNode3 = (patch: unknown, part: "main" | "status" = "main") =>
    server.nodes.patch("node3", MERGE, patch, part);
  const address = (text: string) => ({
    status: { addresses: [{ type: "InternalIP", address: text }] },
  });

  server.nodes.create({ metadata: { name: "node3" }, spec: { podCIDRs: ["10.233.66.0/24"] } });
  let nodes = await recorder.until("added", (all) => all.has("node3"));
  assert.deepEqual(nodes.get("node3")!.addresses, []);
  const [node1, node2] = [nodes.get("node1"), nodes.get("node2")];

  patchNode3(address("192.168.50.52"), "status");
  nodes = await recorder.until("late address", (all) => all.get("node3")!.addresses.length > 0);

  patchNode3(address("192.168.50.62"), "status");
  nodes = await recorder.until(
    "moved",
    (all) => all.get("node3")!.addresses[0]?.address === "192.168.50.62",
  );

  patchNode3({ metadata: { annotations: { "kube-router.io/pod-cidrs": "10.233.80.0/24" } } });
  nodes = await recorder.until("CIDR", (all) => all.get("node3")!.podCidrs[0] === "10.233.80.0/24");

  const uid = nodes.get("node3")!.uid;
  server.nodes.delete("node3");
  nodes = await recorder.until("deleted", (all) => !all.has("node3"));
  server.nodes.create(nodeObject("node3", { ...SEED.node3, cidrs: ["10.233.68.0/24"] }));
  nodes = await recorder.until("back", (all) => all.has("node3"));
  assert.notEqual(nodes.get("node3")!.uid, uid);
  assert.equal(nodes.get("node1"), node1);
  assert.equal(nodes.get("node2"), node2);
});

test("heartbeats do nothing at all", async (t) => {
  const { server, recorder, logged } = await synced(t);
  const before = recorder.changes.length;
  const lines = logged.length;
  for (let i = 0; i < 50; i++) {
    const conditions = [{ type: "Ready", status: "True", lastHeartbeatTime: `t${i}` }];
    server.nodes.patch("node2", MERGE, { status: { conditions } }, "status");
  }
  server.nodes.delete("node1");
  await recorder.until("the change after them", (all) => !all.has("node1"));
  assert.equal(recorder.changes.length, before + 1);
  assert.equal(logged.length, lines);
});

for (const goneAs of ["event", "status"] as const) {
  test(`410 (${goneAs}) after a break: the list shows what was missed`, async (t) => {
    const { server, recorder, source, clock } = await synced(t);
    server.watches.goneAs = goneAs;
    await server.stop();
    await until("the break is noticed", () => !source.status().connected);
    server.nodes.delete("node2");
    server.nodes.load([nodeObject("node3", SEED.node3)]);
    server.nodes.compact();
    await server.start();
    const found = recorder.until("caught up", (all) => all.has("node3"));
    await until("caught up", () => recorder.last.has("node3"), nextTry(clock));
    assert.deepEqual([...(await found).keys()], ["node1", "node3"]);
    assert.equal(recorder.changes.length, 2, "one change, whole");
  });
}

test("410 on the living watch", async (t) => {
  const { server, recorder } = await synced(t);
  const before = server.seen.length;
  server.watches.expire();
  await until(
    "listed and watching again",
    () => server.watches.count === 1 && server.seen.length >= before + 2,
  );
  assert.equal(recorder.changes.length, 1);
  server.nodes.delete("node2");
  await recorder.until("deleted", (all) => !all.has("node2"));
});

test("dropped connections and events in between: resumed, nothing is lost, nothing comes twice", async (t) => {
  const { server, recorder } = await synced(t);
  const lists = () => server.seen.filter(({ url }) => !url.includes("watch=true")).length;
  const before = lists();
  for (let i = 0; i < 5; i++) {
    server.watches.drop();
    server.nodes.load([nodeObject(`extra${i}`)]);
    await recorder.until(`extra${i}`, (all) => all.has(`extra${i}`));
    await until("watching again", () => server.watches.count === 1);
  }
  assert.equal(lists(), before, "no list was needed");
  assert.equal(recorder.changes.length, 6);
});

test("an event cut in the middle of its line comes again whole", async (t) => {
  const { server, recorder, source } = await synced(t);
  server.watches.cutNextEventAt = 60;
  server.nodes.delete("node2");
  const nodes = await recorder.until("deleted", (all) => !all.has("node2"));
  assert.deepEqual([...nodes.keys()], ["node1"]);
  assert.deepEqual(source.status().problems, []);
});

test("away for a minute: everything stays, then the watch goes on where it was", async (t) => {
  const { server, recorder, source, clock, logged } = await synced(t);
  await server.stop();
  await until("the break is noticed", () => !source.status().connected);
  const begun = clock.now();
  while (clock.now() - begun <= 60_000) {
    clock.advance(clock.nextDelayMs!);
    await until("tried again", () => source.status().lastError!.at === clock.wall());
  }
  assert.equal(recorder.changes.length, 1);
  assert.equal(source.status().nodes, 2);
  assert.match(source.status().lastError!.reason, /ECONNREFUSED/);
  const warned = logged.filter((line) => line.includes("the Nodes known so far are kept"));
  assert.equal(warned.length, 1, "said once an outage");
  server.nodes.delete("node2");
  await server.start();
  const back = recorder.until("caught up", (all) => !all.has("node2"));
  clock.advance(clock.nextDelayMs!);
  await back;
  assert.equal(recorder.changes.length, 2);
});

test("a server that has fallen silent without a word: 90 s, then a new connection", async (t) => {
  const { server, recorder, source, clock } = await synced(t);
  server.watches.freeze();
  server.nodes.delete("node2");
  server.watches.thaw();
  clock.advance(89_000);
  await until("still the old watch", () => server.watches.count === 1);
  assert.ok(recorder.last.has("node2"));
  clock.advance(2_000);
  await recorder.until("deleted", (all) => !all.has("node2"));
  assert.equal(source.status().synced, true);
});

test("a server that takes connections and never answers", async (t) => {
  const { server, recorder, source, clock } = await synced(t);
  server.faults.silent = true;
  server.watches.drop();
  const asked = server.seen.length;
  await until("asked again", () => server.seen.length > asked, nextTry(clock));
  clock.advance(16_000);
  assert.equal(source.status().lastError!.reason, "no answer to the watch for 15 s");
  assert.equal(recorder.changes.length, 1);
  server.faults.silent = false;
  server.nodes.delete("node2");
  await until("caught up", () => !recorder.last.has("node2"), nextTry(clock));
});

for (const [what, code, body, expected] of [
  ["500", 500, '{"kind":"Status","message":"etcd is away"}', /^500: etcd is away$/],
  ["429", 429, "", /^429: without a reason$/],
  [
    "403",
    403,
    '{"message":"nodes is forbidden: \\u001b[31mno"}',
    /^403: nodes is forbidden: \?\[31mno$/,
  ],
  ["302", 302, "<html>", /^302: without a reason$/],
  ["garbage", 200, "<html>no json</html>\n", /not JSON/],
] as const) {
  test(`an error of the server, ${what}: told, and known Nodes stay`, async (t) => {
    const { server, recorder, source, clock } = await synced(t);
    server.faults.answers.push({ code, body });
    server.watches.drop();
    const reason = () => source.status().lastError?.reason ?? "";
    await until("the error is told", () => expected.test(reason()), nextTry(clock));
    await until("watching again", () => server.watches.count === 1, nextTry(clock));
    assert.equal(recorder.changes.length, 1);
  });
}

for (const [header, least] of [
  ["7", 7_000],
  ["1000000", 60_000],
  ["Wed, 21 Oct 2026 07:28:00 GMT", 100],
  ["-1", 100],
] as const) {
  test(`Retry-After: ${header} is waited for, in bounds`, async (t) => {
    const { server, source, clock } = await synced(t);
    const body = "Too many requests, please try again later.";
    server.faults.answers.push({ code: 429, body, headers: { "retry-after": header } });
    server.watches.drop();
    await until("refused", () => source.status().lastError?.reason === "429: without a reason");
    const asked = server.seen.length;
    const waited = clock.nextDelayMs!;
    assert.ok(waited >= least, `${waited} ms`);
    if (least === 100) assert.ok(waited < 7_000, `${waited} ms`);
    clock.advance(waited - 1);
    await settle();
    assert.equal(server.seen.length, asked);
    clock.advance(1);
    await until("asked again", () => server.seen.length > asked);
  });
}

test("1,000 Nodes in pages of 500, each with the ballast of a real Node", async (t) => {
  const nodes = Array.from({ length: 1000 }, (_, i) => {
    const third = `${Math.floor(i / 250)}.${i % 250}`;
    const object = nodeObject(`n${i}`, {
      internal: `192.168.${third}`,
      cidrs: [`10.${third}.0/24`],
    });
    const image = { names: [`registry.example/image@sha256:${"0".repeat(64)}`], sizeBytes: 1 };
    const ballast = { images: Array.from({ length: 50 }, () => image) };
    return { ...object, status: { ...(object["status"] as object), ...ballast } };
  });
  const { server, recorder } = await bench(t, { nodes });
  const begun = performance.now();
  const all = await recorder.until("synced", () => true);
  t.diagnostic(`listed in ${(performance.now() - begun).toFixed(0)} ms`);
  assert.equal(all.size, 1000);
  assert.equal(recorder.changes.length, 1);
  const lists = server.seen.filter(({ url }) => !url.includes("watch=true"));
  assert.equal(lists.length, 2);
  assert.match(lists[0]!.url, /limit=500&resourceVersion=0/);
  assert.match(lists[1]!.url, /limit=500&continue=/);
  assert.ok(
    [...all.values()].every((node) => node.addresses.length === 1 && node.podCidrs.length === 1),
  );
});

test("how long from the API's change to onChange", async (t) => {
  const { server, recorder } = await synced(t);
  const times: number[] = [];
  for (let i = 0; i < 100; i++) {
    const cidr = `10.233.${i + 100}.0/24`;
    const seen = recorder.until(cidr, (all) => all.get("node2")!.podCidrs[0] === cidr);
    const begun = performance.now();
    server.nodes.patch("node2", MERGE, { spec: { podCIDRs: [cidr] } }, "main");
    await seen;
    times.push(performance.now() - begun);
  }
  times.sort((a, b) => a - b);
  t.diagnostic(`median ${times[50]!.toFixed(2)} ms, 99th ${times[98]!.toFixed(2)} ms`);
  assert.ok(times[50]! < 100);
});

test("TLS with the kubeconfig's CA and token", async (t) => {
  const [ca, cert, key] = (await Promise.all(
    ["ca.pem", "server.pem", "server-key.pem"].map((name) => readFile(join(TLS, name), "utf8")),
  )) as [string, string, string];
  await t.test("trusted", async (t) => {
    const { recorder, logged } = await synced(t, {
      tls: { cert, key },
      token: "open-sesame-7",
      kubeconfig: (server) => server.kubeconfig({ ca }),
    });
    assert.equal(recorder.last.size, 2);
    assert.ok(!logged.join().includes("open-sesame-7"));
  });
  await t.test("not trusted", async (t) => {
    const { source } = await bench(t, {
      tls: { cert, key },
      kubeconfig: (server) => server.kubeconfig({ ca: cert }),
    });
    await until("refused", () => source.status().lastError !== undefined);
    assert.match(source.status().lastError!.reason, /certificate/);
  });
  await t.test("another token", async (t) => {
    const { source, logged } = await bench(t, {
      tls: { cert, key },
      token: "open-sesame-7",
      kubeconfig: (server) => server.kubeconfig().replace("open-sesame-7", "wrong-token-8"),
    });
    await until("refused", () => source.status().lastError !== undefined);
    assert.equal(source.status().lastError!.reason, "401: Unauthorized");
    assert.ok(!/open-sesame-7|wrong-token-8/.test(logged.join()));
  });
});
