/** One change to the kernel's routes as a message. */
import { assertNever } from "./errors.ts";
import { Flag } from "./message.ts";
import type { MessageWriter } from "./message-writer.ts";
import { encodeRoute, encodeRouteKey, type RouteSpec } from "./route.ts";
import { Rtm } from "./rtm.ts";

/**
 * - `add`: EEXIST when there is one with the same prefix, TOS and priority;
 * - `replace`: takes the place of that one, else adds;
 * - `change`: takes the place of that one, ENOENT when there is none;
 * - `delete`: the first that matches; ESRCH when none does.
 */
export interface RouteOperation {
  readonly kind: "add" | "replace" | "change" | "delete";
  readonly route: RouteSpec;
}

/** The message of one operation, straightforwardly. */
export function encodeOperation(writer: MessageWriter, operation: RouteOperation): void {
  const { kind, route } = operation;
  switch (kind) {
    case "add":
      writer.begin(Rtm.NEWROUTE, Flag.REQUEST | Flag.CREATE | Flag.EXCL);
      encodeRoute(writer, route);
      break;
    case "replace":
      writer.begin(Rtm.NEWROUTE, Flag.REQUEST | Flag.CREATE | Flag.REPLACE);
      encodeRoute(writer, route);
      break;
    case "change":
      writer.begin(Rtm.NEWROUTE, Flag.REQUEST | Flag.REPLACE);
      encodeRoute(writer, route);
      break;
    case "delete":
      writer.begin(Rtm.DELROUTE, Flag.REQUEST);
      encodeRouteKey(writer, route);
      break;
    default:
      assertNever(kind, "route operation");
  }
  writer.end();
}
