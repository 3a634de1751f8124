/**
 * What follows from a change of the Nodes goes in two steps: first the sets, which decide what is
 * masqueraded, then all the rest, which so never knows of more than the sets do. One change after
 * the other; those that come meanwhile are one, so that it holds nothing up when there are always
 * some.
 */
import type { Topology } from "../k8s/topology.ts";
import { bothChanges, type TopologyChange } from "../k8s/topology-step.ts";

/** A topology, and what may be otherwise than in the one before; "all": it is not known what. */
type Step<T> = (topology: Topology, change: TopologyChange | "all") => T;

export class SetsFirst {
  readonly #fill: Step<Promise<void>>;
  readonly #goOn: Step<void>;
  /** The newest topology, and all that changed since the one that is on its way. */
  #next: { readonly topology: Topology; readonly change: TopologyChange | "all" } | undefined;
  #busy = false;

  /** `fill` resolves when the sets are filled, or cannot be for now; it never rejects. */
  constructor(fill: Step<Promise<void>>, goOn: Step<void>) {
    this.#fill = fill;
    this.#goOn = goOn;
  }

  take(topology: Topology, change: TopologyChange | "all"): void {
    const waits = this.#next;
    this.#next = {
      topology,
      change: waits === undefined ? change : bothChanges(waits.change, change),
    };
    if (!this.#busy) void this.#run();
  }

  async #run(): Promise<void> {
    this.#busy = true;
    for (let next = this.#next; next !== undefined; next = this.#next) {
      this.#next = undefined;
      await this.#fill(next.topology, next.change);
      this.#goOn(next.topology, next.change);
    }
    this.#busy = false;
  }
}
