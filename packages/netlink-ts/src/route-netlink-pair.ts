/**
 * The two sockets of a program that keeps kernel state as it should be: one asks and changes, one
 * listens and leaves out what the former caused. Both are made when first needed, and again after
 * a close.
 */
import type { RouteEventListener, RouteMonitor, RouteTopic } from "./route-monitor.ts";
import { RouteNetlink } from "./route-netlink.ts";

/**
 * One socket that asks and changes, and one that listens and leaves out what the former caused: for
 * a program that keeps kernel state as it should be.
 */
export class RouteNetlinkPair {
  readonly #around: <T>(make: () => T) => T;
  #asking: RouteNetlink | undefined;
  #monitor: RouteMonitor | undefined;

  /** `around` is called with the making of each socket, e.g. to be in another network namespace. */
  constructor(around: <T>(make: () => T) => T = (make) => make()) {
    this.#around = around;
  }

  /** The socket that asks and changes. Throws `SystemCallError` when it cannot be made. */
  get asking(): RouteNetlink {
    this.#asking ??= this.#around(() => new RouteNetlink());
    return this.#asking;
  }

  /** Listens, in place of what did so before; a socket that breaks closes both, then is told. */
  watch(topics: readonly RouteTopic[], listener: Required<RouteEventListener>): void {
    this.close();
    const { asking } = this;
    const onFailure: typeof listener.onFailure = (error) => {
      this.close();
      listener.onFailure(error);
    };
    this.#monitor = this.#around(() =>
      asking.monitor({ topics, exceptPort: asking.port }, { ...listener, onFailure }),
    );
  }

  /** Ends what is waiting with ECANCELED; no callback comes after this. */
  close(): void {
    this.#monitor?.close();
    this.#monitor = undefined;
    this.#asking?.close();
    this.#asking = undefined;
  }
}
