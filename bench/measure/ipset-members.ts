/** Members for a set of prefixes. */
import { addressText } from "../generator/messages.ts";

/** A /24 of its own for every number from -1 on. */
export function memberOf(index: number): string {
  return `${addressText(((20 << 24) + ((index + 1) << 8)) >>> 0)}/24`;
}
