/**
 * Runs the tests in groups: `npm test -- [group …]`; without names all but two: `kubernetes`, whose
 * programs have to be built first (scripts/kubernetes-programs.sh), and `vm`, which takes long. Unit
 * tests run side by side; those that measure real kernels, clusters and daemons run one by one, so
 * that the machine's load is not what they see. Ends with one line that counts everything.
 *
 * The group `vm` needs what a small kernel lacks (ipip, VLANs, bonds, …) and runs in a virtual
 * machine with Debian's kernel, all emulated. `KERNEL_DEBIAN=trixie npm test -- kernel` runs any
 * group on the kernel of that suite.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";
import { KERNEL_SUITES, type KernelSuite } from "../test/support/vm/debian-kernel.ts";
import { machineUnavailable } from "../test/support/vm/virtual-machine.ts";
import { fromCommandLine, oneOf, parsed } from "./command-line.ts";
import { type Counts, runGroup } from "./test/group.ts";

const ROOT = join(import.meta.dirname, "..");

interface Group {
  readonly concurrency: number;
  readonly owns: (file: string) => boolean;
  /** Only run when named. */
  readonly onDemand?: boolean;
  /** The kernel that it runs on, where that is not this machine's. */
  readonly kernel?: KernelSuite;
}

const inFolder = (name: string) => (file: string) => file.startsWith(`test/${name}/`);
const SPECIAL = ["fuzz", "kernel", "cluster", "interop", "bench", "kubernetes", "vm"] as const;

/** In the order in which they run: what fails fastest first. */
const GROUPS: Readonly<Record<string, Group>> = {
  unit: { concurrency: 2, owns: (file) => !SPECIAL.some((name) => inFolder(name)(file)) },
  fuzz: { concurrency: 1, owns: inFolder("fuzz") },
  kernel: { concurrency: 1, owns: inFolder("kernel") },
  cluster: { concurrency: 1, owns: inFolder("cluster") },
  interop: { concurrency: 1, owns: inFolder("interop") },
  bench: { concurrency: 1, owns: inFolder("bench") },
  kubernetes: { concurrency: 1, owns: inFolder("kubernetes"), onDemand: true },
  vm: { concurrency: 1, owns: inFolder("vm"), onDemand: true, kernel: "bookworm" },
};
const USAGE = `npm test [-- GROUP…]   (GROUP: ${Object.keys(GROUPS).join(", ")})`;

const nothingRuns = (_signal: NodeJS.Signals): unknown => undefined;
/** Ends what runs just now. */
let endIt = nothingRuns;
/** The signal that ended the tests, of which what runs was told too. */
let ended: NodeJS.Signals | undefined;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    ended = signal;
    endIt(signal);
  });
}

interface Asked {
  readonly names: readonly string[];
  /** Types, lint and tidy first. */
  readonly check: boolean;
  readonly kernel: KernelSuite | undefined;
}

function asked(): Asked {
  return fromCommandLine("test", USAGE, (args) => {
    const options = { check: { type: "boolean", default: false } } as const;
    const { values, positionals } = parsed({ args: [...args], allowPositionals: true, options });
    for (const name of positionals) oneOf("GROUP", name, Object.keys(GROUPS));
    const suite = process.env["KERNEL_DEBIAN"] ?? "";
    const kernel = suite === "" ? undefined : oneOf("KERNEL_DEBIAN", suite, KERNEL_SUITES);
    return { names: positionals, check: values.check, kernel };
  });
}

/** npm run check, whose programs do not tell each other of signals: they are a process group. */
function checked(): Promise<boolean> {
  const command = ["--pdeathsig", "TERM", "npm", "run", "--silent", "check"];
  const child = spawn("setpriv", command, { cwd: ROOT, stdio: "inherit", detached: true });
  endIt = (signal) => child.pid !== undefined && process.kill(-child.pid, signal);
  return new Promise((resolve) => {
    child.once("error", (error) => {
      process.stderr.write(`${error.message}\n`);
      resolve(false);
    });
    child.once("exit", (code) => {
      endIt = nothingRuns;
      if (ended !== undefined) killGroup(child.pid);
      resolve(code === 0);
    });
  });
}

/** The compiler goes on after a signal, and has nothing to clean up. */
function killGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, "SIGKILL");
  } catch {
    // All have ended.
  }
}

async function main({ names, check, kernel }: Asked): Promise<number> {
  if (check && !(await checked())) return 1;
  const all = globSync(["test/**/*.test.ts", "packages/*/test/**/*.test.ts"], { cwd: ROOT }).sort();
  const counts: Counts = { pass: 0, fail: 0, skipped: 0, cancelled: 0 };
  const noMachine = await machineUnavailable();
  let failed = 0;
  for (const [name, known] of Object.entries(GROUPS)) {
    if (ended !== undefined) break;
    const group = kernel === undefined ? known : { ...known, kernel };
    if (names.length > 0 ? !names.includes(name) : group.onDemand === true) continue;
    const files = all.filter(group.owns);
    if (files.length === 0) continue;
    const begun = performance.now();
    const where = group.kernel === undefined ? "" : `, on the kernel of Debian ${group.kernel}`;
    process.stdout.write(`\n== ${name}: ${files.length} files${where}\n`);
    if (group.kernel !== undefined && noMachine !== undefined) {
      process.stdout.write(`skipped: ${noMachine}\n`);
      counts.skipped += files.length;
      // A skip there would pass for proof.
      if (kernel !== undefined || process.env["CI"] === "true") failed++;
      continue;
    }
    const runs = (runner: ChildProcess) => {
      endIt = (signal) => runner.kill(signal === "SIGHUP" ? "SIGTERM" : signal);
    };
    if (!(await runGroup({ ...group, files }, counts, runs))) failed++;
    process.stdout.write(`== ${name} took ${((performance.now() - begun) / 1000).toFixed(1)} s\n`);
  }
  const cutOff = counts.cancelled === 0 ? "" : `, ${counts.cancelled} cut off`;
  process.stdout.write(
    `\n${counts.pass} passed, ${counts.fail} failed, ${counts.skipped} skipped${cutOff}\n`,
  );
  if (counts.pass + counts.fail === 0) process.stdout.write("no test ran\n");
  return failed === 0 && counts.pass > 0 ? 0 : 1;
}

process.exitCode = await main(asked());
if (ended !== undefined) {
  process.removeAllListeners(ended);
  process.kill(process.pid, ended);
}
