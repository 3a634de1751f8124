/**
 * The kernel port over netlink. Translates between the kernel's words and ours and decides nothing.
 *
 * Two sockets: one asks and changes, one listens; the latter leaves out what the former caused.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import {
  LinkFlag,
  type NetlinkError,
  type RouteEvent as NetlinkEvent,
  type Link as NetlinkLink,
  type RouteOperation as NetlinkOperation,
  type NextHop,
  type Route,
  RouteFlag,
  RouteNetlinkPair,
  type RouteSpec,
  RouteType,
  rejectingWith,
} from "netlink-ts";
import { type IpAddress, parseAddress } from "../ip/address.ts";
import { localAddressOf } from "../ip/local-address.ts";
import type { Prefix } from "../ip/prefix.ts";
import {
  type KernelFailure,
  type KernelListener,
  KernelUnavailableError,
  type RouteKernel,
} from "./ports.ts";
import {
  type Hop,
  type KernelRoute,
  type Link,
  MAIN_TABLE,
  OUR_PROTOCOL,
  type RouteOperation,
} from "./types.ts";

/** Routes of a dump translated before the event loop gets its turn. */
const ROUTES_PER_TURN = 1000;

export interface NetlinkKernelOptions {
  /** Called around the making of each socket; tests enter another network namespace there. */
  readonly around?: <T>(make: () => T) => T;
}

export class NetlinkKernel implements RouteKernel {
  readonly #sockets: RouteNetlinkPair;
  readonly #translator = new Translator();
  readonly #translate = (operation: RouteOperation) => this.#translator.operation(operation);

  constructor(options: NetlinkKernelOptions = {}) {
    this.#sockets = new RouteNetlinkPair(options.around);
  }

  async open(listener: KernelListener): Promise<void> {
    const topics = ["route", "link", "address"] as const;
    await translatingErrors(async () =>
      this.#sockets.watch(topics, {
        onEvent: (event) => deliver(event, listener),
        onOverrun: () => listener.onOverrun(),
        onFailure: ({ code, message }) =>
          listener.onFailure(new KernelUnavailableError(code, message)),
      }),
    );
  }

  dumpTopology() {
    return translatingErrors(async () => {
      const netlink = this.#sockets.asking;
      const links = await netlink.links.list();
      const addresses = await netlink.addresses.list({});
      return { links: links.map(linkOf), addresses: addresses.flatMap(localAddressOf) };
    });
  }

  dumpRoutes(visit: (route: KernelRoute) => void): Promise<void> {
    return translatingErrors(async () => {
      const routes = await this.#sockets.asking.routes.list({ table: MAIN_TABLE });
      const hops = new Map<string, readonly Hop[]>();
      for (let i = 0; i < routes.length; i++) {
        const route = kernelRouteOf(routes[i]!, hops);
        if (route !== undefined) visit(route);
        if (i % ROUTES_PER_TURN === ROUTES_PER_TURN - 1) await nextTurn();
      }
    });
  }

  apply(operations: readonly RouteOperation[]) {
    return translatingErrors(async () => {
      const outcomes = await this.#sockets.asking.routes.apply(operations.map(this.#translate));
      return outcomes.map(failureOf);
    });
  }

  close(): void {
    this.#sockets.close();
  }
}

/** What netlink-ts rejects with becomes our error; a bug stays one. */
function translatingErrors<T>(task: () => Promise<T>): Promise<T> {
  return rejectingWith(task, (...parts) => new KernelUnavailableError(...parts));
}

function failureOf(outcome: NetlinkError | undefined): KernelFailure | undefined {
  return outcome === undefined ? undefined : { code: outcome.code, message: outcome.message };
}

function deliver(event: NetlinkEvent, listener: KernelListener): void {
  const { change, replaced } = event;
  switch (event.kind) {
    case "route": {
      const route = event.route.table === MAIN_TABLE ? kernelRouteOf(event.route) : undefined;
      if (route !== undefined) listener.onRoute({ change, route, replaced });
      return;
    }
    case "link":
      listener.onLink({ change, link: linkOf(event.link) });
      return;
    case "address":
      for (const address of localAddressOf(event.address)) listener.onAddress({ change, address });
      return;
    default:
      // The other topics were not asked for.
      return;
  }
}

/**
 * Our operations in netlink's words. Routes that go the same way have one list of hops, and so get
 * one object here, of which netlink-ts encodes the first only.
 */
class Translator {
  readonly #making = new WeakMap<readonly Hop[], RouteSpec>();
  readonly #removing = new WeakMap<readonly Hop[], RouteSpec>();

  /** `create` and `replace` name everything; `delete` no less, and our mark above all. */
  operation(operation: RouteOperation): NetlinkOperation {
    const { kind, prefix } = operation;
    if (kind === "delete") {
      return { kind, destination: prefix, route: this.#toRemove(operation.route) };
    }
    const route = this.#toMake(operation.hops, operation.source);
    return { kind: kind === "create" ? "add" : "change", destination: prefix, route };
  }

  #toMake(hops: readonly Hop[], source: IpAddress | undefined): RouteSpec {
    const known = this.#making.get(hops);
    if (known !== undefined && known.preferredSource === source) return known;
    const route = {
      ...OURS,
      ...hopFields(hops),
      ...(source === undefined ? {} : { preferredSource: source }),
    };
    this.#making.set(hops, route);
    return route;
  }

  #toRemove({ hops, tos, metric }: KernelRoute): RouteSpec {
    const known = this.#removing.get(hops);
    if (known !== undefined && known.tos === tos && (known.priority ?? 0) === metric) return known;
    const route = {
      ...OURS,
      tos,
      ...(metric === 0 ? {} : { priority: metric }),
      // Of several next hops none is named: IPv6 would take out that one only.
      ...(hops.length === 1 ? hopFields(hops) : {}),
    };
    this.#removing.set(hops, route);
    return route;
  }
}

/** What all have; each operation names its own destination. */
const OURS = { destination: "0.0.0.0/0", table: MAIN_TABLE, protocol: OUR_PROTOCOL } as const;

function hopFields(
  hops: readonly Hop[],
): Partial<Pick<Route, "gateway" | "interfaceIndex" | "nextHops" | "flags">> {
  const [only] = hops;
  if (only !== undefined && hops.length === 1) {
    return {
      ...(only.gateway === undefined ? {} : { gateway: only.gateway }),
      ...(only.link === 0 ? {} : { interfaceIndex: only.link }),
      ...(only.onLink === true ? { flags: RouteFlag.ONLINK } : {}),
    };
  }
  return {
    nextHops: hops.map(({ gateway, link, weight, onLink }) => ({
      ...(gateway === undefined ? {} : { gateway }),
      interfaceIndex: link,
      weight,
      ...(onLink === true ? { flags: RouteFlag.ONLINK } : {}),
    })),
  };
}

/**
 * Undefined for what is in nobody's way: cached copies, and routes for certain sources only. `seen`
 * shares the hops of routes that go the same way.
 */
function kernelRouteOf(route: Route, seen?: Map<string, readonly Hop[]>): KernelRoute | undefined {
  if ((route.flags & RouteFlag.CLONED) !== 0 || route.source !== undefined) return undefined;
  return {
    // Canonical, as netlink-ts promises, and without host bits, as the kernel demands.
    prefix: route.destination as Prefix,
    protocol: route.protocol,
    tos: route.tos,
    metric: route.priority ?? 0,
    hops: hopsOf(route, seen),
    // Canonical, as the destination is.
    source: route.preferredSource as IpAddress | undefined,
    plain:
      route.type === RouteType.UNICAST && route.mtu === undefined && route.nextHopId === undefined,
  };
}

function hopsOf(route: Route, seen?: Map<string, readonly Hop[]>): readonly Hop[] {
  if (route.nextHops !== undefined) return route.nextHops.map(hopOf);
  const { gateway, interfaceIndex, flags } = route;
  if (gateway === undefined && interfaceIndex === undefined) return [];
  const key = `${gateway} ${interfaceIndex} ${flags & RouteFlag.ONLINK}`;
  let hops = seen?.get(key);
  if (hops === undefined) {
    hops = [hopOf(route)];
    seen?.set(key, hops);
  }
  return hops;
}

function hopOf({ gateway, interfaceIndex, weight, flags }: NextHop): Hop {
  return {
    gateway: gateway === undefined ? undefined : parseAddress(gateway),
    link: interfaceIndex ?? 0,
    weight: weight ?? 1,
    ...(((flags ?? 0) & RouteFlag.ONLINK) === 0 ? {} : { onLink: true }),
  };
}

function linkOf({ index, name, flags }: NetlinkLink): Link {
  return { index, name, up: (flags & LinkFlag.UP) !== 0 };
}
