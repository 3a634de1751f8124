/** Making folders, without Node's `recursive`, which never returns where the kernel refuses. */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Makes the folder and those above it that are missing, with `mode`; one that is there stays as it
 * is. Throws the system's error when it cannot be made.
 */
export function makeFolder(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    const above = dirname(path);
    if (code !== "ENOENT" || above === path) throw error;
    makeFolder(above, mode);
    try {
      mkdirSync(path, { mode });
    } catch (again) {
      if ((again as NodeJS.ErrnoException).code !== "EEXIST") throw again;
    }
  }
}
