/**
 * What follows from a change of the Nodes goes in two steps: first the sets, which decide what is
 * masqueraded, then all the rest, which so never knows of more than the sets do. One change after
 * the other; those that come meanwhile are one, so that it holds nothing up when there are always
 * some.
 */
import type { Topology } from "../k8s/topology.ts";
import { bothChanges, type TopologyChange } from "../k8s/topology-step.ts";

/** What is known of the Nodes. */
export interface Known {
  readonly topology: Topology;
  /** False: they are of an earlier run, and some may be missing. */
  readonly complete: boolean;
}

/** What is known, and what may be otherwise than before; "all": it is not known what. */
type Step<T> = (known: Known, change: TopologyChange | "all") => T;

export class SetsFirst {
  readonly #fill: Step<Promise<void>>;
  readonly #goOn: Step<void>;
  /** The newest, and all that changed since what is on its way. */
  #next: { readonly known: Known; readonly change: TopologyChange | "all" } | undefined;
  #busy = false;

  /** `fill` resolves when the sets are filled, or cannot be for now; it never rejects. */
  constructor(fill: Step<Promise<void>>, goOn: Step<void>) {
    this.#fill = fill;
    this.#goOn = goOn;
  }

  take(known: Known, change: TopologyChange | "all"): void {
    const waits = this.#next;
    this.#next = {
      known,
      change: waits === undefined ? change : bothChanges(waits.change, change),
    };
    if (!this.#busy) void this.#run();
  }

  async #run(): Promise<void> {
    this.#busy = true;
    for (let next = this.#next; next !== undefined; next = this.#next) {
      this.#next = undefined;
      await this.#fill(next.known, next.change);
      this.#goOn(next.known, next.change);
    }
    this.#busy = false;
  }
}
