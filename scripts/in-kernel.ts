/**
 * `npm run in-kernel -- SUITE COMMAND…`: runs a command as root on the kernel of a Debian suite, in a
 * virtual machine that has all files of this one and loses what is written. Its kernels have what a
 * bare-metal node may have and a small one lacks: ipip, VLANs, bonds, VRFs, dummies, netem, IPVS.
 * Agents that tests start there run as in the image: from source each would take half a minute.
 */
import { rm } from "node:fs/promises";
import { keptFolder } from "../packages/netlink-ts/test/support/keeper.ts";
import { layOutPrograms } from "../test/support/program.ts";
import { debianKernel, KERNEL_SUITES, type KernelSuite } from "../test/support/vm/debian-kernel.ts";
import { machineUnavailable, runInMachine } from "../test/support/vm/virtual-machine.ts";
import { fromCommandLine, oneOf, UsageError } from "./command-line.ts";

const USAGE = `npm run in-kernel -- SUITE COMMAND…   (SUITE: ${KERNEL_SUITES.join(", ")})`;
/** Settings that the command may depend on. */
const PASSED_ON = ["PATH", "HOME", "CI", "XDG_CACHE_HOME", "INTEROP_DEBIAN"] as const;

interface Asked {
  readonly suite: KernelSuite;
  readonly words: readonly string[];
}

function asked(): Asked {
  // What follows the suite, `--help` too, is the command's.
  return fromCommandLine("in-kernel", USAGE, readAsked, 1);
}

function readAsked([name, ...words]: readonly string[]): Asked {
  if (name === undefined) throw new UsageError("SUITE is missing; --help shows what there is");
  const suite = oneOf("SUITE", name, KERNEL_SUITES);
  if (words.length === 0) throw new UsageError("COMMAND is missing; --help shows what there is");
  return { suite, words };
}

async function main({ suite, words }: Asked): Promise<number> {
  const unavailable = await machineUnavailable();
  if (unavailable !== undefined) throw new Error(unavailable);
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const kernel = await debianKernel(suite, say);
  const ending = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => ending.abort());
  }
  const output = (chunk: Buffer) => process.stdout.write(chunk);
  const cwd = process.cwd();
  const programs = keptFolder();
  try {
    const env = { ...passedOn(), ...(await layOutPrograms(programs)) };
    return await runInMachine({ kernel, words, cwd, env, output, signal: ending.signal });
  } finally {
    await rm(programs, { recursive: true, force: true });
  }
}

function passedOn(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of PASSED_ON) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}

try {
  process.exitCode = await main(asked());
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
