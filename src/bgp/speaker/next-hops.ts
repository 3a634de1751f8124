/** Our own addresses towards a peer, as next hops: which one of each family it is told. */
import { familyOf, type IpAddress } from "../../ip/address.ts";
import type { RouteFamily } from "../message/types.ts";
import type { Transport } from "../session/transport.ts";
import type { PeerConfig } from "../types.ts";

/**
 * Best first. That of the session is one, and what is configured the others; with `nextHopsByLink`
 * addresses of the session's own interface go before what is configured and is elsewhere. The
 * network is asked for them only where a negotiated family is not the session's.
 */
export function nextHopsOf(
  config: Pick<PeerConfig, "nextHops" | "nextHopsByLink">,
  own: IpAddress | undefined,
  families: readonly RouteFamily[],
  network: Pick<Transport, "addressesBeside">,
): readonly IpAddress[] {
  const { nextHops } = config;
  if (own === undefined) return nextHops;
  if (!config.nextHopsByLink || families.every((family) => family === familyOf(own))) {
    return [own, ...nextHops];
  }
  const link = network.addressesBeside?.(own) ?? [];
  return [own, ...nextHops.filter((address) => link.includes(address)), ...link, ...nextHops];
}
