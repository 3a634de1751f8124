/** Which events are about something that tunnels depend on, and that we did not do. Pure. */
import { isLinkLocal } from "../ip/address.ts";
import type { HostState } from "./host-state.ts";
import { isOurDevice, isTunnelKind } from "./names.ts";
import type { OverlayEvent } from "./ports.ts";
import { itemKey } from "./types.ts";

/** Names that a tunnel of ours may have. */
const TUNNEL_LIKE = /^(?:podrouter-vx|tun6?-)/;

/** `underWay`: keys of the items, and names of the devices, that the kernel is changing for us. */
export function concernsTunnels(
  event: OverlayEvent,
  host: HostState,
  underWay: ReadonlySet<string>,
): boolean {
  switch (event.kind) {
    case "entry": {
      const link = host.links.get(event.link);
      if (link === undefined || !isOurDevice(link)) return false;
      const { change, item } = event;
      if (item === undefined) return true;
      // Ours, under way or done: the kernel does not say whose it is.
      return !underWay.has(itemKey(item)) && !host.agrees(change, item);
    }
    // Pods come and go: their ends have link-local addresses only, and no tunnel depends on them.
    case "address":
      return !isLinkLocal(event.address);
    case "link": {
      const { index, name } = event.link;
      if (underWay.has(name)) return false;
      if (event.change === "new" && host.knows(event.link)) return false;
      const bears = host.addresses.some((one) => one.link === index && !isLinkLocal(one.address));
      return bears || isTunnelKind(host.links.get(index)?.kind) || TUNNEL_LIKE.test(name);
    }
    case "table":
      return true;
  }
}
