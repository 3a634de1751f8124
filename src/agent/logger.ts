/**
 * The log of the agent: pino on standard error, as JSON or as text to read. Writing never blocks
 * the event loop, because a stuck log reader must not cost a BGP session: see log-sink.ts. The only
 * file that knows pino.
 */
import { pino } from "pino";
import type { Log, LogFields } from "../runtime/log.ts";
import type { LogLevel } from "./config.ts";
import { LogSink } from "./log-sink.ts";

const DRAIN_MS_MAX = 500;
const CAUSES_MAX = 5;

/** Fields that never appear in a log, wherever in a line they stand. */
const SECRET_FIELDS = ["password", "passwords", "token", "authorization", "headers", "key", "cert"];
const REDACTED = SECRET_FIELDS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

export interface Logger extends Log {
  fatal(fields: LogFields, message: string): void;
  /** Lines that were dropped because nobody read them. */
  dropped(): number;
  /** Resolves when what was logged is written, or nobody reads it. For the end of the process. */
  drain(): Promise<void>;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: "json" | "text";
  /** File descriptor to write to. */
  readonly fd: number;
  /** Fields of every line, such as the Node's name. */
  readonly base: LogFields;
}

export function createLogger(options: LoggerOptions): Logger {
  const sink = new LogSink(options.fd);
  const stream = {
    write: (line: string) => sink.write(options.format === "json" ? line : textLine(line)),
  };
  const logger = pino(
    {
      level: options.level,
      base: options.base,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: REDACTED, censor: "[redacted]" },
      serializers: { err: describeError, error: describeError, cause: describeError },
    },
    stream,
  );
  return Object.assign(logger, {
    dropped: () => sink.dropped,
    drain: () => sink.drain(DRAIN_MS_MAX),
  });
}

/** An error without what may hold secrets: HTTP headers, bodies, options. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return typeof error === "string" ? error : typeof error;
  const causes: string[] = [];
  let cause = error.cause;
  while (cause instanceof Error && causes.length < CAUSES_MAX) {
    causes.push(cause.message);
    cause = cause.cause;
  }
  const { code } = error as NodeJS.ErrnoException;
  return {
    type: error.name,
    message: error.message,
    ...(code === undefined ? {} : { code }),
    ...(causes.length === 0 ? {} : { causes }),
    // Only a bug's stack helps anybody; an operating error is told by its message.
    ...(code === undefined ? { stack: error.stack } : {}),
  };
}

/** `2023-07-27T08:11:50.770Z INFO  state changed peer=node2 to=Established`. */
function textLine(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const pairs = Object.entries(fields).map(([name, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return `${name}=${/^[^\s"=]+$/.test(text) ? text : JSON.stringify(text)}`;
  });
  const head = `${String(time)} ${String(level).toUpperCase().padEnd(5)} ${String(msg)}`;
  return `${[head, ...pairs].join(" ")}\n`;
}
