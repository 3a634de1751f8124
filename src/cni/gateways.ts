/**
 * The gateways of pods as the main plugin of a configuration gives them to kube-bridge, each with
 * its first pod. Pure.
 */
import { type IpAddress, parseAddress } from "../ip/address.ts";
import { isPrefix, type Prefix, parsePrefix } from "../ip/prefix.ts";
import { isJsonObject, type JsonObject } from "../runtime/json.ts";
import { knownRanges } from "./ipam.ts";
import { AddressRange } from "./plugin/address-ranges.ts";
import { PLUGIN_TYPE } from "./plugin/wire.ts";

/** An address of kube-bridge. */
export interface Gateway {
  readonly address: IpAddress;
  /** Of the prefix, in bits. */
  readonly length: number;
}

/** None where the plugin gives kube-bridge no address. `podCidrs`: of this node. */
export function gatewaysOf(plugin: JsonObject, podCidrs: readonly Prefix[]): readonly Gateway[] {
  const { type, isGateway, isDefaultGateway, vlan = 0, ipam } = plugin;
  if (type === PLUGIN_TYPE) return podCidrs.map((cidr) => gatewayOf(cidr));
  // With a VLAN it goes to an interface on top of the bridge.
  const gives =
    type === "bridge" && vlan === 0 && (isGateway === true || isDefaultGateway === true);
  if (!gives || !isJsonObject(ipam)) return [];
  return knownRanges(ipam).flatMap(({ subnet, gateway }) => {
    const prefix = typeof subnet === "string" ? parsePrefix(subnet) : undefined;
    if (prefix === undefined || !isPrefix(prefix)) return [];
    return [gatewayOf(prefix, typeof gateway === "string" ? parseAddress(gateway) : undefined)];
  });
}

/** The first address unless told. */
function gatewayOf(cidr: Prefix, told?: IpAddress): Gateway {
  const { gateway, length } = new AddressRange(cidr);
  return { address: told ?? gateway, length };
}
