/** What a neighbour has been through, for `peers` and metrics. Times are ms of wall clock. */
import type { Clock } from "../../runtime/clock.ts";
import type { EndCause } from "../fsm/state.ts";
import { describeNotification } from "../message/notification.ts";
import type { PeerStatus } from "../types.ts";
import { ErrorCounter, MessageCounter } from "./message-counters.ts";

export class SessionRecord {
  readonly sent = new MessageCounter();
  readonly received = new MessageCounter();
  readonly errors = new ErrorCounter();
  /** When it entered or left Established last. */
  since: number | undefined;
  established = 0;
  flaps = 0;
  lastError: PeerStatus["lastError"];
  /** What the last NOTIFICATION said, until a session is up again. */
  #notified: string | undefined;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.since = undefined;
    this.lastError = undefined;
    this.#notified = undefined;
  }

  /** The session is up. */
  up(): void {
    this.#notified = undefined;
    this.since = Math.round(this.#clock.wall());
    this.established++;
  }

  /** An established session ended. */
  down(cause: EndCause): void {
    this.since = Math.round(this.#clock.wall());
    if (cause.kind !== "collision") this.flaps++;
  }

  /**
   * A try or a session ended, for this reason. A peer that has said why it goes refuses the next
   * connections without a word: what it said stays beside that.
   */
  failed(reason: string, cause: EndCause): void {
    const told = cause.kind === "received" || cause.kind === "sent";
    const before = told || this.#notified === undefined ? "" : `; before: ${this.#notified}`;
    if (told) this.#notified = reason;
    this.lastError = { at: Math.round(this.#clock.wall()), reason: `${reason}${before}` };
  }
}

/** `sent Cease / Peer De-configured`, `connection refused`: one line, safe to show. */
export function describeCause(cause: EndCause): string {
  switch (cause.kind) {
    case "transport":
      return cause.reason;
    case "sent": {
      const { error } = cause;
      const name = describeNotification({ ...error, data: new Uint8Array(0) });
      return `sent ${name}: ${error.reason}`;
    }
    case "received":
      return `received ${cause.reason}`;
    case "stopped":
      return cause.reason;
    case "collision":
      return "connection collision";
    case "replaced":
      return "the peer restarted and opened a new connection";
  }
}
