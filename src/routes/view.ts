/**
 * The kernel's main table as last heard: filled by a dump, kept up by events and by what our own
 * operations did. It is no truth of its own, and is thrown away for a new dump on any doubt.
 *
 * All routes of ours are in it. Those of others only where they could be in the way of one, so that
 * a full Internet table of another daemon costs nothing here.
 */
import type { IpAddress } from "../ip/address.ts";
import { type Prefix, prefixFamily } from "../ip/prefix.ts";
import type { RouteEvent } from "./ports.ts";
import {
  type Hop,
  hasOurKey,
  isOurs,
  type KernelRoute,
  OUR_PROTOCOL,
  ourMetric,
  type RouteOperation,
  sameRoute,
} from "./types.ts";

const NONE: readonly KernelRoute[] = [];

export class RouteView {
  readonly #routes = new Map<Prefix, Entry>();
  /** By the list of hops itself, which routes that go the same way share. */
  readonly #usual = new WeakMap<readonly Hop[], Usual>();
  #installed = 0;

  /** Routes of ours where ours belong. */
  get installed(): number {
    return this.#installed;
  }

  at(prefix: Prefix): readonly KernelRoute[] {
    const entry = this.#routes.get(prefix);
    if (entry === undefined) return NONE;
    return entry instanceof Usual ? [entry.at(prefix)] : entry;
  }

  has(prefix: Prefix): boolean {
    return this.#routes.has(prefix);
  }

  /** Every prefix with a route in here; survives changes made during the iteration. */
  prefixes(): Iterable<Prefix> {
    return this.#routes.keys();
  }

  /** How many routes of ours there are, at whatever metric. */
  countOurs(): number {
    let count = 0;
    for (const entry of this.#routes.values()) {
      count += entry instanceof Usual ? 1 : entry.filter(isOurs).length;
    }
    return count;
  }

  /** Takes a route of a dump. */
  add(route: KernelRoute): void {
    const before = this.at(route.prefix);
    this.#put(route.prefix, before, [...before, route]);
  }

  /** Takes in that the kernel carried out an operation of ours. */
  applied(operation: RouteOperation): void {
    const { prefix } = operation;
    const routes = this.at(prefix);
    if (operation.kind === "delete") {
      const { route } = operation;
      this.#put(
        prefix,
        routes,
        routes.filter((other) => other !== route && !sameRoute(other, route)),
      );
      return;
    }
    const family = prefixFamily(prefix);
    const made = new Usual(operation.hops, operation.source).at(prefix);
    if (operation.kind === "create") {
      this.#put(prefix, routes, [...routes, made]);
      return;
    }
    const at = routes.findIndex((route) => isOurs(route) && hasOurKey(route, family));
    this.#put(prefix, routes, at < 0 ? [...routes, made] : routes.with(at, made));
  }

  /**
   * Takes in a change made by somebody else. False when it cannot be told from the event what is
   * there now: then a new dump must tell.
   */
  observe(event: RouteEvent): boolean {
    const { route } = event;
    const routes = this.at(route.prefix);
    const rivals = routes.filter((other) => sameKey(other, route));
    if (event.change === "delete") {
      const gone = routes.find((other) => sameRoute(other, route));
      if (gone === undefined) return !rivals.some((other) => other.protocol === route.protocol);
      this.#put(
        route.prefix,
        routes,
        routes.filter((other) => other !== gone),
      );
      return true;
    }
    if (event.replaced) {
      if (rivals.length > 1) return false;
      const [rival] = rivals;
      const next =
        rival === undefined ? [...routes, route] : routes.with(routes.indexOf(rival), route);
      this.#put(route.prefix, routes, next);
      return true;
    }
    if (routes.some((other) => sameRoute(other, route))) return true;
    this.#put(route.prefix, routes, [...routes, route]);
    // IPv6 joins a route of the same key to the one that is there, as a further next hop.
    return rivals.length === 0 || prefixFamily(route.prefix) === 4;
  }

  #put(prefix: Prefix, before: readonly KernelRoute[], after: readonly KernelRoute[]): void {
    this.#installed += installedIn(after) - installedIn(before);
    if (after.length === 0) this.#routes.delete(prefix);
    else this.#routes.set(prefix, this.#usualOf(after) ?? after);
  }

  /** The short form of what is known of a prefix, if there is one. */
  #usualOf([route, ...more]: readonly KernelRoute[]): Usual | undefined {
    if (route === undefined || more.length > 0) return undefined;
    const { hops, source } = route;
    const ours = isOurs(route) && hasOurKey(route, prefixFamily(route.prefix)) && route.plain;
    if (!ours) return undefined;
    let usual = this.#usual.get(hops);
    if (usual === undefined) {
      usual = new Usual(hops, source);
      this.#usual.set(hops, usual);
    }
    return usual.source === source ? usual : undefined;
  }
}

/** Routes of a prefix in the kernel's order, or the usual one. */
type Entry = readonly KernelRoute[] | Usual;

/** A route of ours and nothing else, as almost all are: so one costs a key and a reference. */
class Usual {
  readonly hops: readonly Hop[];
  readonly source: IpAddress | undefined;

  constructor(hops: readonly Hop[], source: IpAddress | undefined) {
    this.hops = hops;
    this.source = source;
  }

  at(prefix: Prefix): KernelRoute {
    const { hops, source } = this;
    const metric = ourMetric(prefixFamily(prefix));
    return { prefix, protocol: OUR_PROTOCOL, tos: 0, metric, hops, source, plain: true };
  }
}

/** 1 when ours is among the routes of a prefix, else 0. */
function installedIn(routes: readonly KernelRoute[]): number {
  for (const route of routes) {
    if (isOurs(route) && hasOurKey(route, prefixFamily(route.prefix))) return 1;
  }
  return 0;
}

function sameKey(a: KernelRoute, b: KernelRoute): boolean {
  return a.tos === b.tos && a.metric === b.metric;
}
