/** Errors of the embedded API server: `Status` objects as Kubernetes answers them. */

export type JsonObject = Record<string, unknown>;

const REASONS: Readonly<Record<number, string>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  405: "MethodNotAllowed",
  409: "Conflict",
  410: "Expired",
  413: "RequestEntityTooLarge",
  415: "UnsupportedMediaType",
  422: "Invalid",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};

/** A refusal that becomes the answer of the request it is thrown in. */
export class ApiFailure extends Error {
  readonly code: number;
  readonly reason: string;
  readonly nodeName: string | undefined;

  constructor(code: number, message: string, details: { reason?: string; name?: string } = {}) {
    super(message);
    this.code = code;
    this.reason = details.reason ?? REASONS[code] ?? "Unknown";
    this.nodeName = details.name;
  }

  /** The `Status` object. */
  status(): JsonObject {
    return {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: this.message,
      reason: this.reason,
      details: this.nodeName === undefined ? {} : { name: this.nodeName, kind: "nodes" },
      code: this.code,
    };
  }
}

export function notFound(name: string): ApiFailure {
  return new ApiFailure(404, `nodes "${name}" not found`, { name });
}

export function gone(asked: string, oldest: number): ApiFailure {
  return new ApiFailure(410, `too old resource version: ${asked} (${oldest})`);
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
