/** The kernel's routing objects of one network namespace, over one request socket. */
import { linuxSys } from "./libc.ts";
import { Protocol } from "./netlink-fd.ts";
import { NetlinkSocket } from "./netlink-socket.ts";
import {
  type RouteEventListener,
  RouteMonitor,
  type RouteMonitorOptions,
} from "./route-monitor.ts";
import { Routes } from "./routes.ts";
import type { Sys } from "./sys.ts";

export interface RouteNetlinkOptions {
  readonly sys?: Sys;
}

export class RouteNetlink {
  readonly routes: Routes;
  readonly #socket: NetlinkSocket;
  readonly #sys: Sys;

  /**
   * Opens the request socket in the network namespace of the calling thread.
   * Throws {@link SystemCallError}.
   */
  constructor(options: RouteNetlinkOptions = {}) {
    this.#sys = options.sys ?? linuxSys;
    this.#socket = NetlinkSocket.open(Protocol.ROUTE, { sys: this.#sys });
    this.routes = new Routes(this.#socket);
  }

  /** Events caused through this object carry this port, so that a caller can tell its own. */
  get port(): number {
    return this.#socket.port;
  }

  /** Starts to listen, on a socket of its own that must be closed by itself. */
  monitor(options: RouteMonitorOptions, listener: RouteEventListener): RouteMonitor {
    return new RouteMonitor({ sys: this.#sys, ...options }, listener);
  }

  /** Ends what is waiting with ECANCELED. */
  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
