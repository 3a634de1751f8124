/**
 * File descriptors that sessions leave to the rest of the process: the connection to the API
 * server, probes, netlink sockets, files, iptables. With more peers than descriptors somebody waits
 * for each one that is given back; whoever else needs one would never get it, and an agent that
 * cannot take the connection of its liveness probe is ended.
 *
 * The kernel gives the lowest number that is free: who gets a high one has come when all below it
 * are in use. Its table of them grows ahead of that, for the one that finds it full waits, and with
 * it the event loop: 5 to 50 ms each time that it doubles, three times for a thousand peers.
 */
import { growDescriptorTable, openFilesLimit } from "netlink-ts";
import {
  DESCRIPTOR_TABLE_FIRST,
  DESCRIPTORS_KEPT_MAX,
  DESCRIPTORS_KEPT_SHARE,
  SHORTAGE_SHOWN_MS,
} from "./limits.ts";

export interface DescriptorPorts {
  /** RLIMIT_NOFILE of this process now. */
  readonly limit: () => number;
  /** Monotonic ms. */
  readonly now: () => number;
  /** Has the table grow, without waiting for it. */
  readonly grow: (descriptors: number) => void;
}

const systemPorts: DescriptorPorts = {
  limit: openFilesLimit,
  now: () => performance.now(),
  grow: (descriptors) => void growDescriptorTable(descriptors),
};

export class Descriptors {
  readonly #ports: DescriptorPorts;
  /** When a session was refused last. */
  #refusedAt = Number.NEGATIVE_INFINITY;
  /** The limit then. */
  #refusedBy = 0;
  /** What the table has room for, or soon will. */
  #room = DESCRIPTOR_TABLE_FIRST;

  constructor(ports: DescriptorPorts = systemPorts) {
    this.#ports = ports;
    ports.grow(this.#room);
  }

  /** Whether a session may have this one, which was opened for it. */
  allows(fd: number): boolean {
    const limit = this.#ports.limit();
    // There is no room beyond the limit, which may be raised.
    if (fd >= this.#room / 2 && this.#room < limit) this.#growFor(fd);
    const kept = Math.min(DESCRIPTORS_KEPT_MAX, limit * DESCRIPTORS_KEPT_SHARE);
    if (fd < limit - kept) return true;
    this.refused();
    return false;
  }

  #growFor(fd: number): void {
    while (fd >= this.#room / 2) this.#room *= 2;
    this.#ports.grow(this.#room);
  }

  /** There was none for a session. */
  refused(): void {
    this.#refusedAt = this.#ports.now();
    this.#refusedBy = this.#ports.limit();
  }

  /** One sentence while sessions are refused; undefined = none was of late. */
  shortage(): string | undefined {
    if (this.#ports.now() - this.#refusedAt >= SHORTAGE_SHOWN_MS) return undefined;
    const limit = this.#ports.limit();
    // What was raised is enough until somebody is refused again.
    if (limit > this.#refusedBy) return undefined;
    const why = `the limit of ${limit} (ulimit -n, LimitNOFILE) leaves none to more of them`;
    return `sessions are refused for want of file descriptors: ${why}`;
  }
}
