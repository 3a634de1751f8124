/** Results as rows of text: for the terminal, and as Markdown for the page. */
import { type DaemonResult, type ScenarioResult, type Statistic, statisticOf } from "../results.ts";
import type { Measure, Scenario } from "../scenarios/scenario.ts";

/** Daemons that others are compared with, where they were measured: the first that is there. */
const REFERENCES = [
  { key: "bird", label: "BIRD" },
  { key: "gobgp", label: "GoBGP" },
] as const;

/** Three significant digits, no needless ones. */
export function number(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en");
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3;
  return value.toFixed(digits);
}

function cell({ median, least, most }: Statistic): string {
  const spread = least === most ? "" : ` (${number(least)}–${number(most)})`;
  return `${number(median)}${spread}`;
}

/** Head and rows, a row a daemon. */
export function tableOf(scenario: Scenario, result: ScenarioResult): string[][] {
  const daemons = Object.entries(result.daemons);
  const measures = scenario.measures.filter((measure) =>
    daemons.some(([, { runs }]) => statisticOf(runs, measure.key) !== undefined),
  );
  const compared = measures.filter((measure) => measure.ratio);
  const references = REFERENCES.filter(
    ({ key }) => compared.length > 0 && result.daemons[key] !== undefined,
  );
  const head = [
    ...["daemon", "version", "runs"],
    ...measures.map(({ label, unit }) => (unit === "" ? label : `${label}, ${unit}`)),
    ...references.flatMap(({ label }) => `× ${label}: ${compared.map((m) => m.label).join(" / ")}`),
  ];
  const rows = daemons.map(([, daemon]) => [
    ...[daemon.label, daemon.version, String(daemon.runs.length)],
    ...measures.map((measure) => {
      const statistic = statisticOf(daemon.runs, measure.key);
      return statistic === undefined ? "–" : cell(statistic);
    }),
    ...references.map(({ key }) =>
      compared.map((measure) => ratioText(daemon, result.daemons[key], measure)).join(" / "),
    ),
  ]);
  return [head, ...rows];
}

/** Median over median. */
export function ratioOf(
  daemon: DaemonResult | undefined,
  reference: DaemonResult | undefined,
  measure: string,
): number | undefined {
  const [one, other] = [daemon, reference].map((each) => statisticOf(each?.runs ?? [], measure));
  if (one === undefined || other === undefined || other.median === 0) return undefined;
  return one.median / other.median;
}

function ratioText(
  daemon: DaemonResult,
  reference: DaemonResult | undefined,
  measure: Measure,
): string {
  const ratio = ratioOf(daemon, reference, measure.key);
  return ratio === undefined ? "–" : number(ratio);
}

/** Columns of equal width, for a terminal. */
export function plainTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      row
        .map((text, column) => text.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

export function markdownTable(rows: readonly (readonly string[])[]): string {
  const line = (row: readonly string[]) => `| ${row.join(" | ")} |`;
  const [head = [], ...body] = rows;
  return [line(head), line(head.map(() => "---")), ...body.map(line)].join("\n");
}
