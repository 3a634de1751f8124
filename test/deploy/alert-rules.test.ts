/**
 * The Prometheus configuration and the alert rules of docs/operating.md, tried with promtool on
 * series that a running agent exports: each alert fires in its case, and nothing else does.
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parse } from "yaml";
import {
  type DropRule,
  hasLabels,
  isKept,
  type Sample,
  seriesName,
} from "../support/prometheus-text.ts";
import { requireReal } from "../support/real.ts";
import { type Scrapes, scrapeAgent } from "../support/scraped-agent.ts";
import { hasProgram, must } from "../support/shell.ts";

const PAGE = join(import.meta.dirname, "..", "..", "docs", "operating.md");
const RULES = "podrouter-rules.yaml";
const CONFIGURATION = "prometheus.yaml";
const MISSING = "promtool is missing (Debian package prometheus)";

/** In a case one node is in trouble, and the others are not. */
const TROUBLED = "node3";
/** One of these away is less than 5 % of the mesh; of 20 it is more. */
const NODES = 25;

/** `AlertName`, or `AlertName node` where it says which node. */
type Firing = readonly string[];

/** In promtool's notation, one a minute; what the agent had is given, and how many at least. */
type Values = (value: number, minutes: number, node: number) => string;

interface Change {
  readonly metric: string;
  /** Those of the sample; all of the metric's without. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Where; `others` are all but {@link TROUBLED}. */
  readonly on: "troubled" | "others" | "all";
  readonly values: Values;
  readonly relabel?: Readonly<Record<string, string>>;
}

interface Case {
  readonly name: string;
  readonly nodes?: number;
  readonly changes: readonly Change[];
  /** Minutes from the beginning → what fires then. */
  readonly fires: Readonly<Record<number, Firing>>;
}

const constant =
  (value: number): Values =>
  (_, minutes) =>
    `${value}+0x${minutes}`;
/** Of a target that cannot be reached any more: Prometheus ends its series. */
const ended: Values = (value) => `${value} stale`;
const inTurns = (a: number, b: number, times: number) => Array(times).fill(`${a} ${b}`).join(" ");
const alternating =
  (a: number, b: number): Values =>
  (_, minutes) =>
    inTurns(a, b, Math.ceil(minutes / 2));
/** The first and the second by turns as long as there are nodes, then the first. */
const rollout =
  (a: number, b: number): Values =>
  (_, minutes) =>
    `${inTurns(a, b, NODES)} ${a}+0x${minutes}`;

/** Peers of that type, by state. */
function peers(on: Change["on"], type: string, up: Values, down: Values): readonly Change[] {
  const set = (state: string, values: Values): Change => {
    return { metric: "podrouter_bgp_peers", labels: { type, state }, on, values };
  };
  return [set("up", up), set("down", down)];
}

/** The node is switched off; each of the others misses one peer. */
function nodeAway(nodes: number): readonly Change[] {
  return [
    { metric: "*", on: "troubled", values: ended },
    { metric: "up", on: "troubled", values: constant(0) },
    ...peers("others", "internal", constant(nodes - 2), constant(1)),
  ];
}

/** A counter of the node that rises by so much a minute. */
function rises(metric: string, by: number, labels: Record<string, string> = {}): Change {
  return {
    metric,
    labels,
    on: "troubled",
    values: (value, minutes) => `${value}+${by}x${minutes}`,
  };
}

const CASES: readonly Case[] = [
  { name: "all is well", changes: [], fires: { 1: [], 10: [], 40: [] } },
  {
    name: "a node of 25 is switched off",
    changes: nodeAway(NODES),
    fires: {
      4: [],
      6: [`PodrouterAgentDown ${TROUBLED}`],
      40: [`PodrouterAgentDown ${TROUBLED}`, "PodrouterMeshIncomplete"],
    },
  },
  {
    name: "a node of 20 is switched off",
    nodes: 20,
    changes: nodeAway(20),
    fires: {
      2: [],
      4: ["PodrouterManyCutOff"],
      10: [`PodrouterAgentDown ${TROUBLED}`, "PodrouterManyCutOff"],
    },
  },
  {
    name: "no agent is scraped at all",
    changes: [
      { metric: "*", on: "all", values: ended },
      { metric: "up", on: "all", values: ended },
    ],
    fires: { 4: [], 20: ["PodrouterAgentDown"] },
  },
  {
    name: "an agent is not ready",
    changes: [{ metric: "podrouter_ready", on: "troubled", values: constant(0) }],
    fires: { 4: [], 6: [`PodrouterNotReady ${TROUBLED}`] },
  },
  {
    name: "an error stands",
    changes: [
      {
        metric: "podrouter_conditions",
        labels: { severity: "error" },
        on: "troubled",
        values: constant(1),
      },
    ],
    fires: { 4: [], 6: [`PodrouterCondition ${TROUBLED}`] },
  },
  {
    name: "a route is not installed, which is a warning",
    changes: [
      {
        metric: "podrouter_conditions",
        labels: { source: "routes", severity: "warning" },
        on: "troubled",
        values: constant(1),
      },
    ],
    fires: { 4: [], 6: [`PodrouterCondition ${TROUBLED}`] },
  },
  {
    name: "a node has lost most of the others, and lives",
    changes: [
      ...peers("troubled", "internal", constant(1), constant(NODES - 2)),
      ...peers("others", "internal", constant(NODES - 2), constant(1)),
    ],
    fires: {
      1: [],
      10: ["PodrouterManyCutOff", `PodrouterNodeCutOff ${TROUBLED}`],
    },
  },
  {
    name: "a router is away",
    changes: peers("troubled", "external", constant(1), constant(1)),
    fires: { 4: [], 40: [`PodrouterRouterDown ${TROUBLED}`] },
  },
  {
    name: "sessions come and go",
    changes: peers("troubled", "internal", alternating(NODES - 1, NODES - 5), alternating(0, 4)),
    fires: { 5: [], 40: [`PodrouterSessionsFlap ${TROUBLED}`] },
  },
  {
    name: "a rollout: each agent is restarted once, one every two minutes",
    changes: [
      ...peers("all", "internal", rollout(NODES - 1, NODES - 2), rollout(0, 1)),
      {
        metric: "process_start_time_seconds",
        on: "all",
        values: (value, minutes, node) => `${value}+0x${2 * node - 1} ${value + 600}+0x${minutes}`,
      },
    ],
    fires: Object.fromEntries([5, 10, 15, 20, 30, 40, 50, 55, 60, 65, 80].map((at) => [at, []])),
  },
  {
    name: "the kernel refuses routes",
    changes: [rises("podrouter_host_routes_failed_total", 1)],
    fires: { 5: [`PodrouterKernelRefuses ${TROUBLED}`] },
  },
  {
    name: "somebody else removes our routes",
    changes: [rises("podrouter_host_routes_foreign_total", 2)],
    fires: { 5: [], 40: [`PodrouterContested ${TROUBLED}`] },
  },
  {
    name: "somebody else flushes our packet rules",
    changes: [rises("podrouter_packet_rules_repaired_total", 2)],
    fires: { 5: [], 40: [`PodrouterContested ${TROUBLED}`] },
  },
  {
    name: "a password is wrong",
    changes: [rises("podrouter_tcp_md5_dropped_total", 1, { cause: "wrong" })],
    fires: { 10: [], 40: [`PodrouterPasswordsDiffer ${TROUBLED}`] },
  },
  {
    name: "an agent is restarted again and again",
    changes: [
      {
        metric: "process_start_time_seconds",
        on: "troubled",
        values: (value) => [0, 1, 2, 3, 4, 5].map((i) => `${value + 480 * i}+0x7`).join(" "),
      },
    ],
    fires: { 10: [], 30: [`PodrouterRestarts ${TROUBLED}`] },
  },
  {
    name: "an agent takes too much memory",
    changes: [
      { metric: "process_resident_memory_bytes", on: "troubled", values: constant(250_000_000) },
    ],
    fires: { 10: [], 20: [`PodrouterMemory ${TROUBLED}`] },
  },
  {
    name: "a rollout stands still",
    nodes: 3,
    changes: [
      {
        metric: "kube_router_build_info",
        on: "troubled",
        values: constant(1),
        relabel: { version: "0.1.0+g1a2b3c4" },
      },
    ],
    fires: { 700: [], 730: ["PodrouterVersions"] },
  },
];

let folder = "";
let scrapes: Scrapes;
let rules: readonly { readonly alert: string; readonly expr: string }[] = [];
let dropped: readonly DropRule[] = [];

/** The block of the page that begins with the comment of that name. */
function block(page: string, name: string): string {
  const blocks = [...page.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text]) => text!);
  const found = blocks.filter((text) => text.startsWith(`# ${name}\n`));
  assert.equal(found.length, 1, `${name} in docs/operating.md`);
  return found[0]!;
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "podrouter-rules-"));
  const page = await readFile(PAGE, "utf8");
  for (const name of [RULES, CONFIGURATION]) await writeFile(join(folder, name), block(page, name));
  rules = parse(block(page, RULES)).groups[0].rules;
  dropped = parse(block(page, CONFIGURATION)).scrape_configs[0].metric_relabel_configs;
  scrapes = await scrapeAgent();
});
after(() => rm(folder, { recursive: true, force: true }));

test("a scrape has as many series as the page says, of a peer and besides", async () => {
  const page = await readFile(PAGE, "utf8");
  const ofPeer = scrapes.well.filter(({ labels }) => labels["address"] !== undefined);
  assert.equal(ofPeer.length, Number(/Of each peer there are (\d+) series/.exec(page)?.[1]));
  const kept = scrapes.well.filter((sample) => isKept(sample, dropped));
  const said = Number(/is some (\d+) series a node/.exec(page)?.[1]);
  assert.equal(kept.length, scrapes.well.length - ofPeer.length);
  assert.ok(Math.abs(kept.length - said) < 30, `${kept.length} series, not some ${said}`);
});

test("promtool takes the configuration and the rules", async (t) => {
  if (!requireReal(t, await hasProgram("promtool"), MISSING)) return;
  // Debian builds it without the discovery of Kubernetes.
  const configuration = parse(await readFile(join(folder, CONFIGURATION), "utf8"));
  for (const job of configuration.scrape_configs) delete job.kubernetes_sd_configs;
  const file = join(folder, "without-discovery.yaml");
  await writeFile(file, JSON.stringify(configuration));
  await must("promtool", ["check", "config", "--syntax-only", file]);
  await must("promtool", ["check", "rules", "--lint=all", "--lint-fatal", join(folder, RULES)]);
});

test("each alert fires in its case, and no other does", async (t) => {
  const fired = CASES.flatMap(({ fires }) => Object.values(fires).flat());
  assert.deepEqual(
    [...new Set(fired.map((name) => name.split(" ")[0]))].sort(),
    rules.map(({ alert }) => alert).sort(),
    "each alert has a case in which it fires",
  );
  if (!requireReal(t, await hasProgram("promtool"), MISSING)) return;
  const tests = CASES.map((each) => ({
    interval: "1m",
    input_series: inputSeries(each),
    promql_expr_test: Object.entries(each.fires).map(([minutes, firing]) => ({
      expr: 'count by (alertname, node) (ALERTS{alertstate="firing"})',
      eval_time: `${minutes}m`,
      exp_samples: firing.map((alert) => {
        const [alertname, node] = alert.split(" ");
        const labels = { alertname: alertname!, ...(node === undefined ? {} : { node }) };
        return { labels: seriesName({ name: "", labels }), value: 1 };
      }),
    })),
  }));
  const file = join(folder, "cases.yaml");
  await writeFile(file, JSON.stringify({ rule_files: [RULES], evaluation_interval: "1m", tests }));
  await must("promtool", ["test", "rules", file]);
});

/** What Prometheus has of all nodes: samples of the agent with the labels of a target. */
function inputSeries({ name, nodes = NODES, changes, fires }: Case): readonly object[] {
  const looked = rules.map(({ expr }) => expr).join("\n");
  const kept = (samples: readonly Sample[]) =>
    samples.filter((sample) => isKept(sample, dropped) && looked.includes(sample.name));
  const well = kept(scrapes.well).map((sample) => ofMesh(sample, nodes));
  const used = new Set<Change>();
  const minutes = Math.max(...Object.keys(fires).map(Number)) + 1;
  const series: object[] = [];
  for (let node = 1; node <= nodes; node++) {
    const troubled = `node${node}` === TROUBLED;
    const here = changes.filter(({ on }) => on === "all" || (on === "troubled") === troubled);
    // Those of trouble only where a case asks for them.
    const extra = kept(scrapes.troubled).filter(
      (sample) =>
        !well.some((each) => seriesName(each) === seriesName(sample)) &&
        here.some((change) => change.metric !== "*" && concerns(change, sample)),
    );
    const up: Sample = { name: "up", labels: {}, value: 1 };
    for (const sample of [up, ...well, ...extra]) {
      const change = here.findLast((each) => concerns(each, sample));
      if (change !== undefined) used.add(change);
      const target = { job: "podrouter", instance: `192.0.2.${node}:20245`, node: `node${node}` };
      const labels = { ...sample.labels, ...target, ...change?.relabel };
      const values = change?.values ?? constant(sample.value);
      series.push({
        series: seriesName({ ...sample, labels }),
        values: values(sample.value, minutes, node),
      });
    }
  }
  const unused = changes.filter((change) => !used.has(change)).map(({ metric }) => metric);
  assert.deepEqual(unused, [], `${name}: the agent exports no such series`);
  return series;
}

/** The agent that was scraped had one peer; in a mesh all others are. */
function ofMesh(sample: Sample, nodes: number): Sample {
  const { type, state } = sample.labels;
  if (sample.name !== "podrouter_bgp_peers" || type !== "internal" || state !== "up") return sample;
  return { ...sample, value: sample.value * (nodes - 1) };
}

function concerns({ metric, labels = {} }: Change, sample: Sample): boolean {
  if (metric !== sample.name && !(metric === "*" && sample.name !== "up")) return false;
  return hasLabels(sample, labels);
}
