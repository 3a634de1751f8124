/**
 * Kernel settings without which pods are not reached. They are set where that is allowed; all that
 * could not be set is said in one condition, with the words to set it by hand. Nothing is set back
 * when the agent ends.
 */
import type { IpFamily } from "../ip/address.ts";
import { type CniCondition, type CniPluginKind, POD_BRIDGE } from "./types.ts";

/** There may be such a setting, and it cannot be read: why. */
export interface Unreadable {
  readonly unreadable: string;
}

/** The files below /proc/sys, for tests to stand in. `name` has dots: `net.ipv4.ip_forward`. */
export interface Sysctls {
  /** Undefined when the kernel has no such setting. */
  read(name: string): Promise<string | Unreadable | undefined>;
  /** Gives why it could not be written, undefined for success. */
  write(name: string, value: string): Promise<string | undefined>;
}

export const FORWARD_IPV6 = "net.ipv6.conf.all.forwarding";
const BRIDGE_DISABLE_IPV6 = `net.ipv6.conf.${POD_BRIDGE}.disable_ipv6`;
/** Whether kube-bridge takes router advertisements, which can be pods' alone. */
const BRIDGE_ACCEPT_RA = `net.ipv6.conf.${POD_BRIDGE}.accept_ra`;

interface Wanted {
  readonly name: string;
  readonly value: string;
  /** `vital`: without it nothing works. `nice`: not worth a word when it cannot be had. */
  readonly weight: "vital" | "wanted" | "nice";
  /** A setting that does harm as long as this one is not made. */
  readonly before?: string;
}

export interface SysctlsWanted {
  readonly kind: CniPluginKind;
  readonly families: readonly IpFamily[];
  /** The interfaces of the node's addresses, and those of default routes that routers gave. */
  readonly uplinks: readonly string[];
  /** kube-bridge is there, and nobody else's. */
  readonly ownBridge: boolean;
  /** Look and report, set nothing. */
  readonly dryRun: boolean;
}

/**
 * What a bridge that was made just now must have before it gets its addresses and ports back. What
 * of it cannot be set is said with all other settings.
 */
export async function settleBridge(sysctls: Sysctls, families: readonly IpFamily[]): Promise<void> {
  await sysctls.write(BRIDGE_ACCEPT_RA, "0");
  if (families.includes(6)) await sysctls.write(BRIDGE_DISABLE_IPV6, "0");
}

/** Sets what is missing; gives the condition about the rest, if any. */
export async function keepSysctls(
  kernel: Sysctls,
  wanted: SysctlsWanted,
): Promise<CniCondition | undefined> {
  const sysctls = readOnce(kernel);
  const problems: { readonly text: string; readonly vital: boolean }[] = [];
  const held = new Map<string, string>();
  for (const { name, value, weight, before } of await needed(sysctls, wanted)) {
    const reason = held.get(name) ?? (await make(sysctls, wanted, name, value));
    if (reason === undefined) continue;
    if (before !== undefined && !wanted.dryRun) held.set(before, `not before ${name} is made`);
    if (weight === "nice") continue;
    problems.push({ text: `${name}=${value} (${reason})`, vital: weight === "vital" });
  }
  if (problems.length === 0) return undefined;
  return {
    name: "sysctl-not-set",
    severity: problems.some(({ vital }) => vital) ? "error" : "warning",
    message: `kernel settings for pods could not be made, make them on the host: ${problems
      .map(({ text }) => text)
      .join(", ")}`,
  };
}

async function needed(
  sysctls: Sysctls,
  { kind, families, uplinks, ownBridge }: SysctlsWanted,
): Promise<readonly Wanted[]> {
  const list: Wanted[] = [];
  if (families.includes(4)) list.push({ name: "net.ipv4.ip_forward", value: "1", weight: "vital" });
  if (families.includes(6)) {
    const forwards = (await sysctls.read(FORWARD_IPV6)) === "1";
    for (const link of forwards ? [] : uplinks) {
      // A forwarding node loses the default route it has from a router unless told otherwise.
      const name = `net.ipv6.conf.${dotted(link)}.accept_ra`;
      const present = await sysctls.read(name);
      if (present === "1" || isUnreadable(present)) {
        list.push({ name, value: "2", weight: "vital", before: FORWARD_IPV6 });
      }
    }
    list.push({ name: FORWARD_IPV6, value: "1", weight: "vital" });
  }
  if (kind === "bridge") {
    // Between pods of one bridge, so that service and policy rules of others see the packets.
    const names = { 4: "bridge-nf-call-iptables", 6: "bridge-nf-call-ip6tables" } as const;
    for (const family of families) {
      list.push({ name: `net.bridge.${names[family]}`, value: "1", weight: "wanted" });
    }
    if (families.includes(6)) {
      if (ownBridge) list.push(...(await ipv6OnBridge(sysctls)));
      // Its address is a gateway's that nobody else has; the first pod would wait seconds for it.
      list.push({ name: `net.ipv6.conf.${POD_BRIDGE}.accept_dad`, value: "0", weight: "nice" });
    }
    if (ownBridge) list.push(...(await noAdvertisements(sysctls)));
  }
  return list;
}

/** A node that is meant to have IPv6 pods has it on their bridge, whatever new interfaces get. */
async function ipv6OnBridge(sysctls: Sysctls): Promise<readonly Wanted[]> {
  const present = await sysctls.read(BRIDGE_DISABLE_IPV6);
  return present === undefined ? [] : [{ name: BRIDGE_DISABLE_IPV6, value: "0", weight: "vital" }];
}

/**
 * A node that does not forward IPv6, be it that it has none, takes a router advertisement of a pod,
 * and all that it sends by IPv6 goes to that pod. The bridge plugin sets the same with each pod.
 */
async function noAdvertisements(sysctls: Sysctls): Promise<readonly Wanted[]> {
  const present = await sysctls.read(BRIDGE_ACCEPT_RA);
  if (present === undefined) return [];
  const harmless = present === "1" && (await sysctls.read(FORWARD_IPV6)) === "1";
  return [{ name: BRIDGE_ACCEPT_RA, value: "0", weight: harmless ? "nice" : "wanted" }];
}

/** Why it is not as wanted; undefined when it is. */
async function make(
  sysctls: Sysctls,
  { dryRun }: SysctlsWanted,
  name: string,
  value: string,
): Promise<string | undefined> {
  const present = await sysctls.read(name);
  if (present === value) return undefined;
  if (present === undefined) return absence(name);
  if (isUnreadable(present)) return present.unreadable;
  return dryRun ? "dry run" : sysctls.write(name, value);
}

/** What follows from a setting is to fit what is done with it: each is read once. */
function readOnce(kernel: Sysctls): Sysctls {
  const known = new Map<string, ReturnType<Sysctls["read"]>>();
  return {
    read(name) {
      const read = known.get(name) ?? kernel.read(name);
      known.set(name, read);
      return read;
    },
    write: (name, value) => kernel.write(name, value),
  };
}

function isUnreadable(present: string | Unreadable | undefined): present is Unreadable {
  return typeof present === "object";
}

function absence(name: string): string {
  return name.startsWith("net.bridge.")
    ? "module br_netfilter is not loaded"
    : "the kernel has no such setting";
}

/** An interface name inside a dotted name: sysctl(8) writes its dots as slashes. */
export function dotted(link: string): string {
  return link.replaceAll(".", "/");
}
