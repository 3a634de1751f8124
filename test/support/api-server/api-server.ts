/**
 * An embedded Kubernetes API server that knows Nodes: discovery, list in pages, watch, get, create,
 * update, patch, delete, the status subresource. Enough for the client library and for kubectl. It
 * serves the demo and the tests, never the agent.
 *
 * What can go wrong with a real one can be made to happen: see `faults` and `watches`.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { ApiFailure, isJsonObject, type JsonObject } from "./api-status.ts";
import { discovery } from "./discovery.ts";
import { type NodePage, NodeRegistry } from "./node-registry.ts";
import { nodeTable, wantsTable } from "./node-table.ts";
import { selectorOf } from "./selectors.ts";
import { WatchStreams } from "./watch-streams.ts";

export interface ApiServerOptions {
  readonly host?: string;
  /** 0 or absent = any free port. */
  readonly port?: number;
  /** When given, requests without this bearer token are refused. */
  readonly token?: string;
  /** PEM texts; serves HTTPS when given. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Time between bookmarks of a quiet watch. */
  readonly bookmarkMs?: number;
  /** Events kept for watches that resume. */
  readonly historyMax?: number;
}

export interface PlannedAnswer {
  readonly code: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What a test can make go wrong from now on. */
export interface Faults {
  /** Delay of every answer. */
  latencyMs: number;
  /** Requests are taken and never answered. */
  silent: boolean;
  /** Answers of the next requests, one each, instead of the proper ones. */
  readonly answers: PlannedAnswer[];
}

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
}

const BODY_BYTES_MAX = 16 * 1024 * 1024;
const SEEN_MAX = 10_000;

export class ApiServer {
  readonly nodes: NodeRegistry;
  readonly watches: WatchStreams;
  readonly faults: Faults = { latencyMs: 0, silent: false, answers: [] };
  /** Requests so far, oldest first. */
  readonly seen: SeenRequest[] = [];
  readonly #options: ApiServerOptions;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port: number;

  constructor(options: ApiServerOptions = {}) {
    this.#options = options;
    this.#port = options.port ?? 0;
    const { historyMax } = options;
    this.nodes = new NodeRegistry(historyMax === undefined ? {} : { historyMax });
    this.watches = new WatchStreams(this.nodes, { bookmarkMs: options.bookmarkMs ?? 60_000 });
  }

  get host(): string {
    return this.#options.host ?? "127.0.0.1";
  }

  get url(): string {
    const host = this.host.includes(":") ? `[${this.host}]` : this.host;
    return `${this.#options.tls === undefined ? "http" : "https"}://${host}:${this.#port}`;
  }

  /** Listens; after {@link stop} on the same port again. */
  start(): Promise<void> {
    const handler = (request: IncomingMessage, response: ServerResponse) => {
      void this.#handle(request, response);
    };
    const { tls } = this.#options;
    const server = tls === undefined ? createServer(handler) : createTlsServer(tls, handler);
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#port, this.host, () => {
        this.#port = (server.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  /** Closes the port and breaks every connection; the Nodes stay. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** A kubeconfig for this server, as JSON, which is YAML. */
  kubeconfig(extra: { readonly ca?: string } = {}): string {
    const { token } = this.#options;
    const cluster: JsonObject = { server: this.url };
    if (extra.ca === undefined) cluster["insecure-skip-tls-verify"] = true;
    else cluster["certificate-authority-data"] = Buffer.from(extra.ca).toString("base64");
    const config = {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "embedded", cluster }],
      users: [{ name: "anyone", user: token === undefined ? {} : { token } }],
      contexts: [{ name: "embedded", context: { cluster: "embedded", user: "anyone" } }],
      "current-context": "embedded",
    };
    return `${JSON.stringify(config, undefined, 2)}\n`;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.seen.length >= SEEN_MAX) this.seen.shift();
    this.seen.push({ method: request.method ?? "", url: request.url ?? "" });
    response.on("error", () => response.destroy());
    try {
      const { latencyMs } = this.faults;
      if (latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, latencyMs));
      if (this.faults.silent) return;
      const planned = this.faults.answers.shift();
      if (planned !== undefined) {
        const headers = { "content-type": "application/json", ...planned.headers };
        response.writeHead(planned.code, headers);
        response.end(planned.body);
        return;
      }
      this.#authorize(request);
      await this.#route(request, response);
    } catch (error) {
      const failure =
        error instanceof ApiFailure ? error : new ApiFailure(500, `bug: ${String(error)}`);
      send(response, failure.code, failure.status());
    }
  }

  #authorize(request: IncomingMessage): void {
    const { token } = this.#options;
    if (token !== undefined && request.headers.authorization !== `Bearer ${token}`) {
      throw new ApiFailure(401, "Unauthorized");
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.url);
    const found = discovery(url.pathname.replace(/(.)\/$/, "$1"), new URL(this.url).host);
    if (found !== undefined) return send(response, 200, found);
    const match = /^\/api\/v1\/nodes(?:\/([^/]+)(\/status)?)?\/?$/.exec(url.pathname);
    if (match === null) {
      throw new ApiFailure(404, "the server could not find the requested resource");
    }
    const name = match[1] === undefined ? undefined : decodeURIComponent(match[1]);
    const part = match[2] === undefined ? "main" : "status";
    const table = wantsTable(request.headers.accept);
    if (name === undefined) return this.#collection(request, response, url.searchParams, table);
    await this.#single(request, response, name, part, table);
  }

  async #collection(
    request: IncomingMessage,
    response: ServerResponse,
    query: URLSearchParams,
    table: boolean,
  ): Promise<void> {
    if (request.method === "POST") {
      return send(response, 201, this.nodes.create(await body(request)));
    }
    if (request.method !== "GET") throw notAllowed(request);
    const watch = query.get("watch");
    if (watch === "true" || watch === "1") {
      this.watches.open(response, query, table);
      return;
    }
    const limit = Number(query.get("limit") ?? 0);
    const page = this.nodes.list(selectorOf(query), limit, query.get("continue") ?? "");
    const metadata = listMetadata(page);
    const list = { kind: "NodeList", apiVersion: "v1", metadata, items: page.items };
    send(response, 200, table ? nodeTable(page.items, metadata) : list);
  }

  async #single(
    request: IncomingMessage,
    response: ServerResponse,
    name: string,
    part: "main" | "status",
    table: boolean,
  ): Promise<void> {
    switch (request.method) {
      case "GET": {
        const node = this.nodes.get(name);
        return send(response, 200, table ? nodeTable([node], {}) : node);
      }
      case "PUT":
        return send(response, 200, this.nodes.update(name, await body(request), part));
      case "PATCH": {
        const mediaType = (request.headers["content-type"] ?? "").split(";")[0]!.trim();
        const patch = await body(request);
        return send(response, 200, this.nodes.patch(name, mediaType, patch, part));
      }
      case "DELETE": {
        const node = this.nodes.delete(name);
        const uid = (node["metadata"] as JsonObject)["uid"];
        const details = { name, kind: "nodes", uid };
        const status = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success" };
        return send(response, 200, { ...status, details });
      }
      default:
        throw notAllowed(request);
    }
  }
}

function listMetadata(page: NodePage): JsonObject {
  const metadata: JsonObject = { resourceVersion: String(page.version) };
  if (page.continue !== "") {
    metadata["continue"] = page.continue;
    metadata["remainingItemCount"] = page.remaining;
  }
  return metadata;
}

function notAllowed(request: IncomingMessage): ApiFailure {
  return new ApiFailure(405, `the server does not allow ${request.method} on this resource`);
}

function send(response: ServerResponse, code: number, value: JsonObject | string): void {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const type = isJsonObject(value) ? "application/json" : "text/plain";
  if (response.headersSent) response.destroy();
  else response.writeHead(code, { "content-type": type }).end(text);
}

async function body(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_BYTES_MAX) throw new ApiFailure(413, "the request is too large");
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    throw new ApiFailure(400, "the body of the request is not JSON");
  }
}
