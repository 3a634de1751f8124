/** Addresses of the machine's interfaces, as they stand in the kernel. */
import { addressBytes, type IpAddress, parseAddress } from "./address.ts";
import { type Prefix, prefixFromBytes } from "./prefix.ts";

export interface LocalAddress {
  readonly link: number;
  readonly address: IpAddress;
  /** What is on the link according to this address; on a point-to-point link that of the peer. */
  readonly subnet: Prefix;
  /** Not to be used yet: whether another machine has it is being found out, RFC 4862 §5.4. */
  readonly tentative?: boolean;
}

/** None or one, from the kernel's texts: `address` is `192.0.2.1/24`, `peer` has no length. */
export function localAddressOf({
  interfaceIndex,
  address,
  peer,
  tentative,
}: {
  readonly interfaceIndex: number;
  readonly address: string;
  readonly peer?: string | undefined;
  readonly tentative?: boolean;
}): LocalAddress[] {
  const slash = address.indexOf("/");
  const own = parseAddress(address.slice(0, slash));
  const onLink = peer === undefined ? own : parseAddress(peer);
  if (own === undefined || onLink === undefined) return [];
  const subnet = prefixFromBytes(addressBytes(onLink), Number(address.slice(slash + 1)));
  const local = { link: interfaceIndex, address: own, subnet };
  return [tentative === true ? { ...local, tentative } : local];
}
