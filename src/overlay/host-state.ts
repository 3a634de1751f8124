/**
 * What the kernel has, as last read, and kept up by what our own operations did since. On any
 * doubt it is thrown away and read anew.
 */
import type { LocalAddress } from "../ip/local-address.ts";
import {
  type HostDump,
  type HostItem,
  type HostLink,
  type Item,
  itemKey,
  linkOf,
  type OverlayOperation,
  sameContent,
} from "./types.ts";

export class HostState {
  readonly links = new Map<number, HostLink>();
  readonly byName = new Map<string, HostLink>();
  readonly addresses: readonly LocalAddress[];
  readonly items = new Map<string, HostItem>();

  constructor(dump: HostDump) {
    for (const link of dump.links) this.#setLink(link);
    this.addresses = dump.addresses;
    for (const entry of dump.items) {
      const key = itemKey(entry.item);
      // Of several with one key a foreign one counts: it is in the way.
      if (this.items.get(key)?.foreign !== true) this.items.set(key, entry);
    }
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
