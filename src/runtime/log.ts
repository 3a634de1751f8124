/** Fields of one log line. Never put a password, token or raw peer text in one. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * What the program needs of a logger; pino satisfies it. The message is a constant, what varies
 * goes into the fields. `info` = an operator would care; per prefix only `trace`.
 */
export interface Log {
  trace(fields: LogFields, message: string): void;
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  child(fields: LogFields): Log;
}

/** A log that drops everything, for tests and for library use. */
export const silentLog: Log = {
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLog,
};
