/** Members for a set of prefixes. */
import { addressText } from "../generator/messages.ts";

/** For 100,000 members, as the agent makes a set for so many. */
export const HASH_SIZE = 1 << 15;
export const MAX_ELEMENTS = 1 << 20;

/** A /24 of its own for every number from -1 on. */
export function memberOf(index: number): string {
  return `${addressText(((20 << 24) + ((index + 1) << 8)) >>> 0)}/24`;
}
