/**
 * Both families in random tests: what is drawn in IPv4 is said in IPv6 too, each bit of the address
 * made four, so that prefixes cover each other as before and reach to /128.
 */
import { type IpFamily, parseAddress, wordOfAddress } from "../../src/ip/address.ts";
import { prefixFromBytes } from "../../src/ip/prefix.ts";

/** Half an octet for a bit that is clear, which keeps to 2000::/3, and for one that is set. */
const [CLEAR, SET] = [0x2, 0xd] as const;

/** Where the speaker of that number stands on the lab's link. */
export function addressOf(host: number, family: IpFamily): string {
  return family === 4 ? `10.0.0.${host}` : `fd00::${host}`;
}

/** What it may put behind its address, RFC 2545 §3. */
export function linkLocalOf(host: number): string {
  return `fe80::${host}`;
}

/** In IPv6 0 to 32 bits are 0 to 128, in the same order and not by four alone. */
export function lengthIn(family: IpFamily, length: number): number {
  return family === 4 ? length : 4 * length - (length % 4);
}

/** The prefix that stands for one of IPv4. */
export function prefixIn(family: IpFamily, prefix: string): string {
  if (family === 4) return prefix;
  const [address, length] = prefix.split("/");
  const word = wordOfAddress(parseAddress(address!)!);
  const half = (bit: number) => ((word >>> (31 - bit)) & 1 ? SET : CLEAR);
  const bytes = Uint8Array.from({ length: 16 }, (_, i) => (half(2 * i) << 4) | half(2 * i + 1));
  return prefixFromBytes(bytes, lengthIn(6, Number(length)));
}
