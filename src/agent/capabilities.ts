/** What the kernel lets this process do, and where it put it. */
import { readFileSync, readlinkSync } from "node:fs";

/** linux/capability.h */
const CAP_NET_ADMIN = 12n;

/** Whether routes, ipsets and TCP MD5 keys may be changed; true where that cannot be told. */
export function hasNetAdmin(): boolean {
  let status: string;
  try {
    status = readFileSync("/proc/self/status", "utf8");
  } catch {
    return true;
  }
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  return effective === undefined || ((BigInt(`0x${effective}`) >> CAP_NET_ADMIN) & 1n) === 1n;
}

/**
 * Whether this is the network namespace of the machine (or, in a pod, the one it was started in):
 * the one whose pods a runtime of this machine connects. True where that cannot be told.
 */
export function inHostNetwork(): boolean {
  try {
    return readlinkSync("/proc/self/ns/net") === readlinkSync("/proc/1/ns/net");
  } catch {
    return true;
  }
}
