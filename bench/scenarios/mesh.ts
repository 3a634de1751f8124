/** S3: a daemon with 500 or 1,000 internal peers, from its start until it has all routes. */
import { setTimeout as sleep } from "node:timers/promises";
import type { DaemonKind } from "../daemons/daemon.ts";
import { RELAY_KEY } from "../daemons/relay.ts";
import { takeLoopDelay } from "../measure/loop-delay.ts";
import { cpuSeconds, megabytes } from "../measure/processes.ts";
import { Stage, type Started } from "../stage.ts";
import { DIAL_WINDOW, meshNeighbors, meshPeers } from "./mesh-peers.ts";
import { type Figures, type Measure, type RunOptions, type Scenario, seconds } from "./scenario.ts";

/** Who dials: `peers`, the `daemon`, or `both` at once. */
const MODES = ["peers", "daemon", "both"] as const;
const UP_MS_MAX = 60_000;
type Mode = (typeof MODES)[number];

const BY: Readonly<Record<Mode, string>> = {
  peers: "peers dial",
  daemon: "it dials",
  both: "both dial",
};
const MEASURES: readonly Measure[] = [
  ...MODES.map(
    (mode): Measure => ({
      ...{ key: `${mode}Listen`, label: `${BY[mode]}: from listening`, unit: "s", ratio: true },
    }),
  ),
  ...MODES.map(
    (mode): Measure => ({
      ...{ key: `${mode}Start`, label: `${BY[mode]}: from start`, unit: "s", ratio: true },
    }),
  ),
  { key: "cpu", label: "CPU (peers dial)", unit: "s", ratio: false },
  { key: "rss", label: "peak RSS", unit: "MB", ratio: false },
];

export const S3: Scenario = mesh("s3", 500);
export const S3_1000: Scenario = mesh("s3-1000", 1000);

function mesh(key: string, size: number): Scenario {
  const count = size.toLocaleString("en");
  return {
    key,
    title: `S3: ${count} internal peers, one prefix each`,
    text:
      `${count} internal peers with one /24 each and one external receiver of all. From the ` +
      "start of the process, and from the moment it listens, until all sessions stand and the " +
      `receiver has all ${count} prefixes. Peers that dial come ${DIAL_WINDOW} at a time. All ` +
      "daemons are told to dial again after one second, where they can be told.",
    measures: MEASURES,
    chart: { kind: "bars", measures: ["peersListen", "daemonListen", "bothListen"] },
    takes: () => true,
    run: async (kind, options) => {
      const peers = Math.max(2, Math.round(size / options.scale));
      let figures: Figures = {};
      for (const mode of MODES) {
        // The relay knows nothing of collisions.
        if (mode === "both" && kind.key === RELAY_KEY) continue;
        figures = { ...figures, ...(await run(kind, mode, peers, options)) };
      }
      return figures;
    },
  };
}

/** Builds the mesh on a stage, until it is complete. */
async function complete(
  stage: Stage,
  kind: DaemonKind,
  mode: Mode,
  count: number,
  options: RunOptions,
  watchLoop = false,
): Promise<Started & { readonly at: number }> {
  const { generator } = stage;
  const peers = meshPeers({ count, announceAtOnce: true, receiver: true });
  await stage.peers(peers);
  if (mode !== "peers") await generator.listen();
  const goal = { established: peers.length, live: count };
  const reached = generator.reach(goal, Math.min(options.timeoutMs, UP_MS_MAX));
  reached.catch(() => undefined);
  const neighbors = meshNeighbors(peers, mode === "peers");
  const started = await stage.start(kind, { neighbors, watchLoop });
  if (mode !== "daemon") await generator.dial(DIAL_WINDOW);
  const { at } = await reached;
  return { ...started, at };
}

async function run(
  kind: DaemonKind,
  mode: Mode,
  count: number,
  options: RunOptions,
): Promise<Figures> {
  await using stage = await Stage.build(2);
  const { daemon, startedAt, listensAt, at } = await complete(stage, kind, mode, count, options);
  const pids = await daemon.pids();
  const used = { cpu: await cpuSeconds(pids), rss: await megabytes(pids, "VmHWM") };
  return {
    [`${mode}Start`]: seconds(startedAt, at),
    [`${mode}Listen`]: seconds(listensAt, at),
    ...(mode === "peers" ? used : {}),
  };
}

/**
 * Time for a daemon to come to rest after its start. An engine with a garbage collector cleans up
 * after that once, seconds later; what it takes is a figure of its own.
 */
const SETTLE_MS = 20_000;
const IDLE_PEERS = 1000;

export const S3_IDLE: Scenario = {
  key: "s3-idle",
  title: "S3: a thousand idle peers",
  text:
    "1,000 internal peers, hold time 90 s, KEEPALIVEs every 30 s, nothing else: CPU, and memory " +
    "over that of the same daemon with one peer. The minute begins 20 s after the last session " +
    "came up; what is used in these, which is what the start leaves to be done, stands beside it. " +
    "The delay of the event loop is watched in a run of its own, for the watching costs CPU.",
  measures: [
    { key: "cpuMinute", label: "CPU a minute", unit: "s", ratio: true },
    { key: "cpuSettle", label: "CPU in the 20 s before", unit: "s", ratio: false },
    { key: "rss", label: "RSS", unit: "MB", ratio: false },
    { key: "rssAlone", label: "RSS with one peer", unit: "MB", ratio: false },
    { key: "peerKilobytes", label: "memory a peer", unit: "kB", ratio: true },
    { key: "loopP999", label: "loop delay p99.9", unit: "ms", ratio: false },
    { key: "loopMost", label: "loop delay, most", unit: "ms", ratio: false },
  ],
  chart: { kind: "bars", measures: ["cpuMinute"] },
  takes: ({ key }) => key !== RELAY_KEY,
  run: async (kind, options) => {
    const count = Math.max(2, Math.round(IDLE_PEERS / options.scale));
    const settle = Math.min(SETTLE_MS, options.idleSeconds * 1000);
    const alone = await idle(kind, 1, options, settle, settle);
    const all = await idle(kind, count, options, settle, options.idleSeconds * 1000);
    return {
      ...all,
      rssAlone: alone.rss,
      peerKilobytes: ((all.rss - alone.rss) * 1000) / (count - 1),
      ...(kind.key === "podrouter" ? await loopDelay(kind, count, options, settle) : {}),
    };
  },
};

async function idle(
  kind: DaemonKind,
  count: number,
  options: RunOptions,
  settleMs: number,
  watchMs: number,
): Promise<{ readonly cpuMinute: number; readonly cpuSettle: number; readonly rss: number }> {
  await using stage = await Stage.build(2);
  const { daemon } = await complete(stage, kind, "peers", count, options);
  const pids = await daemon.pids();
  const up = await cpuSeconds(pids);
  await sleep(settleMs);
  const before = await cpuSeconds(pids);
  await sleep(watchMs);
  const used = (await cpuSeconds(pids)) - before;
  const cpuMinute = (used * 60_000) / watchMs;
  return { cpuMinute, cpuSettle: before - up, rss: await megabytes(pids, "VmRSS") };
}

async function loopDelay(
  kind: DaemonKind,
  count: number,
  options: RunOptions,
  settleMs: number,
): Promise<Figures> {
  await using stage = await Stage.build(2);
  const started = await complete(stage, kind, "peers", count, options, true);
  const { daemon, folder } = started;
  await sleep(settleMs);
  await takeLoopDelay(daemon.pid, folder);
  await sleep(options.idleSeconds * 1000);
  const { p999, most } = await takeLoopDelay(daemon.pid, folder);
  return { loopP999: p999, loopMost: most };
}
