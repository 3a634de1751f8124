/**
 * S1, S2, S2o: senders → daemon → one receiver, everything external. Load, withdraw all, load
 * again, drop the senders' sessions; each from the first octet written until the receiver's table
 * is what it must be.
 */
import type { DaemonKind, Neighbor } from "../daemons/daemon.ts";
import { adminSocket } from "../daemons/podrouter.ts";
import { RELAY_KEY } from "../daemons/relay.ts";
import { LateError } from "../generator/client.ts";
import type { FeedOrder } from "../generator/feed.ts";
import type { PeerSpec } from "../generator/peers.ts";
import { AdminProbe } from "../measure/admin-probe.ts";
import { cpuSeconds, megabytes } from "../measure/processes.ts";
import { linkAddress, Stage, type Started } from "../stage.ts";
import {
  type Figures,
  type Measure,
  PartialRun,
  type RunOptions,
  type Scenario,
  seconds,
} from "./scenario.ts";

interface Size {
  readonly senders: number;
  readonly prefixes: number;
  readonly sets: number;
  /** All senders have the same prefixes; each one more of its own, its last. */
  readonly overlapping: boolean;
}

const PREFIXES_PER_UPDATE = 5;
const RECEIVER_AS = 65_100;
const SENDER_AS = 65_001;
const UP_MS_MAX = 60_000;

const MEASURES: readonly Measure[] = [
  { key: "load", label: "load", unit: "s", ratio: true },
  { key: "withdraw", label: "withdraw all", unit: "s", ratio: true },
  { key: "again", label: "load again", unit: "s", ratio: true },
  { key: "drop", label: "drop", unit: "s", ratio: true },
  { key: "loadCpu", label: "CPU of the load", unit: "s", ratio: false },
  { key: "cpu", label: "CPU in all", unit: "s", ratio: false },
  { key: "rss", label: "peak RSS", unit: "MB", ratio: false },
  { key: "updatesOut", label: "UPDATEs out", unit: "", ratio: false },
  { key: "adminMs", label: "slowest `podrouter peers`", unit: "ms", ratio: false },
];

export const S1: Scenario = tableLoad("s1", "S1: a full table through the daemon", {
  ...{ senders: 1, prefixes: 1_000_000, sets: 100_000, overlapping: false },
});
export const S2: Scenario = tableLoad("s2", "S2: thirty senders, one receiver", {
  ...{ senders: 30, prefixes: 10_000, sets: 1000, overlapping: false },
});
export const S2O: Scenario = tableLoad("s2o", "S2o: thirty senders of the same prefixes", {
  ...{ senders: 30, prefixes: 10_000, sets: 1000, overlapping: true },
});

function tableLoad(key: string, title: string, size: Size): Scenario {
  const of = `${size.prefixes.toLocaleString("en")} prefixes`;
  const senders = `${size.senders} external sender${size.senders > 1 ? "s" : ""}`;
  const last = size.overlapping ? " One more prefix of each sender's own ends its stream." : "";
  const each = size.senders > 1 ? ` each${size.overlapping ? ", the same ones" : ""}` : "";
  return {
    key,
    title,
    text:
      `${senders} of ${of}${each}, /16 to /24, ` +
      `in ${size.sets.toLocaleString("en")} attribute sets, at most ${PREFIXES_PER_UPDATE} an ` +
      "UPDATE; one external receiver. From the first octet written until the receiver's table " +
      `is complete, or empty.${last}`,
    measures: MEASURES,
    chart: { kind: "bars", measures: ["load", "withdraw", "drop"] },
    takes: () => true,
    run: (kind, options) => run(kind, scaled(size, options.scale), options),
  };
}

function scaled(size: Size, scale: number): Size {
  const shrunk = (count: number) => Math.max(1, Math.round(count / scale));
  return { ...size, prefixes: shrunk(size.prefixes), sets: shrunk(size.sets) };
}

function feedOf(size: Size, sender: number): FeedOrder {
  return {
    prefixes: size.prefixes,
    sets: size.sets,
    prefixesPerUpdate: PREFIXES_PER_UPDATE,
    nextHop: linkAddress(1 + sender),
    as: SENDER_AS + sender,
    firstPrefix: size.overlapping ? 0 : sender * size.prefixes,
    lengths: "mixed",
    seed: sender + 1,
    ...(size.overlapping ? { marker: sender } : {}),
  };
}

/** The receiver at the first address, the senders behind it. */
function peersOf(size: Size): readonly PeerSpec[] {
  const common = { announceAtOnce: false };
  return [
    { ...common, address: linkAddress(0), as: RECEIVER_AS, receives: true },
    ...Array.from({ length: size.senders }, (_, sender) => ({
      ...{ ...common, address: linkAddress(1 + sender), as: SENDER_AS + sender },
      ...{ receives: false, feed: feedOf(size, sender) },
    })),
  ];
}

async function run(kind: DaemonKind, size: Size, options: RunOptions): Promise<Figures> {
  await using stage = await Stage.build(size.senders + 1);
  const figures: Record<string, number> = {};
  try {
    const peers = peersOf(size);
    await stage.peers(peers);
    const neighbors = peers.map(
      ({ address, as, receives }): Neighbor => ({ address, as, passive: true, export: receives }),
    );
    const started = await stage.start(kind, { neighbors });
    const up = stage.generator.reach({ established: peers.length }, UP_MS_MAX);
    up.catch(() => undefined);
    await stage.generator.dial(peers.length);
    await up;
    const total = size.overlapping ? size.prefixes + size.senders : size.prefixes * size.senders;
    await phases(stage, kind, started, total, options, figures);
    return figures;
  } catch (error) {
    if (error instanceof LateError) throw new PartialRun(figures, error);
    throw error;
  }
}

/** Load, withdraw, load, drop; figures are there as soon as they are known. */
async function phases(
  { generator }: Stage,
  kind: DaemonKind,
  { daemon, folder }: Started,
  total: number,
  options: RunOptions,
  figures: Record<string, number>,
): Promise<void> {
  const probe = kind.key === "podrouter" ? new AdminProbe(adminSocket(folder)) : undefined;
  const phase = async (live: number, act: () => Promise<number>) => {
    const reached = generator.reach({ live }, options.timeoutMs);
    reached.catch(() => undefined);
    const from = await act();
    const { at, totals } = await reached;
    figures["cpu"] = await cpuSeconds(pids);
    figures["rss"] = await megabytes(pids, "VmHWM");
    return { took: seconds(from, at), totals };
  };
  const pids = await daemon.pids();
  const before = await cpuSeconds(pids);
  const load = await phase(total, () => generator.send("announce"));
  figures["load"] = load.took;
  figures["loadCpu"] = figures["cpu"]! - before;
  figures["updatesOut"] = load.totals.updates;
  figures["withdraw"] = (await phase(0, () => generator.send("withdraw"))).took;
  figures["again"] = (await phase(total, () => generator.send("announce"))).took;
  // The relay keeps no table: it has nothing to withdraw when a sender is gone.
  if (kind.key !== RELAY_KEY) figures["drop"] = (await phase(0, () => generator.drop())).took;
  if (probe !== undefined) figures["adminMs"] = await probe.stop();
}
