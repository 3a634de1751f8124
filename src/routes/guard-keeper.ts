/**
 * The guards as they follow from what the agent says and from what is known of the kernel, and
 * which prefixes are to be looked at again when one of the two changes.
 */
import type { IpAddress } from "../ip/address.ts";
import type { Prefix } from "../ip/prefix.ts";
import { type GuardSettings, Guards, guardedOtherwise } from "./guards.ts";
import { neighboursOf } from "./neighbours.ts";
import type { KernelObserver } from "./observer.ts";

export class GuardKeeper {
  readonly #observer: Pick<KernelObserver, "topology" | "gateways">;
  #settings: GuardSettings;
  #guards: Guards;

  constructor(settings: GuardSettings, observer: Pick<KernelObserver, "topology" | "gateways">) {
    this.#observer = observer;
    this.#settings = settings;
    this.#guards = this.#make();
  }

  get guards(): Guards {
    return this.#guards;
  }

  /** The agent says something else; see {@link guardedOtherwise} for `changed`. */
  set(
    settings: GuardSettings,
    changed?: ReadonlyMap<IpAddress, boolean>,
  ): readonly Prefix[] | "all" {
    const touched = guardedOtherwise(this.#settings, settings, changed?.keys());
    this.#settings = settings;
    if (touched !== "all" && touched.length === 0) return touched;
    if (changed === undefined) this.#guards = this.#make();
    else this.#guards.protect(changed);
    return touched;
  }

  /** A route of others goes through a gateway that was not known. */
  meet(gateway: IpAddress): readonly Prefix[] {
    return this.#guards.meet(gateway, "gateway");
  }

  /** The kernel was looked at anew: everything is compared then. */
  renew(): void {
    this.#guards = this.#make();
  }

  #make(): Guards {
    const { topology, gateways } = this.#observer;
    const { podLink, peers = [] } = this.#settings;
    const neighbours = neighboursOf(peers, gateways, topology);
    const podSubnets = podLink === undefined ? [] : topology.subnetsOn(podLink);
    return new Guards(this.#settings, topology.addresses, neighbours, podSubnets);
  }
}
