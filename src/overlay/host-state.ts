/**
 * What the kernel has, as last read, and kept up by what our own operations did since. On any
 * doubt it is thrown away and read anew.
 */
import { familyOf, type IpAddress, type IpFamily } from "../ip/address.ts";
import { type LocalAddress, UNCOUNTED_SUBNETS } from "../ip/local-address.ts";
import { hostPrefix, type Prefix, prefixesOverlap } from "../ip/prefix.ts";
import { isOurDevice } from "./names.ts";
import {
  type DeviceKind,
  type HostDump,
  type HostItem,
  type HostLink,
  type Item,
  itemKey,
  linkOf,
  type OverlayOperation,
  sameContent,
} from "./types.ts";

/** `alone`: addresses with nothing but themselves on the link, as IPVS has of each service. */
export interface LocalSubnets {
  readonly alone: ReadonlySet<IpAddress>;
  readonly subnets: readonly Prefix[];
}

export class HostState {
  readonly links = new Map<number, HostLink>();
  readonly byName = new Map<string, HostLink>();
  readonly addresses: readonly LocalAddress[];
  readonly items = new Map<string, HostItem>();
  // Nothing of what we do to the kernel changes these two.
  readonly #subnets = new Map<IpFamily, LocalSubnets>();
  #foreignTunnels: ReadonlyMap<string, HostLink> | undefined;

  constructor(dump: HostDump) {
    for (const link of dump.links) this.#setLink(link);
    this.addresses = dump.addresses;
    for (const entry of dump.items) {
      const key = itemKey(entry.item);
      // Of several with one key a foreign one counts: it is in the way.
      if (this.items.get(key)?.foreign !== true) this.items.set(key, entry);
    }
  }

  /** What is on a link of this machine, whether that is up or not; not what is in a VRF. */
  subnets(family: IpFamily): LocalSubnets {
    const known = this.#subnets.get(family) ?? this.#subnetsOf(family);
    this.#subnets.set(family, known);
    return known;
  }

  /** Somebody else's tunnel with these ends. */
  foreignTunnel(kind: DeviceKind, local: IpAddress, remote: IpAddress): HostLink | undefined {
    this.#foreignTunnels ??= new Map(
      [...this.links.values()]
        .filter((link) => link.remote !== undefined && !isOurDevice(link))
        .map((link) => [`${link.kind} ${link.local} ${link.remote}`, link]),
    );
    return this.#foreignTunnels.get(`${kind} ${local} ${remote}`);
  }

  isInVrf({ link }: LocalAddress): boolean {
    return this.links.get(link)?.vrf === true;
  }

  /** Takes in that the kernel carried out an operation; `made` is the device that it made. */
  applied(operation: OverlayOperation, made: HostLink | undefined): void {
    switch (operation.kind) {
      case "create-device":
        if (made !== undefined) this.#setLink(made);
        return;
      case "set-device":
        this.#setLink({ ...operation.link, ...operation.change });
        return;
      case "delete-device":
        this.#removeLink(operation.link);
        return;
      case "put":
        this.items.set(itemKey(operation.item), { item: operation.item, foreign: false });
        return;
      case "drop":
        this.items.delete(itemKey(operation.item));
        return;
    }
  }

  /** Whether an event says nothing new about a link. */
  knows(link: HostLink): boolean {
    const there = this.links.get(link.index);
    if (there === undefined) return false;
    return (Object.keys(link) as (keyof HostLink)[]).every((key) => there[key] === link[key]);
  }

  /** Whether an event says nothing new: the item is there with that content, or is not there. */
  agrees(change: "new" | "delete", item: Item): boolean {
    const there = this.items.get(itemKey(item));
    if (change === "delete") return there === undefined;
    return there !== undefined && sameContent(there.item, item);
  }

  #subnetsOf(family: IpFamily): LocalSubnets {
    const alone = new Set<IpAddress>();
    const subnets = new Set<Prefix>();
    for (const one of this.addresses) {
      const { address, subnet } = one;
      if (familyOf(address) !== family || this.isInVrf(one)) continue;
      if (subnet === hostPrefix(address)) alone.add(address);
      else if (!isUncounted(subnet)) subnets.add(subnet);
    }
    return { alone, subnets: [...subnets] };
  }

  #setLink(link: HostLink): void {
    this.links.set(link.index, link);
    this.byName.set(link.name, link);
  }

  /** The kernel takes everything on it away with a device. */
  #removeLink({ index, name }: HostLink): void {
    this.links.delete(index);
    this.byName.delete(name);
    for (const [key, { item }] of this.items) {
      if (linkOf(item) === index) this.items.delete(key);
    }
  }
}

function isUncounted(subnet: Prefix): boolean {
  return UNCOUNTED_SUBNETS.some((uncounted) => prefixesOverlap(uncounted, subnet));
}
