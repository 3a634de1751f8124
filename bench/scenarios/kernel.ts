/** S4 and S5: routes on their way into the kernel's main table, and out again. */
import { setTimeout as sleep } from "node:timers/promises";
import type { DaemonKind } from "../daemons/daemon.ts";
import { LateError } from "../generator/client.ts";
import { now, type PeerSpec } from "../generator/peers.ts";
import { takeLoopDelay } from "../measure/loop-delay.ts";
import { cpuSeconds, megabytes, routeCount } from "../measure/processes.ts";
import { linkAddress, Stage } from "../stage.ts";
import { kernelFloor, runKernelFloor } from "./kernel-floor.ts";
import { DIAL_WINDOW, meshNeighbors, meshPeers } from "./mesh-peers.ts";
import { type Figures, type Measure, type RunOptions, type Scenario, seconds } from "./scenario.ts";

const SENDERS = 10;
const SENDER_AS = 65_001;
const PREFIXES_PER_UPDATE = 100;
const UP_MS_MAX = 60_000;

const LOOP: Measure = { key: "loopMost", label: "loop delay, most", unit: "ms", ratio: false };
const USED: readonly Measure[] = [
  { key: "cpu", label: "CPU in all", unit: "s", ratio: false },
  { key: "rss", label: "peak RSS", unit: "MB", ratio: false },
  LOOP,
];

/** One daemon with routes in the kernel, and what is asked of both. */
class KernelRun {
  readonly #stage: Stage;
  readonly #options: RunOptions;
  /** Between two looks at the table: each is a walk over it. */
  readonly #everyMs: number;

  constructor(stage: Stage, options: RunOptions, everyMs: number) {
    this.#stage = stage;
    this.#options = options;
    this.#everyMs = everyMs;
  }

  /** Seconds from an act of the generator until the kernel has so many routes. */
  async until(pid: number, count: number, act: () => Promise<number>): Promise<number> {
    const from = await act();
    const end = now() + this.#options.timeoutMs;
    for (;;) {
      const there = routeCount(pid);
      if (there === count) return seconds(from, now());
      if (now() > end) {
        const totals = await this.#stage.generator.totals();
        throw new LateError(
          `the kernel has ${there} routes, not ${count}; ${JSON.stringify(totals)}`,
        );
      }
      await sleep(this.#everyMs);
    }
  }

  /** Sessions of all peers, in whatever order. */
  async up(count: number, window: number): Promise<void> {
    const { generator } = this.#stage;
    const all = generator.reach({ established: count }, UP_MS_MAX);
    all.catch(() => undefined);
    await generator.dial(window);
    await all;
  }
}

export const S4: Scenario = {
  key: "s4",
  title: "S4: a thousand peers withdraw, or are gone, at once",
  text:
    "1,000 internal peers with one /24 each, all in the kernel. Each withdraws its own; then all " +
    "sessions are dropped: until the kernel has none of the routes.",
  measures: [
    { key: "withdraw", label: "withdraw → kernel clean", unit: "s", ratio: true },
    { key: "drop", label: "drop → kernel clean", unit: "s", ratio: true },
    { key: "load", label: "announce → kernel", unit: "s", ratio: true },
    ...USED,
  ],
  chart: { kind: "bars", measures: ["withdraw", "drop"] },
  takes: (kind) => kind.kernel,
  run: async (kind, options) => {
    const count = Math.max(2, Math.round(1000 / options.scale));
    const stage = await Stage.build(2);
    try {
      const peers = meshPeers({ count, announceAtOnce: false, receiver: false });
      return await measure(stage, kind, peers, count, DIAL_WINDOW, options, 1);
    } finally {
      await stage.remove();
    }
  },
};

export const S5: Scenario = intoKernel("s5", 10_000, 2);
export const S5_100K: Scenario = intoKernel("s5-100k", 100_000, 15);

function intoKernel(key: string, size: number, everyMs: number): Scenario {
  const count = size.toLocaleString("en");
  return {
    key,
    title: `S5: ${count} routes into the kernel`,
    text:
      `${SENDERS} external senders of ${count} prefixes /24 in all, each sender a next hop, ` +
      `${PREFIXES_PER_UPDATE} an UPDATE: from the first octet written until the kernel's main ` +
      "table has them all, or none of them (the kernel's own count, looked at every " +
      `${everyMs} ms). The *kernel floor* is the kernel alone: the same routes in the same order, ` +
      "encoded before the clock starts, sent 8,000 at a time by a program that does nothing else, " +
      "until the last answer.",
    measures: [
      { key: "load", label: "load", unit: "s", ratio: true },
      { key: "withdraw", label: "withdraw all", unit: "s", ratio: true },
      { key: "again", label: "load again", unit: "s", ratio: true },
      { key: "drop", label: "drop", unit: "s", ratio: true },
      ...USED,
    ],
    chart: { kind: "bars", measures: ["load", "withdraw", "again", "drop"] },
    contestants: [kernelFloor],
    takes: (kind) => kind.kernel,
    run: async (kind, options) => {
      const each = Math.max(1, Math.round(size / SENDERS / options.scale));
      const stage = await Stage.build(SENDERS);
      try {
        if (kind.key === kernelFloor.key) {
          const gateways = Array.from({ length: SENDERS }, (_, i) => linkAddress(i));
          const sizes = { prefixesEach: each, prefixesPerUpdate: PREFIXES_PER_UPDATE };
          return await runKernelFloor(stage, { gateways, ...sizes });
        }
        const peers = Array.from({ length: SENDERS }, (_, i) => senderOf(i, each));
        return await measure(stage, kind, peers, each * SENDERS, SENDERS, options, everyMs);
      } finally {
        await stage.remove();
      }
    },
  };
}

function senderOf(index: number, prefixes: number): PeerSpec {
  const [address, as] = [linkAddress(index), SENDER_AS + index];
  const sets = Math.max(1, Math.round(prefixes / PREFIXES_PER_UPDATE));
  const feed = {
    ...{ prefixes, sets, prefixesPerUpdate: PREFIXES_PER_UPDATE, firstPrefix: index * prefixes },
    ...{ nextHop: address, as, lengths: "24" as const, seed: index + 1 },
  };
  return { address, as, receives: false, feed, announceAtOnce: false };
}

/** Announce, withdraw, announce, drop: each until the kernel's table is as it must be. */
async function measure(
  stage: Stage,
  kind: DaemonKind,
  peers: readonly PeerSpec[],
  routes: number,
  window: number,
  options: RunOptions,
  everyMs: number,
): Promise<Figures> {
  const { generator } = stage;
  await stage.peers(peers);
  const neighbors = meshNeighbors(peers, true);
  const watchLoop = kind.key === "podrouter";
  const { daemon, folder } = await stage.start(kind, { neighbors, kernel: true, watchLoop });
  const kernel = new KernelRun(stage, options, everyMs);
  await kernel.up(peers.length, window);
  const { pid } = daemon;
  const own = routeCount(pid);
  const pids = await daemon.pids();
  if (watchLoop) await takeLoopDelay(pid, folder);
  const load = await kernel.until(pid, own + routes, () => generator.send("announce"));
  const withdraw = await kernel.until(pid, own, () => generator.send("withdraw"));
  const again = await kernel.until(pid, own + routes, () => generator.send("announce"));
  const drop = await kernel.until(pid, own, () => generator.drop());
  return {
    ...{ load, withdraw, again, drop },
    cpu: await cpuSeconds(pids),
    rss: await megabytes(pids, "VmHWM"),
    ...(watchLoop ? { loopMost: (await takeLoopDelay(pid, folder)).most } : {}),
  };
}
