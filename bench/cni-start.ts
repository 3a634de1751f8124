/**
 * How fast podrouter-cni starts, by the form of its file and by options of Node.js: VERSION, which
 * does nothing else. Variants take turns, so that a busy machine slows all of them; CPU time is
 * what to compare. Needs a bundle (`npm run bundle`).
 *
 *   node_modules/node/bin/node bench/cni-start.ts [rounds]
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { fromCommandLine, numberOf, wordsOf } from "../scripts/command-line.ts";

const ROOT = join(import.meta.dirname, "..");
const BUNDLE = join(ROOT, "dist", "podrouter-cni.cjs");
const USAGE = "node_modules/node/bin/node bench/cni-start.ts [rounds]";
const ROUNDS = fromCommandLine("cni-start", USAGE, (args) =>
  numberOf("rounds", wordsOf(args, 1)[0] ?? "40", 1),
);
const TICK_MS = 10;

const folder = mkdtempSync(join(tmpdir(), "podrouter-start-"));
const esModule = join(folder, "podrouter-cni.mjs");
const snapshot = join(folder, "snapshot.blob");
const wrapper = join(folder, "snapshot.cjs");

interface Variant {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const VARIANTS: Readonly<Record<string, Variant>> = {
  CommonJS: { args: [BUNDLE] },
  "ES module": { args: [esModule] },
  "compile cache": { args: [BUNDLE], env: { NODE_COMPILE_CACHE: join(folder, "cache") } },
  "start-up snapshot": { args: ["--snapshot-blob", snapshot, "run"] },
  "--v8-pool-size=0": { args: ["--v8-pool-size=0", BUNDLE] },
  "--single-threaded": { args: ["--single-threaded", BUNDLE] },
  "--max-lazy": { args: ["--max-lazy", BUNDLE] },
  "--jitless": { args: ["--jitless", BUNDLE] },
};

/** User and system time of ended children, in ms. */
function childrenCpu(): number {
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[13]) + Number(fields[14])) * TICK_MS;
}

function start({ args, env }: Variant): void {
  const result = spawnSync(process.execPath, args, {
    env: { CNI_COMMAND: "VERSION", ...env },
    input: "{}",
    encoding: "utf8",
  });
  if (result.status !== 0) throw new Error(`${args.join(" ")}: ${result.stderr}`);
}

try {
  const options = { bundle: true, platform: "node", target: "node24", minify: true } as const;
  const entryPoints = [join(ROOT, "src", "plugin", "main.ts")];
  await build({ ...options, entryPoints, format: "esm", outfile: esModule });
  // The program itself as the main function of the snapshot; modules of Node.js are in it.
  const program = JSON.stringify(readFileSync(BUNDLE, "utf8"));
  const contents =
    `for (const name of ["node:fs", "node:net"]) require(name);\n` +
    `const run = new Function("require", ${program});\n` +
    `require("node:v8").startupSnapshot.setDeserializeMainFunction(() => run(require));\n`;
  await build({ stdin: { contents }, platform: "node", outfile: wrapper });
  const made = ["--snapshot-blob", snapshot, "--build-snapshot", wrapper];
  const building = spawnSync(process.execPath, made, { encoding: "utf8" });
  if (building.status !== 0) throw new Error(building.stderr);

  const wall = new Map<string, number[]>();
  const cpu = new Map<string, number>();
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, variant] of Object.entries(VARIANTS)) {
      const [begun, used] = [performance.now(), childrenCpu()];
      start(variant);
      // The first round fills caches.
      if (round === 0) continue;
      wall.set(name, [...(wall.get(name) ?? []), performance.now() - begun]);
      cpu.set(name, (cpu.get(name) ?? 0) + childrenCpu() - used);
    }
  }
  process.stdout.write("| variant | CPU mean | shortest | median |\n|---|---|---|---|\n");
  for (const [name, times] of wall) {
    times.sort((a, b) => a - b);
    const cells = [cpu.get(name)! / ROUNDS, times[0]!, times[ROUNDS >> 1]!];
    process.stdout.write(`| ${name} | ${cells.map((cell) => cell.toFixed(1)).join(" | ")} |\n`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
