/**
 * How late the event loop is, under the names that prom-client has for it. Its own gauges look
 * every 10 ms, which costs more CPU than a thousand idle peers, and take the time between two looks
 * for lag; these look ten times less, from the first time on that somebody asks, and leave it out.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Gauge, type Registry } from "prom-client";

/** What lasts longer is always seen, what is shorter in that share of the cases. */
const LOOK_MS = 100;
/** For prom-client's: the longest that there is. */
export const NO_LOOK_MS = 0x7fff_ffff;

type IntervalHistogram = ReturnType<typeof monitorEventLoopDelay>;
type Read = (histogram: IntervalHistogram) => number;

/** Nanoseconds that a look came late. */
const late =
  (of: Read): Read =>
  (histogram) =>
    Math.max(0, of(histogram) - LOOK_MS * 1e6);

const GAUGES: Readonly<Record<string, readonly [help: string, read: Read]>> = {
  min: ["The least lag of the event loop, in seconds", late(({ min }) => min)],
  max: ["The greatest lag of the event loop, in seconds", late(({ max }) => max)],
  mean: ["The mean lag of the event loop, in seconds", late(({ mean }) => mean)],
  stddev: ["The standard deviation of the lag, in seconds", ({ stddev }) => stddev],
  p50: ["The median lag of the event loop, in seconds", late((all) => all.percentile(50))],
  p90: ["The 90th percentile of the lag, in seconds", late((all) => all.percentile(90))],
  p99: ["The 99th percentile of the lag, in seconds", late((all) => all.percentile(99))],
};

/** Puts gauges of the time since they were read last in place of prom-client's. */
export function replaceLoopLag(registry: Registry): void {
  let histogram: IntervalHistogram | undefined;
  const readAll = () => {
    const all = histogram;
    for (const [gauge, read] of gauges) {
      gauge.set(all === undefined || all.count === 0 ? 0 : read(all) / 1e9);
    }
    histogram ??= monitorEventLoopDelay({ resolution: LOOK_MS });
    histogram.enable();
    histogram.reset();
  };
  const gauges = Object.entries(GAUGES).map(([key, [help, read]], index) => {
    const name = `nodejs_eventloop_lag_${key}_seconds`;
    registry.removeSingleMetric(name);
    // The first one is asked before the others, and sets all.
    const collect = index === 0 ? readAll : () => undefined;
    return [new Gauge({ name, help, registers: [registry], collect }), read] as const;
  });
}
