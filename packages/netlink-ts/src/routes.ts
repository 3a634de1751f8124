/** The kernel's routes: listing them and changing many at once. */
import type { IpFamily } from "./address.ts";
import { applyInBatches } from "./batch.ts";
import { assertNever, Errno, NetlinkError } from "./errors.ts";
import { Flag } from "./message.ts";
import type { MessageWriter } from "./message-writer.ts";
import type { NetlinkSocket, Outcome } from "./netlink-socket.ts";
import {
  decodeRoute,
  encodeRoute,
  encodeRouteFilter,
  encodeRouteKey,
  encodeRouteLookup,
  matchesRoute,
  type Route,
  type RouteFilter,
  type RouteSpec,
} from "./route.ts";
import { RouteTemplates } from "./route-templates.ts";
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
  /**
   * In place of the route's own. Of operations that have one and the same object as `route` only
   * the first is encoded: the others are copies of its bytes with another destination.
   */
  readonly destination?: string;
}

export class Routes {
  readonly #socket: NetlinkSocket;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Both families unless one is given; a table that does not exist has no routes. */
  async list(filter: RouteFilter = {}): Promise<Route[]> {
    const families: readonly IpFamily[] = filter.family === undefined ? [4, 6] : [filter.family];
    const routes: Route[] = [];
    for (const family of families) {
      for (const route of await this.#listFamily({ ...filter, family })) routes.push(route);
    }
    return routes;
  }

  async #listFamily(filter: RouteFilter & { readonly family: IpFamily }): Promise<Route[]> {
    try {
      return await this.#socket.dump(
        (writer) => {
          writer.begin(Rtm.GETROUTE, Flag.REQUEST | Flag.DUMP);
          encodeRouteFilter(writer, filter);
          writer.end();
        },
        ({ type, bytes, start, end }) => {
          if (type !== Rtm.NEWROUTE) return undefined;
          const route = decodeRoute(bytes, start, end);
          return route !== undefined && matchesRoute(route, filter) ? route : undefined;
        },
      );
    } catch (error) {
      const noTable = error instanceof NetlinkError && error.errno === Errno.ENOENT;
      if (noTable && filter.table !== undefined) return [];
      throw error;
    }
  }

  /**
   * Carries out the operations in order, in batches, off the event loop. The result has one entry
   * an operation: undefined, or why it failed; a failure stops no other operation.
   */
  apply(operations: readonly RouteOperation[]): Promise<Outcome[]> {
    const templates = new RouteTemplates(encodeOperation);
    return applyInBatches(this.#socket, operations, (writer, operation) =>
      templates.encode(writer, operation),
    );
  }

  /** Which way the kernel would send to an address; rejects with ENETUNREACH when none. */
  async lookup(address: string): Promise<Route> {
    let found: Route | undefined;
    await this.#socket.request(
      (writer) => {
        writer.begin(Rtm.GETROUTE, Flag.REQUEST);
        encodeRouteLookup(writer, address);
        writer.end();
      },
      ({ type, bytes, start, end }) => {
        if (type === Rtm.NEWROUTE) found = decodeRoute(bytes, start, end);
      },
    );
    if (found === undefined) throw new NetlinkError(Errno.ENOENT, { text: `no route: ${address}` });
    return found;
  }
}

/** The message of one operation, straightforwardly. */
export function encodeOperation(writer: MessageWriter, operation: RouteOperation): void {
  const { kind, destination } = operation;
  const route = destination === undefined ? operation.route : { ...operation.route, destination };
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
