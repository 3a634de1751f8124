/** AFI and SAFI of the families that this speaker carries, RFC 4760 §3. */
import type { IpFamily } from "../../ip/address.ts";
import type { RouteFamily } from "./types.ts";

/** IANA address-family-numbers. */
export const Afi = { ipv4: 1, ipv6: 2 } as const;

/** IANA safi-namespace. */
export const SAFI_UNICAST = 1;

/** AFI of an IP family. */
export function afiOf(family: IpFamily): number {
  return family === 4 ? Afi.ipv4 : Afi.ipv6;
}

/** The IP family of an AFI, or undefined for one that is no IP. */
export function ipFamilyOfAfi(afi: number): IpFamily | undefined {
  if (afi === Afi.ipv4) return 4;
  return afi === Afi.ipv6 ? 6 : undefined;
}

/** The family of AFI/SAFI, or undefined for one that we do not carry. */
export function routeFamilyOf(afi: number, safi: number): RouteFamily | undefined {
  return safi === SAFI_UNICAST ? ipFamilyOfAfi(afi) : undefined;
}
