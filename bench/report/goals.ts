/** The goals that the project has set itself, each beside what was measured. */
import { RELAY_KEY } from "../daemons/relay.ts";
import { type DaemonResult, type ScenarioResult, statisticOf } from "../results.ts";
import { kernelFloor } from "../scenarios/kernel-floor.ts";
import { number, ratioOf } from "./table.ts";

interface Goal {
  readonly text: string;
  readonly scenario: string;
  /** `median` of our own figure, or the ratio of ours to another's. */
  readonly measure: string;
  readonly against: string | undefined;
  /** Where the other's figure has another name. */
  readonly most: number;
  readonly unit: string;
}

export interface GoalRow {
  readonly text: string;
  readonly goal: string;
  /** Undefined: not measured. */
  readonly measured: string | undefined;
  readonly met: boolean | undefined;
  /** The same ratio of others that show what a figure is made of: `null relay 1.7`. */
  readonly beside: readonly string[];
}

function ratio(text: string, scenario: string, measure: string, most: number, against: string) {
  return { text, scenario, measure, against, most, unit: "" };
}

function bound(text: string, scenario: string, measure: string, most: number, unit: string) {
  return { text, scenario, measure, against: undefined, most, unit };
}

const BIRD = "bird";
const GOBGP = "gobgp";

const GOALS: readonly Goal[] = [
  ratio("S1 load", "s1", "load", 1, BIRD),
  ratio("S1 load", "s1", "load", 0.02, GOBGP),
  ratio("S1 withdraw all", "s1", "withdraw", 1, BIRD),
  ratio("S1 withdraw all", "s1", "withdraw", 0.02, GOBGP),
  bound("S1 peak RSS", "s1", "rss", 250, "MB"),
  bound("S1 slowest answer to `podrouter peers`", "s1", "adminMs", 100, "ms"),
  ratio("S2 load", "s2", "load", 1, BIRD),
  ratio("S2o load", "s2o", "load", 1, BIRD),
  ...["s3", "s3-1000"].flatMap((scenario) => {
    const count = scenario === "s3" ? "500" : "1,000";
    return [
      ratio(`S3 ${count} peers dial, from listening`, scenario, "peersListen", 1.5, BIRD),
      ratio(`S3 ${count}, the daemon dials, from listening`, scenario, "daemonListen", 1.5, BIRD),
      ratio(`S3 ${count}, both dial, from listening`, scenario, "bothListen", 1.5, BIRD),
      ratio(`S3 ${count} peers dial, from start`, scenario, "peersStart", 0.5, GOBGP),
      ratio(`S3 ${count}, the daemon dials, from start`, scenario, "daemonStart", 0.5, GOBGP),
      ratio(`S3 ${count}, both dial, from start`, scenario, "bothStart", 0.5, GOBGP),
    ];
  }),
  bound("S3 idle, 1,000 peers: CPU a minute", "s3-idle", "cpuMinute", 0.2, "s"),
  bound("S3 idle: event loop delay p99.9", "s3-idle", "loopP999", 10, "ms"),
  bound("S3 memory for each idle peer", "s3-idle", "peerKilobytes", 40, "kB"),
  bound("RSS of the idle agent", "s8", "rss", 64, "MB"),
  ratio("S4 withdraw → kernel clean", "s4", "withdraw", 1.5, BIRD),
  ratio("S4 drop → kernel clean", "s4", "drop", 1.5, BIRD),
  ratio("S5 10,000 routes → kernel", "s5", "load", 1, BIRD),
  ratio("S5 100,000 routes → kernel", "s5-100k", "load", 0.6, BIRD),
  bound("S5 10,000: event loop blocked", "s5", "loopMost", 20, "ms"),
  bound("S5 100,000: event loop blocked", "s5-100k", "loopMost", 20, "ms"),
  bound("S6 Node event → kernel, p50 at 1,000 Nodes", "s6", "p50@1000", 5, "ms"),
  bound("S6 Node event → kernel, p99 at 1,000 Nodes", "s6", "p99@1000", 25, "ms"),
  bound("S6 p50 at 1,000 Nodes against 10", "s6", "flat", 2, "×"),
  ratio("S7 100,000 members into an ipset", "s7", "fill", 0.5, "ipset"),
  bound("S7 one member at 100,000 against 1,000", "s7", "flat", 2, "×"),
  bound("S8 start → first OPEN", "s8", "open", 0.3, "s"),
];

const OTHERS: Readonly<Record<string, string>> = {
  ...{ [BIRD]: "BIRD", [GOBGP]: "GoBGP", ipset: "`ipset restore`" },
};

/** Whose figure stands for ours. */
const OWN: Readonly<Record<string, string>> = { s7: "ipset-js" };

export function goalRows(resultOf: (scenario: string) => ScenarioResult | undefined): GoalRow[] {
  return GOALS.map((goal) => {
    const { text, scenario, measure, against, most, unit } = goal;
    const daemons = resultOf(scenario)?.daemons ?? {};
    const own = daemons[OWN[scenario] ?? "podrouter"];
    const value =
      against === undefined
        ? statisticOf(own?.runs ?? [], measure)?.median
        : ratioOf(own, daemons[against], measure);
    const suffix = against === undefined ? ` ${unit}` : ` × ${OTHERS[against]}`;
    return {
      text,
      goal: `≤ ${most}${suffix}`,
      measured: value === undefined ? undefined : `${number(value)}${suffix}`,
      met: value === undefined ? undefined : value <= most,
      beside: against === BIRD ? besideOf(daemons, measure) : [],
    };
  });
}

/** What the program takes when it does it once more, and what those take that do no routing. */
function besideOf(daemons: Readonly<Record<string, DaemonResult>>, measure: string): string[] {
  const again = measure === "load" ? "again" : undefined;
  const others: readonly (readonly [string, string, string | undefined])[] = [
    ["second load", "podrouter", again],
    ["null relay", RELAY_KEY, measure],
    ["kernel floor", kernelFloor.key, measure],
  ];
  return others.flatMap(([name, key, of]) => {
    const value = of === undefined ? undefined : ratioOf(daemons[key], daemons[BIRD], of);
    return value === undefined ? [] : [`${name} ${number(value)}`];
  });
}
