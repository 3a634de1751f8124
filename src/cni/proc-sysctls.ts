/** Kernel settings by the files below /proc/sys: the adapter behind {@link Sysctls}. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Sysctls } from "./sysctls.ts";

const REASONS: Readonly<Record<string, string>> = {
  EROFS: "/proc/sys is read-only here",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
};

export const procSysctls: Sysctls = {
  async read(name) {
    try {
      return (await readFile(pathOf(name), "utf8")).trim();
    } catch {
      return undefined;
    }
  },
  async write(name, value) {
    try {
      await writeFile(pathOf(name), value);
      return undefined;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
      return REASONS[code] ?? code;
    }
  },
};

/** `net.ipv6.conf.eth0/1.accept_ra` → /proc/sys/net/ipv6/conf/eth0.1/accept_ra, as sysctl(8). */
function pathOf(name: string): string {
  const swapped = name.replace(/[./]/g, (mark) => (mark === "." ? "/" : "."));
  return join("/proc/sys", swapped);
}
