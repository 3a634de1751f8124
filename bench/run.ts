/**
 * The bench: every daemon in turn under equal settings, in namespaces that it makes and removes.
 *
 *   npm run bench                              lists scenarios and daemons
 *   npm run bench -- s1 s3 --runs 3            these scenarios with every daemon that is here
 *   npm run bench -- s1 --daemons bird,podrouter
 *   npm run bench -- newer-debian              makes the folder with newer daemons (debootstrap)
 *   npm run bench -- s1 --daemons podrouter --profile FOLDER      a CPU profile of each run
 *   npm run bench -- s1 --daemons podrouter --bundle OTHER.cjs    another build than the checkout's
 *   npm run bench -- report                    tables, charts and page again from the JSON files
 *   npm run bench -- --help                    all options
 *
 * Beside it, for work on one part: bench/rib.ts (the RIB alone, in one process),
 * bench/node-events.ts (start, rest and Node events of one agent), bench/cni.ts (pods).
 *
 * A scenario's JSON file is written after each daemon: what was measured stays when the next one
 * fails or is interrupted. Every wait has a time limit; what was made is removed, however it ends.
 */
import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { keptFolder, sweepDead } from "../packages/netlink-ts/test/support/keeper.ts";
import { fromCommandLine, UsageError, wrongUsage } from "../scripts/command-line.ts";
import { namespacesUnavailable } from "../test/support/namespaces.ts";
import { makeNewerDebian } from "../test/support/newer-debian.ts";
import { makeBundle } from "../test/support/program.ts";
import type { DaemonKind } from "./daemons/daemon.ts";
import { allDaemons } from "./daemons/daemons.ts";
import { readOptions, usage } from "./options.ts";
import { writeReport } from "./report/page.ts";
import { plainTable, tableOf } from "./report/table.ts";
import { machineFacts, mergeResult, readResult } from "./results.ts";
import { type Figures, PartialRun, type RunOptions, type Scenario } from "./scenarios/scenario.ts";
import { SCENARIOS } from "./scenarios/scenarios.ts";

const options = fromCommandLine("bench", usage(), readOptions);

/** What takes longer is measured once. */
const SLOW_SECONDS = 150;

const say = (line: string) => void process.stdout.write(`${line}\n`);
const bundleFolder = keptFolder();
const bundle = resolve(options.bundle ?? join(bundleFolder, "podrouter.cjs"));
process.once("exit", () => rmSync(bundleFolder, { recursive: true, force: true }));

const daemons = allDaemons({
  bundle,
  nodeArguments:
    options.profile === undefined
      ? []
      : ["--cpu-prof", `--cpu-prof-dir=${resolve(options.profile)}`, "--cpu-prof-interval=500"],
});

process.exitCode = await main(options.names).catch((error: Error) => {
  if (error instanceof UsageError) return wrongUsage("bench", error);
  say(`bench: ${error.message}`);
  return 1;
});

async function main(names: readonly string[]): Promise<number> {
  if (names.length === 0) return list();
  if (names[0] === "newer-debian") {
    await makeNewerDebian(say);
    return 0;
  }
  if (names[0] !== "report") {
    const scenarios = names[0] === "all" ? SCENARIOS : names.map(scenarioOf);
    const chosen = options.daemons?.map(daemonOf) ?? daemons;
    const reason = await namespacesUnavailable();
    if (reason !== undefined) throw new Error(reason);
    await sweepDead();
    if (options.bundle === undefined) await makeBundle(bundleFolder);
    say(machineFacts());
    for (const scenario of scenarios) await measure(scenario, chosen);
  }
  writeReport(resolve(options.out), say);
  return 0;
}

async function list(): Promise<number> {
  say("scenarios:");
  for (const { key, title } of SCENARIOS) say(`  ${key.padEnd(18)} ${title}`);
  say("daemons:");
  for (const kind of daemons) {
    const reason = await kind.unavailable();
    say(`  ${kind.key.padEnd(18)} ${kind.label}${reason === undefined ? "" : `: ${reason}`}`);
  }
  return 0;
}

function scenarioOf(key: string): Scenario {
  const found = SCENARIOS.find((each) => each.key === key);
  if (found === undefined) throw new UsageError(`${key} stands alone, without scenarios`);
  return found;
}

function daemonOf(key: string): DaemonKind {
  const found = daemons.find((each) => each.key === key);
  if (found === undefined) {
    throw new UsageError(`no daemon ${key}; without arguments all are listed`);
  }
  return found;
}

async function measure(scenario: Scenario, kinds: readonly DaemonKind[]): Promise<void> {
  say(`\n== ${scenario.title}`);
  const out = resolve(options.out);
  const taking = kinds.filter((each) => scenario.takes(each));
  for (const kind of [...taking, ...(scenario.contestants ?? [])]) {
    const reason = await kind.unavailable();
    if (reason !== undefined) {
      say(`${kind.label}: left out, ${reason}`);
      continue;
    }
    const { runs, problem } = await runsOf(scenario, kind);
    mergeResult(out, scenario.key, kind.key, {
      label: kind.label,
      version: await kind.version(),
      measuredAt: new Date().toISOString(),
      machine: machineFacts(),
      runs,
      ...(problem === undefined ? {} : { problem }),
    });
  }
  const result = readResult(out, scenario.key);
  if (result !== undefined) say(plainTable(tableOf(scenario, result)));
}

/** A daemon that fails once is not tried again. */
async function runsOf(
  scenario: Scenario,
  kind: DaemonKind,
): Promise<{ readonly runs: readonly Figures[]; readonly problem?: string }> {
  const runOptions: RunOptions = {
    scale: options.scale,
    idleSeconds: options.idleSeconds,
    timeoutMs: options.timeoutSeconds * 1000,
    say,
  };
  const runs: Figures[] = [];
  for (let i = 0; i < options.runs; i++) {
    const begin = performance.now();
    try {
      const figures = await scenario.run(kind, runOptions);
      runs.push(figures);
      const took = ((performance.now() - begin) / 1000).toFixed(1);
      say(`${kind.label}, run ${i + 1} (${took} s): ${figuresText(figures)}`);
      if (Number(took) > SLOW_SECONDS) break;
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      say(`${kind.label}: ${problem}`);
      if (error instanceof PartialRun) runs.push(error.figures);
      return { runs, problem: problem.split("\n")[0]!.slice(0, 300) };
    }
  }
  return { runs };
}

function figuresText(figures: Figures): string {
  return Object.entries(figures)
    .map(([key, value]) => `${key} ${Number(value.toPrecision(3))}`)
    .join(", ");
}
