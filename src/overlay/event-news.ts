/** Which events are about something that tunnels depend on, and that we did not do. Pure. */
import { isLinkLocal } from "../ip/address.ts";
import type { HostState } from "./host-state.ts";
import { isOurDevice, isTunnelKind } from "./names.ts";
import type { OverlayEvent } from "./ports.ts";
import { itemKey } from "./types.ts";

/** Names that a tunnel of ours may have. */
const TUNNEL_LIKE = /^(?:podrouter-vx|tun6?-)/;

/**
 * What the kernel tells of items and devices while it changes them for us. It does not say of all
 * whose doing it was: that is known when it has answered.
 */
export class NewsUnderWay {
  /** Of each the last word, by the key of the item or the name of the device. */
  readonly #last = new Map<string, { readonly event: OverlayEvent; readonly wasThere: boolean }>();
  readonly #subjects = new Set<string>();

  /** The kernel is about to change this: see `subjectOf`. */
  begin(subject: string): void {
    this.#subjects.add(subject);
  }

  /** Keeps the event if it is about something that the kernel is changing. */
  keep(event: OverlayEvent, host: HostState): boolean {
    const subject = subjectOfEvent(event);
    if (subject === undefined || !this.#subjects.has(subject)) return false;
    const wasThere = event.kind === "link" && host.links.has(event.link.index);
    this.#last.set(subject, { event, wasThere });
    return true;
  }

  /** All is answered, and in `host`. Whether the last words say something else than that. */
  end(host: HostState): boolean {
    const news = [...this.#last.values()].some(({ event, wasThere }) => {
      return contradicts(event, host, wasThere);
    });
    this.#last.clear();
    this.#subjects.clear();
    return news;
  }
}

function subjectOfEvent(event: OverlayEvent): string | undefined {
  if (event.kind === "link") return event.link.name;
  return event.kind === "entry" && event.item !== undefined ? itemKey(event.item) : undefined;
}

function contradicts(event: OverlayEvent, host: HostState, wasThere: boolean): boolean {
  if (event.kind === "entry") {
    // With a device that we took away it went.
    if (event.item === undefined || !host.links.has(event.link)) return false;
    return !host.agrees(event.change, event.item);
  }
  if (event.kind !== "link") return false;
  const isThere = host.links.has(event.link.index);
  if (event.change === "delete") return isThere;
  // One of ours is told to be down before it goes.
  return isThere ? !host.knows(event.link) : !wasThere;
}

export function concernsTunnels(event: OverlayEvent, host: HostState): boolean {
  switch (event.kind) {
    case "entry": {
      const link = host.links.get(event.link);
      if (link === undefined || !isOurDevice(link)) return false;
      const { change, item } = event;
      if (item === undefined) return true;
      // Ours that are done: the kernel does not say whose it is.
      return !host.agrees(change, item);
    }
    // Pods come and go: their ends have link-local addresses only, and no tunnel depends on them.
    case "address":
      return !isLinkLocal(event.address);
    case "link": {
      const { index, name } = event.link;
      if (event.change === "new" && host.knows(event.link)) return false;
      const bears = host.addresses.some((one) => one.link === index && !isLinkLocal(one.address));
      return bears || isTunnelKind(host.links.get(index)?.kind) || TUNNEL_LIKE.test(name);
    }
    case "table":
      return true;
  }
}
