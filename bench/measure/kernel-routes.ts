/**
 * How far routes have got into the kernel of another namespace, without taking the machine from the
 * daemon that is measured: to count them all is a walk over the table, some 15 ms for 100,000, on
 * one of two cores. So the last ones are looked up, which takes microseconds, and the count, which
 * says that none is missing, is taken when those have changed. Each is looked up until it has
 * changed, then the next one: to look at all of them every millisecond took up to 60 % of a core.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Errno, NetlinkError, RouteMonitor, RouteNetlink } from "netlink-ts";
import { enterNamespace } from "../../packages/netlink-ts/test/support/namespace.ts";
import { now } from "../generator/peers.ts";
import { routeCount } from "./processes.ts";

/** Between two looks. */
const EVERY_MS = 1;

export class KernelRoutes {
  readonly #netlink: RouteNetlink;
  readonly #namespace: string;
  readonly #pid: number;
  readonly #last: readonly string[];
  /** Routes of the main table before there were others. */
  readonly #own: number;

  /**
   * Of a process in the namespace; `last` are addresses within the few routes that come last, and
   * in no other route. Without any all routes are counted at each look, for tables of few.
   */
  constructor(namespace: string, pid: number, last: readonly string[]) {
    this.#netlink = enterNamespace(namespace, () => new RouteNetlink());
    this.#namespace = namespace;
    this.#pid = pid;
    this.#last = last;
    this.#own = routeCount(pid);
  }

  /** Waits until there are so many; gives when, in ms since the epoch, or undefined after `end`. */
  async reach(count: number, end: number): Promise<number | undefined> {
    let changed = 0;
    while (now() < end) {
      changed = await this.#changed(count > 0, changed);
      if (this.#last.length === 0) {
        // To listen beside each of so many counts would cost the daemon more than they take.
        if (this.count === count) return now();
      } else if (changed === this.#last.length) {
        const at = await this.#completeAt(count);
        if (at !== undefined) return at;
      }
      await sleep(EVERY_MS);
    }
    return undefined;
  }

  /**
   * When there were so many; undefined: there are not. To count takes a while in which nothing may
   * happen any more: if no route changes from before the count on, all was done when it began.
   */
  async #completeAt(count: number): Promise<number | undefined> {
    let changes = 0;
    const note = () => {
      changes++;
    };
    using _monitor = enterNamespace(this.#namespace, () => {
      return new RouteMonitor({ topics: ["route"] }, { onEvent: note, onOverrun: note });
    });
    const begun = now();
    if (this.count !== count) return undefined;
    const ended = now();
    // What came meanwhile is told by then.
    await sleep(EVERY_MS);
    return changes === 0 ? begun : ended;
  }

  get count(): number {
    return routeCount(this.#pid) - this.#own;
  }

  close(): void {
    this.#netlink.close();
  }

  /** How many of the last are there, or gone, from the first on; `known` of them were before. */
  async #changed(there: boolean, known: number): Promise<number> {
    let changed = known;
    while (changed < this.#last.length && (await this.#has(this.#last[changed]!)) === there) {
      changed++;
    }
    return changed;
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
