/**
 * The log's lines of sessions that come and go. A node that starts, or is cut off, has one for each
 * peer at once, and in a mesh so has every node: to write them took a tenth of the time in which
 * the sessions came up. Of each second the first are written, the rest are counted; which ones
 * these were is in the list of peers, and in the log where that has its debug lines.
 */
import type { Clock, Timer } from "../../runtime/clock.ts";
import type { Log, LogFields } from "../../runtime/log.ts";
import { SESSION_LINES_MAX, SESSION_LINES_MS } from "./limits.ts";

export class SessionLines {
  readonly #established: LineKind;
  readonly #ended: LineKind;

  /** `log`: for the counts. */
  constructor(clock: Clock, log: Log) {
    this.#established = new LineKind(
      clock,
      log,
      "session established",
      "further sessions established",
    );
    this.#ended = new LineKind(clock, log, "session ended", "further sessions ended");
  }

  /** `log`: the peer's. */
  established(log: Log, fields: LogFields): void {
    this.#established.write(log, fields);
  }

  /** `log`: the peer's. */
  ended(log: Log, fields: LogFields): void {
    this.#ended.write(log, fields);
  }

  /** Writes the counts now: nobody would later. */
  flush(): void {
    this.#established.tell();
    this.#ended.tell();
  }
}

class LineKind {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #message: string;
  readonly #ofMany: string;
  #begun = Number.NEGATIVE_INFINITY;
  #written = 0;
  #counted = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, log: Log, message: string, ofMany: string) {
    this.#clock = clock;
    this.#log = log;
    this.#message = message;
    this.#ofMany = ofMany;
  }

  write(log: Log, fields: LogFields): void {
    const now = this.#clock.now();
    if (now - this.#begun >= SESSION_LINES_MS) {
      this.#begun = now;
      this.#written = 0;
    }
    if (this.#written < SESSION_LINES_MAX) {
      this.#written++;
      log.info(fields, this.#message);
      return;
    }
    log.debug(fields, this.#message);
    this.#counted++;
    this.#timer ??= this.#clock.after(this.#begun + SESSION_LINES_MS - now, () => this.tell());
  }

  tell(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#counted === 0) return;
    this.#log.info({ sessions: this.#counted }, this.#ofMany);
    this.#counted = 0;
  }
}
