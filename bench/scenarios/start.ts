/** S8: from the start of the process to its first OPEN; and what it takes when it does nothing. */
import { setTimeout as sleep } from "node:timers/promises";
import { cpuSeconds, megabytes } from "../measure/processes.ts";
import { type AgentProgram, measureIdle, measureStart } from "../node-events.ts";
import { linkAddress, Stage } from "../stage.ts";
import { type Figures, type RunOptions, type Scenario, seconds } from "./scenario.ts";

/** Long enough for the collections that follow a start. */
const IDLE_MS = 12_000;
const UP_MS_MAX = 60_000;
/** Other Nodes of the agent's cluster. */
const NODES = 10;

export const S8: Scenario = {
  key: "s8",
  title: "S8: start of the process to its first OPEN",
  text:
    "One external peer that waits to be dialled: until the daemon's OPEN has come. Then nothing, " +
    `for ${IDLE_MS / 1000} s: memory. (BIRD waits for the second that it was told to wait.) The ` +
    `agent is in a cluster of ${NODES} Nodes, reads them from the API server first, and keeps ` +
    "routes and sets in the kernel; its CPU is that of the main thread.",
  measures: [
    { key: "open", label: "start → first OPEN", unit: "s", ratio: true },
    { key: "listen", label: "start → listening", unit: "s", ratio: false },
    { key: "cpu", label: "CPU of the start", unit: "s", ratio: false },
    { key: "rss", label: "RSS, idle", unit: "MB", ratio: false },
  ],
  chart: { kind: "bars", measures: ["open"] },
  takes: () => true,
  run: async (kind, options) => {
    if (kind.agent !== undefined) return runAgent(kind.agent, options);
    await using stage = await Stage.build(1);
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
  },
};

async function runAgent(agent: AgentProgram, options: RunOptions): Promise<Figures> {
  const start = await measureStart({ ...agent, nodes: NODES, runs: 1 });
  const idleMs = Math.min(IDLE_MS, options.idleSeconds * 1000);
  const { rss } = await measureIdle({ ...agent, nodes: NODES, idleMs });
  return { open: start.median / 1000, cpu: start.cpuMs / 1000, rss: (rss * 1024) / 1e6 };
}
