/** What the routes are told of tunnels: the way to each next hop, and which of them are news. */
import { familyOf, type IpAddress, type IpFamily } from "../ip/address.ts";
import type { Target } from "./desired.ts";
import type { RemoteNodes } from "./remote-nodes.ts";
import type { FamilyAddresses } from "./types.ts";

/** How a next hop is reached; the form that src/routes asks for. */
export type OverlayWay =
  | {
      readonly ready: true;
      readonly hop: {
        readonly gateway: IpAddress | undefined;
        readonly link: number;
        readonly weight: number;
        readonly onLink?: true;
      };
      readonly source: IpAddress;
    }
  | { readonly ready: false; readonly why: string };

export const NOT_YET: OverlayWay = { ready: false, why: "which is not made yet" };

/**
 * @param link index of the device when the tunnel is whole
 * @param hindered devices that cannot be made, and why
 */
export function wayOf(
  { source, vtep, device }: Target,
  link: number | undefined,
  hindered: ReadonlyMap<string, string>,
): OverlayWay {
  const hindrance = hindered.get(device);
  if (hindrance !== undefined) return { ready: false, why: `which cannot be made: ${hindrance}` };
  if (link === undefined) return NOT_YET;
  const gateway = vtep?.gateway;
  const onLink = gateway !== undefined && familyOf(gateway) === 4;
  const hop = { gateway, link, weight: 1, ...(onLink ? { onLink } : {}) } as const;
  return { ready: true, hop, source };
}

/** Whether routes by the one, and what is said of them, are right for the other. */
export function sameWay(a: OverlayWay, b: OverlayWay): boolean {
  if (!a.ready || !b.ready) return !a.ready && !b.ready && a.why === b.why;
  return a.source === b.source && a.hop.link === b.hop.link && a.hop.gateway === b.hop.gateway;
}

/**
 * The next hops whose way, or why they have none, is another now; `all`: routes may be gone without
 * a word.
 */
export type WaysNews = ReadonlySet<IpAddress> | "all";

type Has = { has(address: IpAddress): boolean };

export class Ways {
  readonly #first: boolean;
  #ways = new Map<IpAddress, OverlayWay>();
  /** Where tunnels go first, nodes without one: routes lead there directly, and wait for none. */
  #direct = new Set<IpAddress>();
  /** Nodes that need a tunnel and get none: why. */
  #without = new Map<IpAddress, string>();

  /** @param first whether tunnels go before interfaces that lead to a node directly */
  constructor(first: boolean) {
    this.#first = first;
  }

  get(node: IpAddress): OverlayWay | undefined {
    return this.#ways.get(node);
  }

  /** Why a node that needs a tunnel gets none. */
  whyNone(node: IpAddress): string | undefined {
    return this.#without.get(node);
  }

  /**
   * Nodes whose tunnel is whole, by family, and all whose tunnel is not, or that get none.
   * @param own this node's; where it has none of a family, nobody may want to send there
   */
  counts(own: FamilyAddresses): {
    readonly ready: Readonly<Record<IpFamily, number>>;
    readonly missing: number;
  } {
    const ready = { 4: 0, 6: 0 };
    let missing = 0;
    for (const [node, way] of this.#ways) {
      if (way.ready) ready[familyOf(node)]++;
      else missing++;
    }
    for (const node of this.#without.keys()) if (own[familyOf(node)] !== undefined) missing++;
    return { ready, missing };
  }

  /** Whether some node is to be reached otherwise than by its tunnel from now on. */
  leaves(targets: Has, nodes: Has): boolean {
    for (const node of this.#ways.keys()) if (!targets.has(node) && nodes.has(node)) return true;
    return false;
  }

  /**
   * Takes over all tunnels that are to be.
   * @param without nodes that need one and get none: why
   * @param wayTo how it is with one of them
   * @param nodes all other nodes; one that came meanwhile was not looked at and is undecided
   * @param fresh whether there are others than before
   */
  renew(
    targets: ReadonlyMap<IpAddress, Target>,
    without: ReadonlyMap<IpAddress, string>,
    wayTo: (target: Target) => OverlayWay,
    nodes: Pick<RemoteNodes, "has" | "all" | "isUndecided">,
    fresh: boolean,
  ): WaysNews {
    const changed = new Set<IpAddress>();
    // One that is gone takes its routes with it.
    let disturbed = this.leaves(targets, nodes);
    const ways = new Map<IpAddress, OverlayWay>();
    for (const [node, target] of targets) {
      const before = this.#ways.get(node);
      const way = wayTo(target);
      const same = before !== undefined && sameWay(before, way);
      ways.set(node, same ? before : way);
      if (!same) changed.add(node);
      // What is lost may have taken its routes with it, without a word from the kernel.
      if ((before?.ready === true && !way.ready) || this.#mayLead(node)) disturbed = true;
    }
    this.#ways = ways;
    for (const [node, why] of without) if (this.#without.get(node) !== why) changed.add(node);
    for (const node of this.#without.keys()) if (!without.has(node)) changed.add(node);
    this.#without = new Map(without);
    if (this.#first) {
      const known = this.#direct;
      const isDirect = (node: IpAddress) =>
        !ways.has(node) && (known.has(node) || !nodes.isUndecided(node));
      this.#direct = new Set([...nodes.all.keys()].filter(isDirect));
      // Routes have waited for those as well that get none.
      if (fresh) for (const node of this.#direct) changed.add(node);
    }
    return disturbed ? "all" : changed;
  }

  /**
   * The same for few of them.
   * @param direct where tunnels go first, those without one
   */
  step(
    came: readonly (readonly [IpAddress, OverlayWay])[],
    direct: readonly IpAddress[],
    without: ReadonlyMap<IpAddress, string>,
    gone: readonly IpAddress[],
  ): WaysNews {
    const told: IpAddress[] = [];
    for (const node of gone) {
      // Somebody may announce it still, and says what is said of a Node.
      if (this.#ways.get(node)?.ready !== true) told.push(node);
      this.#ways.delete(node);
      this.#direct.delete(node);
      this.#without.delete(node);
    }
    let disturbed = false;
    for (const [node, way] of came) {
      if (this.#first && this.#without.has(node)) disturbed = true;
      this.#ways.set(node, way);
      this.#without.delete(node);
    }
    for (const [node, why] of without) this.#without.set(node, why);
    told.push(...came.map(([node]) => node), ...without.keys());
    if (!this.#first) return new Set(told);
    for (const node of direct) this.#direct.add(node);
    return disturbed ? "all" : new Set([...told, ...direct]);
  }

  /**
   * Whether routes may lead to a node directly where tunnels go first: of news of some nodes only
   * those are looked at that wait. One without a tunnel of which it is known why is waited for by
   * none, also when it is not decided once more whether there is one now.
   */
  #mayLead(node: IpAddress): boolean {
    return this.#direct.has(node) || (this.#first && this.#without.has(node));
  }
}
