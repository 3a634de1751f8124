/** S4 and S5: routes on their way into the kernel's main table, and out again. */
import type { DaemonKind } from "../daemons/daemon.ts";
import { LateError } from "../generator/client.ts";
import { type FeedOrder, PrefixPlan } from "../generator/feed.ts";
import { addressText } from "../generator/messages.ts";
import { now, type PeerSpec } from "../generator/peers.ts";
import { KernelRoutes } from "../measure/kernel-routes.ts";
import { takeLoopDelay } from "../measure/loop-delay.ts";
import { cpuSeconds, megabytes } from "../measure/processes.ts";
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

export const S4: Scenario = {
  key: "s4",
  title: "S4: a thousand peers withdraw, or are gone, at once",
  text:
    "1,000 internal peers with one /24 each, all in the kernel. Each withdraws its own; then all " +
    "sessions are dropped: until the kernel has none of the routes. The delay of the agent's event " +
    "loop is taken in a run of its own.",
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
    const peers = meshPeers({ count, announceAtOnce: false, receiver: false });
    // So few that to count them all costs nothing.
    return measure(kind, { links: 2, peers, last: [], window: DIAL_WINDOW }, options);
  },
};

export const S5: Scenario = intoKernel("s5", 10_000);
export const S5_100K: Scenario = intoKernel("s5-100k", 100_000);

function intoKernel(key: string, size: number): Scenario {
  const count = size.toLocaleString("en");
  return {
    key,
    title: `S5: ${count} routes into the kernel`,
    text:
      `${SENDERS} external senders of ${count} prefixes /24 in all, each sender a next hop, ` +
      `${PREFIXES_PER_UPDATE} an UPDATE: from the first octet written until the kernel's main ` +
      "table has them all, or none of them (the last route of each sender, one sender after the " +
      "other, is looked up every millisecond until it has changed, and then the kernel's own count " +
      "taken; if no route changes from then on, the clock stopped when the count began, else when " +
      "it ended). The delay of the agent's event loop is taken in a run of its own. " +
      "The *kernel floor* " +
      "is the kernel alone: the same routes in the same order, encoded before the clock starts, " +
      "sent 8,000 at a time by a program that does nothing else, until the last answer.",
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
      if (kind.key === kernelFloor.key) {
        const gateways = Array.from({ length: SENDERS }, (_, i) => linkAddress(i));
        const sizes = { prefixesEach: each, prefixesPerUpdate: PREFIXES_PER_UPDATE };
        await using stage = await Stage.build(SENDERS);
        return await runKernelFloor(stage, { gateways, ...sizes });
      }
      const peers = Array.from({ length: SENDERS }, (_, i) => senderOf(i, each));
      const last = peers.map(({ feed }) => lastAddress(feed!));
      return measure(kind, { links: SENDERS, peers, last, window: SENDERS }, options);
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

/** An address within the last prefix of a feed. */
function lastAddress({ lengths, firstPrefix, prefixes }: FeedOrder): string {
  const plan = new PrefixPlan(lengths);
  for (let i = 0; i < firstPrefix + prefixes; i++) plan.next();
  return addressText(plan.address + 1);
}

/** What goes into the kernel, and over how many links. */
interface Load {
  readonly links: number;
  readonly peers: readonly PeerSpec[];
  /** An address of the last route of each sender. */
  readonly last: readonly string[];
  /** Peers that dial at once. */
  readonly window: number;
}

/**
 * The times, and for the agent how long its event loop was blocked: in a run of its own, for a
 * timer each millisecond, and the watcher's own code, make 10,000 routes a quarter slower.
 */
async function measure(kind: DaemonKind, load: Load, options: RunOptions): Promise<Figures> {
  const figures = await measureOnce(kind, load, options, false);
  if (kind.key !== "podrouter") return figures;
  const { loopMost } = await measureOnce(kind, load, options, true);
  return loopMost === undefined ? figures : { ...figures, loopMost };
}

/** Announce, withdraw, announce, drop: each until the kernel's table is as it must be. */
async function measureOnce(
  kind: DaemonKind,
  { links, peers, last, window }: Load,
  options: RunOptions,
  watchLoop: boolean,
): Promise<Figures> {
  await using stage = await Stage.build(links);
  const { generator } = stage;
  await stage.peers(peers);
  const neighbors = meshNeighbors(peers, true);
  const { daemon, folder } = await stage.start(kind, { neighbors, kernel: true, watchLoop });
  const namespace = stage.namespaces.name("daemon");
  const kernel = new KernelRoutes(namespace, daemon.pid, last);
  stage.add(async () => kernel.close());
  await allUp(stage, peers.length, window);
  const pids = await daemon.pids();
  if (watchLoop) await takeLoopDelay(daemon.pid, folder);
  const took = async (routes: number, act: () => Promise<number>) => {
    const from = await act();
    const at = await kernel.reach(routes, now() + options.timeoutMs);
    if (at !== undefined) return seconds(from, at);
    const totals = JSON.stringify(await generator.totals());
    throw new LateError(`the kernel has ${kernel.count} routes, not ${routes}; ${totals}`);
  };
  const routes = peers.reduce((sum, { feed }) => sum + (feed?.prefixes ?? 0), 0);
  const load = await took(routes, () => generator.send("announce"));
  const withdraw = await took(0, () => generator.send("withdraw"));
  const again = await took(routes, () => generator.send("announce"));
  const drop = await took(0, () => generator.drop());
  return {
    ...{ load, withdraw, again, drop },
    cpu: await cpuSeconds(pids),
    rss: await megabytes(pids, "VmHWM"),
    ...(watchLoop ? { loopMost: (await takeLoopDelay(daemon.pid, folder)).most } : {}),
  };
}

/** Sessions of all peers, in whatever order. */
async function allUp({ generator }: Stage, count: number, window: number): Promise<void> {
  const all = generator.reach({ established: count }, UP_MS_MAX);
  all.catch(() => undefined);
  await generator.dial(window);
  await all;
}
