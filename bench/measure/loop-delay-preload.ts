/**
 * Loaded into an agent by `node --import`: watches its event loop, and on SIGUSR2 writes what it
 * saw since the last time to the file of PODROUTER_BENCH_LOOP_DELAY.
 */
import { renameSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

const RESOLUTION_MS = 2;

const file = process.env["PODROUTER_BENCH_LOOP_DELAY"] ?? "";
const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
histogram.enable();
process.on("SIGUSR2", () => {
  // It records the time from one tick to the next, the timer's own interval with it.
  const delay = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
  const seen = { p999: delay(histogram.percentile(99.9)), most: delay(histogram.max) };
  histogram.reset();
  writeFileSync(`${file}.new`, JSON.stringify(seen));
  renameSync(`${file}.new`, file);
});
