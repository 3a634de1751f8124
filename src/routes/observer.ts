/**
 * Keeps what is known of the kernel: the view of its routes and the topology, from dumps and from
 * the events between them. Says which prefixes an event touched and when only a dump can tell.
 */
import type { IpAddress } from "../ip/address.ts";
import type { Prefix } from "../ip/prefix.ts";
import type { Clock } from "../runtime/clock.ts";
import { EVENT_AGE_MS, EVENTS_HELD_MAX } from "./limits.ts";
import { Gateways } from "./neighbours.ts";
import type {
  AddressEvent,
  KernelListener,
  KernelUnavailableError,
  LinkEvent,
  NextHopEvent,
  PrefixEvent,
  RouteEvent,
  RouteKernel,
} from "./ports.ts";
import { type PrefixId, PrefixIndex } from "./prefix-index.ts";
import { Topology } from "./topology.ts";
import { isOurs, type KernelRoute } from "./types.ts";
import { RouteView } from "./view.ts";

/** What the controller is told. */
export interface ObserverListener {
  /** Whether routes of others for that prefix matter. */
  isWanted(prefix: Prefix): boolean;
  onTouched(id: PrefixId): void;
  /** A route of others goes through a gateway that is not among the known ones. */
  onGateway(gateway: IpAddress): void;
  /** The view may be wrong: dump again, not before `delayMs` from now. */
  onDoubt(delayMs: number): void;
  /**
   * Links and addresses were listed, a carrier came or went, or an address can be used at last.
   * `news`: neighbours may be reached that were not, or the other way round.
   */
  onTopology(topology: Topology, news: boolean): void;
  onOverrun(): void;
  onFailure(error: KernelUnavailableError): void;
}

type HeldEvent =
  | { readonly kind: "route"; readonly event: RouteEvent }
  | { readonly kind: "link"; readonly event: LinkEvent }
  | { readonly kind: "address"; readonly event: AddressEvent }
  | { readonly kind: "prefix"; readonly event: PrefixEvent }
  | { readonly kind: "nextHop"; readonly event: NextHopEvent };

export class KernelObserver implements KernelListener {
  readonly #kernel: RouteKernel;
  readonly #clock: Clock;
  readonly #listener: ObserverListener;
  readonly #index: PrefixIndex;
  #view: RouteView;
  /** Being filled by a dump. */
  #dumped: RouteView | undefined;
  #topology = new Topology([], []);
  #gateways: Gateways;
  /** The topology was listed once. */
  #looked = false;
  /** Events that came during a dump; undefined when none is under way. */
  #held: HeldEvent[] | undefined;
  /** A link with addresses is other than the topology has it. */
  #linksAreOld = false;
  #operationsUnderWay = false;
  #operationsEnded = Number.NEGATIVE_INFINITY;

  /** `seed`: any number, see {@link PrefixIndex}. */
  constructor(kernel: RouteKernel, clock: Clock, seed: number, listener: ObserverListener) {
    this.#kernel = kernel;
    this.#clock = clock;
    this.#gateways = new Gateways(this.#topology, clock.now());
    this.#listener = listener;
    this.#index = new PrefixIndex(seed, (id) => {
      return this.#view.has(id) || this.#dumped?.has(id) === true;
    });
    this.#view = new RouteView(this.#index);
  }

  /** The numbers of prefixes; what the view knows of keeps its number. */
  get index(): PrefixIndex {
    return this.#index;
  }

  get view(): RouteView {
    return this.#view;
  }

  get topology(): Topology {
    return this.#topology;
  }

  /** On links of this machine, of routes of others. */
  get gateways(): Iterable<IpAddress> {
    return this.#gateways;
  }

  /**
   * Lists everything anew. Events that come meanwhile are applied to the result: they are a
   * complete record of what changed since before the first entry was read, and applying one twice
   * does no harm.
   *
   * @returns whether links and addresses are others, so that events that tell it come too late.
   */
  async dump(): Promise<boolean> {
    this.#held = [];
    try {
      const { links, addresses } = await this.#kernel.dumpTopology();
      const topology = new Topology(links, addresses);
      const objects = await this.#kernel.dumpNextHops();
      const isWanted = (to: Prefix) => this.#listener.isWanted(to);
      let view = this.#view;
      const now = this.#clock.now();
      let gateways = this.#gateways;
      await this.#kernel.dumpRoutes(() => {
        view = new RouteView(this.#index);
        gateways = new Gateways(topology, now, objects);
        this.#dumped = view;
        const keep = keepingNeighbours(isWanted, (route) => view.add(route));
        return (route) => {
          gateways.note(route);
          keep(route);
        };
      });
      const held = this.#held;
      view.partAsIn(this.#view, this.#prefixesOf(held));
      this.#view = view;
      gateways.keep(this.#gateways);
      this.#gateways = gateways;
      const isNews = topology.mattersAfter(this.#topology);
      this.#renewTopology(topology);
      this.#held = undefined;
      for (const { kind, event } of held) {
        if (kind === "route") this.onRoute(event);
        else if (kind === "link") this.onLink(event);
        else if (kind === "address") this.onAddress(event);
        else if (kind === "prefix") this.onPrefix(event);
        else this.onNextHop(event);
      }
      return isNews;
    } finally {
      this.#held = undefined;
      this.#dumped = undefined;
    }
  }

  /** Operations of ours were handed to the kernel, or it has answered them. */
  operating(underWay: boolean): void {
    this.#operationsUnderWay = underWay;
    if (!underWay) this.#operationsEnded = this.#clock.now();
  }

  onRoute(event: RouteEvent): void {
    if (this.#hold({ kind: "route", event })) return;
    const { prefix } = event.route;
    if (event.change === "new") {
      for (const gateway of this.#gateways.note(event.route)) this.#listener.onGateway(gateway);
    }
    const known = this.#view.has(this.#index.findText(prefix));
    if (!known && !isOurs(event.route) && !this.#listener.isWanted(prefix)) return;
    const id = this.#index.insertText(prefix);
    const clear = this.#view.observe(id, event);
    this.#listener.onTouched(id);
    if (!clear) this.#listener.onDoubt(0);
    // The two sockets are not read in step: near operations of ours the event may be the older.
    else if (this.#mayBeOld()) this.#listener.onDoubt(EVENT_AGE_MS);
  }

  onLink(event: LinkEvent): void {
    if (this.#hold({ kind: "link", event })) return;
    const { change, link } = event;
    const goesDown = this.#topology.goesDown(change, link);
    const losesCarrier = this.#topology.losesCarrier(change, link);
    if (this.#topology.linkMatters(change, link)) {
      this.#linksAreOld = true;
      this.#listener.onDoubt(0);
    } else if (this.#topology.runningChanged(change, link)) {
      this.#listener.onTopology(this.#topology, true);
    } else if (goesDown && this.#view.mayLeadOver(link.index)) {
      // A tunnel, which has no address: IPv4 drops its routes without a word, however short it is.
      this.#listener.onDoubt(0);
    }
    // Other routes outlive a carrier.
    if (losesCarrier && this.#view.mayLoseNextHopOver(link.index)) this.#listener.onDoubt(0);
  }

  onAddress(event: AddressEvent): void {
    if (this.#hold({ kind: "address", event })) return;
    const { change, address } = event;
    if (this.#topology.addressMatters(change, address)) this.#listener.onDoubt(0);
    else if (this.#topology.addressSettled(change, address)) {
      this.#listener.onTopology(this.#topology, true);
    }
  }

  onPrefix(event: PrefixEvent): void {
    if (this.#hold({ kind: "prefix", event })) return;
    if (this.#topology.prefixMatters(event.change, event.prefix)) this.#listener.onDoubt(0);
  }

  /** Others may make and remove any number of those that no route goes by which matters here. */
  onNextHop(event: NextHopEvent): void {
    if (this.#hold({ kind: "nextHop", event })) return;
    const { change, object } = event;
    if (change === "new") {
      for (const gateway of this.#gateways.noteObject(object)) this.#listener.onGateway(gateway);
      return;
    }
    this.#gateways.forgetObject(object);
    if (this.#view.goesBy(object.id)) this.#listener.onDoubt(0);
  }

  onOverrun(): void {
    this.#listener.onOverrun();
    this.#listener.onDoubt(0);
  }

  onFailure(error: KernelUnavailableError): void {
    this.#listener.onFailure(error);
  }

  *#prefixesOf(events: readonly HeldEvent[]): Iterable<PrefixId> {
    for (const { kind, event } of events) {
      if (kind === "route") yield this.#index.findText(event.route.prefix);
    }
  }

  /** Addresses that lead nowhere come and go on some machines all the time: they are no news. */
  #renewTopology(topology: Topology): void {
    const differs = this.#looked && topology.differsFrom(this.#topology);
    const news = this.#linksAreOld || differs;
    this.#topology = topology;
    this.#looked = true;
    this.#linksAreOld = false;
    this.#listener.onTopology(topology, news);
  }

  #mayBeOld(): boolean {
    return this.#operationsUnderWay || this.#clock.now() - this.#operationsEnded < EVENT_AGE_MS;
  }

  #hold(event: HeldEvent): boolean {
    if (this.#held === undefined) return false;
    if (this.#held.length < EVENTS_HELD_MAX) this.#held.push(event);
    else this.#listener.onDoubt(0);
    return true;
  }
}

/**
 * Takes the routes of a dump, and adds what is to be known from then on: ours, and those of others
 * beside one of ours or where one is wanted. An adopted route may be wanted later, and replaced
 * then: that would hit the first of its key, whoever's it is. What comes before ours is added with
 * it, in the kernel's order; no more is remembered than the routes of one prefix.
 */
function keepingNeighbours(
  isWanted: (prefix: Prefix) => boolean,
  add: (route: KernelRoute) => void,
): (route: KernelRoute) => void {
  let prefix: Prefix | undefined;
  let matters = false;
  const before: KernelRoute[] = [];
  return (route) => {
    if (route.prefix !== prefix) {
      prefix = route.prefix;
      matters = false;
      before.length = 0;
    }
    matters ||= isOurs(route) || isWanted(prefix);
    if (!matters) {
      before.push(route);
      return;
    }
    for (const each of before) add(each);
    before.length = 0;
    add(route);
  };
}
