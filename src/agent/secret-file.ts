/**
 * How a file of passwords is named in messages. In the place of its path somebody may have written
 * the password, which leads nowhere and does not look like a path: that is not repeated.
 */
import type { FileError } from "../runtime/files.ts";

/** Where a file of passwords is named: a flag, or a key of the configuration file. */
export type SecretFileSetting = "--peer-router-passwords-file" | "passwordFile";

/** With these nothing is there; any other is of a file. */
const NOWHERE = new Set(["ENOENT", "ENOTDIR", "ENAMETOOLONG", "ELOOP", "ERR_INVALID_ARG_VALUE"]);

/** Of a path that nobody has followed yet. */
export function secretFileName(path: string, setting: SecretFileSetting): string {
  return /^\.{0,2}\//.test(path) ? path : `the file that ${setting} names`;
}

/** Why it cannot be had, in one sentence. */
export function secretFileProblem(
  path: string,
  setting: SecretFileSetting,
  { code, reason }: FileError,
): string {
  return `${NOWHERE.has(code) ? secretFileName(path, setting) : path}: ${reason}`;
}
