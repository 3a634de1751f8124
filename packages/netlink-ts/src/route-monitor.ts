/** Typed events of NETLINK_ROUTE. */
import { invalid, type SystemCallError } from "./errors.ts";
import { decodeInterfaceAddress, type InterfaceAddress } from "./interface-address.ts";
import { decodeLink, type Link } from "./link.ts";
import { Flag, type Message } from "./message.ts";
import { type MonitorOptions, NetlinkMonitor, type OverrunReason } from "./monitor.ts";
import { decodeNeighbour, type Neighbour } from "./neighbour.ts";
import { Protocol } from "./netlink-fd.ts";
import { decodeNextHopObject, type NextHopObject } from "./next-hop-object.ts";
import { decodeRoute, type Route } from "./route.ts";
import { RouteGroup, Rtm } from "./rtm.ts";
import { decodeRule, type Rule } from "./rule.ts";

/**
 * What can be listened to, both families each. `nextHop`: the objects that routes go by; a kernel
 * before 5.3 has none, and tells nothing.
 */
export type RouteTopic = "route" | "link" | "address" | "rule" | "neighbour" | "nextHop";

interface EventOrigin {
  readonly change: "new" | "delete";
  /** Port of the socket that caused it, 0 for the kernel itself: see `RouteNetlink.port`. */
  readonly port: number;
  /** It took the place of another one of the same key. */
  readonly replaced: boolean;
}

/** What came, was changed or went, as it is now; of what went, as it was. */
export type RouteEvent = EventOrigin &
  (
    | { readonly kind: "route"; readonly route: Route }
    | { readonly kind: "link"; readonly link: Link }
    | { readonly kind: "address"; readonly address: InterfaceAddress }
    | { readonly kind: "rule"; readonly rule: Rule }
    | { readonly kind: "neighbour"; readonly neighbour: Neighbour }
    | { readonly kind: "nextHop"; readonly nextHop: NextHopObject }
  );

/** What to listen to. */
export interface RouteMonitorOptions extends MonitorOptions {
  readonly topics: readonly RouteTopic[];
}

/** Who is told. What it throws is thrown on the event loop. */
export interface RouteEventListener {
  readonly onEvent: (event: RouteEvent) => void;
  /** Events were lost: list everything again. */
  readonly onOverrun: (reason: OverrunReason) => void;
  /** The socket broke and is closed. Without this the error is thrown on the event loop. */
  readonly onFailure?: (error: SystemCallError) => void;
}

/** Listens from its making until `close`. */
export class RouteMonitor {
  readonly #monitor: NetlinkMonitor;

  /** Throws SystemCallError, and NetlinkError EINVAL for what is no topic. */
  constructor(options: RouteMonitorOptions, listener: RouteEventListener) {
    this.#monitor = new NetlinkMonitor(
      Protocol.ROUTE,
      { groups: options.topics.flatMap(groupsOf), optional: OPTIONAL_GROUPS },
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

/** Multicast groups of each topic. */
const GROUPS: Readonly<Record<RouteTopic, readonly number[]>> = {
  route: [RouteGroup.IPV4_ROUTE, RouteGroup.IPV6_ROUTE],
  link: [RouteGroup.LINK],
  address: [RouteGroup.IPV4_ADDRESS, RouteGroup.IPV6_ADDRESS],
  rule: [RouteGroup.IPV4_RULE, RouteGroup.IPV6_RULE],
  neighbour: [RouteGroup.NEIGHBOUR],
  nextHop: [RouteGroup.NEXT_HOP],
};
const OPTIONAL_GROUPS: ReadonlySet<number> = new Set(GROUPS.nextHop);

function groupsOf(topic: RouteTopic): readonly number[] {
  if (!Object.hasOwn(GROUPS, topic)) throw invalid(`not a topic: ${JSON.stringify(topic)}`);
  return GROUPS[topic];
}

/** Undefined for what is no event of ours: other types, other address families. */
function decodeEvent(message: Message): RouteEvent | undefined {
  const { type, flags, port, bytes, start, end } = message;
  // Each object has a run of four types: NEW, DEL, GET, SET.
  const fresh = (type & 3) === 0;
  if ((type & 3) > 1) return undefined;
  const replaced = fresh && (flags & Flag.REPLACE) !== 0;
  const origin = { change: fresh ? "new" : "delete", port, replaced } as const;
  switch (type & ~3) {
    case Rtm.NEWROUTE: {
      const route = decodeRoute(bytes, start, end);
      return route && { ...origin, kind: "route", route };
    }
    case Rtm.NEWLINK: {
      const link = decodeLink(bytes, start, end);
      return link && { ...origin, kind: "link", link };
    }
    case Rtm.NEWADDR: {
      const address = decodeInterfaceAddress(bytes, start, end);
      return address && { ...origin, kind: "address", address };
    }
    case Rtm.NEWRULE: {
      const rule = decodeRule(bytes, start, end);
      return rule && { ...origin, kind: "rule", rule };
    }
    case Rtm.NEWNEIGH: {
      const neighbour = decodeNeighbour(bytes, start, end);
      return neighbour && { ...origin, kind: "neighbour", neighbour };
    }
    case Rtm.NEWNEXTHOP: {
      const nextHop = decodeNextHopObject(bytes, start, end);
      return nextHop && { ...origin, kind: "nextHop", nextHop };
    }
    default:
      return undefined;
  }
}
