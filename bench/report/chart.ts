/** The chart of a scenario, from what was measured. */
import { RELAY_KEY } from "../daemons/relay.ts";
import { type ScenarioResult, statisticOf } from "../results.ts";
import type { Scenario } from "../scenarios/scenario.ts";
import { type Bar, barChart, type Line, lineChart, type Panel } from "./svg.ts";

const OWN = ["podrouter", "ipset-js"];

/** SVG text, or undefined when there is nothing to draw. */
export function chartOf(scenario: Scenario, result: ScenarioResult): string | undefined {
  const daemons = Object.entries(result.daemons);
  const { chart } = scenario;
  const value = (runs: (typeof daemons)[number][1]["runs"], key: string) => {
    const median = statisticOf(runs, key)?.median;
    return median === undefined || median <= 0 ? undefined : median;
  };
  if (chart.kind === "bars") {
    const panels = chart.measures.flatMap((key): Panel[] => {
      const measure = scenario.measures.find((each) => each.key === key);
      const bars = daemons.flatMap(([name, daemon]): Bar[] => {
        const median = value(daemon.runs, key);
        const label = labelOf(daemon).replace(/ -?$/, "");
        return median === undefined ? [] : [{ label, value: median, own: OWN.includes(name) }];
      });
      if (measure === undefined || bars.length === 0) return [];
      return [{ title: measure.label, unit: measure.unit, bars }];
    });
    return panels.length === 0 ? undefined : barChart(scenario.title, panels);
  }
  const lines = daemons.flatMap(([name, daemon]): Line[] => {
    if (name === RELAY_KEY) return [];
    const points = chart.sizes.flatMap((x) => {
      const y = value(daemon.runs, `${chart.measure}@${x}`);
      return y === undefined ? [] : [{ x, y }];
    });
    const label = labelOf(daemon).trim();
    return points.length === 0 ? [] : [{ label, own: OWN.includes(name), points }];
  });
  if (lines.length === 0) return undefined;
  return lineChart(scenario.title, { x: chart.of, y: chart.axis }, lines);
}

/** Without the commit of a build, for which there is no room: the table has it. */
function labelOf({ label, version }: ScenarioResult["daemons"][string]): string {
  return `${label} ${version.replace(/\+.*/, "")}`;
}
