/** Whether the kernel can be talked to; when it cannot, until when it is left alone. */
import { backoffMs } from "../runtime/backoff.ts";
import type { Clock, Random } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import { type RouteCondition, unavailableCondition } from "./conditions.ts";
import { RETRY } from "./limits.ts";
import type { KernelUnavailableError } from "./ports.ts";

export class Availability {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Log;
  #condition: RouteCondition | undefined;
  #failures = 0;
  #blockedUntil: number | undefined;

  constructor(clock: Clock, random: Random, log: Log) {
    this.#clock = clock;
    this.#random = random;
    this.#log = log;
  }

  /** What stands while it cannot be talked to. */
  get condition(): RouteCondition | undefined {
    return this.#condition;
  }

  /** Undefined when nothing forbids to try. */
  get blockedUntil(): number | undefined {
    return this.#blockedUntil;
  }

  /** Notes a failure; gives when to try again. */
  fail(error: KernelUnavailableError): number {
    const condition = unavailableCondition(error);
    if (this.#condition?.message !== condition.message) {
      this.#log.warn({ code: error.code, reason: error.message }, "routes cannot be kept up");
    }
    this.#condition = condition;
    const delay = backoffMs(RETRY, this.#failures++, this.#random);
    this.#blockedUntil = this.#clock.now() + delay;
    return this.#blockedUntil;
  }

  /** It is tried again. */
  unblock(): void {
    this.#blockedUntil = undefined;
  }

  /** It also takes changes from us. */
  recover(): void {
    this.#condition = undefined;
    this.#failures = 0;
  }
}
