/**
 * How far routes have got into the kernel of another namespace, without taking the machine from the
 * daemon that is measured: to count them all is a walk over the table, some 5 ms for 100,000, on
 * one of two cores. So the last ones are looked up, which takes microseconds, and the count, which
 * says that none is missing, is taken when those have changed.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Errno, NetlinkError, RouteNetlink } from "netlink-ts";
import { enterNamespace } from "../../packages/netlink-ts/test/support/namespace.ts";
import { now } from "../generator/peers.ts";
import { routeCount } from "./processes.ts";

/** Between two looks. */
const EVERY_MS = 1;

export class KernelRoutes {
  readonly #netlink: RouteNetlink;
  readonly #pid: number;
  readonly #last: readonly string[];
  /** Routes of the main table before there were others. */
  readonly #own: number;

  /**
   * Of a process in the namespace; `last` are addresses within the few routes that come last, and
   * in no other route. Without any all routes are counted at each look.
   */
  constructor(namespace: string, pid: number, last: readonly string[]) {
    this.#netlink = enterNamespace(namespace, () => new RouteNetlink());
    this.#pid = pid;
    this.#last = last;
    this.#own = routeCount(pid);
  }

  /** Waits until there are so many; gives when, in ms since the epoch, or undefined after `end`. */
  async reach(count: number, end: number): Promise<number | undefined> {
    while (now() < end) {
      if ((await this.#lastAre(count > 0)) && this.count === count) return now();
      await sleep(EVERY_MS);
    }
    return undefined;
  }

  get count(): number {
    return routeCount(this.#pid) - this.#own;
  }

  close(): void {
    this.#netlink.close();
  }

  /** Whether all of the last are there, or none of them. */
  async #lastAre(there: boolean): Promise<boolean> {
    for (const address of this.#last) {
      if ((await this.#has(address)) !== there) return false;
    }
    return true;
  }

  async #has(address: string): Promise<boolean> {
    try {
      await this.#netlink.routes.lookup(address);
      return true;
    } catch (error) {
      if (error instanceof NetlinkError && error.errno === Errno.ENETUNREACH) return false;
      throw error;
    }
  }
}
