/** Leases on the disk: our own file, and the folders of host-local. */
import { readFile, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  FileError,
  listFolder,
  readText,
  removeFile,
  unlessMissing,
  writeAtomically,
} from "../../runtime/files.ts";
import { HOST_LOCAL_FOLDERS, isHostLocalLease } from "./host-local.ts";
import type { LeaseFile } from "./lease-store.ts";
import { FOREIGN_LEASES_MAX, LEASES_BYTES_MAX } from "./limits.ts";
import type { ForeignLeases } from "./pod-plugin.ts";

export function leaseFile(path: string): LeaseFile {
  return {
    read: () => unlessMissing(readText(path, LEASES_BYTES_MAX)),
    write: (text) => writeAtomically(path, text),
    async putAside() {
      const aside = `${path}.damaged`;
      try {
        await rename(path, aside);
      } catch (cause) {
        throw new FileError(aside, String((cause as NodeJS.ErrnoException).code), cause);
      }
      return aside;
    },
  };
}

/** Folders that are not there, or not shown to the agent, are empty. */
export function hostLocalLeases(folders: readonly string[] = HOST_LOCAL_FOLDERS): ForeignLeases {
  const names = async (network: string): Promise<readonly string[]> => {
    const paths: string[] = [];
    for (const folder of folders) {
      const path = join(folder, network);
      const found = (await unlessMissing(listFolder(path))) ?? [];
      for (const name of found.slice(0, FOREIGN_LEASES_MAX)) paths.push(join(path, name));
    }
    return paths;
  };
  return {
    async taken(network) {
      const paths = await names(network);
      return new Set(paths.map((path) => path.slice(dirname(path).length + 1)));
    },
    async release(attachment) {
      for (const path of await names(attachment.network)) {
        const text = await readFile(path, "utf8").catch(() => "");
        if (isHostLocalLease(text, attachment)) await unlessMissing(removeFile(path));
      }
    },
  };
}
