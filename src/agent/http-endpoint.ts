/**
 * A small HTTP server for probes and metrics: fixed pages, GET and HEAD. A port that is taken is a
 * condition, not an end: the agent routes without it and tries again.
 *
 * Bounds: CONNECTIONS_MAX at a time (beyond, the oldest one is closed: who holds connections open
 * must not keep the kubelet's probe away, which would restart the agent), REQUEST_MS_MAX for a
 * request, looked at as often, IDLE_MS_MAX for an answer to be read on. A packet holds hundreds of
 * requests: REQUESTS_MAX of one connection are answered, and what is one page to them is made into
 * octets once.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { familyOf } from "../ip/address.ts";
import { backoffMs } from "../runtime/backoff.ts";
import type { Clock, Random, Timer } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { ListenAt } from "./config.ts";

const CONNECTIONS_MAX = 64;
const REQUEST_MS_MAX = 5000;
const REQUESTS_MAX = 100;
/** A page of a thousand peers is megabytes. */
const IDLE_MS_MAX = 30_000;
const RETRY = { firstMs: 1000, maxMs: 30_000 } as const;

export interface PageBody {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Gives the page's content at the time of a request. */
export type Page = () => PageBody | Promise<PageBody>;

export interface HttpEndpointDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Called with what is wrong, and with undefined once it listens. */
  readonly onProblem: (problem: string | undefined) => void;
  /** IDLE_MS_MAX unless told. */
  readonly idleMs?: number;
}

export class HttpEndpoint {
  readonly #at: ListenAt;
  readonly #pages: ReadonlyMap<string, Page>;
  readonly #deps: HttpEndpointDeps;
  readonly #octets = new WeakMap<PageBody, Buffer>();
  readonly #requests = new WeakMap<Socket, number>();
  #server: Server | undefined;
  #retry: Timer | undefined;
  #failures = 0;
  #stopped = false;

  constructor(at: ListenAt, pages: ReadonlyMap<string, Page>, deps: HttpEndpointDeps) {
    this.#at = at;
    this.#pages = pages;
    this.#deps = deps;
  }

  /** The port that it listens on; undefined while it does not. */
  get port(): number | undefined {
    const address = this.#server?.address();
    return typeof address === "object" && address !== null ? address.port : undefined;
  }

  /** Returns when it listens, or when the first try failed; the next tries go on by themselves. */
  async start(): Promise<void> {
    const server = createServer(
      {
        requestTimeout: REQUEST_MS_MAX,
        headersTimeout: REQUEST_MS_MAX,
        connectionsCheckingInterval: REQUEST_MS_MAX,
        maxHeaderSize: 8192,
      },
      (request, response) => void this.#handle(request, response),
    );
    server.setTimeout(this.#deps.idleMs ?? IDLE_MS_MAX);
    server.maxRequestsPerSocket = REQUESTS_MAX;
    boundConnections(server);
    const error = await listen(server, this.#at);
    if (this.#stopped) {
      server.close();
      return;
    }
    if (error === undefined) {
      server.on("error", (err) => this.#deps.log.error({ err }, "http server failed"));
      this.#server = server;
      this.#failures = 0;
      this.#deps.onProblem(undefined);
      return;
    }
    this.#deps.onProblem(`cannot listen on ${describe(this.#at)}: ${describeError(error)}`);
    const delay = backoffMs(RETRY, this.#failures++, this.#deps.random);
    this.#retry = this.#deps.clock.after(delay, () => void this.start());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#retry?.cancel();
    const server = this.#server;
    if (server === undefined) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const isLast = this.#count(request.socket) >= REQUESTS_MAX;
    const page = await this.#answer(request);
    const octets = this.#octets.get(page) ?? Buffer.from(page.body);
    this.#octets.set(page, octets);
    response.writeHead(page.status, {
      "content-type": page.contentType,
      "content-length": octets.length,
      "cache-control": "no-store",
      // Node would say so, and wait for the client to close.
      ...(isLast ? { connection: "close" } : {}),
    });
    response.end(request.method === "HEAD" ? undefined : octets);
  }

  /** How many requests have come on it, this one included. */
  #count(socket: Socket): number {
    const count = (this.#requests.get(socket) ?? 0) + 1;
    this.#requests.set(socket, count);
    return count;
  }

  async #answer(request: IncomingMessage): Promise<PageBody> {
    if (request.method !== "GET" && request.method !== "HEAD") return plain(405, "GET only\n");
    const path = (request.url ?? "/").replace(/\?.*$/s, "");
    const page = this.#pages.get(path);
    if (page === undefined) return plain(404, "no such page\n");
    try {
      return await page();
    } catch (error) {
      this.#deps.log.error({ err: error, path }, "page failed");
      return plain(500, "this page failed; the log says why\n");
    }
  }
}

/** A page of text. */
export function plain(status: number, body: string): PageBody {
  return { status, contentType: "text/plain; charset=utf-8", body };
}

function boundConnections(server: Server): void {
  // In the order in which they came.
  const open = new Set<Socket>();
  server.on("connection", (socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    if (open.size <= CONNECTIONS_MAX) return;
    for (const oldest of open) {
      open.delete(oldest);
      oldest.destroy();
      break;
    }
  });
}

function listen(server: Server, at: ListenAt): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const failed = (error: NodeJS.ErrnoException): void => resolve(error);
    server.once("error", failed);
    server.listen(
      { port: at.port, ...(at.address === undefined ? {} : { host: at.address }) },
      () => {
        server.off("error", failed);
        resolve(undefined);
      },
    );
  });
}

function describe(at: ListenAt): string {
  if (at.address === undefined) return `port ${at.port}`;
  return familyOf(at.address) === 6 ? `[${at.address}]:${at.port}` : `${at.address}:${at.port}`;
}

function describeError(error: NodeJS.ErrnoException): string {
  if (error.code === "EADDRINUSE") return "another process has this port";
  if (error.code === "EADDRNOTAVAIL") return "this machine does not have that address";
  if (error.code === "EACCES") return "not permitted (NET_BIND_SERVICE is needed below 1024)";
  return error.message;
}
