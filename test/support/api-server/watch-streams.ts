/**
 * Open watches: JSON lines of events, bookmarks, the end after `timeoutSeconds`, and the ways in
 * which a watch breaks in real life, for tests.
 */
import type { ServerResponse } from "node:http";
import { ApiFailure, gone, type JsonObject } from "./api-status.ts";
import type { NodeEvent, NodeRegistry } from "./node-registry.ts";
import { nodeTable } from "./node-table.ts";
import { type Selector, selectorOf } from "./selectors.ts";

/** A watcher that does not read is cut off beyond this. */
const UNSENT_BYTES_MAX = 64 * 1024 * 1024;

interface Stream {
  readonly response: ServerResponse;
  readonly selector: Selector | undefined;
  readonly table: boolean;
  readonly bookmarks: boolean;
  readonly timers: NodeJS.Timeout[];
  stopFollowing: () => void;
}

export class WatchStreams {
  /** Bytes of the next event's line that are sent before the connection breaks. */
  cutNextEventAt: number | undefined = undefined;
  /** Whether a version that is too old is refused by HTTP 410 or by an ERROR event after a 200. */
  goneAs: "status" | "event" = "event";
  readonly #streams = new Set<Stream>();
  readonly #registry: NodeRegistry;
  readonly #bookmarkMs: number;
  #frozen = false;

  constructor(registry: NodeRegistry, options: { readonly bookmarkMs: number }) {
    this.#registry = registry;
    this.#bookmarkMs = options.bookmarkMs;
  }

  get count(): number {
    return this.#streams.size;
  }

  /** Answers a watch request. */
  open(response: ServerResponse, query: URLSearchParams, table: boolean): void {
    const stream: Stream = {
      response,
      selector: selectorOf(query),
      table,
      bookmarks: query.get("allowWatchBookmarks") === "true",
      timers: [],
      stopFollowing: () => {},
    };
    if (this.#frozen) {
      this.#begin(stream);
      return;
    }
    const version = query.get("resourceVersion") ?? "";
    const past: NodeEvent[] = [];
    let live = false;
    try {
      stream.stopFollowing = this.#registry.follow(version, (event) =>
        live ? this.#deliver(stream, event) : past.push(event),
      );
    } catch (error) {
      if (!(error instanceof ApiFailure) || error.code !== 410 || this.goneAs === "status") {
        throw error;
      }
      response.writeHead(200, { "content-type": "application/json" });
      response.end(line("ERROR", error.status()));
      return;
    }
    live = true;
    this.#begin(stream);
    for (const event of past) this.#deliver(stream, event);
    this.#schedule(stream, Number(query.get("timeoutSeconds") ?? 0));
  }

  #begin(stream: Stream): void {
    this.#streams.add(stream);
    stream.response.writeHead(200, { "content-type": "application/json" });
    stream.response.flushHeaders();
    stream.response.on("close", () => this.#forget(stream));
  }

  /** Ends every watch properly, as the server does at its time limit. */
  end(): void {
    for (const { response } of [...this.#streams]) response.end();
  }

  /** Breaks every watch's connection. */
  drop(): void {
    for (const { response } of [...this.#streams]) response.destroy();
  }

  /** Compacts the history and tells every watch that its version is gone. */
  expire(): void {
    const before = this.#registry.version;
    this.#registry.compact();
    const status = gone(String(before), this.#registry.version).status();
    for (const { response } of [...this.#streams]) response.end(line("ERROR", status));
  }

  /** Sends these bytes on every watch. */
  raw(text: string): void {
    for (const { response } of this.#streams) response.write(text);
  }

  /** Says nothing more on the watches there are and on new ones, as behind a dead network. */
  freeze(): void {
    for (const stream of this.#streams) {
      stream.stopFollowing();
      for (const timer of stream.timers) clearInterval(timer);
    }
    this.#frozen = true;
  }

  /** New watches speak again; those that were frozen stay so. */
  thaw(): void {
    this.#frozen = false;
  }

  /** Sends a bookmark to every watch that takes them. */
  bookmark(): void {
    for (const stream of this.#streams) this.#bookmark(stream);
  }

  #schedule(stream: Stream, timeoutSeconds: number): void {
    if (stream.bookmarks) {
      stream.timers.push(setInterval(() => this.#bookmark(stream), this.#bookmarkMs));
    }
    if (timeoutSeconds > 0) {
      const end = () => {
        this.#bookmark(stream);
        stream.response.end();
      };
      stream.timers.push(setTimeout(end, timeoutSeconds * 1000));
    }
  }

  #bookmark(stream: Stream): void {
    if (!stream.bookmarks) return;
    const resourceVersion = String(this.#registry.version);
    const metadata = { resourceVersion, creationTimestamp: null };
    const node = { kind: "Node", apiVersion: "v1", metadata, spec: {}, status: {} };
    const object = stream.table ? { ...nodeTable([], { resourceVersion }), rows: [] } : node;
    stream.response.write(line("BOOKMARK", object));
  }

  #deliver(stream: Stream, event: NodeEvent): void {
    const type = visibleAs(event, stream.selector);
    if (type === undefined) return;
    const { object } = event;
    const shown = stream.table ? nodeTable([object], {}) : object;
    const text = line(type, shown);
    if (this.cutNextEventAt !== undefined) {
      const part = text.slice(0, this.cutNextEventAt);
      this.cutNextEventAt = undefined;
      stream.response.write(part, () => stream.response.destroy());
      return;
    }
    stream.response.write(text);
    if (stream.response.writableLength > UNSENT_BYTES_MAX) stream.response.destroy();
  }

  #forget(stream: Stream): void {
    stream.stopFollowing();
    for (const timer of stream.timers) clearInterval(timer);
    this.#streams.delete(stream);
  }
}

/** How an event looks through a selector: coming in is ADDED, going out is DELETED. */
function visibleAs(event: NodeEvent, selector: Selector | undefined): string | undefined {
  if (selector === undefined) return event.type;
  const now = selector(event.object);
  if (event.type !== "MODIFIED") return now ? event.type : undefined;
  const before = event.previous !== undefined && selector(event.previous);
  if (now) return before ? "MODIFIED" : "ADDED";
  return before ? "DELETED" : undefined;
}

function line(type: string, object: JsonObject): string {
  return `${JSON.stringify({ type, object })}\n`;
}
