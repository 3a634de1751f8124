/**
 * The list and watch loop when requests go wrong in every way that an API server, or what stands
 * before it, has: in the end it has the server's Nodes, and it has asked no more than it should.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ApiNodeSource } from "../../src/k8s/api-source.ts";
import {
  ApiError,
  type ApiErrorKind,
  type ApiHandlers,
  type ApiRequest,
  type ApiTransport,
} from "../../src/k8s/api-transport.ts";
import type { Nodes } from "../../src/k8s/node-source.ts";
import type { Clock } from "../../src/runtime/clock.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { bookmark, event } from "./fake-transport.ts";
import { nodeObject } from "./node-objects.ts";

const STATUSES: readonly ApiErrorKind[] = [
  ...["unreachable", "unauthorized", "forbidden", "gone", "version", "busy", "refused"],
  "credentials",
] as ApiErrorKind[];
/**
 * `reset`, `cut`: half of what there is to say, then an error, or an end. `half`: half of a line,
 * and the rest never. `hang`: no answer. `silent`: accepted, and nothing. `late`: all of it after
 * 20 s. `nonsense`: no JSON. `empty`: an end at once.
 */
const WAYS = ["reset", "cut", "half", "hang", "silent", "late", "nonsense", "empty"] as const;
type Way = ApiErrorKind | (typeof WAYS)[number];
const ALL: readonly Way[] = [...STATUSES, ...WAYS];

interface Watcher {
  version: number;
  readonly handlers: ApiHandlers;
}

/** A server with Nodes and a history of them; what the faults say becomes of its answers. */
class Server implements ApiTransport {
  readonly origin = "http://server";
  readonly nodes = new Map<string, Record<string, unknown>>();
  requests = 0;
  readonly #clock: Clock;
  readonly #faults: ReadonlyMap<number, Way>;
  readonly #history: unknown[] = [];
  readonly #watchers = new Set<Watcher>();

  constructor(clock: Clock, faults: ReadonlyMap<number, Way>) {
    this.#clock = clock;
    this.#faults = faults;
    this.#bookmarks();
  }

  put(name: string, cidr: string): void {
    const object = nodeObject(name, { cidrs: [cidr] });
    const type = this.nodes.has(name) ? "MODIFIED" : "ADDED";
    this.nodes.set(name, object);
    this.#happens(type, object);
  }

  remove(name: string): void {
    const object = this.nodes.get(name)!;
    this.nodes.delete(name);
    this.#happens("DELETED", object);
  }

  get(path: string, given: ApiHandlers): ApiRequest {
    const way = this.#faults.get(++this.requests);
    let over = false;
    const handlers: ApiHandlers = {
      open: () => over || given.open(),
      data: (chunk) => over || given.data(chunk),
      end: () => over || given.end(),
      failed: (error) => over || given.failed(error),
    };
    const watcher: Watcher = { version: 0, handlers };
    this.#clock.after(way === "late" ? 20_000 : 1, () => {
      if (!over) this.#answer(new URL(path, this.origin), watcher, way);
    });
    return {
      localAddress: undefined,
      abort: () => {
        over = true;
        this.#watchers.delete(watcher);
      },
    };
  }

  reset(): void {}

  #answer({ searchParams }: URL, watcher: Watcher, way: Way | undefined): void {
    const { handlers } = watcher;
    if (way === "hang") return;
    if (STATUSES.includes(way as ApiErrorKind)) {
      handlers.failed(new ApiError(way as ApiErrorKind, `the server says ${way}`));
      return;
    }
    handlers.open();
    const watches = searchParams.get("watch") === "true";
    watcher.version = Number(searchParams.get("resourceVersion") ?? 0);
    const text = watches ? this.#since(watcher) : this.#list();
    const half = Buffer.from(text).subarray(0, Math.floor(text.length / 2));
    if (way === "empty") handlers.end();
    else if (way === "nonsense") handlers.data(Buffer.from("<html>\n"));
    else if (way === "reset" || way === "cut" || way === "half") handlers.data(half);
    else if (way !== "silent") handlers.data(Buffer.from(text));
    if (way === "reset") handlers.failed(new ApiError("unreachable", "ECONNRESET"));
    if (way === "cut" || way === "nonsense") handlers.end();
    if (way !== undefined && way !== "late") return;
    if (watches) this.#watchers.add(watcher);
    else handlers.end();
  }

  #list(): string {
    const metadata = { resourceVersion: String(this.#history.length) };
    return JSON.stringify({ kind: "NodeList", metadata, items: [...this.nodes.values()] });
  }

  #since(watcher: Watcher): string {
    const news = this.#history.slice(watcher.version);
    watcher.version = this.#history.length;
    return news.map((each) => `${JSON.stringify(each)}\n`).join("");
  }

  #happens(type: string, object: Record<string, unknown>): void {
    this.#history.push(event(type, object, String(this.#history.length + 1)));
    for (const watcher of this.#watchers) {
      watcher.handlers.data(Buffer.from(this.#since(watcher)));
    }
  }

  #bookmarks(): void {
    this.#clock.after(60_000, () => {
      const line = `${JSON.stringify(bookmark(String(this.#history.length)))}\n`;
      for (const { handlers } of this.#watchers) handlers.data(Buffer.from(line));
      this.#bookmarks();
    });
  }
}

/** How many requests there were. */
function scenario(faults: ReadonlyMap<number, Way>): number {
  const clock = new FakeClock();
  const server = new Server(clock, faults);
  for (const [index, name] of ["node1", "node2", "node3"].entries()) {
    server.put(name, `10.233.${64 + index}.0/24`);
  }
  let nodes: Nodes = new Map();
  const source = new ApiNodeSource({ transport: server, clock, log: silentLog, random: () => 0 });
  source.start((now) => {
    nodes = new Map(now);
  });
  clock.advance(10_000);
  server.put("node4", "10.233.70.0/24");
  server.remove("node1");
  clock.advance(10_000);
  server.put("node2", "10.233.71.0/24");
  server.put("node1", "10.233.72.0/24");
  server.remove("node3");
  clock.advance(300_000);
  assert.deepEqual([...nodes.keys()].sort(), [...server.nodes.keys()].sort());
  assert.deepEqual(nodes.get("node2")?.podCidrs, ["10.233.71.0/24"]);
  assert.deepEqual(nodes.get("node1")?.podCidrs, ["10.233.72.0/24"]);
  const { synced, connected, problems } = source.status();
  assert.deepEqual([synced, connected, problems], [true, true, []]);
  assert.ok(server.requests <= 2 + 3 * faults.size, `${server.requests} requests`);
  void source.stop();
  return server.requests;
}

test("one request that goes wrong, whichever and however", () => {
  for (const way of ALL) {
    for (const at of [1, 2, 3]) scenario(new Map([[at, way]]));
  }
});

test("some in a row, and some later", () => {
  const faults = fc.dictionary(
    fc.constantFrom("1", "2", "3", "4", "5", "6", "7"),
    fc.constantFrom(...ALL),
    {
      maxKeys: 4,
    },
  );
  fc.assert(
    fc.property(faults, (given) => {
      scenario(new Map(Object.entries(given).map(([at, way]) => [Number(at), way])));
    }),
    { numRuns: Number(process.env["FAULT_RUNS"] ?? 60) },
  );
});
