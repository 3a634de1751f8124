/** Kernel settings by the files below /proc/sys: the adapter behind {@link Sysctls}. */
import { readFile, writeFile } from "node:fs/promises";
import { sysctlPaths } from "../runtime/sysctl.ts";
import type { Sysctls } from "./sysctls.ts";

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
      return (await readFile(sysctlPaths(name).own, "utf8")).trim();
    } catch (error) {
      const code = codeOf(error);
      return NOT_THERE.has(code) ? undefined : { unreadable: REASONS[code] ?? code };
    }
  },
  async write(name, value) {
    const { own, ofHost } = sysctlPaths(name);
    const problem = await write(own, value);
    if (problem === undefined) return undefined;
    if (problem !== "EROFS") return REASONS[problem] ?? problem;
    const again = await write(ofHost, value);
    if (again === undefined) return undefined;
    return REASONS[again === "ENOENT" ? problem : again] ?? again;
  },
};

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
