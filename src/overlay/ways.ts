/** What the routes are told of a tunnel: the way that a next hop is reached by. */
import { familyOf, type IpAddress } from "../ip/address.ts";
import type { Target } from "./desired.ts";

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

/** `link`: index of the device when the tunnel is whole. */
export function wayOf({ source, vtep }: Target, link: number | undefined): OverlayWay {
  if (link === undefined) return NOT_YET;
  const gateway = vtep?.gateway;
  const onLink = gateway !== undefined && familyOf(gateway) === 4;
  const hop = { gateway, link, weight: 1, ...(onLink ? { onLink } : {}) } as const;
  return { ready: true, hop, source };
}

/** Whether routes by the one are right for the other. */
export function sameWay(a: OverlayWay, b: OverlayWay): boolean {
  if (!a.ready || !b.ready) return a.ready === b.ready;
  return a.source === b.source && a.hop.link === b.hop.link && a.hop.gateway === b.hop.gateway;
}
