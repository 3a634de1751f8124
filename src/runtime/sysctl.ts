/**
 * Kernel settings by the files below /proc/sys, of the network namespace that the thread is in at
 * the moment: the files are those of whoever looks. A container that is not privileged has them
 * read-only; the manifest gives it the host's a second time, writable, which the kernel still
 * allows only for the network namespace that the process has rights over.
 */
import { accessSync, constants, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const SYSCTLS = "/proc/sys";
/** Where the manifest mounts /proc/sys/net of the host. */
const SYSCTLS_OF_HOST = "/host/proc/sys";

/** Where the setting is read, and where it is written when that one is read-only. */
export interface SysctlPaths {
  readonly own: string;
  readonly ofHost: string;
}

/** `net.ipv6.conf.eth0/1.accept_ra` → /proc/sys/net/ipv6/conf/eth0.1/accept_ra, as sysctl(8). */
export function sysctlPaths(name: string): SysctlPaths {
  const swapped = name.replace(/[./]/g, (mark) => (mark === "." ? "/" : "."));
  return { own: join(SYSCTLS, swapped), ofHost: join(SYSCTLS_OF_HOST, swapped) };
}

/** Writes at once. What cannot be written stays as it is; nothing is made that is not there. */
export function writeSysctlNow(name: string, value: string): void {
  const { own, ofHost } = sysctlPaths(name);
  for (const path of [own, ofHost]) {
    try {
      writeFileSync(path, value, { flag: "r+" });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EROFS") return;
    }
  }
}

/** Reads at once; undefined where there is no such setting, or it cannot be read. */
export function readSysctlNow(name: string): string | undefined {
  try {
    return readFileSync(sysctlPaths(name).own, "utf8").trim();
  } catch {
    return undefined;
  }
}

/** Whether there is the setting, with another value, and it may be written. */
export function canSetSysctl(name: string, value: string): boolean {
  const { own, ofHost } = sysctlPaths(name);
  const present = readSysctlNow(name);
  return present !== undefined && present !== value && [own, ofHost].some(isWritable);
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
