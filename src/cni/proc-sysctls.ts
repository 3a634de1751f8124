/**
 * Kernel settings by the files below /proc/sys: the adapter behind {@link Sysctls}. A container
 * that is not privileged has them read-only; the manifest gives it the host's a second time,
 * writable, which the kernel still allows only for the network namespace that the process has
 * rights over.
 */
import { writeFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Sysctls } from "./sysctls.ts";

const SYSCTLS = "/proc/sys";
/** Where the manifest mounts /proc/sys/net of the host. */
const SYSCTLS_OF_HOST = "/host/proc/sys";

const REASONS: Readonly<Record<string, string>> = {
  EROFS: "/proc/sys is read-only here",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  EMFILE: "too many open files",
};

const NOT_THERE = new Set(["ENOENT", "ENOTDIR"]);

export const procSysctls: Sysctls = {
  async read(name) {
    try {
      return (await readFile(pathOf(SYSCTLS, name), "utf8")).trim();
    } catch (error) {
      const code = codeOf(error);
      return NOT_THERE.has(code) ? undefined : { unreadable: REASONS[code] ?? code };
    }
  },
  async write(name, value) {
    const problem = await write(pathOf(SYSCTLS, name), value);
    if (problem === undefined) return undefined;
    if (problem !== "EROFS") return REASONS[problem] ?? problem;
    const again = await write(pathOf(SYSCTLS_OF_HOST, name), value);
    if (again === undefined) return undefined;
    return REASONS[again === "ENOENT" ? problem : again] ?? again;
  },
};

/**
 * Writes at once, for the network namespace that this thread is in at the moment: the files are
 * those of whoever looks. What cannot be written stays as it is.
 */
export function writeSysctlNow(name: string, value: string): void {
  for (const root of [SYSCTLS, SYSCTLS_OF_HOST]) {
    try {
      writeFileSync(pathOf(root, name), value, { flag: "r+" });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EROFS") return;
    }
  }
}

/** The error's code, or undefined when it is written. Nothing is made that is not there. */
async function write(path: string, value: string): Promise<string | undefined> {
  try {
    await writeFile(path, value, { flag: "r+" });
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "unknown error";
}

/** `net.ipv6.conf.eth0/1.accept_ra` → /proc/sys/net/ipv6/conf/eth0.1/accept_ra, as sysctl(8). */
function pathOf(root: string, name: string): string {
  const swapped = name.replace(/[./]/g, (mark) => (mark === "." ? "/" : "."));
  return join(root, swapped);
}
