/** The kernel's routes: listing them and changing many at once. */
import type { IpFamily } from "./address.ts";
import { applyInBatches } from "./batch.ts";
import { Errno, NetlinkError } from "./errors.ts";
import { Flag } from "./message.ts";
import type { NetlinkSocket, Outcome } from "./netlink-socket.ts";
import {
  decodeRoute,
  encodeRouteFilter,
  encodeRouteLookup,
  matchesRoute,
  type Route,
  type RouteFilter,
} from "./route.ts";
import type { RouteBatch } from "./route-batch.ts";
import { encodeOperation, type RouteOperation } from "./route-operation.ts";
import { Rtm } from "./rtm.ts";

/** Routes: lists are read in parts, changes are sent in batches, off the event loop. */
export class Routes {
  readonly #socket: NetlinkSocket;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Both families unless one is given; a table that does not exist has no routes. */
  async list(filter: RouteFilter = {}): Promise<Route[]> {
    let routes: Route[] = [];
    await this.visit(filter, () => {
      routes = [];
      return (route) => routes.push(route);
    });
    return routes;
  }

  /**
   * As {@link list}, for tables too large to be kept as a list: each route is given as it is read.
   * `begin` says to whom; it is called again when the kernel says that the table changed
   * meanwhile, and nothing that was given until then holds.
   */
  async visit(filter: RouteFilter, begin: () => (route: Route) => void): Promise<void> {
    const families: readonly IpFamily[] = filter.family === undefined ? [4, 6] : [filter.family];
    await this.#socket.untilUnchanged(async (hurried) => {
      const give = begin();
      for (const family of families) {
        if (!(await this.#visitFamily({ ...filter, family }, give, hurried))) return false;
      }
      return true;
    });
  }

  async #visitFamily(
    filter: RouteFilter & { readonly family: IpFamily },
    give: (route: Route) => void,
    hurried: boolean,
  ): Promise<boolean> {
    try {
      return await this.#socket.visit(
        (writer) => {
          writer.begin(Rtm.GETROUTE, Flag.REQUEST | Flag.DUMP);
          encodeRouteFilter(writer, filter);
          writer.end();
        },
        ({ type, bytes, start, end }) => {
          const route = type === Rtm.NEWROUTE ? decodeRoute(bytes, start, end) : undefined;
          if (route === undefined || !matchesRoute(route, filter)) return false;
          give(route);
          return true;
        },
        hurried,
      );
    } catch (error) {
      const noTable = error instanceof NetlinkError && error.errno === Errno.ENOENT;
      if (noTable && filter.table !== undefined) return true;
      throw error;
    }
  }

  /**
   * Carries out the operations in order, in batches, off the event loop. The result has one entry
   * an operation: undefined, or why it failed; a failure stops no other operation.
   */
  apply(operations: readonly RouteOperation[]): Promise<Outcome[]> {
    return applyInBatches(this.#socket, operations, encodeOperation);
  }

  /**
   * Carries out a batch in order, off the event loop, in one send where the socket takes that many.
   * The result has the errors of those that failed, by their place in the batch; a failure stops no
   * other operation. Until then the batch must not be changed.
   */
  async send(batch: RouteBatch): Promise<ReadonlyMap<number, NetlinkError>> {
    const socket = this.#socket;
    const parts = batch.parts(socket.batchMessagesMax, socket.batchBytesMax);
    const [only] = parts;
    if (only !== undefined && parts.length === 1) return socket.send(only);
    const failures = new Map<number, NetlinkError>();
    for (const part of parts) {
      for (const [at, error] of await socket.send(part)) failures.set(part.first + at, error);
    }
    return failures;
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
      // As a packet is looked up: no lock of whoever changes routes is taken.
      { atOnce: true },
    );
    if (found === undefined) throw new NetlinkError(Errno.ENOENT, { text: `no route: ${address}` });
    return found;
  }
}
