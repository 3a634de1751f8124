/**
 * Kernels of Debian's suites, taken out of their packages into the user's cache folder: nothing is
 * installed, and what apt knows of this machine stays as it is.
 */
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { APT_OPTIONS, debianMirror } from "../newer-debian.ts";
import { must } from "../shell.ts";

/** From the oldest: Linux 5.10, 6.1, 6.12, and the newest that there is. */
export const KERNEL_SUITES = ["bullseye", "bookworm", "trixie", "sid"] as const;
export type KernelSuite = (typeof KERNEL_SUITES)[number];

export interface DebianKernel {
  /** `6.1.0-56-amd64`. */
  readonly release: string;
  /** What boots. */
  readonly image: string;
  /** A folder with lib/modules below. */
  readonly root: string;
}

/** The package that means "the kernel of this suite"; the tests' emulator has this processor. */
const META_PACKAGE = "linux-image-amd64";
/** What the meta package leads to; its other dependencies are for machines that boot from it. */
const PART = /^\s+Depends: (linux-(?:image|binary|modules|base)-\d\S+)$/gm;
const FETCH_MS_MAX = 900_000;
const UNPACK_MS_MAX = 120_000;

/** The kernel of a suite, fetched when it is not there yet. @throws {Error} what went wrong. */
export async function debianKernel(
  suite: KernelSuite,
  say: (line: string) => void,
): Promise<DebianKernel> {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const kernels = join(cache, "podrouter", "kernels");
  const root = join(kernels, suite);
  if (!existsSync(root)) {
    await mkdir(kernels, { recursive: true });
    const making = await mkdtemp(join(kernels, `${suite}.part-`));
    try {
      await fetchKernel(suite, making, say);
      await rename(making, root);
    } finally {
      await rm(making, { recursive: true, force: true });
    }
  }
  const release = await only(join(root, "lib", "modules"));
  return { release, image: join(root, "vmlinuz"), root };
}

async function fetchKernel(
  suite: KernelSuite,
  root: string,
  say: (line: string) => void,
): Promise<void> {
  say(`fetching the kernel of Debian ${suite}`);
  const apt = join(root, "apt");
  const settings = await privateApt(apt, suite);
  await must("apt-get", [...settings, "update"], { timeoutMs: FETCH_MS_MAX });
  const packages = await kernelPackages(settings);
  const download = [...settings, "download", ...packages];
  await must("apt-get", download, { timeoutMs: FETCH_MS_MAX, cwd: apt });
  for (const file of await readdir(apt)) {
    if (!file.endsWith(".deb")) continue;
    await must("dpkg-deb", ["-x", join(apt, file), root], { timeoutMs: UNPACK_MS_MAX });
  }
  await rm(apt, { recursive: true });
  const modules = join(root, "lib", "modules");
  if (!existsSync(modules)) {
    await mkdir(join(root, "lib"), { recursive: true });
    await rename(join(root, "usr", "lib", "modules"), modules);
  }
  const release = await only(modules);
  // Newer packages have the image among the modules.
  const images = [join(root, "boot", `vmlinuz-${release}`), join(modules, release, "vmlinuz")];
  const image = images.find((path) => existsSync(path));
  if (image === undefined) throw new Error(`${packages.join(", ")}: no kernel image in there`);
  await copyFile(image, join(root, "vmlinuz"));
  await must("depmod", ["-b", root, release], { timeoutMs: UNPACK_MS_MAX });
  say(`Linux ${release}`);
}

/** Lists, packages and sources of its own for apt, below `folder`: the words that say so. */
async function privateApt(folder: string, suite: KernelSuite): Promise<string[]> {
  for (const each of ["lists/partial", "cache/archives/partial"]) {
    await mkdir(join(folder, each), { recursive: true });
  }
  const sources = join(folder, "sources.list");
  await writeFile(sources, `deb ${await debianMirror()} ${suite} main\n`);
  const settings = {
    "Dir::State::lists": join(folder, "lists"),
    "Dir::Cache": join(folder, "cache"),
    "Dir::Etc::sourcelist": sources,
    "Dir::Etc::sourceparts": "/dev/null",
    // The folder is the user's; apt's own user cannot write there.
    "APT::Sandbox::User": "root",
  };
  const words = Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  return [...APT_OPTIONS, ...words];
}

/** The packages that are the kernel: the meta package's, and what these lead to in turn. */
async function kernelPackages(settings: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  const asked = [META_PACKAGE];
  for (let name = asked.pop(); name !== undefined; name = asked.pop()) {
    const listing = await must("apt-cache", [...settings, "depends", name]);
    for (const [, part] of listing.matchAll(PART)) {
      if (found.has(part!)) continue;
      found.add(part!);
      asked.push(part!);
    }
  }
  if (found.size === 0) throw new Error(`${META_PACKAGE} leads to no kernel package`);
  return [...found];
}

async function only(folder: string): Promise<string> {
  const [name, ...more] = await readdir(folder);
  if (name === undefined || more.length > 0) throw new Error(`${folder}: not one kernel in there`);
  return name;
}
