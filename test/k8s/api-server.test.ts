/** The embedded API server, seen by the real client library. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import {
  CoreV1Api,
  KubeConfig,
  PatchStrategy,
  setHeaderOptions,
  type V1Node,
  Watch,
} from "@kubernetes/client-node";
import { ApiServer, type ApiServerOptions } from "../support/api-server/api-server.ts";
import { nodeObject, SEED } from "./node-objects.ts";

interface Client {
  readonly server: ApiServer;
  readonly api: CoreV1Api;
  readonly config: KubeConfig;
}

async function client(t: TestContext, options: ApiServerOptions = {}): Promise<Client> {
  const server = new ApiServer(options);
  await server.start();
  t.after(() => server.stop());
  const config = new KubeConfig();
  config.loadFromString(server.kubeconfig());
  return { server, config, api: config.makeApiClient(CoreV1Api) };
}

const node = (name: keyof typeof SEED): V1Node => {
  const object = nodeObject(name, SEED[name]);
  const metadata = object["metadata"] as Record<string, unknown>;
  return {
    ...object,
    metadata: { name, labels: { zone: name }, annotations: metadata["annotations"] },
  } as V1Node;
};

/** The error code of a refused request. */
async function refused(request: Promise<unknown>): Promise<{ code: number; reason: string }> {
  const error = (await request.then(
    () => assert.fail("the request was not refused"),
    (reason: unknown) => reason,
  )) as { code: number; body: string };
  return { code: error.code, reason: (JSON.parse(error.body) as { reason: string }).reason };
}

/** Collects the events of a watch. */
class Events {
  readonly seen: string[] = [];
  readonly done: Promise<unknown>;
  #finish: (error: unknown) => void = () => {};
  #waiting: { readonly count: number; readonly resolve: () => void } | undefined;
  #stop: AbortController | undefined;

  constructor() {
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  async start(
    config: KubeConfig,
    query: Record<string, string | number | boolean | undefined>,
  ): Promise<this> {
    const on = (type: string, object: { metadata?: { name?: string }; code?: number }) => {
      this.seen.push(`${type} ${object.metadata?.name ?? object.code ?? ""}`.trim());
      if (this.seen.length >= (this.#waiting?.count ?? Infinity)) this.#waiting?.resolve();
    };
    const watch = new Watch(config);
    this.#stop = await watch.watch("/api/v1/nodes", query, on, (error) => this.#finish(error));
    return this;
  }

  count(count: number): Promise<void> {
    if (this.seen.length >= count) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting = { count, resolve };
    });
  }

  stop(): void {
    this.#stop?.abort();
  }
}

test("create, get, list, update, patch, delete", async (t) => {
  const { api } = await client(t);
  const created = await api.createNode({ body: node("node1") });
  assert.ok(created.metadata?.uid);
  assert.ok(created.metadata.resourceVersion);
  assert.ok(created.metadata.creationTimestamp instanceof Date);
  assert.deepEqual(await refused(api.createNode({ body: node("node1") })), {
    code: 409,
    reason: "AlreadyExists",
  });
  await api.createNode({ body: node("node2") });

  const list = await api.listNode();
  assert.deepEqual(
    list.items.map((item) => item.metadata?.name),
    ["node1", "node2"],
  );
  const labelled = await api.listNode({ labelSelector: "zone in (node2, node3)" });
  assert.deepEqual(
    labelled.items.map((item) => item.metadata?.name),
    ["node2"],
  );
  const named = await api.listNode({ fieldSelector: "metadata.name=node1" });
  assert.deepEqual(
    named.items.map((item) => item.metadata?.name),
    ["node1"],
  );

  const read = await api.readNode({ name: "node1" });
  read.metadata!.labels = { changed: "yes" };
  read.status!.addresses = [];
  const updated = await api.replaceNode({ name: "node1", body: read });
  assert.notEqual(updated.metadata?.resourceVersion, read.metadata?.resourceVersion);
  assert.equal(updated.status?.addresses?.length, 2, "the status is a subresource");
  assert.deepEqual(await refused(api.replaceNode({ name: "node1", body: read })), {
    code: 409,
    reason: "Conflict",
  });

  const patched = await api.patchNode(
    {
      name: "node1",
      body: { metadata: { annotations: { "kube-router.io/pod-cidrs": "10.9.0.0/24" } } },
    },
    setHeaderOptions("Content-Type", PatchStrategy.MergePatch),
  );
  assert.equal(patched.metadata?.annotations?.["kube-router.io/pod-cidrs"], "10.9.0.0/24");
  const status = await api.patchNodeStatus(
    {
      name: "node1",
      body: { status: { addresses: [{ type: "InternalIP", address: "10.0.0.1" }] } },
    },
    setHeaderOptions("Content-Type", PatchStrategy.StrategicMergePatch),
  );
  assert.deepEqual(
    status.status?.addresses?.map(({ type, address }) => `${type} ${address}`),
    ["InternalIP 10.0.0.1", "Hostname node1"],
    "addresses merge by type",
  );
  const byOperations = await api.patchNode({
    name: "node1",
    body: [
      { op: "test", path: "/metadata/labels/changed", value: "yes" },
      { op: "replace", path: "/spec/podCIDR", value: "10.8.0.0/24" },
      { op: "remove", path: "/metadata/annotations/kube-router.io~1pod-cidrs" },
    ],
  });
  assert.equal(byOperations.spec?.podCIDR, "10.8.0.0/24");
  assert.equal(byOperations.metadata?.annotations?.["kube-router.io/pod-cidrs"], undefined);

  await api.deleteNode({ name: "node1" });
  assert.deepEqual(await refused(api.readNode({ name: "node1" })), {
    code: 404,
    reason: "NotFound",
  });
  assert.deepEqual(await refused(api.deleteNode({ name: "node1" })), {
    code: 404,
    reason: "NotFound",
  });
  const nameless = { metadata: { name: "Not_A_Name" } };
  assert.equal((await refused(api.createNode({ body: nameless }))).code, 422);
});

test("pages of a list are of one moment, until the history is compacted", async (t) => {
  const { api, server } = await client(t);
  server.nodes.load(Array.from({ length: 7 }, (_, i) => nodeObject(`n${i}`)));
  const first = await api.listNode({ limit: 3 });
  assert.equal(first.metadata?.remainingItemCount, 4);
  server.nodes.delete("n4");
  const names = first.items.map((item) => item.metadata?.name);
  const second = await api.listNode({ limit: 3, _continue: first.metadata!._continue! });
  names.push(...second.items.map((item) => item.metadata?.name));
  assert.deepEqual(names, ["n0", "n1", "n2", "n3", "n4", "n5"]);
  assert.equal(second.metadata?.resourceVersion, first.metadata?.resourceVersion);
  server.nodes.compact();
  const expired = api.listNode({ limit: 3, _continue: second.metadata!._continue! });
  assert.deepEqual(await refused(expired), { code: 410, reason: "Expired" });
});

test("a watch resumes where it was told to, and its selector is kept", async (t) => {
  const { api, server, config } = await client(t);
  server.nodes.load([nodeObject("node1", SEED.node1)]);
  const { resourceVersion } = (await api.listNode()).metadata!;
  await api.createNode({ body: node("node2") });
  const events = await new Events().start(config, { resourceVersion });
  await api.createNode({ body: node("node3") });
  await api.deleteNode({ name: "node2" });
  await events.count(3);
  assert.deepEqual(events.seen, ["ADDED node2", "ADDED node3", "DELETED node2"]);

  const labelled = await new Events().start(config, { labelSelector: "zone=node3" });
  await labelled.count(1);
  server.nodes.patch(
    "node3",
    "application/merge-patch+json",
    { metadata: { labels: null } },
    "main",
  );
  server.nodes.patch(
    "node1",
    "application/merge-patch+json",
    { metadata: { labels: { zone: "node3" } } },
    "main",
  );
  await labelled.count(3);
  assert.deepEqual(labelled.seen, ["ADDED node3", "DELETED node3", "ADDED node1"]);
  events.stop();
  labelled.stop();
});

test("bookmarks, the end by timeoutSeconds, a change that changes nothing", async (t) => {
  const { server, config } = await client(t, { bookmarkMs: 50 });
  server.nodes.load([nodeObject("node1")]);
  const version = String(server.nodes.version);
  const events = await new Events().start(config, {
    resourceVersion: version,
    allowWatchBookmarks: true,
    timeoutSeconds: 1,
  });
  server.nodes.patch("node1", "application/merge-patch+json", {}, "main");
  await events.count(2);
  assert.deepEqual(events.seen.slice(0, 2), ["BOOKMARK", "BOOKMARK"]);
  await events.done;
  assert.ok(events.seen.every((event) => event === "BOOKMARK"));
});

test("410 Gone, as HTTP status and as ERROR event", async (t) => {
  const { server, config } = await client(t);
  const version = String(server.nodes.version);
  server.nodes.load([nodeObject("node1")]);
  server.nodes.compact();
  const asEvent = await new Events().start(config, { resourceVersion: version });
  await asEvent.done;
  assert.deepEqual(asEvent.seen, ["ERROR 410"]);

  server.watches.goneAs = "status";
  const asStatus = await new Events().start(config, { resourceVersion: version });
  assert.equal(((await asStatus.done) as { statusCode: number }).statusCode, 410);

  const live = await new Events().start(config, { resourceVersion: String(server.nodes.version) });
  server.watches.expire();
  await live.done;
  assert.deepEqual(live.seen, ["ERROR 410"]);
});

test("watches are dropped, the server is stopped and is back on the same port", async (t) => {
  const { server, config, api } = await client(t);
  server.nodes.load([nodeObject("node1")]);
  const events = await new Events().start(config, {});
  await events.count(1);
  server.watches.drop();
  assert.ok((await events.done) instanceof Error);
  await server.stop();
  await assert.rejects(api.listNode());
  await server.start();
  assert.equal((await api.listNode()).items.length, 1);
});

test("a bearer token is asked for where one is set", async (t) => {
  const { server, api } = await client(t, { token: "open-sesame" });
  server.nodes.load([nodeObject("node1")]);
  assert.equal((await api.listNode()).items.length, 1);
  const anonymous = await fetch(`${server.url}/api/v1/nodes`);
  assert.equal(anonymous.status, 401);
});

test("discovery answers, and what is not there is a Status", async (t) => {
  const { server } = await client(t);
  const get = async (path: string) =>
    (await fetch(server.url + path)).json() as Promise<Record<string, unknown>>;
  assert.equal((await get("/version"))["major"], "1");
  assert.deepEqual((await get("/api"))["versions"], ["v1"]);
  assert.deepEqual((await get("/apis"))["groups"], []);
  assert.equal(((await get("/api/v1"))["resources"] as unknown[]).length, 2);
  assert.equal((await get("/api/v1/pods"))["reason"], "NotFound");
  assert.equal(await (await fetch(`${server.url}/readyz`)).text(), "ok");
  const broken = await fetch(`${server.url}/api/v1/nodes`, { method: "POST", body: "{" });
  assert.equal(broken.status, 400);
});

test("the history is bounded: a watch from before it is gone", async (t) => {
  const { server, config } = await client(t, { historyMax: 5 });
  const version = String(server.nodes.version);
  server.nodes.load(Array.from({ length: 9 }, (_, i) => nodeObject(`n${i}`)));
  const events = await new Events().start(config, { resourceVersion: version });
  await events.done;
  assert.deepEqual(events.seen, ["ERROR 410"]);
});
