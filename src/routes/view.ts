/**
 * The kernel's main table as last heard: filled by a dump, kept up by events and by what our own
 * operations did. It is no truth of its own, and is thrown away for a new dump on any doubt.
 *
 * All routes of ours are in it. Those of others only where they could be in the way of one, so that
 * a full Internet table of another daemon costs nothing here. A prefix with a route of ours and
 * nothing else, as almost all are, costs one number: that of the route's shape.
 */
import { type Prefix, prefixFamily } from "../ip/prefix.ts";
import type { RouteEvent } from "./ports.ts";
import type { PrefixId, PrefixIndex } from "./prefix-index.ts";
import { leadsOver, type Shape, Shapes } from "./shapes.ts";
import {
  type Hop,
  hasOurKey,
  isOurs,
  type KernelRoute,
  OUR_PROTOCOL,
  type RouteOperation,
  sameHops,
  sameRoute,
} from "./types.ts";

/** What {@link RouteView.entry} gives for anything but one usual route, or none. */
export const UNUSUAL = 0xffff_ffff;

/** Of a route whose event says another's: RTPROT_UNSPEC, which nobody takes for ours. */
const UNKNOWN_PROTOCOL = 0;

const NONE: readonly KernelRoute[] = [];

export class RouteView {
  readonly shapes = new Shapes();
  readonly #index: PrefixIndex;
  /** By id: 0 = no route, the number of a shape, or UNUSUAL. */
  #entries = new Uint32Array(64);
  readonly #unusual = new Map<PrefixId, readonly KernelRoute[]>();
  /** How many routes go by a next hop object, by its id. */
  readonly #byNextHop = new Map<number, number>();
  #installed = 0;

  constructor(index: PrefixIndex) {
    this.#index = index;
  }

  /** Routes of ours where ours belong. */
  get installed(): number {
    return this.#installed;
  }

  /** The number of the shape that the prefix's only route has; 0 = no route; or UNUSUAL. */
  entry(id: PrefixId): number {
    return id < this.#entries.length ? this.#entries[id]! : 0;
  }

  has(id: PrefixId): boolean {
    return this.entry(id) !== 0;
  }

  /** The prefix's routes in the kernel's order. */
  at(id: PrefixId): readonly KernelRoute[] {
    const entry = this.entry(id);
    if (entry === 0) return NONE;
    if (entry === UNUSUAL) return this.#unusual.get(id)!;
    return [usualRoute(this.#index.prefix(id), this.shapes.at(entry))];
  }

  /** How many routes of ours there are, at whatever metric. */
  countOurs(): number {
    let count = 0;
    for (const entry of this.#entries) if (entry !== 0 && entry !== UNUSUAL) count++;
    for (const routes of this.#unusual.values()) count += routes.filter(isOurs).length;
    return count;
  }

  /** Whether a route goes by that next hop object. */
  goesBy(nextHopId: number): boolean {
    return this.#byNextHop.has(nextHopId);
  }

  /** Whether a route by a next hop object may be lost with that interface's carrier. */
  mayLoseNextHopOver(link: number): boolean {
    if (this.#byNextHop.size === 0) return false;
    for (const routes of this.#unusual.values()) {
      if (routes.some((route) => route.nextHopId !== undefined && mayLeadOver(route, link))) {
        return true;
      }
    }
    return false;
  }

  /** Whether a route may be lost with that interface: no for sure, or maybe. */
  mayLeadOver(link: number): boolean {
    if (this.shapes.leadOver(link)) return true;
    for (const routes of this.#unusual.values()) {
      if (routes.some((route) => mayLeadOver(route, link))) return true;
    }
    return false;
  }

  /**
   * Takes a route of a dump. One that is there already is shown once more: of IPv6 the kernel takes
   * some steps back when others add routes meanwhile. As two, the second would be deleted.
   */
  add(route: KernelRoute): void {
    const id = this.#index.insertText(route.prefix);
    const known = this.at(id);
    if (!known.some((other) => sameRoute(other, route))) this.#put(id, [...known, route]);
  }

  /**
   * After a dump: where IPv6 had joined routes of others to ours, which has not given way yet, the
   * dump shows them all as of one. What was known `before` tells them apart still; `told`: prefixes
   * of which there were events meanwhile.
   */
  partAsIn(before: RouteView, told: Iterable<PrefixId>): void {
    for (const [id, known] of before.#unusual) {
      const ours = known.find((one) => isOurs(one) && hasForeignTwin(one, known));
      this.#part(id, ours);
    }
    for (const id of told) this.#part(id, before.at(id).find(isOurs));
  }

  /** Takes in that a prefix without routes, or with a usual one, now has one of this shape. */
  make(id: PrefixId, shape: Shape): void {
    if (this.entry(id) === 0) this.#installed++;
    this.#set(id, shape.id);
  }

  /** Takes in that a prefix's usual route has gone. */
  unmake(id: PrefixId): void {
    this.#installed--;
    this.#entries[id] = 0;
  }

  /** Takes in that the kernel carried out an operation of ours. */
  applied(id: PrefixId, operation: RouteOperation): void {
    const { prefix } = operation;
    const routes = this.at(id);
    if (operation.kind === "delete") {
      const { route } = operation;
      this.#put(
        id,
        routes.filter((other) => other !== route && !sameRoute(other, route)),
      );
      return;
    }
    const family = prefixFamily(prefix);
    const made = usualRoute(prefix, this.shapes.of(family, operation.hops, operation.source));
    const replaces = operation.kind === "replace";
    const at = replaces
      ? routes.findIndex((route) => isOurs(route) && hasOurKey(route, family))
      : -1;
    this.#put(id, at < 0 ? [...routes, made] : routes.with(at, made));
  }

  /** Whether a route that may be ours has the key that this one, which has gone, had. */
  mayHaveTwinOf(id: PrefixId, gone: KernelRoute): boolean {
    const mayBeOurs = (one: KernelRoute) => isOurs(one) || one.protocol === UNKNOWN_PROTOCOL;
    return this.at(id).some((other) => mayBeOurs(other) && sameKey(other, gone));
  }

  /**
   * Takes in a change made by somebody else. False when it cannot be told from the event what is
   * there now: then a new dump must tell.
   */
  observe(id: PrefixId, event: RouteEvent): boolean {
    const { route } = event;
    const routes = this.at(id);
    const rivals = routes.filter((other) => sameKey(other, route));
    if (event.change === "delete") {
      const gone = routes.find((other) => sameRoute(other, route));
      if (gone === undefined) return !rivals.some((other) => other.protocol === route.protocol);
      this.#put(
        id,
        routes.filter((other) => other !== gone),
      );
      return true;
    }
    if (event.replaced) {
      if (rivals.length > 1) return false;
      const [rival] = rivals;
      const next =
        rival === undefined ? [...routes, route] : routes.with(routes.indexOf(rival), route);
      this.#put(id, next);
      return true;
    }
    if (routes.some((other) => sameRoute(other, route))) return true;
    const parted = rivals.length === 1 ? partedFrom(rivals[0]!, route) : undefined;
    if (parted !== undefined) {
      this.#put(id, [...routes.with(routes.indexOf(rivals[0]!), parted.ours), parted.joined]);
      return true;
    }
    this.#put(id, [...routes, route]);
    return rivals.length === 0 || prefixFamily(route.prefix) === 4;
  }

  /** Tells ours apart where a route of its key is listed with all of its ways, and more. */
  #part(id: PrefixId, ours: KernelRoute | undefined): void {
    if (ours === undefined || prefixFamily(ours.prefix) === 4) return;
    const listed = this.at(id);
    const at = listed.findIndex((other) => sameKey(other, ours) && holdsMore(other, ours));
    const all = listed[at];
    if (all === undefined) return;
    const protocol = isOurs(all) ? UNKNOWN_PROTOCOL : all.protocol;
    const hops = all.hops.filter((hop) => !holds(ours, hop));
    this.#put(id, [...listed.with(at, ours), { ...all, protocol, hops }]);
  }

  #put(id: PrefixId, after: readonly KernelRoute[]): void {
    this.#installed += installedIn(after) - this.#installedAt(id);
    if (this.entry(id) === UNUSUAL) this.#countNextHops(this.#unusual.get(id)!, -1);
    this.#countNextHops(after, 1);
    const shape = this.#usualShape(after);
    if (after.length > 0 && shape === undefined) this.#unusual.set(id, after);
    else this.#unusual.delete(id);
    this.#set(id, after.length === 0 ? 0 : (shape?.id ?? UNUSUAL));
  }

  #countNextHops(routes: readonly KernelRoute[], by: 1 | -1): void {
    for (const { nextHopId } of routes) {
      if (nextHopId === undefined) continue;
      const count = (this.#byNextHop.get(nextHopId) ?? 0) + by;
      if (count > 0) this.#byNextHop.set(nextHopId, count);
      else this.#byNextHop.delete(nextHopId);
    }
  }

  #installedAt(id: PrefixId): number {
    const entry = this.entry(id);
    if (entry === UNUSUAL) return installedIn(this.#unusual.get(id)!);
    return entry === 0 ? 0 : 1;
  }

  #set(id: PrefixId, entry: number): void {
    if (id >= this.#entries.length) {
      const larger = new Uint32Array(Math.max(this.#entries.length * 2, id + 1));
      larger.set(this.#entries);
      this.#entries = larger;
    }
    this.#entries[id] = entry;
  }

  /** The shape of these routes if they are one of ours and nothing else. */
  #usualShape([route, ...more]: readonly KernelRoute[]): Shape | undefined {
    if (route === undefined || more.length > 0 || !route.plain) return undefined;
    const family = prefixFamily(route.prefix);
    if (!isOurs(route) || !hasOurKey(route, family)) return undefined;
    return this.shapes.of(family, route.hops, route.source);
  }
}

/** The route of ours that a prefix has with this shape. */
export function usualRoute(prefix: Prefix, shape: Shape): KernelRoute {
  const { hops, source, tos, metric } = shape;
  return { prefix, protocol: OUR_PROTOCOL, tos, metric, hops, source, plain: true };
}

/** 1 when ours is among the routes of a prefix, else 0. */
function installedIn(routes: readonly KernelRoute[]): number {
  for (const route of routes) {
    if (isOurs(route) && hasOurKey(route, prefixFamily(route.prefix))) return 1;
  }
  return 0;
}

/** With `net.ipv4.nexthop_compat_mode` off the kernel does not say where an object leads. */
function mayLeadOver({ hops, nextHopId }: KernelRoute, link: number): boolean {
  return leadsOver(hops, link) || (hops.length === 0 && nextHopId !== undefined);
}

/**
 * IPv6 joins routes to the one of the same key that is there, as further next hops. The event names
 * the ways of the new ones first, and then the others; but of several that were appended it speaks
 * as if all were of the first. Listings do not tell whose is which any more, so that ours must give
 * way now. That can be done: the kernel takes ours out by its ways, and leaves the others.
 */
function partedFrom(
  rival: KernelRoute,
  route: KernelRoute,
): { readonly ours: KernelRoute; readonly joined: KernelRoute } | undefined {
  if (prefixFamily(route.prefix) === 4 || !isOurs(rival)) return undefined;
  const { hops } = route;
  const known = rival.hops.length;
  if (isOurs(route)) {
    if (hops.length === known || !sameHops(hops.slice(0, known), rival.hops)) return undefined;
    const joined = { ...route, protocol: UNKNOWN_PROTOCOL, hops: hops.slice(known) };
    return { ours: rival, joined };
  }
  const [own, ...others] = hops;
  // A listing since then shows ours with that way.
  const left = rival.hops.filter((hop) => own === undefined || !sameHops([hop], [own]));
  if (own !== undefined && left.length > 0 && sameHops(left, others)) {
    return { ours: { ...rival, hops: left }, joined: { ...route, hops: [own] } };
  }
  const added = hops.length - known;
  if (added < 1 || known === 0 || !sameHops(hops.slice(added), rival.hops)) return undefined;
  return { ours: rival, joined: { ...route, hops: hops.slice(0, added) } };
}

function hasForeignTwin(ours: KernelRoute, known: readonly KernelRoute[]): boolean {
  return known.some((other) => !isOurs(other) && sameKey(other, ours));
}

/** Whether a route has all ways of another, which has some, and more. */
function holdsMore(route: KernelRoute, other: KernelRoute): boolean {
  if (other.hops.length === 0) return false;
  return other.hops.every((hop) => holds(route, hop)) && !sameHops(route.hops, other.hops);
}

function holds({ hops }: KernelRoute, hop: Hop): boolean {
  return hops.some((one) => sameHops([one], [hop]));
}

function sameKey(a: KernelRoute, b: KernelRoute): boolean {
  return a.tos === b.tos && a.metric === b.metric;
}
