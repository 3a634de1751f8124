/** A log that keeps its lines: level, message, then the values of the fields. */
import type { Log, LogFields } from "../../src/runtime/log.ts";

export function recordingLog(): { readonly log: Log; readonly lines: string[] } {
  const lines: string[] = [];
  const at =
    (level: string) =>
    (fields: LogFields, message: string): void => {
      const values = Object.values(fields).map((value) => String(value));
      lines.push([level, message, ...values].join(" "));
    };
  const log: Log = {
    trace: at("trace"),
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: () => log,
  };
  return { log, lines };
}
