/**
 * What ADD prints, in the shape of each version (CNI spec 1.1.0 §5 "ADD Success"; 0.3 and 0.4 name
 * an address's family, 1.1.0 a link's MTU). What plugins before this one made stays in front. Pure.
 */
import { familyOf } from "../../ip/address.ts";
import { DEFAULT_ROUTES } from "../../ip/prefix.ts";
import type { JsonObject } from "../../runtime/json.ts";
import type { RangeAddress } from "./address-ranges.ts";
import type { PreviousResult } from "./request.ts";
import { type CniVersion, isAtLeast } from "./spec.ts";
import type { Connected, WiredLink } from "./wiring.ts";

export interface AddResult {
  readonly cniVersion: CniVersion;
  readonly netns: string;
  readonly connected: Connected;
  readonly addresses: readonly RangeAddress[];
  readonly previous: PreviousResult | undefined;
}

export function resultOf(result: AddResult): JsonObject {
  const { cniVersion, netns, connected, addresses, previous } = result;
  const before = previous?.interfaces ?? [];
  const link = ({ name, linkAddress, mtu }: WiredLink): JsonObject => ({
    name,
    mac: linkAddress,
    ...(isAtLeast(cniVersion, "1.1.0") ? { mtu } : {}),
  });
  const inside = before.length + 2;
  return {
    cniVersion,
    interfaces: [
      ...before,
      link(connected.bridge),
      link(connected.host),
      { ...link(connected.pod), sandbox: netns },
    ],
    ips: [
      ...(previous?.ips ?? []),
      ...addresses.map(({ address, gateway, length }) => ({
        ...(isAtLeast(cniVersion, "1.0.0") ? {} : { version: String(familyOf(address)) }),
        interface: inside,
        address: `${address}/${length}`,
        gateway,
      })),
    ],
    routes: [
      ...(previous?.routes ?? []),
      ...addresses.map(({ address, gateway }) => ({
        dst: DEFAULT_ROUTES[familyOf(address)],
        gw: gateway,
      })),
    ],
    dns: previous?.dns ?? {},
  };
}
