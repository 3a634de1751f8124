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

const FORWARD_IPV6 = "net.ipv6.conf.all.forwarding";

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
  /** Look and report, set nothing. */
  readonly dryRun: boolean;
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
  { kind, families, uplinks }: SysctlsWanted,
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
    // Else any pod could name itself the node's router and get its traffic (CVE-2020-10749), on a
    // node that is meant to have no IPv6 as well.
    list.push(...(await ofBridge(sysctls, "accept_ra", "0", "wanted")));
    if (families.includes(6)) {
      list.push(...(await ofBridge(sysctls, "disable_ipv6", "0", "vital")));
      // Its address is a gateway's that nobody else has; the first pod would wait seconds for it.
      list.push({ name: `net.ipv6.conf.${POD_BRIDGE}.accept_dad`, value: "0", weight: "nice" });
    }
  }
  return list;
}

/** A setting of IPv6 on the bridge; none where the kernel has no IPv6, or there is no bridge yet. */
async function ofBridge(
  sysctls: Sysctls,
  key: string,
  value: string,
  weight: Wanted["weight"],
): Promise<readonly Wanted[]> {
  const name = `net.ipv6.conf.${POD_BRIDGE}.${key}`;
  return (await sysctls.read(name)) === undefined ? [] : [{ name, value, weight }];
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
