/** An API server that says exactly what a test tells it to, on a fake clock. */
import assert from "node:assert/strict";
import { parseAddress } from "../../src/ip/address.ts";
import type {
  ApiError,
  ApiHandlers,
  ApiRequest,
  ApiTransport,
} from "../../src/k8s/api-transport.ts";

/** A request as the source made it, to be answered by the test. */
export class FakeRequest implements ApiRequest {
  readonly url: URL;
  aborted = false;
  localAddress = parseAddress("192.168.50.50");
  readonly #handlers: ApiHandlers;

  constructor(path: string, handlers: ApiHandlers) {
    this.url = new URL(path, "http://fake");
    this.#handlers = handlers;
  }

  abort(): void {
    this.aborted = true;
  }

  get query(): Record<string, string> {
    return Object.fromEntries(this.url.searchParams);
  }

  open(): void {
    this.#handlers.open();
  }

  /** Sends objects as JSON lines, in one piece. */
  send(...lines: unknown[]): void {
    assert.ok(!this.aborted, "the request was aborted");
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    this.#handlers.data(Buffer.from(text));
  }

  raw(text: string): void {
    this.#handlers.data(Buffer.from(text));
  }

  end(): void {
    this.#handlers.end();
  }

  fail(error: ApiError): void {
    this.#handlers.failed(error);
  }

  /** Answers a list whole. */
  list(version: string, items: readonly unknown[], more: Record<string, unknown> = {}): void {
    this.open();
    const metadata = { resourceVersion: version, ...more };
    this.raw(JSON.stringify({ kind: "NodeList", metadata, items }));
    this.end();
  }
}

export class FakeTransport implements ApiTransport {
  readonly origin = "http://fake";
  readonly requests: FakeRequest[] = [];
  resets = 0;

  get(path: string, handlers: ApiHandlers): ApiRequest {
    const request = new FakeRequest(path, handlers);
    this.requests.push(request);
    return request;
  }

  reset(): void {
    this.resets++;
  }

  /** The newest request, which must not be aborted. */
  get last(): FakeRequest {
    const request = this.requests.at(-1);
    assert.ok(request !== undefined && !request.aborted, "no request is under way");
    return request;
  }
}

/** An event of a watch. */
export function event(type: string, object: Record<string, unknown>, version: string): unknown {
  const metadata = { ...(object["metadata"] as object), resourceVersion: version };
  return { type, object: { ...object, metadata } };
}

export function bookmark(version: string): unknown {
  return { type: "BOOKMARK", object: { kind: "Node", metadata: { resourceVersion: version } } };
}

export function errorEvent(code: number, message: string): unknown {
  return { type: "ERROR", object: { kind: "Status", status: "Failure", code, message } };
}
