/** What is fixed of the sizes of packets. */
import type { IpFamily } from "./address.ts";

/** What a link must carry, in bytes: RFC 791 §3.2, RFC 8200 §5. */
export const MTU_MIN: Readonly<Record<IpFamily, number>> = { 4: 576, 6: 1280 };

/** Taken for the way out where an address is on `lo`, whose own MTU says nothing about it. */
export const LOOPBACK_MTU = 1500;
