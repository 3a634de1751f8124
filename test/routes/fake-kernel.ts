/**
 * A main table that behaves as Linux does where it matters here: the key is prefix, TOS and metric;
 * a create refuses an occupied key; a replace takes the first of a key, whoever's it is; a delete
 * takes the first that has what it names; going down, an interface takes its routes along without
 * an event for each. Events of what others do come later, by the clock.
 */
import type { LocalAddress } from "../../src/ip/local-address.ts";
import { type Prefix, prefix, prefixContains, prefixFamily } from "../../src/ip/prefix.ts";
import type { OperationBatch } from "../../src/routes/operation-batch.ts";
import {
  type KernelFailure,
  type KernelListener,
  KernelUnavailableError,
  type RouteKernel,
} from "../../src/routes/ports.ts";
import {
  type Hop,
  isOurs,
  type KernelRoute,
  type Link,
  type NextHopObject,
  OUR_PROTOCOL,
  ourMetric,
  type RouteOperation,
} from "../../src/routes/types.ts";
import { address } from "../support/address.ts";
import type { FakeClock } from "../support/fake-clock.ts";

export { address } from "../support/address.ts";

export const STATIC = 4;

/** A route as the kernel would list it. */
export function route(
  destination: string,
  fields: Partial<Omit<KernelRoute, "prefix" | "hops">> & {
    readonly via?: string | readonly string[];
    readonly link?: number;
  } = {},
): KernelRoute {
  const to = prefix(destination);
  const { via = [], link = 2, ...same } = fields;
  const gateways = typeof via === "string" ? [via] : via;
  return {
    prefix: to,
    protocol: OUR_PROTOCOL,
    tos: 0,
    metric: ourMetric(prefixFamily(to)),
    plain: true,
    hops: gateways.map((gateway) => ({ gateway: address(gateway), link, weight: 1 })),
    ...same,
  };
}

/** One line a route, for comparing tables. */
export function line(r: KernelRoute): string {
  const hops = r.hops.map((hop) => `via ${hop.gateway ?? "-"} dev ${hop.link}`).join(" ");
  return `${r.prefix} ${hops} proto ${r.protocol} metric ${r.metric}`;
}

export class FakeKernel implements RouteKernel {
  routes: KernelRoute[] = [];
  links: Link[] = [
    { index: 1, name: "lo", up: true },
    { index: 2, name: "enp1s0", up: true },
  ];
  addresses: LocalAddress[] = [
    { link: 1, address: address("127.0.0.1"), subnet: prefix("127.0.0.0/8") },
    { link: 2, address: address("192.168.50.50"), subnet: prefix("192.168.50.0/24") },
    { link: 2, address: address("2001:db8::50"), subnet: prefix("2001:db8::/64") },
  ];
  nextHops: NextHopObject[] = [];
  /** Every operation that was tried. */
  readonly tried: RouteOperation[] = [];
  /** Operations in one call at most so far. */
  largestBatch = 0;
  opens = 0;
  dumps = 0;
  /** Milliseconds between a change and its event. */
  eventDelayMs = 0;
  /** Milliseconds from the carrying out of operations to the answer; 0 = it is there at once. */
  answerMs = 0;
  /** Milliseconds that a dump takes; 0 = it is there at once. */
  dumpMs = 0;
  /** What the next dump shows before it has to begin anew, each in a try of its own. */
  readonly dumpedInVain: KernelRoute[] = [];
  /**
   * Called when a replace of ours hits a route of somebody else of which nobody can know yet. Linux
   * offers no way to exclude that; every other hit is a bug.
   */
  onUnknowableLoss: (lost: KernelRoute) => void = () => undefined;
  /** Set to make a call fail. */
  unavailable: KernelUnavailableError | undefined;
  refuse: (operation: RouteOperation) => KernelFailure | undefined = () => undefined;
  /** What is said of an operation that was carried out. */
  loseAnswer: (operation: RouteOperation) => KernelFailure | undefined = () => undefined;
  /** Called in the middle of a dump, and before operations are carried out. */
  duringDump: () => void = () => undefined;
  /** Routes that a dump goes back by in its middle, as that of IPv6 does. */
  stepsBack = 0;
  beforeApply: () => void = () => undefined;
  afterApply: () => void = () => undefined;
  #listener: KernelListener | undefined;
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  get listening(): boolean {
    return this.#listener !== undefined;
  }

  async open(listener: KernelListener): Promise<void> {
    if (this.unavailable !== undefined) throw this.unavailable;
    this.opens++;
    this.#listener = listener;
  }

  async dumpTopology() {
    if (this.unavailable !== undefined) throw this.unavailable;
    return { links: [...this.links], addresses: [...this.addresses] };
  }

  async dumpNextHops() {
    if (this.unavailable !== undefined) throw this.unavailable;
    return [...this.nextHops];
  }

  async dumpRoutes(begin: () => (route: KernelRoute) => void): Promise<void> {
    this.dumps++;
    for (const entry of this.dumpedInVain.splice(0)) begin()(entry);
    const visit = begin();
    const shown = [...Map.groupBy(this.routes, ({ prefix: to }) => to).values()].flat();
    const half = Math.floor(shown.length / 2);
    for (const entry of shown.slice(0, half)) visit(entry);
    const rest = shown.slice(Math.max(0, half - this.stepsBack));
    this.duringDump();
    this.#blind = false;
    if (this.dumpMs > 0) await new Promise<void>((done) => this.#clock.after(this.dumpMs, done));
    for (const entry of rest) if (this.routes.includes(entry)) visit(entry);
  }

  async apply(batch: OperationBatch) {
    if (this.unavailable !== undefined) throw this.unavailable;
    this.largestBatch = Math.max(this.largestBatch, batch.count);
    this.beforeApply();
    const failures = new Map<number, KernelFailure>();
    for (const [row, operation] of batch.operations().entries()) {
      this.tried.push(operation);
      const failure =
        this.refuse(operation) ?? this.#carryOut(operation) ?? this.loseAnswer(operation);
      if (failure !== undefined) failures.set(row, failure);
    }
    this.afterApply();
    if (this.answerMs > 0)
      await new Promise<void>((done) => this.#clock.after(this.answerMs, done));
    return failures;
  }

  close(): void {
    this.#listener = undefined;
  }

  /** Somebody else adds a route; `first` as `ip route prepend` does. */
  add(entry: KernelRoute, place: "first" | "last" = "last"): void {
    if (place === "first") this.routes.unshift(entry);
    else this.routes.push(entry);
    this.#event("new", entry, false);
  }

  /** Somebody else's `ip route replace`. */
  replace(entry: KernelRoute): void {
    const at = this.routes.findIndex((other) => sameKey(other, entry));
    if (at < 0) this.routes.push(entry);
    else this.routes[at] = entry;
    this.#event("new", entry, at >= 0);
  }

  /** Somebody else deletes routes. */
  delete(matches: (entry: KernelRoute) => boolean): void {
    const gone = this.routes.filter(matches);
    this.routes = this.routes.filter((entry) => !gone.includes(entry));
    for (const entry of gone) this.#event("delete", entry, false);
  }

  setLink(index: number, up: boolean): void {
    this.links = this.links.map((link) => (link.index === index ? { ...link, up } : link));
    if (!up) {
      this.routes = this.routes.filter((entry) => !entry.hops.some((hop) => hop.link === index));
    }
    const link = this.links.find((entry) => entry.index === index)!;
    this.#later((listener) => listener.onLink({ change: "new", link }));
  }

  /** Somebody else's `ip nexthop replace`. */
  putNextHop(id: number, via: string | undefined, members: readonly number[] = []): void {
    const gateway = via === undefined ? undefined : address(via);
    const object = { id, gateway, members };
    this.nextHops = [...this.nextHops.filter((other) => other.id !== id), object];
    this.#later((listener) => listener.onNextHop({ change: "new", object }));
  }

  /** Somebody else's `ip nexthop del`: IPv4 routes by it go without an event for each. */
  deleteNextHop(nextHopId: number): void {
    const object = { id: nextHopId, gateway: undefined, members: [] };
    this.nextHops = this.nextHops.filter(({ id }) => id !== nextHopId);
    this.#later((listener) => listener.onNextHop({ change: "delete", object }));
    this.delete((entry) => entry.nextHopId === nextHopId && prefixFamily(entry.prefix) === 6);
    this.routes = this.routes.filter((entry) => entry.nextHopId !== nextHopId);
  }

  /** Without one, next hop objects over it go, and their routes, without an event for each. */
  setCarrier(index: number, running: boolean): void {
    const isLost = ({ hops, nextHopId }: KernelRoute) =>
      !running && nextHopId !== undefined && hops.some((hop) => hop.link === index);
    this.routes = this.routes.filter((entry) => !isLost(entry));
    this.links = this.links.map((link) => (link.index === index ? { ...link, running } : link));
    const link = this.links.find((entry) => entry.index === index)!;
    this.#later((listener) => listener.onLink({ change: "new", link }));
  }

  addAddress(entry: LocalAddress): void {
    this.addresses.push(entry);
    this.#later((listener) => listener.onAddress({ change: "new", address: entry }));
  }

  deleteAddress(gone: string): void {
    const entry = this.addresses.find((other) => other.address === gone)!;
    this.addresses = this.addresses.filter((other) => other !== entry);
    this.#later((listener) => listener.onAddress({ change: "delete", address: entry }));
  }

  /** Loses what has not been delivered, and says so. */
  overrun(): void {
    this.#generation++;
    this.#blind = true;
    this.#undelivered.clear();
    this.#later((listener) => listener.onOverrun());
  }

  /** The monitor socket breaks. */
  fail(): void {
    const listener = this.#listener;
    this.#listener = undefined;
    listener?.onFailure(new KernelUnavailableError("EIO", "EIO: the socket broke"));
  }

  /** An event of somebody else's change, without the change. */
  report(change: "new" | "delete", entry: KernelRoute): void {
    this.#event(change, entry, false);
  }

  /** Changes the table without any event. */
  silently(change: () => void): void {
    const listener = this.#listener;
    this.#listener = undefined;
    this.#blind = true;
    change();
    this.#listener = listener;
  }

  ours(): string[] {
    return this.routes.filter(isOurs).map(line).sort();
  }

  foreign(): string[] {
    return this.routes.filter((entry) => !isOurs(entry)).map(line);
  }

  #generation = 0;
  /** Events of others on their way, by prefix. */
  readonly #undelivered = new Map<Prefix, number>();
  /** Something changed of which no event tells. */
  #blind = false;

  #carryOut(operation: RouteOperation): KernelFailure | undefined {
    if (operation.kind === "delete") {
      const at = this.routes.findIndex((entry) => isNamed(entry, operation.route));
      if (at < 0) return failure("ESRCH");
      this.routes.splice(at, 1);
      return undefined;
    }
    if (!operation.hops.every((hop) => this.#reaches(hop, operation.prefix))) {
      return failure("ENETUNREACH");
    }
    const { prefix: to, hops, source } = operation;
    const made = { ...route(to), hops, ...(source === undefined ? {} : { source }) };
    const at = this.routes.findIndex((entry) => sameKey(entry, made));
    if (operation.kind === "create") {
      if (at >= 0) return failure("EEXIST");
      this.routes.push(made);
      return undefined;
    }
    if (at < 0) return failure("ENOENT");
    const hit = this.routes[at]!;
    const unknowable = this.#blind || (this.#undelivered.get(hit.prefix) ?? 0) > 0;
    if (!isOurs(hit) && unknowable) this.onUnknowableLoss(hit);
    this.routes[at] = made;
    return undefined;
  }

  #reaches(hop: Hop, destination: Prefix): boolean {
    if (hop.gateway === undefined || hop.onLink === true) return true;
    const { gateway } = hop;
    if (prefixFamily(destination) !== (gateway.includes(":") ? 6 : 4)) return false;
    const up = this.links.some((link) => link.index === hop.link && link.up);
    return (
      up &&
      this.addresses.some(
        (entry) => entry.link === hop.link && prefixContains(entry.subnet, gateway),
      )
    );
  }

  #event(change: "new" | "delete", entry: KernelRoute, replaced: boolean): void {
    if (this.#listener === undefined) return;
    this.#count(entry.prefix, 1);
    this.#later((listener) => {
      this.#count(entry.prefix, -1);
      listener.onRoute({ change, route: entry, replaced });
    });
  }

  #count(of: Prefix, by: number): void {
    this.#undelivered.set(of, (this.#undelivered.get(of) ?? 0) + by);
  }

  #later(call: (listener: KernelListener) => void): void {
    if (this.#listener === undefined) return;
    const generation = this.#generation;
    this.#clock.after(this.eventDelayMs, () => {
      if (this.#listener !== undefined && this.#generation === generation) call(this.#listener);
    });
  }
}

function sameKey(a: KernelRoute, b: KernelRoute): boolean {
  return a.prefix === b.prefix && a.tos === b.tos && a.metric === b.metric;
}

/** A delete takes the first that has all it names: not the source, and of several ways none. */
function isNamed(entry: KernelRoute, gone: KernelRoute): boolean {
  if (!sameKey(entry, gone) || entry.protocol !== gone.protocol) return false;
  const [way, ...more] = gone.hops;
  if (way === undefined || more.length > 0) return true;
  const [first] = entry.hops;
  if (way.gateway !== undefined && first?.gateway !== way.gateway) return false;
  return first?.link === way.link;
}

function failure(code: string): KernelFailure {
  return { code, message: `${code}: refused by the fake kernel` };
}

/** What an adapter says of an operation of which the answer was lost. */
export function lost(code = "ENOBUFS"): KernelFailure {
  return { code, message: `${code}: outcome unknown`, outcomeUnknown: true };
}

/** The kernel's `ENOBUFS`, or a `lost ENOBUFS`. */
export function refusal(words: string): KernelFailure {
  const [code, isLost] = words.startsWith("lost ") ? [words.slice(5), true] : [words, false];
  return isLost ? lost(code) : { code, message: `${code}: no` };
}

/** Whoever hears what an observer tells, and does nothing. */
export const UNHEARD = {
  isWanted: () => true,
  onTouched: () => undefined,
  onGateway: () => undefined,
  onDoubt: () => undefined,
  onTopology: () => undefined,
  onOverrun: () => undefined,
  onFailure: () => undefined,
};
