/**
 * From the messages of a connection to events of the state machine: decodes OPEN, NOTIFICATION and
 * ROUTE-REFRESH, passes UPDATEs on while the session is established, and turns every fault into
 * the event that answers it.
 */
import { assert, assertNever } from "../../runtime/assert.ts";
import type { FsmEvent } from "../fsm/events.ts";
import { isBgpError } from "../message/errors.ts";
import { negotiate } from "../message/negotiate.ts";
import { decodeNotification, describeNotification } from "../message/notification.ts";
import { decodeOpen } from "../message/open.ts";
import { decodeRouteRefresh } from "../message/route-refresh.ts";
import { type BgpError, MessageType, type RouteRefreshMessage } from "../message/types.ts";
import type { Link } from "./link.ts";

/** The same objects for each of a million messages. */
const keepaliveReceived = { type: "keepaliveReceived" } as const;
const updateReceived = { type: "updateReceived" } as const;
const routeRefreshReceived = { type: "routeRefreshReceived" } as const;

/** What reading needs of the session. */
export interface ReaderHost {
  readonly expectedAs: number | undefined;
  isEstablished(link: Link): boolean;
  /** See `SessionHooks`. */
  update(buffer: Uint8Array, start: number, end: number): BgpError | undefined;
  routeRefresh(message: RouteRefreshMessage): void;
  keepalive(): void;
  event(link: Link, event: FsmEvent): void;
  /** The event of a message that only moves timers, if the session is established. */
  received(link: Link, event: FsmEvent): void;
}

/** Reads one message; its body lies at `start` to `end`. */
export function readMessage(
  host: ReaderHost,
  link: Link,
  type: MessageType,
  buffer: Uint8Array,
  start: number,
  end: number,
): void {
  switch (type) {
    case MessageType.update:
      readUpdate(host, link, buffer, start, end);
      break;
    case MessageType.keepalive:
      readKeepalive(host, link);
      break;
    case MessageType.open:
      readOpen(host, link, buffer, start, end);
      break;
    case MessageType.notification: {
      const notification = decodeNotification(buffer, start, end);
      const reason = describeNotification(notification);
      host.event(link, { type: "notificationReceived", notification, reason });
      break;
    }
    case MessageType.routeRefresh:
      readRouteRefresh(host, link, buffer, start, end);
      break;
    default:
      assertNever(type, "message type");
  }
}

function readUpdate(
  host: ReaderHost,
  link: Link,
  buffer: Uint8Array,
  start: number,
  end: number,
): void {
  const event = updateReceived;
  if (!host.isEstablished(link)) {
    host.event(link, event);
    return;
  }
  const error = host.update(buffer, start, end);
  if (error === undefined) host.received(link, event);
  else host.event(link, { type: "updateError", error });
}

function readKeepalive(host: ReaderHost, link: Link): void {
  const established = host.isEstablished(link);
  host.received(link, keepaliveReceived);
  if (established) host.keepalive();
}

function readOpen(
  host: ReaderHost,
  link: Link,
  buffer: Uint8Array,
  start: number,
  end: number,
): void {
  const { local } = link;
  assert(local !== undefined, "our OPEN goes out before one is read");
  const open = decodeOpen(buffer, start, end);
  const session = isBgpError(open) ? open : negotiate(local, open, { remoteAs: host.expectedAs });
  if (isBgpError(session)) {
    host.event(link, { type: "openError", error: session });
    return;
  }
  link.framer.receiveBytesMax = session.receiveBytesMax;
  link.enhancedRouteRefresh = session.enhancedRouteRefresh;
  host.event(link, { type: "openReceived", session });
}

function readRouteRefresh(
  host: ReaderHost,
  link: Link,
  buffer: Uint8Array,
  start: number,
  end: number,
): void {
  const event = routeRefreshReceived;
  if (!host.isEstablished(link)) {
    host.event(link, event);
    return;
  }
  const message = decodeRouteRefresh(buffer, start, end, link.enhancedRouteRefresh);
  if (isBgpError(message)) {
    host.event(link, { type: "updateError", error: message });
    return;
  }
  host.received(link, event);
  host.routeRefresh(message);
}
