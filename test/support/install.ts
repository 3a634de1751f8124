/**
 * Where a daemon comes from: the packages of this machine, or those of a newer Debian in a folder
 * (see newer-debian.ts), which the daemon is put into by chroot.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { hasProgram } from "./shell.ts";

export interface Install {
  /** `bird`, or `bird@sid`. */
  name(daemon: string): string;
  /** `BIRD`, or `BIRD (Debian sid)`. */
  label(daemon: string): string;
  /** A command that needs no files of ours. */
  plain(command: readonly string[]): readonly string[];
  /** A command in a network namespace that uses files in `folder`. */
  command(folder: string, command: readonly string[]): readonly string[];
  /** Why the program cannot be run, or undefined. */
  lacks(program: string): Promise<string | undefined>;
}

export const machineInstall: Install = {
  name: (daemon) => daemon,
  label: (daemon) => daemon,
  plain: (command) => command,
  command: (_folder, command) => command,
  lacks: async (program) =>
    (await hasProgram(program)) ? undefined : `${program} is not installed`,
};

/**
 * `ip netns exec` has made a mount namespace of its own: these mounts end with the command. The
 * folder has the same path inside, so that a path in a configuration file means the same.
 */
const ENTER =
  'mount -t tmpfs tmpfs "$1/tmp" && mkdir -p "$1$0" && mount --bind "$0" "$1$0" &&' +
  ' mount -t proc proc "$1/proc" && mount -t tmpfs tmpfs "$1/run" && exec chroot "$@"';

/** Programs below `root`, which holds a Debian of the suite. */
export function chrootInstall(root: string, suite: string): Install {
  return {
    name: (daemon) => `${daemon}@${suite}`,
    label: (daemon) => `${daemon} (Debian ${suite})`,
    plain: (command) => ["chroot", root, ...command],
    command: (folder, command) => ["sh", "-c", ENTER, folder, root, ...command],
    lacks: async (program) => {
      const folders = program.startsWith("/") ? [""] : ["usr/bin", "usr/sbin"];
      return folders.some((each) => existsSync(join(root, each, program)))
        ? undefined
        : `no Debian ${suite} with ${program} (npm run bench -- newer-debian makes it)`;
    },
  };
}
