/**
 * The agent as a process: how fast it starts, what it weighs when idle, and how long a change of a
 * Node takes from the API server to the kernel. One real agent (the bundle, as in the image) in a
 * namespace; API server and all other nodes are played by one driver in another (root).
 *
 *   node_modules/node/bin/node bench/node-events.ts events [nodes] [events]
 *   node_modules/node/bin/node bench/node-events.ts start [nodes] [runs]
 *   node_modules/node/bin/node bench/node-events.ts scarce [nodes] [percent of one core]
 *   node_modules/node/bin/node bench/node-events.ts idle [nodes]
 *   node_modules/node/bin/node bench/node-events.ts events 1000 20 -- --enable-overlay …
 *
 * What follows `--` are flags of the agent.
 *
 * Case for: the start order of src/agent/agent.ts, what scripts/bundle.ts leaves out, and a set's
 * members kept between passes (src/ipset/controller.ts).
 */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { keptFolder } from "../packages/netlink-ts/test/support/keeper.ts";
import { fromCommandLine, numberOf, UsageError, wordsOf } from "../scripts/command-line.ts";
import { imageRuntime } from "../test/support/image-recipe.ts";
import { Namespaces } from "../test/support/namespaces.ts";
import { makeBundle } from "../test/support/program.ts";
import { must } from "../test/support/shell.ts";
import { CpuLimit } from "./node-events/cpu-limit.ts";
import {
  API_ADDRESS,
  NODE_SUBNETS,
  nodeAddress,
  SELF_ADDRESS,
  SUBNET_LENGTH,
} from "./node-events/lab-cluster.ts";
import type {
  DriverOptions,
  DriverResult,
  EventTimes,
  IdleMemory,
  ProbeCounts,
} from "./node-events/types.ts";

const DRIVER = join(import.meta.dirname, "node-events", "driver.ts");
const DRIVER_MS_MAX = 900_000;
const IDLE_AFTER_MS = 8_000;

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface NodeEventFigures extends Percentiles {
  readonly nodes: number;
  readonly events: number;
  /** By kind; the figures above are of all kinds that need no new session. ms. */
  readonly kinds: Readonly<Record<keyof EventTimes, Percentiles>>;
  /** addedRoute by whose turn it is to dial: of the higher identifier. */
  readonly agentDials: Percentiles;
  readonly peerDials: Percentiles;
  /** Part of the added Nodes for which both dialled at once. */
  readonly crossed: number;
  /** CPU of the agent for each change of a Node, sessions included. */
  readonly cpuMsPerChange: number;
}

export interface StartFigures {
  readonly nodes: number;
  /** Process made → first OPEN heard, ms, of each run. */
  readonly firstOpenMs: readonly number[];
  readonly median: number;
  /** Medians of what its main thread worked until then, and waited for a processor to be free. */
  readonly cpuMs: number;
  readonly queuedMs: number;
  /** Process made → all routes in the kernel. */
  readonly allRoutesMs: number;
}

export interface ScarceStartFigures extends ProbeCounts {
  readonly nodes: number;
  readonly cpuPercent: number;
  readonly firstOpenMs: number;
  readonly allRoutesMs: number;
}

/** What runs, with the options of the image first; the bundle, made for the purpose, unless told. */
export interface AgentProgram {
  readonly program?: string;
  readonly nodeFlags?: readonly string[];
  readonly agentFlags?: readonly string[];
}

type Sizes = Pick<DriverOptions, "nodes" | "events" | "idleMs" | "cpuLimit">;

/** Node events → kernel, with so many other Nodes. `events` Nodes go, come back and change. */
export async function measureNodeEvents(
  options: { readonly nodes: number; readonly events: number } & AgentProgram,
): Promise<NodeEventFigures> {
  const { nodes, events } = options;
  const result = await drive({ nodes, events, idleMs: 0 }, options);
  const of = (...kinds: (keyof EventTimes)[]) =>
    percentiles(result.events.flatMap((times) => kinds.map((kind) => times[kind])));
  const kinds = {
    deletedRoute: of("deletedRoute"),
    deletedSets: of("deletedSets"),
    addedSets: of("addedSets"),
    addedRoute: of("addedRoute"),
    changedSets: of("changedSets"),
  };
  const all = of("deletedRoute", "deletedSets", "addedSets", "changedSets");
  const addedRoute = (agentFirst: boolean) =>
    percentiles(
      result.events
        .filter(({ agentDialsFirst }) => agentDialsFirst === agentFirst)
        .map((times) => times.addedRoute),
    );
  return {
    ...{ nodes, events, ...all, kinds, cpuMsPerChange: result.cpuMsPerChange },
    agentDials: addedRoute(true),
    peerDials: addedRoute(false),
    crossed: result.events.filter(({ crossed }) => crossed).length / Math.max(1, events),
  };
}

/** Process start → first OPEN, so many runs one after the other. */
export async function measureStart(
  options: { readonly nodes: number; readonly runs: number } & AgentProgram,
): Promise<StartFigures> {
  const { nodes, runs } = options;
  const results: DriverResult[] = [];
  for (let i = 0; i < runs; i++) {
    results.push(await drive({ nodes, events: 0, idleMs: 0 }, options));
  }
  const median = (read: (result: DriverResult) => number) => percentiles(results.map(read)).p50;
  return {
    nodes,
    firstOpenMs: results.map((result) => result.firstOpenMs),
    median: median((result) => result.firstOpenMs),
    cpuMs: median((result) => result.firstOpenCpuMs),
    queuedMs: median((result) => result.firstOpenQueuedMs),
    allRoutesMs: median((result) => result.allRoutesMs),
  };
}

/** A start with a part of one core: when it answers, which probes it misses, when all routes are there. */
export async function measureScarceStart(
  options: { readonly nodes: number; readonly cpuPercent: number } & AgentProgram,
): Promise<ScarceStartFigures> {
  const { nodes, cpuPercent } = options;
  const limit = new CpuLimit(cpuPercent);
  try {
    const sizes = { nodes, events: 0, idleMs: 0, cpuLimit: limit.wrapper };
    const { probes, firstOpenMs, allRoutesMs } = await drive(sizes, options);
    return { nodes, cpuPercent, ...probes!, firstOpenMs, allRoutesMs };
  } finally {
    limit.remove();
  }
}

/** Memory of the agent that has nothing to do, kB. */
export async function measureIdle(
  options: { readonly nodes: number; readonly idleMs?: number } & AgentProgram,
): Promise<IdleMemory> {
  const { nodes, idleMs = IDLE_AFTER_MS } = options;
  const result = await drive({ nodes, events: 0, idleMs }, options);
  return result.idle!;
}

/** Two namespaces and a folder. */
class Lab {
  readonly namespaces = new Namespaces();
  readonly folder = keptFolder();

  async remove(): Promise<void> {
    await this.namespaces.remove();
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function drive(sizes: Sizes, agent: AgentProgram): Promise<DriverResult> {
  const lab = new Lab();
  const { namespaces, folder } = lab;
  try {
    const { nodeFlags, env } = imageRuntime();
    const program = agent.program ?? (await bundled(folder));
    const own = await namespaces.add("own");
    const others = await namespaces.add("others");
    await namespaces.veth("own", "eth0", "others", "eth0");
    await namespaces.ip("own", `addr add ${SELF_ADDRESS}/${SUBNET_LENGTH} dev eth0`);
    await namespaces.ip("others", `addr add ${API_ADDRESS}/${SUBNET_LENGTH} dev eth0`);
    // Every address of the subnets is an own one there: each is a node.
    for (const subnet of NODE_SUBNETS) {
      await namespaces.ip("others", `route add local ${subnet} dev lo`);
    }
    await knowNeighbours(lab, sizes.nodes);
    const options: DriverOptions = {
      ...sizes,
      namespace: own,
      folder,
      program,
      nodeFlags: [...nodeFlags, ...(agent.nodeFlags ?? [])],
      env,
      agentFlags: agent.agentFlags ?? [],
    };
    const args = [
      ...["--pdeathsig", "KILL", "ip", "netns", "exec", others],
      ...[process.execPath, DRIVER, JSON.stringify(options)],
    ];
    return JSON.parse(await must("setpriv", args, { timeoutMs: DRIVER_MS_MAX })) as DriverResult;
  } finally {
    await lab.remove();
  }
}

/**
 * All network namespaces of a machine share the kernel's 1,024 neighbour entries. When they are used
 * up a dial is lost and comes again after a second; entries for good do not count.
 */
async function knowNeighbours({ namespaces, folder }: Lab, nodes: number): Promise<void> {
  const link = JSON.parse(await namespaces.ip("others", "-json link show dev eth0")) as {
    readonly address: string;
  }[];
  const file = join(folder, "neighbours");
  const lines = Array.from(
    { length: nodes },
    (_, i) => `neigh add ${nodeAddress(i + 1)} lladdr ${link[0]?.address} dev eth0 nud permanent\n`,
  );
  await writeFile(file, lines.join(""));
  await must("ip", ["-n", namespaces.name("own"), "-batch", file]);
}

async function bundled(folder: string): Promise<string> {
  const dist = join(folder, "dist");
  await makeBundle(dist);
  return join(dist, "podrouter.cjs");
}

function percentiles(values: readonly number[]): Percentiles {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, ~~(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? 0 };
}

if (import.meta.main) {
  const usage =
    "node_modules/node/bin/node bench/node-events.ts [events|start|scarce|idle] [nodes] " +
    "[events, runs or percent] [-- FLAG OF THE AGENT …]";
  const measure = fromCommandLine("node-events", usage, (args) => {
    const end = args.includes("--") ? args.indexOf("--") : args.length;
    const [what = "events", ...sizes] = wordsOf(args.slice(0, end), 3);
    const agentFlags = args.slice(end + 1);
    const nodes = numberOf("nodes", sizes[0] ?? "100", 1);
    const count = numberOf("the number behind it", sizes[1] ?? "20", 1);
    const found = {
      events: () => measureNodeEvents({ nodes, events: count, agentFlags }),
      start: () => measureStart({ nodes, runs: count, agentFlags }),
      scarce: () => measureScarceStart({ nodes, cpuPercent: count, agentFlags }),
      idle: () => measureIdle({ nodes, agentFlags }),
    }[what];
    if (found === undefined) {
      throw new UsageError(`expected events, start, scarce or idle, not ${what}`);
    }
    return found;
  });
  const round = (_: string, value: unknown) =>
    typeof value === "number" ? Math.round(value * 100) / 100 : value;
  process.stdout.write(`${JSON.stringify(await measure(), round, 1)}\n`);
}
