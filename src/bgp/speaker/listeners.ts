/** The speaker's listeners: as many as configured, tried again while they cannot stand. */
import { familyOf, type IpAddress, UNSPECIFIED_ADDRESSES } from "../../ip/address.ts";
import { backoffMs } from "../../runtime/backoff.ts";
import type { Clock, Random, Timer } from "../../runtime/clock.ts";
import type { Log } from "../../runtime/log.ts";
import type {
  Acceptance,
  Connection,
  DialOptions,
  Listener,
  ListenProblem,
  Transport,
} from "../session/transport.ts";
import { LISTEN_RETRY } from "./limits.ts";

export interface ListenAddress {
  readonly address: IpAddress;
  readonly port: number;
}

/** One listener for the operator; `problem` is one sentence. */
export interface ListenStatus extends ListenAddress {
  readonly listening: boolean;
  readonly problem: string | undefined;
}

export interface ListenersHost {
  accepted(connection: Connection): Acceptance | undefined;
  changed(): void;
  /** Another program had a port that is ours now, or not wanted any more. */
  freed(): void;
}

interface Entry {
  readonly where: ListenAddress;
  listener: Listener | undefined;
  listening: boolean;
  problem: string | undefined;
  /** Why nobody could be taken by one that stood: counts until somebody is. */
  refusal: string | undefined;
  /** Why another program may have the port, and be the speaker here. */
  taken: string | undefined;
  failures: number;
  retry: Timer | undefined;
}

export interface ListenersServices {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export class Listeners {
  readonly #services: ListenersServices;
  readonly #host: ListenersHost;
  readonly #entries = new Map<string, Entry>();
  #passwords: ReadonlyMap<IpAddress, string> = new Map();

  constructor(services: ListenersServices, host: ListenersHost) {
    this.#services = services;
    this.#host = host;
  }

  /** Listens exactly there, with these MD5 keys; what stands already goes on undisturbed. */
  set(wanted: readonly ListenAddress[], passwords: ReadonlyMap<IpAddress, string>): void {
    this.#passwords = passwords;
    const keys = new Set(wanted.map(keyOf));
    for (const [key, entry] of this.#entries) {
      if (!keys.has(key)) this.#close(key, entry);
      else this.#setPasswords(entry);
    }
    for (const where of wanted) {
      if (this.#entries.has(keyOf(where))) continue;
      const entry: Entry = {
        where,
        listener: undefined,
        listening: false,
        problem: undefined,
        refusal: undefined,
        taken: undefined,
        failures: 0,
        retry: undefined,
      };
      this.#entries.set(keyOf(where), entry);
      this.#open(entry);
    }
  }

  /**
   * Why another program may listen in our place where this dial comes from. It does not while a
   * listener of ours stands there: two of ours may stand in each other's way.
   */
  takenFrom(dial: Pick<DialOptions, "address" | "localAddress">): string | undefined {
    let found: string | undefined;
    for (const { where, listening, taken } of this.#entries.values()) {
      if (!covers(where.address, dial)) continue;
      if (listening) return undefined;
      found ??= taken;
    }
    return found;
  }

  close(): void {
    for (const [key, entry] of this.#entries) this.#close(key, entry);
  }

  status(): readonly ListenStatus[] {
    return [...this.#entries.values()].map(({ where, listening, problem, refusal }) => ({
      ...where,
      listening,
      problem: refusal ?? problem,
    }));
  }

  #open(entry: Entry): void {
    entry.listener = this.#services.transport.listen(
      { ...entry.where, passwords: this.#passwords },
      {
        listening: () => this.#stands(entry),
        accepted: (connection) => {
          if (entry.refusal !== undefined) this.#takes(entry);
          return this.#host.accepted(connection);
        },
        failed: (problem) => this.#failed(entry, problem),
      },
    );
  }

  #stands(entry: Entry): void {
    const wasTaken = entry.taken !== undefined;
    entry.listening = true;
    entry.problem = undefined;
    entry.taken = undefined;
    if (entry.refusal === undefined) this.#recovered(entry);
    this.#setPasswords(entry);
    this.#host.changed();
    if (wasTaken) this.#host.freed();
  }

  #recovered(entry: Entry): void {
    entry.failures = 0;
    this.#services.log.info({ ...entry.where }, "listening");
  }

  #takes(entry: Entry): void {
    entry.refusal = undefined;
    this.#recovered(entry);
    this.#host.changed();
  }

  #failed(entry: Entry, problem: ListenProblem): void {
    const { clock, random, log } = this.#services;
    entry.listener = undefined;
    entry.listening = false;
    const { code, message, takesNobody = false } = problem;
    entry.problem = message;
    entry.refusal = takesNobody ? message : undefined;
    // Who stood had the port.
    entry.taken = takesNobody ? undefined : takenBecause(code, entry.where.port);
    if (entry.failures === 0) log.error({ ...entry.where, code, reason: message }, "cannot listen");
    const delay = backoffMs(LISTEN_RETRY, entry.failures++, random);
    entry.retry = clock.after(delay, () => this.#open(entry));
    this.#host.changed();
  }

  #setPasswords(entry: Entry): void {
    const problem = entry.listener?.setPasswords(this.#passwords);
    if (problem === entry.problem || !entry.listening) return;
    entry.problem = problem;
    if (problem !== undefined) this.#services.log.error({ ...entry.where, problem }, "MD5 keys");
    this.#host.changed();
  }

  #close(key: string, entry: Entry): void {
    entry.retry?.cancel();
    entry.listener?.close();
    this.#entries.delete(key);
    if (entry.taken !== undefined) this.#host.freed();
  }
}

/** Who may not listen does not see who does. */
function takenBecause(code: string, port: number): string | undefined {
  if (code === "EADDRINUSE") return `another program listens on our port ${port}`;
  return code === "EACCES" ? `not permitted to listen on our port ${port}` : undefined;
}

/** Whether a listener there is one where the dial comes from. */
function covers(
  listen: IpAddress,
  { address, localAddress }: Pick<DialOptions, "address" | "localAddress">,
): boolean {
  if (familyOf(listen) !== familyOf(address)) return false;
  return (
    localAddress === undefined || listen === localAddress || UNSPECIFIED_ADDRESSES.includes(listen)
  );
}

function keyOf({ address, port }: ListenAddress): string {
  return `${address} ${port}`;
}
