/** Making folders, without Node's `recursive`, which never returns where the kernel refuses. */
import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Makes the folder and those above it that are missing, with `mode`; one that is there stays as it
 * is. Throws the system's error when it cannot be made.
 */
export function makeFolder(path: string, mode: number): void {
  const error = tryMake(path, mode);
  if (error === undefined) return;
  const above = dirname(path);
  if (error.code !== "ENOENT" || above === path) throw error;
  makeFolder(above, mode);
  const again = tryMake(path, mode);
  if (again !== undefined) throw again;
}

/** Undefined when the folder is there now. */
function tryMake(path: string, mode: number): NodeJS.ErrnoException | undefined {
  try {
    mkdirSync(path, { mode });
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && statSync(path).isDirectory()) return undefined;
    return error as NodeJS.ErrnoException;
  }
}
