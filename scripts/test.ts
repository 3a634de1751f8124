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

/** A test file that takes longer hangs. */
const TEST_MS_MAX = 600_000;
/** How many times longer programs take where all is emulated. */
const EMULATION = 6;

interface Counts {
  pass: number;
  fail: number;
  skipped: number;
}

/** The runner of the group at hand. */
let running: ChildProcess | undefined;
/** The signal that ended the tests, which the runner was told of too. */
let ended: NodeJS.Signals | undefined;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    ended = signal;
    running?.kill(signal);
  });
}

/** Runs the files of one group; the runner's own closing lines are added up. */
function runGroup(
  files: readonly string[],
  { concurrency, kernel }: Group,
  counts: Counts,
): Promise<number> {
  const timeout = TEST_MS_MAX * (kernel === undefined ? 1 : EMULATION);
  const limits = [`--test-concurrency=${concurrency}`, `--test-timeout=${timeout}`];
  const runner = ["--test", ...limits, "--test-reporter=spec", ...files];
  const machine = [join(ROOT, "scripts", "in-kernel.ts"), kernel ?? "", process.execPath];
  const args = kernel === undefined ? runner : [...machine, ...runner];
  // Without us nobody reads what it says, and it would go on all the same.
  const withUs = ["--pdeathsig", "TERM", process.execPath, ...args];
  const child = spawn("setpriv", withUs, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  running = child;
  let tail = "";
  child.stdout.on("data", (chunk: Buffer) => {
    process.stdout.write(chunk);
    tail = (tail + chunk.toString()).slice(-1_000_000);
  });
  return new Promise((resolve) => {
    child.once("close", (code) => {
      for (const key of ["pass", "fail", "skipped"] as const) {
        counts[key] += Number(new RegExp(`^ℹ ${key} (\\d+)$`, "m").exec(tail)?.[1] ?? 0);
      }
      resolve(code ?? 1);
    });
  });
}

interface Asked {
  readonly names: readonly string[];
  readonly kernel: KernelSuite | undefined;
}

function asked(): Asked {
  const usage = `npm test [-- GROUP…]   (GROUP: ${Object.keys(GROUPS).join(", ")})`;
  return fromCommandLine("test", usage, (args) => {
    const { positionals } = parsed({ args: [...args], allowPositionals: true, options: {} });
    for (const name of positionals) oneOf("GROUP", name, Object.keys(GROUPS));
    const suite = process.env["KERNEL_DEBIAN"] ?? "";
    const kernel = suite === "" ? undefined : oneOf("KERNEL_DEBIAN", suite, KERNEL_SUITES);
    return { names: positionals, kernel };
  });
}

async function main({ names, kernel }: Asked): Promise<number> {
  const all = globSync(["test/**/*.test.ts", "packages/*/test/**/*.test.ts"], { cwd: ROOT }).sort();
  const counts: Counts = { pass: 0, fail: 0, skipped: 0 };
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
    if ((await runGroup(files, group, counts)) !== 0) failed++;
    process.stdout.write(`== ${name} took ${((performance.now() - begun) / 1000).toFixed(1)} s\n`);
  }
  process.stdout.write(
    `\n${counts.pass} passed, ${counts.fail} failed, ${counts.skipped} skipped\n`,
  );
  if (counts.pass + counts.fail === 0) process.stdout.write("no test ran\n");
  return failed === 0 && counts.pass > 0 ? 0 : 1;
}

process.exitCode = await main(asked());
if (ended !== undefined) {
  process.removeAllListeners(ended);
  process.kill(process.pid, ended);
}
