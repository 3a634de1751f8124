/** The CNI folders on disk: the adapter behind {@link ConflistFiles}. */
import { access, constants, stat } from "node:fs/promises";
import {
  listFolder,
  readText,
  unlessMissing,
  watchFolderOf,
  writeAtomically,
} from "../runtime/files.ts";
import type { ConflistFiles } from "./conflist-file.ts";
import { CONFLIST_BYTES_MAX } from "./limits.ts";

/** Others keep their files in the folder too, and not all of them run as root. */
const FOLDER_MODE = 0o755;

export const conflistDisk: ConflistFiles = {
  read: (path) => unlessMissing(readText(path, CONFLIST_BYTES_MAX)),
  write: (path, text) => writeAtomically(path, text, { folderMode: FOLDER_MODE }),
  list: (folder) => unlessMissing(listFolder(folder)),
  async isProgram(path) {
    try {
      await access(path, constants.X_OK);
      return (await stat(path)).isFile();
    } catch {
      return false;
    }
  },
  watch: watchFolderOf,
};
