/**
 * The kernel's main table as last heard: filled by a dump, kept up by events and by what our own
 * operations did. It is no truth of its own, and is thrown away for a new dump on any doubt.
 *
 * All routes of ours are in it. Those of others only where they could be in the way of one, so that
 * a full Internet table of another daemon costs nothing here.
 */
import { type Prefix, prefixFamily } from "../ip/prefix.ts";
import type { RouteEvent } from "./ports.ts";
import {
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
  readonly #routes = new Map<Prefix, readonly KernelRoute[]>();
  #installed = 0;

  /** Routes of ours where ours belong. */
  get installed(): number {
    return this.#installed;
  }

  at(prefix: Prefix): readonly KernelRoute[] {
    return this.#routes.get(prefix) ?? NONE;
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
    for (const routes of this.#routes.values()) count += routes.filter(isOurs).length;
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
    const made: KernelRoute = {
      prefix,
      protocol: OUR_PROTOCOL,
      tos: 0,
      metric: ourMetric(family),
      hops: operation.hops,
      source: operation.source,
      plain: true,
    };
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
    else this.#routes.set(prefix, after);
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
