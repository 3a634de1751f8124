/**
 * Plays the cluster around one agent: API server, other nodes, and the stop watch. Runs in the
 * namespace of the other nodes; starts the agent in the namespace of its own. Options as JSON in the
 * first argument, results as JSON on standard output. Started by bench/node-events.ts.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ApiServer } from "../../test/support/api-server/api-server.ts";
import { Daemon, until } from "../../test/support/shell.ts";
import { FakePeers } from "./fake-peers.ts";
import { KernelWatch } from "./kernel-watch.ts";
import {
  API_ADDRESS,
  API_PORT,
  agentDialsFirst,
  nodeAddress,
  nodeName,
  nodeObject,
  podCidr,
  SELF_NAME,
} from "./lab-cluster.ts";
import { LivenessProbe } from "./liveness-probe.ts";
import type { DriverOptions, DriverResult, IdleMemory, NodeTimes } from "./types.ts";

const POD_SUBNETS = "kube-router-pod-subnets";
const NODE_IPS = "kube-router-node-ips";
/** Between two events: the agent has come to rest, and is not caught at the same beat each time. */
const REST_MS = 15;
/** What is measured is the agent as it is for hours: its code is compiled by then. */
const WARM_UP_EVENTS = 10;
/** Until the first OPEN, and from then until all routes are there. */
const START_MS_MAX = { firstOpen: 20_000, allRoutes: 60_000 };
/** The same for an agent that is held to a part of a core. */
const SCARCE_MS_MAX = { firstOpen: 200_000, allRoutes: 400_000 };
const MERGE_PATCH = "application/merge-patch+json";

const options = JSON.parse(process.argv[2] ?? "") as DriverOptions;
/** Which of its two pod CIDRs a Node has. */
const generation = new Map<number, number>();
const cidrOf = (n: number) => podCidr(n, generation.get(n) ?? 0);
const api = new ApiServer({ host: API_ADDRESS, port: API_PORT });
const peers = new FakePeers((n) => {
  const [, x, y] = cidrOf(n).split(".").map(Number);
  return (x ?? 0) * 256 + (y ?? 0);
});
const kernel = new KernelWatch(options.namespace);

api.nodes.load(Array.from({ length: options.nodes + 1 }, (_, n) => nodeObject(n, 0)));
await api.start();
await peers.listen();
mkdirSync(options.folder, { recursive: true });
writeFileSync(join(options.folder, "kubeconfig"), api.kubeconfig());
const { cpuLimit } = options;
const startedAt = performance.now();
const agent = startAgent();
const probe = cpuLimit === undefined ? undefined : new LivenessProbe(options.namespace, startedAt);
let code = 0;
try {
  process.stdout.write(JSON.stringify(await measured()));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n${agent.output}\n`);
  code = 1;
}
probe?.stop();
await agent.stop();
process.exit(code);

function startAgent(): Daemon {
  const file = (name: string) => join(options.folder, name);
  const args = [
    ...["netns", "exec", options.namespace, process.execPath, ...options.nodeFlags],
    ...[options.program, "run", `--hostname-override=${SELF_NAME}`],
    `--kubeconfig=${file("kubeconfig")}`,
    `--admin-socket=${file("admin.sock")}`,
    `--state-dir=${file("state")}`,
    `--cni-conf-file=${file("10-kuberouter.conflist")}`,
    ...options.agentFlags,
  ];
  const [program = "", ...words] = [...(cpuLimit ?? []), "ip", ...args];
  return new Daemon("agent", program, words, { env: { ...options.env } });
}

async function measured(): Promise<DriverResult> {
  const all = Array.from({ length: options.nodes }, (_, i) => podCidr(i + 1, 0));
  const limit = cpuLimit === undefined ? START_MS_MAX : SCARCE_MS_MAX;
  await until("the first OPEN", () => peers.firstOpenAt !== undefined, limit.firstOpen, 1);
  const [firstOpenCpuMs, firstOpenQueuedMs] = mainThreadMs();
  const firstOpenMs = peers.firstOpenAt! - startedAt;
  const routesThere = () => all.every((cidr) => kernel.routes.has(cidr));
  await until("all routes are in the kernel", routesThere, limit.allRoutes, 2);
  const allRoutesMs = performance.now() - startedAt;
  const events: NodeTimes[] = [];
  let idle: IdleMemory | undefined;
  if (options.idleMs > 0) {
    await sleep(options.idleMs);
    idle = memory();
  }
  const before = cpuMs();
  const count = options.events === 0 ? 0 : options.events + WARM_UP_EVENTS;
  for (let i = 0; i < count; i++) {
    const times = await changes(1 + (i % options.nodes));
    if (i >= WARM_UP_EVENTS) events.push(times);
  }
  const cpuMsPerChange = count === 0 ? 0 : (cpuMs() - before) / (3 * count);
  const start = { firstOpenMs, firstOpenCpuMs, firstOpenQueuedMs, allRoutesMs };
  const probes = probe === undefined ? {} : { probes: probe.counts() };
  return { ...start, ...probes, events, idle, cpuMsPerChange };
}

/** One Node goes, comes back and gets another pod CIDR; all three are timed. */
async function changes(n: number): Promise<NodeTimes> {
  const [name, address, cidr] = [nodeName(n), nodeAddress(n), cidrOf(n)];
  await rest();
  const deleted = await timed(
    () => api.nodes.delete(name),
    [
      () => kernel.route(cidr, false),
      () => kernel.member(POD_SUBNETS, cidr, false),
      () => kernel.member(NODE_IPS, address, false),
    ],
  );
  await until("the peer has no session", () => !peers.established.has(n), 5_000, 2);
  await rest();
  const added = await timed(() => {
    peers.added(n);
    api.nodes.create(nodeObject(n, generation.get(n) ?? 0));
  }, [
    () => kernel.member(POD_SUBNETS, cidr, true),
    () => kernel.member(NODE_IPS, address, true),
    () => kernel.route(cidr, true),
  ]);
  await rest();
  generation.set(n, (generation.get(n) ?? 0) + 1);
  const spec = { podCIDR: cidrOf(n), podCIDRs: [cidrOf(n)] };
  const changed = await timed(
    () => api.nodes.patch(name, MERGE_PATCH, { spec }, "main"),
    [
      () => kernel.member(POD_SUBNETS, cidrOf(n), true),
      () => kernel.member(POD_SUBNETS, cidr, false),
    ],
  );
  generation.set(n, (generation.get(n) ?? 0) - 1);
  api.nodes.patch(name, MERGE_PATCH, { spec: { podCIDR: cidr, podCIDRs: [cidr] } }, "main");
  await kernel.member(POD_SUBNETS, cidr, true);
  return {
    deletedRoute: deleted[0]!,
    deletedSets: Math.max(deleted[1]!, deleted[2]!),
    addedSets: Math.max(added[0]!, added[1]!),
    /** By its session, which has to come up first. */
    addedRoute: added[2]!,
    changedSets: Math.max(changed[0]!, changed[1]!),
    agentDialsFirst: agentDialsFirst(n),
    crossed: peers.crossed(n),
  };
}

/** Milliseconds from the change until each of the things is so. */
async function timed(
  change: () => void,
  things: readonly (() => Promise<number>)[],
): Promise<number[]> {
  const began = performance.now();
  change();
  const ends = await Promise.all(things.map((thing) => thing()));
  return ends.map((end) => end - began);
}

function rest(): Promise<void> {
  return sleep(REST_MS * (1 + Math.random()));
}

/** CPU of the agent so far; the scheduler's ticks are of 10 ms. */
function cpuMs(): number {
  const fields = readFileSync(`/proc/${agent.child.pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** What the agent's main thread has worked so far, and waited for a processor to be free. */
function mainThreadMs(): readonly [number, number] {
  const { pid } = agent.child;
  const fields = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8").split(" ");
  return [Number(fields[0]) / 1e6, Number(fields[1]) / 1e6];
}

function memory(): IdleMemory {
  const text = readFileSync(`/proc/${agent.child.pid}/smaps_rollup`, "utf8");
  const kilobytes = (field: string) =>
    Number(new RegExp(`^${field}: +(\\d+) kB`, "m").exec(text)?.[1]);
  return {
    rss: kilobytes("Rss"),
    pss: kilobytes("Pss"),
    private: kilobytes("Private_Clean") + kilobytes("Private_Dirty"),
    anonymous: kilobytes("Anonymous"),
  };
}
