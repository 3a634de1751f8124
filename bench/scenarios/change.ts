/**
 * What one change costs, against the size of what does not change: one prefix is announced and
 * withdrawn again and again, each time until the receiver has seen it.
 */
import type { DaemonKind } from "../daemons/daemon.ts";
import { LateError } from "../generator/client.ts";
import type { PeerSpec } from "../generator/peers.ts";
import { threadSeconds } from "../measure/processes.ts";
import { linkAddress, Stage } from "../stage.ts";
import { meshNeighbors, meshPeers, RECEIVER_AS } from "./mesh-peers.ts";
import {
  type Figures,
  type Measure,
  PartialRun,
  type RunOptions,
  type Scenario,
} from "./scenario.ts";

const CHANGES = 1000;
/**
 * Enough for all of them where a daemon answers at once. One that waits by its own timers (FRR 50
 * ms a change, BIRD 2.0 until a KEEPALIVE wakes it) gives some hundred, or some ten: a median of
 * the same wait, and CPU that is counted in nanoseconds.
 */
const MILLISECONDS_MAX = 1500;
/** Compilers and caches: who is fast needs it, and does most of them in that time. */
const WARM_MILLISECONDS_MAX = 300;
const SENDER_AS = 65_001;
const UP_MS_MAX = 60_000;
const DIAL_WINDOW = 5;

interface Surroundings {
  readonly peers: readonly PeerSpec[];
  /** Prefixes that the receiver has before. */
  readonly live: number;
  readonly nextHop: string;
  readonly as: number | undefined;
}

function sweep(
  key: string,
  of: string,
  text: string,
  sizes: readonly number[],
  surroundings: (size: number) => Surroundings,
): Scenario {
  const at = (size: number) => `${size.toLocaleString("en")} ${of}`;
  return {
    key,
    title: `The cost of one change against the number of ${of}`,
    text,
    measures: sizes.flatMap((size): Measure[] => [
      { key: `cpu@${size}`, label: `${at(size)}: CPU a change`, unit: "ms", ratio: false },
      { key: `ms@${size}`, label: `${at(size)}: median`, unit: "ms", ratio: false },
    ]),
    chart: { kind: "lines", sizes, of, measure: "cpu", axis: "CPU a change, ms" },
    takes: () => true,
    run: async (kind, options) => {
      let figures: Figures = {};
      for (const size of sizes) {
        const scaled = Math.max(2, Math.round(size / options.scale));
        try {
          figures = { ...figures, ...(await run(kind, size, surroundings(scaled), options)) };
        } catch (error) {
          // What is slow with so many was not so with fewer.
          if (error instanceof LateError) throw new PartialRun(figures, error);
          throw error;
        }
      }
      return figures;
    },
  };
}

export const CHANGE_PEERS = sweep(
  "change-peers",
  "peers",
  "Internal peers with one /24 each, one external receiver of all. One of the peers announces " +
    "and withdraws one more prefix, one time after another: a thousand times, or as often as " +
    "1.5 s allow.",
  [10, 30, 100, 300, 1000],
  (count) => ({
    peers: meshPeers({ count, announceAtOnce: true, receiver: true }),
    live: count,
    nextHop: linkAddress(0),
    as: undefined,
  }),
);

export const CHANGE_PREFIXES = sweep(
  "change-prefixes",
  "prefixes",
  "One external sender of so many prefixes, ten to an attribute set, one external receiver. The " +
    "sender announces and withdraws one more prefix, one time after another: a thousand times, or " +
    "as often as 1.5 s allow.",
  [1000, 10_000, 100_000, 1_000_000],
  (prefixes) => {
    const [receiver, sender] = [linkAddress(0), linkAddress(1)];
    const sets = Math.max(1, Math.round(prefixes / 10));
    const feed = {
      ...{ prefixes, sets, prefixesPerUpdate: 5, firstPrefix: 0, lengths: "mixed" as const },
      ...{ nextHop: sender, as: SENDER_AS, seed: 1 },
    };
    const quiet = { announceAtOnce: true };
    return {
      peers: [
        { ...quiet, address: receiver, as: RECEIVER_AS, receives: true },
        { ...quiet, address: sender, as: SENDER_AS, receives: false, feed },
      ],
      live: prefixes,
      nextHop: sender,
      as: SENDER_AS,
    };
  },
);

async function run(
  kind: DaemonKind,
  size: number,
  { peers, live, nextHop, as }: Surroundings,
  options: RunOptions,
): Promise<Figures> {
  await using stage = await Stage.build(2);
  const { generator } = stage;
  // The daemon waits to be dialled: what the peers are to say can be made meanwhile.
  const ready = stage.peers(peers);
  ready.catch(() => undefined);
  const { daemon } = await stage.start(kind, { neighbors: meshNeighbors(peers, true) });
  await ready;
  const timeoutMs = Math.max(UP_MS_MAX, options.timeoutMs);
  const complete = generator.reach({ established: peers.length, live }, timeoutMs);
  complete.catch(() => undefined);
  await generator.dial(DIAL_WINDOW);
  await complete;
  const pids = await daemon.pids();
  const order = { nextHop, as, live, millisecondsMax: MILLISECONDS_MAX };
  const warm = { ...order, millisecondsMax: WARM_MILLISECONDS_MAX };
  const count = Math.max(10, Math.round(CHANGES / options.scale));
  await generator.changes({ ...warm, count: count / 5 }, UP_MS_MAX);
  const before = await threadSeconds(pids);
  const took = await generator.changes({ ...order, count }, UP_MS_MAX);
  const used = (await threadSeconds(pids)) - before;
  const sorted = took.toSorted((a, b) => a - b);
  return {
    [`cpu@${size}`]: (used * 1000) / took.length,
    [`ms@${size}`]: sorted[sorted.length >> 1] ?? 0,
  };
}
