/**
 * The machine's addresses by interface, for next hops of the family that the session itself is not
 * of. Asked of the operating system when a session comes up, and not followed.
 */
import { networkInterfaces } from "node:os";
import { type IpAddress, isLinkLocal, parseAddress } from "../../ip/address.ts";

/** Addresses by interface, in the system's order. */
export type InterfaceAddresses = Readonly<
  Record<string, readonly { readonly address: string }[] | undefined>
>;

/**
 * Addresses of the interface that has `own`, itself among them, which another machine can use as
 * next hop: neither link-local nor loopback. None when no interface has it.
 */
export function addressesBeside(
  own: IpAddress,
  interfaces: InterfaceAddresses = systemInterfaces(),
): readonly IpAddress[] {
  for (const list of Object.values(interfaces)) {
    const addresses = (list ?? []).flatMap(({ address }) => parseAddress(address) ?? []);
    if (addresses.includes(own)) return addresses.filter((address) => !isLocal(address));
  }
  return [];
}

/** Beside fe80::/10: ::1, 169.254/16 and 127/8, as canonical text. */
const LOCAL = /^(::1$|169\.254\.|127\.)/;

function isLocal(address: IpAddress): boolean {
  return isLinkLocal(address) || LOCAL.test(address);
}

/** None where the system does not tell: next hops are then what is configured. */
function systemInterfaces(): InterfaceAddresses {
  try {
    return networkInterfaces();
  } catch {
    return {};
  }
}
