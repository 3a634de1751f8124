/**
 * Which interface leads to a next hop. A snapshot of the kernel's interfaces and addresses; it is
 * replaced by a new one when they change, never changed itself except by what events say about it.
 *
 * A next hop is reachable when it lies in the subnet of an address of an interface that is up, and
 * is not an address of this machine. Of several subnets the longest wins, then the interface that
 * was made first. An IPv6 address without a subnet of its own has that which a router says to be
 * on its link. Link-local addresses do not count, since a next hop there would name no interface,
 * and neither does loopback. Nor does what is in a VRF: others may have the same addresses there,
 * and Linux takes an IPv4 route of the main table that leads into it.
 */
import { familyOf, type IpAddress, type IpFamily } from "../ip/address.ts";
import {
  isBare,
  type LocalAddress,
  type OnLinkPrefix,
  UNCOUNTED_SUBNETS,
} from "../ip/local-address.ts";
import { hostPrefix, type Prefix, prefixContains, prefixLength } from "../ip/prefix.ts";
import { RESOLUTIONS_MAX } from "./limits.ts";
import { type AddressRange, addressNumber, rangeOf, rangesOverlap } from "./ranges.ts";
import type { Hop, Link } from "./types.ts";

export type Unreachable =
  | { readonly reason: "other-family" }
  | { readonly reason: "own-address" }
  /**
   * `vrf`: an interface in a VRF that has it in a subnet; `noTunnel`: why no tunnel leads there
   * either.
   */
  | { readonly reason: "no-subnet"; readonly vrf?: string; readonly noTunnel?: string }
  | { readonly reason: "no-tunnel-yet"; readonly why: string }
  | { readonly reason: "link-down"; readonly link: string };

export type Resolution =
  | { readonly ok: true; readonly hop: Hop }
  | { readonly ok: false; readonly why: Unreachable };

interface Subnet {
  readonly range: AddressRange;
  readonly length: number;
  readonly link: number;
}

const UNCOUNTED = UNCOUNTED_SUBNETS.map(rangeOf);

export class Topology {
  readonly #links = new Map<number, Link>();
  /** Those that count, by interface and address. */
  readonly #addresses = new Map<string, LocalAddress>();
  /** All of this machine, with the indexes of their interfaces. */
  readonly #own = new Map<IpAddress, readonly number[]>();
  /** Interfaces with addresses that count. */
  readonly #counting = new Set<number>();
  readonly #subnets: Subnet[] = [];
  readonly #resolved = new Map<IpAddress, Resolution>();
  readonly #alone = new WeakMap<Hop, readonly Hop[]>();

  constructor(links: Iterable<Link>, addresses: Iterable<LocalAddress>) {
    for (const link of links) this.#links.set(link.index, link);
    for (const address of addresses) {
      if (!this.#inVrf(address.link)) {
        this.#own.set(address.address, [...(this.#own.get(address.address) ?? []), address.link]);
      }
      const range = rangeOf(address.subnet);
      if (isUncounted(range)) continue;
      this.#addresses.set(addressKey(address), address);
      this.#counting.add(address.link);
      // Leads nowhere, and of such there may be thousands (services of IPVS).
      if (range.first === range.last && range.first === addressNumber(address.address)) continue;
      const length = prefixLength(address.subnet);
      this.#subnets.push({ range, length, link: address.link });
    }
    this.#subnets.sort((a, b) => b.length - a.length || a.link - b.link);
  }

  /** Addresses of this machine, link-local ones included. */
  get addresses(): Iterable<IpAddress> {
    return this.#own.keys();
  }

  linkName(index: number): string {
    return this.#links.get(index)?.name ?? `if${index}`;
  }

  /** What the addresses of that interface say to be on it. */
  subnetsOn(name: string): readonly Prefix[] {
    const found = [...this.#addresses.values()].filter(
      ({ link, address, subnet }) =>
        this.#links.get(link)?.name === name && subnet !== hostPrefix(address),
    );
    return found.map(({ subnet }) => subnet);
  }

  /** The way to a next hop of a route of this family. Mostly the same object each time. */
  resolve(family: IpFamily, nextHop: IpAddress): Resolution {
    if (familyOf(nextHop) !== family) return OTHER_FAMILY;
    let resolution = this.#resolved.get(nextHop);
    if (resolution === undefined) {
      resolution = this.#resolve(nextHop);
      // Peers may name any number of next hops, one after another.
      if (this.#resolved.size >= RESOLUTIONS_MAX) this.#resolved.clear();
      this.#resolved.set(nextHop, resolution);
    }
    return resolution;
  }

  /** Whether it is an address of ours, on an interface that works. */
  carries(own: IpAddress): boolean {
    return this.#own.get(own)?.some((index) => this.#works(index)) ?? false;
  }

  /** Whether neighbours may be reached otherwise than as it was `before`. */
  differsFrom(before: Topology): boolean {
    const [now, then] = [this.#waysOut(), before.#waysOut()];
    return now.size !== then.size || ![...now].every((way) => then.has(way));
  }

  /** What of the addresses matters for that: those of interfaces that work. */
  #waysOut(): ReadonlySet<string> {
    const working = [...this.#addresses.values()].filter(
      ({ link }) => this.#works(link) && !this.#inVrf(link),
    );
    return new Set(
      working.map((one) => `${addressKey(one)} ${one.subnet} ${one.tentative === true}`),
    );
  }

  /** Whether it can be reached by an interface that runs, or does not tell. */
  leadsTo(address: IpAddress): boolean {
    const way = this.resolve(familyOf(address), address);
    return way.ok && this.#works(way.hop.link);
  }

  #inVrf(index: number): boolean {
    return this.#links.get(index)?.vrf === true;
  }

  /** Up, and running or without telling. */
  #works(index: number): boolean {
    const link = this.#links.get(index);
    return link?.up === true && link.running !== false;
  }

  /**
   * Whether an event says something that this snapshot does not know and that matters: then the
   * kernel must be listed again. Pod interfaces come and go without mattering, since nothing but
   * link-local addresses is on them.
   */
  linkMatters(change: "new" | "delete", link: Link): boolean {
    if (!this.#counting.has(link.index)) {
      // Remembered all the same: its address may come next.
      if (change === "delete") this.#links.delete(link.index);
      else this.#links.set(link.index, link);
      return false;
    }
    const known = this.#links.get(link.index);
    return change === "delete" || known?.up !== link.up || known.vrf !== link.vrf;
  }

  /** Whether an event says that a link that was up is not any more, or is gone. */
  goesDown(change: "new" | "delete", link: Link): boolean {
    return this.#links.get(link.index)?.up === true && (change === "delete" || !link.up);
  }

  /** Whether an event says that a link that had a carrier, used or not, has lost it. */
  losesCarrier(change: "new" | "delete", link: Link): boolean {
    const known = this.#links.get(link.index);
    if (change === "delete" || known === undefined) return false;
    return !hasNoCarrier(known) && hasNoCarrier(link);
  }

  /**
   * Whether an event that does not matter otherwise says that a link with a subnet runs no more, or
   * again: mostly for its carrier. The routes over it stay; neighbours do not answer, or do again.
   */
  runningChanged(change: "new" | "delete", link: Link): boolean {
    const known = this.#links.get(link.index);
    if (change === "delete" || known === undefined) return false;
    this.#links.set(link.index, link);
    return this.#counting.has(link.index) && known.running !== link.running;
  }

  /** As {@link linkMatters}, for an address; a renewed lease does not matter. */
  addressMatters(change: "new" | "delete", address: LocalAddress): boolean {
    if (isUncounted(rangeOf(address.subnet))) return false;
    const known = this.#addresses.get(addressKey(address));
    if (change === "delete" || known === undefined) return true;
    // An event tells nothing of what routers say.
    return known.subnet !== address.subnet && !(isBare(known) && isBare(address));
  }

  /** As {@link linkMatters}, for what a router says, which it says again and again. */
  prefixMatters(change: "new" | "delete", { link, prefix: around }: OnLinkPrefix): boolean {
    for (const one of this.#addresses.values()) {
      if (one.link !== link || !isBare(one) || !prefixContains(around, one.address)) continue;
      if ((one.subnet === around) !== (change === "new")) return true;
    }
    return false;
  }

  /** Whether events would matter that lead here from how it was `before`. */
  mattersAfter(before: Topology): boolean {
    if (this.#addresses.size !== before.#addresses.size) return true;
    for (const [key, { link, subnet }] of this.#addresses) {
      if (before.#addresses.get(key)?.subnet !== subnet) return true;
      const [now, then] = [this.#links.get(link), before.#links.get(link)];
      if (now?.up !== then?.up || now?.vrf !== then?.vrf) return true;
    }
    return false;
  }

  /** Whether an event that does not matter otherwise says that an address can be used now. */
  addressSettled(change: "new" | "delete", address: LocalAddress): boolean {
    const known = this.#addresses.get(addressKey(address));
    if (change === "delete" || known?.tentative !== true || address.tentative) return false;
    this.#addresses.set(addressKey(address), { ...known, tentative: false });
    return true;
  }

  /** The hop as a list of one, the same list each time: most routes have one, and many the same. */
  alone(hop: Hop): readonly Hop[] {
    let list = this.#alone.get(hop);
    if (list === undefined) {
      list = [hop];
      this.#alone.set(hop, list);
    }
    return list;
  }

  #resolve(nextHop: IpAddress): Resolution {
    if (this.#own.has(nextHop)) return { ok: false, why: { reason: "own-address" } };
    const number = addressNumber(nextHop);
    const family = familyOf(nextHop);
    let down: Link | undefined;
    let inVrf: Link | undefined;
    for (const { range, link: index } of this.#subnets) {
      if (range.family !== family || number < range.first || number > range.last) continue;
      const link = this.#links.get(index);
      if (link?.vrf === true) {
        inVrf ??= link;
        continue;
      }
      if (link?.up) return { ok: true, hop: { gateway: nextHop, link: index, weight: 1 } };
      down ??= link;
    }
    if (down !== undefined) return { ok: false, why: { reason: "link-down", link: down.name } };
    const vrf = inVrf === undefined ? {} : { vrf: inVrf.name };
    return { ok: false, why: { reason: "no-subnet", ...vrf } };
  }
}

const OTHER_FAMILY: Resolution = { ok: false, why: { reason: "other-family" } };

/** One sentence part: `it is in no subnet of this machine`. */
export function describeUnreachable(why: Unreachable): string {
  switch (why.reason) {
    case "other-family":
      return "it is of the other address family";
    case "own-address":
      return "it is an address of this machine";
    case "no-subnet": {
      const { vrf, noTunnel } = why;
      const tunnel = noTunnel === undefined ? "" : `, and no tunnel leads there: ${noTunnel}`;
      if (vrf === undefined) return `it is in no subnet of this machine${tunnel}`;
      return `interface ${vrf}, which has its subnet, is in a VRF${tunnel}`;
    }
    case "no-tunnel-yet":
      return `it is reached by a tunnel, ${why.why}`;
    case "link-down":
      return `interface ${why.link} is down`;
  }
}

function hasNoCarrier({ running, dormant }: Link): boolean {
  return running === false && dormant !== true;
}

function addressKey(address: LocalAddress): string {
  return `${address.link} ${address.address}`;
}

function isUncounted(range: AddressRange): boolean {
  return UNCOUNTED.some((uncounted) => rangesOverlap(range, uncounted));
}
