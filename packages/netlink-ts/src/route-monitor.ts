/** Typed events of NETLINK_ROUTE. */
import { assertNever, type SystemCallError } from "./errors.ts";
import { Flag, type Message } from "./message.ts";
import { type MonitorOptions, NetlinkMonitor, type OverrunReason } from "./monitor.ts";
import { Protocol } from "./netlink-fd.ts";
import { decodeRoute, type Route } from "./route.ts";
import { RouteGroup, Rtm } from "./rtm.ts";

/** What can be listened to, both families each. */
export type RouteTopic = "route";

interface EventOrigin {
  readonly change: "new" | "delete";
  /** Port of the socket that caused it, 0 for the kernel itself: see `RouteNetlink.port`. */
  readonly port: number;
  /** It took the place of another one of the same key. */
  readonly replaced: boolean;
}

export type RouteEvent = EventOrigin & { readonly kind: "route"; readonly route: Route };

export interface RouteMonitorOptions extends MonitorOptions {
  readonly topics: readonly RouteTopic[];
}

export interface RouteEventListener {
  readonly onEvent: (event: RouteEvent) => void;
  /** Events were lost: list everything again. */
  readonly onOverrun: (reason: OverrunReason) => void;
  /** The socket broke and is closed. Without this the error is thrown on the event loop. */
  readonly onFailure?: (error: SystemCallError) => void;
}

export class RouteMonitor {
  readonly #monitor: NetlinkMonitor;

  constructor(options: RouteMonitorOptions, listener: RouteEventListener) {
    this.#monitor = new NetlinkMonitor(
      Protocol.ROUTE,
      options.topics.flatMap(groupsOf),
      {
        onMessage(message) {
          const event = decodeEvent(message);
          if (event !== undefined) listener.onEvent(event);
        },
        onOverrun: listener.onOverrun,
        onFailure:
          listener.onFailure ??
          ((error) => {
            throw error;
          }),
      },
      options,
    );
  }

  /** Lets the process end although this listens. */
  unref(): void {
    this.#monitor.unref();
  }

  /** No callback comes after this. */
  close(): void {
    this.#monitor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function groupsOf(topic: RouteTopic): readonly number[] {
  switch (topic) {
    case "route":
      return [RouteGroup.IPV4_ROUTE, RouteGroup.IPV6_ROUTE];
    default:
      return assertNever(topic, "topic");
  }
}

function decodeEvent(message: Message): RouteEvent | undefined {
  const { type, flags, port, bytes, start, end } = message;
  switch (type) {
    case Rtm.NEWROUTE:
    case Rtm.DELROUTE: {
      const route = decodeRoute(bytes, start, end);
      if (route === undefined) return undefined;
      const fresh = type === Rtm.NEWROUTE;
      const replaced = fresh && (flags & Flag.REPLACE) !== 0;
      return { kind: "route", change: fresh ? "new" : "delete", port, replaced, route };
    }
    default:
      return undefined;
  }
}
