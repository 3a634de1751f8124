/**
 * The machine's addresses by interface, for next hops of the family that the session itself is not
 * of. Asked of the operating system when a session comes up, and not followed.
 */
import { networkInterfaces } from "node:os";
import { addressFromBytes, type IpAddress, isLinkLocal, parseAddress } from "../../ip/address.ts";
import { readTextNow } from "../../runtime/files.ts";

/** Addresses by interface, in the system's order. */
export type InterfaceAddresses = Readonly<
  Record<string, readonly { readonly address: string }[] | undefined>
>;

/** The flags of IPv6 addresses: linux/if_addr.h IFA_F_*, the low eight bits. */
export type AddressFlags = ReadonlyMap<IpAddress, number>;

/**
 * Addresses of the interface that has `own`, itself among them, which another machine can use as
 * next hop: neither link-local nor loopback. Those that will last come first: the system lists the
 * newest one first, which with privacy extensions is one that is gone within days. None when no
 * interface has `own`.
 */
export function addressesBeside(
  own: IpAddress,
  interfaces: InterfaceAddresses = systemInterfaces(),
  flags: AddressFlags = systemFlags(),
): readonly IpAddress[] {
  for (const list of Object.values(interfaces)) {
    const addresses = (list ?? []).flatMap(({ address }) => parseAddress(address) ?? []);
    if (!addresses.includes(own)) continue;
    const doubt = (address: IpAddress) => doubtOf(flags.get(address) ?? 0);
    return addresses.filter((one) => !isLocal(one)).sort((a, b) => doubt(a) - doubt(b));
  }
  return [];
}

const Flag = { TEMPORARY: 0x01, DADFAILED: 0x08, DEPRECATED: 0x20, TENTATIVE: 0x40 } as const;

/** How little an address is to be counted upon: RFC 8981, then RFC 4862 §5.5.4, then §5.4. */
function doubtOf(flags: number): number {
  if ((flags & (Flag.TENTATIVE | Flag.DADFAILED)) !== 0) return 3;
  if ((flags & Flag.DEPRECATED) !== 0) return 2;
  return (flags & Flag.TEMPORARY) !== 0 ? 1 : 0;
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

/**
 * What the kernel prints in /proc/net/if_inet6, a line an address:
 *
 *   32 hexadecimal digits, interface index, prefix length, scope, flags, name; numbers hexadecimal
 */
export function readAddressFlags(text: string): AddressFlags {
  const flags = new Map<IpAddress, number>();
  for (const line of text.split("\n")) {
    const match = /^([0-9a-f]{32}) +[0-9a-f]+ +[0-9a-f]+ +[0-9a-f]+ +([0-9a-f]+) /.exec(line);
    if (match === null) continue;
    flags.set(addressFromBytes(Buffer.from(match[1]!, "hex")), Number.parseInt(match[2]!, 16));
  }
  return flags;
}

/** 10,000 addresses and more. */
const IF_INET6_BYTES_MAX = 1024 * 1024;

/** Nothing is known of any where the system does not tell, or has no IPv6. */
function systemFlags(): AddressFlags {
  try {
    return readAddressFlags(readTextNow("/proc/net/if_inet6", IF_INET6_BYTES_MAX));
  } catch {
    return new Map();
  }
}
