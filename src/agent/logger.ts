/**
 * The log of the agent: pino on standard error, as JSON or as text to read. Writing never blocks
 * the event loop, because a stuck log reader must not cost a BGP session: see log-sink.ts. The only
 * file that knows pino.
 */
import { pino } from "pino";
import type { Log, LogFields } from "../runtime/log.ts";
import type { LogLevel } from "./config.ts";
import { withoutSecrets } from "./log-fields.ts";
import { LogSink } from "./log-sink.ts";

const DRAIN_MS_MAX = 500;

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
      formatters: {
        level: (label) => ({ level: label }),
        bindings: withoutSecrets,
        log: withoutSecrets,
      },
      // In place of pino's own: errors are described by then.
      serializers: { err: (shown: unknown) => shown },
    },
    stream,
  );
  const makeChild = logger.child;
  return Object.assign(logger, {
    // Children inherit this one; pino would take their fields as they are.
    child(this: typeof logger, fields: LogFields) {
      return makeChild.call(this, withoutSecrets(fields));
    },
    dropped: () => sink.dropped,
    drain: () => sink.drain(DRAIN_MS_MAX),
  });
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
