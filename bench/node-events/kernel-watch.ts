/**
 * When the kernel of another namespace has what is waited for: routes by their events, members of
 * sets, of which the kernel tells nothing, by asking again and again.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { IpSets } from "ipset-js";
import { type RouteMonitor, RouteNetlink } from "netlink-ts";
import { enterNamespace } from "../../packages/netlink-ts/test/support/namespace.ts";

const WAIT_MS_MAX = 20_000;

export class KernelWatch {
  readonly routes = new Set<string>();
  readonly #netlink: RouteNetlink;
  readonly #monitor: RouteMonitor;
  readonly #sets: IpSets;
  readonly #waiting = new Set<() => void>();

  constructor(namespace: string) {
    this.#netlink = enterNamespace(namespace, () => new RouteNetlink());
    this.#sets = enterNamespace(namespace, () => new IpSets());
    this.#monitor = enterNamespace(namespace, () =>
      this.#netlink.monitor(
        { topics: ["route"] },
        {
          onEvent: (event) => {
            if (event.kind !== "route") return;
            const { destination } = event.route;
            if (event.change === "new") this.routes.add(destination);
            else this.routes.delete(destination);
            for (const look of this.#waiting) look();
          },
          onOverrun: () => {
            throw new Error("events of routes were lost");
          },
        },
      ),
    );
  }

  /** `performance.now()` of the event after which the route is there, or is not. */
  route(destination: string, there: boolean): Promise<number> {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (this.routes.has(destination) !== there) return;
        done();
        resolve(performance.now());
      };
      const late = setTimeout(() => {
        done();
        reject(new Error(`${destination} is ${there ? "not there" : "still there"}`));
      }, WAIT_MS_MAX);
      const done = () => {
        clearTimeout(late);
        this.#waiting.delete(look);
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** `performance.now()` of the answer that says that the member is there, or is not. */
  async member(set: string, member: string, there: boolean): Promise<number> {
    const end = performance.now() + WAIT_MS_MAX;
    for (;;) {
      if ((await this.#has(set, member)) === there) return performance.now();
      if (performance.now() > end) throw new Error(`${set} ${member}: not ${there} in time`);
      await nextTurn();
    }
  }

  close(): void {
    this.#monitor.close();
    this.#netlink.close();
    this.#sets.close();
  }

  async #has(set: string, member: string): Promise<boolean> {
    try {
      return await this.#sets.test(set, member);
    } catch {
      return false; // The set itself is not there yet.
    }
  }
}
