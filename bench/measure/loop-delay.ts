/** The event loop of an agent, watched from inside: see loop-delay-preload.ts. */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { until } from "../../test/support/shell.ts";

/** Milliseconds that a timer came late. */
export interface LoopDelay {
  readonly p999: number;
  readonly most: number;
}

export const LOOP_DELAY_VARIABLE = "PODROUTER_BENCH_LOOP_DELAY";
export const LOOP_DELAY_PRELOAD = join(import.meta.dirname, "loop-delay-preload.ts");

export function loopDelayFile(folder: string): string {
  return join(folder, "loop-delay.json");
}

/** What there was since the last call, or since the start. */
export async function takeLoopDelay(pid: number, folder: string): Promise<LoopDelay> {
  const file = loopDelayFile(folder);
  await rm(file, { force: true });
  process.kill(pid, "SIGUSR2");
  const text = await until("the agent tells its loop delay", () =>
    readFile(file, "utf8").catch(() => undefined),
  );
  return JSON.parse(text) as LoopDelay;
}
