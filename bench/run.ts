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
 * A scenario's JSON file is written after each run: what was measured stays when the next one fails
 * or is interrupted. Every wait has a time limit; what was made is removed, however it ends.
 */
import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { keptFolder, sweepDead } from "../packages/netlink-ts/test/support/keeper.ts";
import { fromCommandLine, UsageError, wrongUsage } from "../scripts/command-line.ts";
import { namespacesUnavailable } from "../test/support/namespaces.ts";
import { makeNewerDebian } from "../test/support/newer-debian.ts";
import { makeBundle } from "../test/support/program.ts";
import { DaemonRuns } from "./daemon-runs.ts";
import type { DaemonKind } from "./daemons/daemon.ts";
import { allDaemons } from "./daemons/daemons.ts";
import { readOptions, usage } from "./options.ts";
import { writeReport } from "./report/page.ts";
import { plainTable, tableOf } from "./report/table.ts";
import { machineFacts, mergeResult, readResult } from "./results.ts";
import type { Scenario } from "./scenarios/scenario.ts";
import { SCENARIOS } from "./scenarios/scenarios.ts";

const options = fromCommandLine("bench", usage(), readOptions);

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

/** Every daemon once, then all again: what the machine is slower at meanwhile, all are. */
async function measure(scenario: Scenario, kinds: readonly DaemonKind[]): Promise<void> {
  say(`\n== ${scenario.title}`);
  const out = resolve(options.out);
  const taking = kinds.filter((each) => scenario.takes(each));
  const runOptions = {
    scale: options.scale,
    idleSeconds: options.idleSeconds,
    timeoutMs: options.timeoutSeconds * 1000,
    say,
  };
  const here: DaemonRuns[] = [];
  for (const kind of [...taking, ...(scenario.contestants ?? [])]) {
    const reason = await kind.unavailable();
    if (reason === undefined) here.push(new DaemonRuns(kind, await kind.version()));
    else say(`${kind.label}: left out, ${reason}`);
  }
  for (let round = 1; round <= options.runs; round++) {
    for (const daemon of here) {
      if (!daemon.goesOn) continue;
      await daemon.run(scenario, runOptions);
      mergeResult(out, scenario.key, daemon.kind.key, daemon.result());
    }
  }
  const result = readResult(out, scenario.key);
  if (result !== undefined) say(plainTable(tableOf(scenario, result)));
}
