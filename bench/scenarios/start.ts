/** S8: from the start of the process to its first OPEN; and what it takes when it does nothing. */
import { setTimeout as sleep } from "node:timers/promises";
import { cpuSeconds, megabytes } from "../measure/processes.ts";
import { linkAddress, Stage } from "../stage.ts";
import { type Scenario, seconds } from "./scenario.ts";

const IDLE_MS = 3000;
const UP_MS_MAX = 60_000;

export const S8: Scenario = {
  key: "s8",
  title: "S8: start of the process to its first OPEN",
  text:
    "One external peer that waits to be dialled: until the daemon's OPEN has come. Then nothing, " +
    `for ${IDLE_MS / 1000} s: memory. (BIRD waits for the second that it was told to wait.)`,
  measures: [
    { key: "open", label: "start → first OPEN", unit: "s", ratio: true },
    { key: "listen", label: "start → listening", unit: "s", ratio: false },
    { key: "cpu", label: "CPU of the start", unit: "s", ratio: false },
    { key: "rss", label: "RSS, idle", unit: "MB", ratio: false },
  ],
  chart: { kind: "bars", measures: ["open"] },
  takes: () => true,
  run: async (kind, options) => {
    const stage = await Stage.build(1);
    try {
      const peer = { address: linkAddress(0), as: 65_001, receives: false, announceAtOnce: false };
      const { generator } = stage;
      await stage.peers([peer]);
      await generator.listen();
      const reached = generator.reach({ established: 1 }, UP_MS_MAX);
      reached.catch(() => undefined);
      const neighbors = [{ address: peer.address, as: peer.as, passive: false, export: true }];
      const { daemon, startedAt, listensAt } = await stage.start(kind, { neighbors });
      const { totals } = await reached;
      const pids = await daemon.pids();
      const cpu = await cpuSeconds(pids);
      await sleep(Math.min(IDLE_MS, options.idleSeconds * 1000));
      return {
        open: seconds(startedAt, totals.firstOpenAt),
        listen: seconds(startedAt, listensAt),
        cpu,
        rss: await megabytes(pids, "VmRSS"),
      };
    } finally {
      await stage.remove();
    }
  },
};
