/** S6: a Node is made, or deleted, at the API server: until the kernel is as it must be. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { nodeObject } from "../../test/support/cluster.ts";
import { JsonProcess } from "../../test/support/peers/json-process.ts";
import { NamespaceProcess } from "../../test/support/peers/process.ts";
import { until } from "../../test/support/shell.ts";
import { adminSocket } from "../daemons/podrouter.ts";
import { PrefixPlan } from "../generator/feed.ts";
import { addressText } from "../generator/messages.ts";
import type { PeerSpec } from "../generator/peers.ts";
import type { NodeEvent, Seen } from "../measure/node-events-main.ts";
import { DAEMON_ADDRESS, DAEMON_AS, linkAddress, Stage } from "../stage.ts";
import type { Figures, Measure, Scenario } from "./scenario.ts";

const SIZES = [10, 100, 1000] as const;
const EVENTS = 100;
const UP_MS_MAX = 60_000;
const SELF = "bench-self";
const API = `${linkAddress(0)}:6443`;
const ROOT = join(import.meta.dirname, "..", "..");
const API_SERVER = join(ROOT, "test", "support", "api-server", "main.ts");
const EVENTS_PROGRAM = join(import.meta.dirname, "..", "measure", "node-events-main.ts");

interface BenchNode {
  readonly name: string;
  readonly address: string;
  readonly podCidr: string;
}

export const S6: Scenario = {
  key: "s6",
  title: "S6: a Node event until the kernel is right",
  text:
    "The agent in a cluster of so many Nodes, each a peer with its pod CIDR. One more is made " +
    `at the API server and deleted again, ${EVENTS} times each: from the request's beginning ` +
    "until the kernel has the route (over a new BGP session) and the sets have both members, or " +
    "none of them. The API server is the tests' own.",
  measures: [
    ...SIZES.flatMap((size): Measure[] => {
      const at = `${size.toLocaleString("en")} Nodes`;
      return [
        { key: `p50@${size}`, label: `${at}: p50`, unit: "ms", ratio: false },
        { key: `p99@${size}`, label: `${at}: p99`, unit: "ms", ratio: false },
        { key: `sets@${size}`, label: `${at}: sets alone, p50`, unit: "ms", ratio: false },
      ];
    }),
    { key: "flat", label: "p50, 1,000 against 10", unit: "", ratio: false },
  ],
  chart: {
    ...{ kind: "lines", sizes: SIZES, of: "Nodes", measure: "p50" },
    axis: "Node event → kernel, median, ms",
  },
  takes: ({ key }) => key === "podrouter",
  run: async (kind, options) => {
    let figures: Figures = {};
    for (const size of SIZES) {
      const count = Math.max(2, Math.round(size / options.scale));
      const events = Math.max(5, Math.round(EVENTS / options.scale));
      const seen = await run(kind.command?.() ?? [], count, events);
      const whole = seen.map(({ route, sets }) => Math.max(route, sets));
      figures = {
        ...figures,
        [`p50@${size}`]: quantile(whole, 0.5),
        [`p99@${size}`]: quantile(whole, 0.99),
        [`sets@${size}`]: quantile(
          seen.map(({ sets }) => sets),
          0.5,
        ),
      };
    }
    const [few, many] = [figures["p50@10"] ?? 0, figures["p50@1000"] ?? 0];
    return { ...figures, flat: few === 0 ? 0 : many / few };
  },
};

function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
}

/** Nodes on the agent's link: 198.19.128.0 and on. */
function nodes(count: number): readonly BenchNode[] {
  const plan = new PrefixPlan("24");
  return Array.from({ length: count }, (_, index) => {
    plan.next();
    const address = `198.19.${128 + (index >> 8)}.${index & 255}`;
    return { name: `bench-${index}`, address, podCidr: `${addressText(plan.address)}/24` };
  });
}

function peerOf(node: BenchNode, index: number): PeerSpec {
  const feed = {
    ...{ prefixes: 1, sets: 1, prefixesPerUpdate: 1, firstPrefix: index, lengths: "24" as const },
    ...{ nextHop: node.address, as: undefined, seed: 1 },
  };
  const { address } = node;
  return { address, as: DAEMON_AS, receives: false, feed, announceAtOnce: true };
}

async function run(
  command: readonly string[],
  count: number,
  events: number,
): Promise<readonly Seen[]> {
  const stage = await Stage.build(1);
  try {
    const all = nodes(count + 1);
    const extra = all[count]!;
    await onOneLink(stage, all);
    await stage.peers(all.map(peerOf));
    await stage.generator.listen();
    const kubeconfig = await startApi(stage, all.slice(0, count));
    const agent = await startAgent(stage, command, kubeconfig);
    await until(
      "the kernel has all routes and sets",
      () => complete(stage, agent, count),
      UP_MS_MAX,
    ).catch((error: Error) => {
      throw new Error(`${error.message}: ${agent.output.slice(-1000)}`);
    });
    const helper = new JsonProcess("events", stage.namespaces.name("daemon"), EVENTS_PROGRAM);
    stage.add(() => helper.process.stop());
    helper.start({});
    const seen: Seen[] = [];
    const base = `http://${API}/api/v1/nodes`;
    for (let i = 0; i < events; i++) {
      const common = { podCidr: extra.podCidr, address: extra.address };
      const made: NodeEvent = { ...common, method: "POST", url: base, body: nodeObject(extra) };
      seen.push(await helper.ask<Seen>("event", made));
      const gone: NodeEvent = { ...common, method: "DELETE", url: `${base}/${extra.name}` };
      seen.push(await helper.ask<Seen>("event", gone));
    }
    return seen;
  } finally {
    await stage.remove();
  }
}

async function complete(stage: Stage, agent: NamespaceProcess, count: number): Promise<boolean> {
  if (!agent.running) throw new Error("the agent ended");
  const routes = await stage.namespaces.ip("daemon", "route show proto 17");
  if (routes.trim().split("\n").length !== count) return false;
  const sets = await stage.namespaces.exec("daemon", "ipset", "list", "-n");
  return ["kube-router-pod-subnets", "kube-router-node-ips"].every((set) => sets.includes(set));
}

/**
 * All Nodes lie in the agent's own subnet. Their neighbour entries are permanent: such ones do not
 * count in the kernel's table, which is small and shared by all namespaces.
 */
async function onOneLink(stage: Stage, all: readonly BenchNode[]): Promise<void> {
  const ns = stage.namespaces;
  await ns.ip("daemon", "addr flush dev eth0");
  await ns.ip("daemon", `addr add ${DAEMON_ADDRESS}/16 dev eth0`);
  await ns.ip("peers", "route add local 198.19.128.0/17 dev lo");
  const [link] = JSON.parse(await ns.ip("peers", "-j link show eth0")) as { address: string }[];
  const entry = (address: string) =>
    `neigh replace ${address} lladdr ${link!.address} dev eth0 nud permanent`;
  const file = join(stage.folder, "neighbours");
  await writeFile(file, `${all.map(({ address }) => entry(address)).join("\n")}\n`);
  await ns.ip("daemon", `-batch ${file}`);
}

async function startApi(stage: Stage, listed: readonly BenchNode[]): Promise<string> {
  const file = join(stage.folder, "nodes.json");
  const kubeconfig = join(stage.folder, "kubeconfig");
  const self = { name: SELF, address: DAEMON_ADDRESS, podCidr: "10.255.0.0/24" };
  const items = [self, ...listed].map(nodeObject);
  await writeFile(file, JSON.stringify({ kind: "List", apiVersion: "v1", items }));
  const api = new NamespaceProcess("api-server", stage.namespaces.name("peers"));
  const words = ["--listen", API, "--nodes", file, "--kubeconfig-out", kubeconfig];
  api.start(process.execPath, [API_SERVER, ...words]);
  stage.add(() => api.stop());
  await until("the API server is ready", () => readFile(kubeconfig, "utf8").catch(() => undefined));
  return kubeconfig;
}

async function startAgent(
  stage: Stage,
  command: readonly string[],
  kubeconfig: string,
): Promise<NamespaceProcess> {
  const folder = join(stage.folder, "agent");
  await mkdir(folder);
  const agent = new NamespaceProcess("podrouter", stage.namespaces.name("daemon"));
  const [program, ...args] = command;
  agent.start(program!, [
    ...[...args, "run", `--kubeconfig=${kubeconfig}`, `--hostname-override=${SELF}`],
    ...[`--admin-socket=${adminSocket(folder)}`, `--state-dir=${join(folder, "state")}`],
    ...["--enable-cni=false", "--bgp-graceful-restart=false", "--health-port=0"],
  ]);
  stage.add(() => agent.stop());
  return agent;
}
