/**
 * A malformed UPDATE in the log, whole, so that what is wrong with it can be found (RFC 7606 §6).
 * It is made into text only when the log asks: with debug off a flood of them costs nothing.
 */
import type { Log } from "../../runtime/log.ts";

/** `body`: the octets behind the header; they need not hold longer than the call. */
export function logMalformedUpdate(log: Log, reasons: readonly string[], body: Uint8Array): void {
  const fields = {
    reasons,
    get body() {
      return Buffer.from(body).toString("hex");
    },
  };
  log.debug(fields, "malformed UPDATE");
}
