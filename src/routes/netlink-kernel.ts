/**
 * The kernel port over netlink. Translates between the kernel's words and ours and decides nothing.
 *
 * Two sockets: one asks and changes, one listens; the latter leaves out what the former caused.
 */
import {
  AddressFlag,
  type InterfaceAddress,
  LinkFlag,
  type RouteEvent as NetlinkEvent,
  type Link as NetlinkLink,
  type NextHop,
  type Route,
  RouteBatch,
  RouteFlag,
  RouteNetlinkPair,
  RouteStamp,
  RouteType,
  rejectingWith,
  type NextHopObject as WireNextHopObject,
} from "netlink-ts";
import { type IpAddress, type IpFamily, parseAddress } from "../ip/address.ts";
import {
  askAnnounced,
  type LocalAddress,
  localAddressOf,
  onLinkPrefixOf,
} from "../ip/local-address.ts";
import { type Prefix, prefixFamily } from "../ip/prefix.ts";
import { type OperationBatch, OperationKind } from "./operation-batch.ts";
import {
  type KernelFailure,
  type KernelListener,
  KernelUnavailableError,
  type RouteKernel,
} from "./ports.ts";
import { Shape } from "./shapes.ts";
import { type Hop, type KernelRoute, type Link, MAIN_TABLE, OUR_PROTOCOL } from "./types.ts";

export interface NetlinkKernelOptions {
  /** Called around the making of each socket; tests enter another network namespace there. */
  readonly around?: <T>(make: () => T) => T;
}

export class NetlinkKernel implements RouteKernel {
  readonly #sockets: RouteNetlinkPair;
  readonly #translator = new Translator();

  constructor(options: NetlinkKernelOptions = {}) {
    this.#sockets = new RouteNetlinkPair(options.around);
  }

  async open(listener: KernelListener): Promise<void> {
    const topics = ["route", "link", "address", "nextHop"] as const;
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
      const found = (await netlink.addresses.list({})).flatMap(addressOf);
      const addresses = await askAnnounced(found, (protocol) =>
        netlink.routes.list({ family: 6, table: MAIN_TABLE, protocol }),
      );
      return { links: links.map(linkOf), addresses };
    });
  }

  dumpNextHops() {
    return translatingErrors(async () => {
      const found = await this.#sockets.asking.nextHops.list();
      return found.flatMap(nextHopObjectOf);
    });
  }

  dumpRoutes(begin: () => (route: KernelRoute) => void): Promise<void> {
    return translatingErrors(async () => {
      await this.#sockets.asking.routes.visit({ table: MAIN_TABLE }, () => {
        const hops = new Map<string, readonly Hop[]>();
        const visit = begin();
        return (listed) => {
          const route = kernelRouteOf(listed, hops);
          if (route !== undefined) visit(route);
        };
      });
    });
  }

  apply(batch: OperationBatch) {
    return translatingErrors(async (): Promise<ReadonlyMap<number, KernelFailure>> => {
      const messages = this.#translator.messages(batch);
      try {
        return await this.#sockets.asking.routes.send(messages);
      } finally {
        this.#translator.recycle(messages);
      }
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

function deliver(event: NetlinkEvent, listener: KernelListener): void {
  const { change, replaced } = event;
  switch (event.kind) {
    case "route": {
      if (event.route.table !== MAIN_TABLE) return;
      for (const prefix of onLinkPrefixOf(event.route)) listener.onPrefix({ change, prefix });
      const route = kernelRouteOf(event.route);
      if (route !== undefined) listener.onRoute({ change, route, replaced });
      return;
    }
    case "link":
      listener.onLink({ change, link: linkOf(event.link) });
      return;
    case "address":
      for (const address of addressOf(event.address)) listener.onAddress({ change, address });
      return;
    case "nextHop":
      for (const object of nextHopObjectOf(event.nextHop)) listener.onNextHop({ change, object });
      return;
    default:
      // The other topics were not asked for.
      return;
  }
}

/** Our operations in netlink's words: for each shape of route and kind of operation one stamp. */
class Translator {
  /** Those of a shape by kind. */
  readonly #stamps = new WeakMap<Shape, Stamped[]>();
  readonly #spare: RouteBatch[] = [];

  messages({ count, kinds, targets, prefixes }: OperationBatch): RouteBatch {
    const messages = this.#spare.pop() ?? new RouteBatch();
    const { word0, word1, word2, word3, length } = prefixes;
    // Neighbours are mostly alike.
    let last: Stamped | undefined;
    for (let row = 0; row < count; row++) {
      const target = targets[row]!;
      const kind = kinds[row]!;
      if (!(target instanceof Shape)) {
        const family = prefixFamily(target.prefix);
        const route = { ...routeToRemove(target, family), destination: target.prefix };
        messages.addOperation({ kind: "delete", route });
        continue;
      }
      if (last?.shape !== target || last.kind !== kind) last = this.#stamped(kind, target);
      const bits = length[row]!;
      if (target.family === 4) messages.add(last.stamp, bits, word0[row]!);
      else messages.add(last.stamp, bits, word0[row]!, word1[row]!, word2[row]!, word3[row]!);
    }
    return messages;
  }

  /** The messages have been sent. */
  recycle(messages: RouteBatch): void {
    messages.reset();
    this.#spare.push(messages);
  }

  #stamped(kind: OperationKind, shape: Shape): Stamped {
    let ofShape = this.#stamps.get(shape);
    if (ofShape === undefined) {
      ofShape = [];
      this.#stamps.set(shape, ofShape);
    }
    ofShape[kind] ??= { kind, shape, stamp: stampOf(kind, shape) };
    return ofShape[kind];
  }
}

interface Stamped {
  readonly kind: OperationKind;
  readonly shape: Shape;
  readonly stamp: RouteStamp;
}

function stampOf(kind: OperationKind, shape: Shape): RouteStamp {
  const { family } = shape;
  if (kind === OperationKind.delete) {
    return new RouteStamp("delete", family, routeToRemove(shape, family));
  }
  return new RouteStamp(kind === OperationKind.create ? "add" : "change", family, {
    ...OURS,
    ...hopFields(shape.hops),
    ...(shape.source === undefined ? {} : { preferredSource: shape.source }),
  });
}

/** Names everything, and our mark above all. */
function routeToRemove({ hops, tos, metric, nextHopId }: RouteToRemove, family: IpFamily) {
  return {
    ...OURS,
    tos,
    ...(metric === 0 ? {} : { priority: metric }),
    ...waysToRemove(hops, nextHopId, family),
  };
}

type RouteToRemove = Pick<KernelRoute, "hops" | "tos" | "metric" | "nextHopId">;

function waysToRemove(hops: readonly Hop[], nextHopId: number | undefined, family: IpFamily) {
  // IPv4 knows no route by an object under the ways that it lists for it.
  if (nextHopId !== undefined) return { nextHopId };
  // To IPv6 each is a route of its own: without a name those of others go, which it joins to ours.
  return hops.length === 1 || (family === 6 && hops.length > 0) ? hopFields(hops) : {};
}

/** What all have. */
const OURS = { table: MAIN_TABLE, protocol: OUR_PROTOCOL } as const;

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
    nextHopId: route.nextHopId,
    plain:
      route.type === RouteType.UNICAST &&
      route.mtu === undefined &&
      route.nextHopId === undefined &&
      route.extras === undefined,
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

/** None of those that are for forwarding entries, by which no route goes. */
function nextHopObjectOf({ id, gateway, members = [], forwarding }: WireNextHopObject) {
  if (forwarding === true) return [];
  const leadsTo = gateway === undefined ? undefined : parseAddress(gateway);
  return [{ id, gateway: leadsTo, members: members.map((member) => member.id) }];
}

function addressOf(address: InterfaceAddress): LocalAddress[] {
  return localAddressOf({ ...address, tentative: (address.flags & AddressFlag.TENTATIVE) !== 0 });
}

function linkOf({ index, name, flags, info }: NetlinkLink): Link {
  const running = (flags & LinkFlag.RUNNING) !== 0;
  const dormant = !running && (flags & LinkFlag.LOWER_UP) !== 0;
  const vrf = info?.kind === "vrf" || info?.portKind === "vrf";
  return { index, name, up: (flags & LinkFlag.UP) !== 0, running, dormant, vrf };
}
