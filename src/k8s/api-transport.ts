/** What the API source needs of HTTP: a GET whose answer streams in. Adapter: http-transport.ts. */
import type { IpAddress } from "../ip/address.ts";
import { isJsonObject } from "../runtime/json.ts";
import { printable } from "../runtime/operator-text.ts";

/**
 * `unreachable`: no answer. `unauthorized`, `forbidden`: 401, 403. `gone`: 410, the version is too
 * old. `version`: the version is not one of this server's. `throttled`: 429, fewer requests are
 * asked for. `busy`: 5xx, may pass. `refused`: any other status. `answer`: a 200 with nonsense.
 * `credentials`: ours cannot be read.
 */
export type ApiErrorKind =
  | "unreachable"
  | "unauthorized"
  | "forbidden"
  | "gone"
  | "version"
  | "throttled"
  | "busy"
  | "refused"
  | "answer"
  | "credentials";

export interface ApiErrorOptions extends ErrorOptions {
  /** How long the server asks to be left alone (Retry-After), ms. */
  readonly retryAfterMs?: number | undefined;
}

/** Why a request failed. The message is for people: bounded, printable, without secrets. */
export class ApiError extends Error {
  readonly kind: ApiErrorKind;
  /** No sooner than after this is it of any use to try again, ms; 0 where nobody said. */
  readonly retryAfterMs: number;

  constructor(kind: ApiErrorKind, message: string, options: ApiErrorOptions = {}) {
    super(message, options);
    this.kind = kind;
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}

/** Calls: `open` at a 200, `data` any times, then one of `end` and `failed`. */
export interface ApiHandlers {
  open(): void;
  data(chunk: Buffer): void;
  end(): void;
  failed(error: ApiError): void;
}

/** A request under way. After `abort` no handler is called. */
export interface ApiRequest {
  /** Ours of the connection, as long as there is one. */
  readonly localAddress: IpAddress | undefined;
  abort(): void;
}

export interface ApiTransport {
  /** Server, for people. */
  readonly origin: string;
  /** Starts a GET of `path` with its query. Handlers are never called before this returns. */
  get(path: string, handlers: ApiHandlers): ApiRequest;
  /** Gives up connections that are kept for later requests. */
  reset(): void;
}

/** The kind of error that an HTTP status other than 200 means. */
function errorKind(status: number, message: string): ApiErrorKind {
  if (status === 401) return "unauthorized";
  if (status === 403) return "forbidden";
  if (status === 410) return "gone";
  if (/resource version/i.test(message) && (status === 400 || status === 504)) return "version";
  if (status === 429) return "throttled";
  return status >= 500 ? "busy" : "refused";
}

/** The error that a `Status` object tells. */
export function statusError(status: unknown, options: ApiErrorOptions = {}): ApiError {
  const object = isJsonObject(status) ? status : {};
  const code = typeof object["code"] === "number" ? object["code"] : 500;
  const said = typeof object["message"] === "string" ? object["message"] : "no reason given";
  const message = printable(said.slice(0, 300));
  return new ApiError(errorKind(code, message), `${code}: ${message}`, options);
}
