/** Addresses that a test wrote down. */
import { type IpAddress, parseAddress } from "../../src/ip/address.ts";

/** Throws when the text is no address, naming it. */
export function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`not an address: ${text}`);
  return parsed;
}
