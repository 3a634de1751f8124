/**
 * A malformed UPDATE in the log, whole, so that what is wrong with it can be found (RFC 7606 §6).
 * It is made into text only when the log asks: with debug off a flood of them costs nothing.
 */
import type { Log } from "../../runtime/log.ts";

/** `body`: the octets behind the header; they need not hold longer than the call. */
export function logMalformedUpdate(log: Log, reasons: readonly string[], body: Uint8Array): void {
  log.debug({ reasons, body: new HexText(body) }, "malformed UPDATE");
}

class HexText {
  readonly #octets: Uint8Array;

  constructor(octets: Uint8Array) {
    this.#octets = octets;
  }

  toString(): string {
    return Buffer.from(this.#octets).toString("hex");
  }

  toJSON(): string {
    return this.toString();
  }
}
