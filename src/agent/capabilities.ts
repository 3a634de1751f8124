/** What the kernel lets this process do, and where it put it. */
import { readdirSync, readFileSync, statSync } from "node:fs";

/** linux/capability.h */
const CAP_NET_ADMIN = 12n;
const CAP_SYS_ADMIN = 21n;

/** Whether routes, ipsets and packet rules may be changed; true where that cannot be told. */
export function hasNetAdmin(): boolean {
  return has(CAP_NET_ADMIN);
}

/** Whether network namespaces of pods may be entered; true where that cannot be told. */
export function hasSysAdmin(): boolean {
  return has(CAP_SYS_ADMIN);
}

function has(capability: bigint): boolean {
  let status: string;
  try {
    status = readFileSync("/proc/self/status", "utf8");
  } catch {
    return true;
  }
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  return effective === undefined || ((BigInt(`0x${effective}`) >> capability) & 1n) === 1n;
}

/** Where `ip netns` keeps the namespaces that it made. */
const NAMED_NAMESPACES = "/run/netns";

/**
 * Whether this is the network namespace of the machine (or, in a pod, the one it was started in):
 * the one whose pods a runtime of this machine connects. Told by the first process, or, where that
 * one may not be looked at, by the names of namespaces made beside it; true when neither tells.
 */
export function inHostNetwork(): boolean {
  const own = namespaceOf("/proc/self/ns/net");
  const first = namespaceOf("/proc/1/ns/net");
  if (own === undefined) return true;
  if (first !== undefined) return own === first;
  return !namedNamespaces().some((name) => namespaceOf(`${NAMED_NAMESPACES}/${name}`) === own);
}

/** Inode of a namespace, which is its identity; undefined when it may not be looked at. */
function namespaceOf(path: string): bigint | undefined {
  try {
    return statSync(path, { bigint: true }).ino;
  } catch {
    return undefined;
  }
}

function namedNamespaces(): readonly string[] {
  try {
    return readdirSync(NAMED_NAMESPACES);
  } catch {
    return [];
  }
}
