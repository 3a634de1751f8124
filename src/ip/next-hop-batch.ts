import type { IpAddress } from "./address.ts";
import { PrefixBatch } from "./prefix-batch.ts";

/** Of a prefix that there is no way to. */
export const NO_NEXT_HOPS: readonly IpAddress[] = [];

/**
 * Prefixes of one family in columns, each with its next hops: what passes from a table of routes to
 * whoever brings them into the kernel, with no object or string for a prefix. Prefixes that go the
 * same way have one and the same list.
 */
export class NextHopBatch {
  readonly prefixes: PrefixBatch;
  /** By row of `prefixes`; none = there is no route. */
  readonly nextHops: (readonly IpAddress[])[] = [];

  constructor(capacity = 64) {
    this.prefixes = new PrefixBatch(capacity);
  }
}
