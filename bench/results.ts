/**
 * What was measured: one JSON file a scenario, in which the runs of each daemon are replaced when
 * it is measured again, so that a bench can be done piece by piece.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import type { Figures } from "./scenarios/scenario.ts";

export interface DaemonResult {
  readonly label: string;
  readonly version: string;
  readonly measuredAt: string;
  readonly machine: string;
  readonly runs: readonly Figures[];
  /** Why there is no run, or fewer than asked for. */
  readonly problem?: string;
}

export interface ScenarioResult {
  readonly scenario: string;
  readonly daemons: Readonly<Record<string, DaemonResult>>;
}

/** `2 × Intel Xeon …, 23 GiB, Linux 6.18.44, Node 24.21.0`. */
export function machineFacts(): string {
  const processors = cpus();
  const gibibytes = Math.round(totalmem() / 2 ** 30);
  const model = processors[0]?.model.trim() ?? "?";
  return (
    `${processors.length} × ${model}, ${gibibytes} GiB, Linux ${release().split("-")[0]}, ` +
    `Node ${process.versions.node}`
  );
}

export function readResult(folder: string, scenario: string): ScenarioResult | undefined {
  try {
    const text = readFileSync(join(folder, `${scenario}.json`), "utf8");
    const { daemons } = JSON.parse(text) as ScenarioResult;
    const entries = Object.entries(daemons).sort(([a], [b]) => place(a) - place(b));
    return { scenario, daemons: Object.fromEntries(entries) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** In which order daemons are shown, whenever each was measured; a newer one follows the older. */
const ORDER = ["null", "podrouter", "ipset-js", "ipset", "bird", "openbgpd", "frr", "gobgp"];

function place(key: string): number {
  const [name = "", newer] = key.split("@");
  const found = ORDER.indexOf(name);
  return (found < 0 ? ORDER.length : found) + (newer === undefined ? 0 : 0.5);
}

/** Puts one daemon's result in place of its last one. */
export function mergeResult(
  folder: string,
  scenario: string,
  key: string,
  result: DaemonResult,
): void {
  const before = readResult(folder, scenario)?.daemons ?? {};
  const merged: ScenarioResult = { scenario, daemons: { ...before, [key]: result } };
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${scenario}.json`), `${JSON.stringify(merged, null, 1)}\n`);
}

export interface Statistic {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** Of one measure over all runs that have it. */
export function statisticOf(runs: readonly Figures[], measure: string): Statistic | undefined {
  const values = runs
    .map((run) => run[measure])
    .filter((value) => value !== undefined)
    .sort((a, b) => a - b);
  if (values.length === 0) return undefined;
  const middle = (values.length - 1) / 2;
  const median = (values[Math.floor(middle)]! + values[Math.ceil(middle)]!) / 2;
  return { median, least: values[0]!, most: values.at(-1)! };
}
