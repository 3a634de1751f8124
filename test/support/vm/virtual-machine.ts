/**
 * A virtual machine with another kernel and the files of this one, for a command: what it writes is
 * lost with it, and it has no network but what it makes. All emulated (QEMU without KVM), so that it
 * runs wherever the tests do: the machine is there after some seconds, programs take several times
 * as long.
 */
import { spawn } from "node:child_process";
import { chmod, copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { keptFolder } from "../../../packages/netlink-ts/test/support/keeper.ts";
import { hasProgram, must } from "../shell.ts";
import type { DebianKernel } from "./debian-kernel.ts";
import { CONSOLE, EARLY_MODULES, GUEST_INIT, HOST_TAG, MODULES_TAG } from "./guest-init.ts";

export interface MachineCommand {
  readonly kernel: DebianKernel;
  /** Program and arguments, as on this machine. */
  readonly words: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** What it prints, as it comes. */
  readonly output: (chunk: Buffer) => void;
  /** Ends the machine. */
  readonly signal?: AbortSignal;
}

const BUSYBOX = "/bin/busybox";
const EMULATOR = "qemu-system-x86_64";
/** Debian package → the program that shows that it is there. */
const NEEDS = {
  "qemu-system-x86": EMULATOR,
  "busybox-static": BUSYBOX,
  kmod: "depmod",
  "util-linux": "setpriv",
} as const;
const MEMORY_MB = 6144;
/** They take turns: emulated side by side, V8 finds its code pages wrong in one start of seven. */
const CORES = 2;
const CONSOLE_LINES = 30;
/** The time is asked for all the time, and the emulated HPET is slow to say it. */
const FAST = "mitigations=off tsc=reliable clocksource=tsc";

/** Why there can be no virtual machine here, or undefined. */
export async function machineUnavailable(): Promise<string | undefined> {
  if (process.arch !== "x64") return `virtual machines are for x64, and this is ${process.arch}`;
  if (process.getuid?.() !== 0) return "only root can give all files to a virtual machine";
  const missing: string[] = [];
  for (const [name, program] of Object.entries(NEEDS)) {
    if (!(await hasProgram(program))) missing.push(name);
  }
  if (missing.length === 0) return undefined;
  return `these Debian packages are missing: ${missing.join(" ")}`;
}

/** Runs a command in a machine of its own. @returns its exit status. @throws {Error} without one. */
export async function runInMachine(command: MachineCommand): Promise<number> {
  const folder = keptFolder();
  try {
    const ramDisk = await makeRamDisk(folder, command);
    const [console, status] = [join(folder, "console"), join(folder, "status")];
    const ended = await emulate(command, ramDisk, console, status);
    const said = await readFile(status, "utf8").catch(() => "");
    if (/^\d+\s*$/.test(said)) return Number(said);
    const lines = (await readFile(console, "utf8").catch(() => "")).trim().split("\n");
    const last = lines.slice(-CONSOLE_LINES).join("\n");
    throw new Error(`the virtual machine ended (${ended}) before the command did:\n${last}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** An initial RAM disk: busybox, the modules that get at the host's files, the command. */
async function makeRamDisk(folder: string, command: MachineCommand): Promise<string> {
  const { root, release } = command.kernel;
  const content = join(folder, "content");
  const early = join(content, "early");
  await mkdir(early, { recursive: true });
  await mkdir(join(content, "bin"));
  await copyFile(BUSYBOX, join(content, "bin", "busybox"));
  const modules = new Set<string>();
  for (const name of EARLY_MODULES) {
    const words = ["-d", root, "-S", release, "--show-depends", name];
    for (const [, path] of (await must("modprobe", words)).matchAll(/^insmod (\S+)/gm)) {
      modules.add(path!);
    }
  }
  let index = 10;
  for (const path of modules) await copyFile(path, join(early, `${index++}-${basename(path)}`));
  await writeFile(join(content, "init"), GUEST_INIT);
  await chmod(join(content, "init"), 0o755);
  await writeFile(join(content, "command"), commandScript(command));
  const ramDisk = join(folder, "ram-disk");
  const pack = `cd "$1" && find . | ${BUSYBOX} cpio -o -H newc > "$2"`;
  await must("sh", ["-c", pack, "sh", content, ramDisk]);
  return ramDisk;
}

function commandScript({ words, cwd, env }: MachineCommand): string {
  const settings = Object.entries(env).map(([name, value]) => `export ${name}=${quoted(value)}`);
  return [...settings, `cd ${quoted(cwd)}`, `exec ${words.map(quoted).join(" ")}`, ""].join("\n");
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

function emulate(
  { kernel, output, signal }: MachineCommand,
  ramDisk: string,
  console: string,
  status: string,
): Promise<string> {
  const share = (path: string, tag: string) =>
    `local,path=${path},mount_tag=${tag},security_model=none,readonly=on,multidevs=remap`;
  const words = [
    ...["-accel", "tcg,thread=single", "-cpu", "max", "-smp", `${CORES}`, "-m", `${MEMORY_MB}`],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-serial", `file:${console}`, "-serial", "stdio", "-serial", `file:${status}`],
    ...["-kernel", kernel.image, "-initrd", ramDisk],
    ...["-append", `console=${CONSOLE} quiet panic=-1 ${FAST}`],
    ...["-virtfs", share("/", HOST_TAG)],
    ...["-virtfs", share(join(kernel.root, "lib", "modules"), MODULES_TAG)],
  ];
  // The machine does not outlive who asked for it, however that one ends.
  const program = ["--pdeathsig", "KILL", EMULATOR, ...words];
  const child = spawn("setpriv", program, { stdio: ["ignore", "pipe", "pipe"], signal });
  let complaints = "";
  child.stdout.on("data", output);
  child.stderr.on("data", (chunk: Buffer) => {
    complaints = (complaints + chunk.toString()).slice(-2000);
  });
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, by) => resolve(complaints.trim() || `${by ?? `exit ${code}`}`));
  });
}
