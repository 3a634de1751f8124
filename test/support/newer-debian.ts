/**
 * Debian's newest suite in a folder, for daemons newer than this machine's packages: made once by
 * debootstrap from the mirror that apt is configured for, kept in the user's cache folder.
 */
import { existsSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { chrootInstall, type Install } from "./install.ts";
import { hasProgram, must, run } from "./shell.ts";

export const NEWER_SUITE = "sid";
const PACKAGES = ["bird3", "frr", "gobgpd"] as const;
/** Debootstrap and the packages: minutes, with a slow mirror. */
const MAKE_MS_MAX = 1_200_000;
/** A mirror that was frozen has an old Release file; what it signs is checked all the same. */
export const APT_OPTIONS = ["-q", "-o", "Acquire::Check-Valid-Until=false"] as const;
const APT = APT_OPTIONS.join(" ");
const INSTALL = [
  "export DEBIAN_FRONTEND=noninteractive",
  `apt-get ${APT} update`,
  `apt-get ${APT} install -y --no-install-recommends ${PACKAGES.join(" ")}`,
].join(" && ");

function folder(): string {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  return join(cache, "podrouter-bench");
}

export function newerInstall(): Install {
  return chrootInstall(join(folder(), NEWER_SUITE), NEWER_SUITE);
}

/** Makes it, unless it is there. @throws {Error} what could not be done. */
export async function makeNewerDebian(say: (line: string) => void): Promise<void> {
  const root = join(folder(), NEWER_SUITE);
  if (existsSync(root)) {
    say(`Debian ${NEWER_SUITE} is there`);
    return;
  }
  if (!(await hasProgram("debootstrap"))) {
    say("apt-get install debootstrap");
    await must("apt-get", ["install", "-y", "--no-install-recommends", "debootstrap"], {
      timeoutMs: MAKE_MS_MAX,
    });
  }
  const making = `${root}.part`;
  await rm(making, { recursive: true, force: true });
  await mkdir(folder(), { recursive: true });
  say(`debootstrap ${NEWER_SUITE} and ${PACKAGES.join(", ")}: some minutes`);
  const timeoutMs = MAKE_MS_MAX;
  const words = ["--variant=minbase", NEWER_SUITE, making, await debianMirror()];
  await must("debootstrap", words, { timeoutMs });
  // None of the daemons may start by being installed.
  await writeFile(join(making, "usr/sbin/policy-rc.d"), "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  await must("chroot", [making, "sh", "-c", INSTALL], { timeoutMs });
  await rename(making, root);
}

/** The site that apt takes Debian itself from. */
export async function debianMirror(): Promise<string> {
  const format = ["--format", "$(ORIGIN) $(SITE)", "Created-By: Packages"];
  const { stdout } = await run("apt-get", ["indextargets", ...format]);
  const site = /^Debian (\S+)$/m.exec(stdout)?.[1];
  if (site === undefined) throw new Error("apt has no Debian mirror configured");
  return site;
}
