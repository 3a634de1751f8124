/** Writes the charts and the page that shows them, from the JSON files alone. */
import { writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { readResult, type ScenarioResult } from "../results.ts";
import type { Scenario } from "../scenarios/scenario.ts";
import { SCENARIOS } from "../scenarios/scenarios.ts";
import { chartOf } from "./chart.ts";
import { goalRows } from "./goals.ts";
import { markdownTable, tableOf } from "./table.ts";

const HEAD = `<!-- Made by \`npm run bench\` from its JSON files: change bench/, not this. -->

# Performance

Every daemon in turn, once and then all again, under equal settings, on one machine: two network
namespaces joined by a link, the daemon in one, all of its peers in the other. The agent is the
bundled file that the image runs. All peers are one load generator (\`bench/generator/\`) whose
streams are encoded before the clock starts and whose receivers keep one bit for each prefix; the
*null relay* is what the generator and the kernel cost: a program that stands in the daemon's place
and copies octets.

Figures are medians over the runs, with the least and the most in brackets; ratios are medians over
medians. Beside the ratios to BIRD stands what they are made of: the same done once more by the same
process, when the compiler knows the code (*second load*), and the programs that do no routing (the
*null relay*, and the *kernel floor* of S5). CPU is user and system time of all processes of a
daemon, RSS the sum of theirs. Absolute times belong to the machine: trust the ratios.

    npm run bench -- newer-debian      # BIRD 3, newer FRR and GoBGP, by debootstrap
    npm run bench -- all --runs 3

`;

/** `folder`.md beside the folder. */
export function writeReport(folder: string, say: (line: string) => void): void {
  const resultOf = (key: string) => readResult(folder, key);
  const machines = new Set<string>();
  const sections = SCENARIOS.flatMap((scenario) => {
    const result = resultOf(scenario.key);
    if (result === undefined) return [];
    for (const { machine } of Object.values(result.daemons)) machines.add(machine);
    return [section(folder, scenario, result)];
  });
  if (sections.length === 0) {
    say(`no results in ${folder}`);
    return;
  }
  const facts = [...machines].map((each) => `Measured on ${each}.\n\n`).join("");
  const page = `${HEAD}${facts}${goals(resultOf)}\n${sections.join("\n")}`;
  writeFileSync(`${folder}.md`, page);
  say(`\nwritten: ${folder}.md and the charts in ${folder}`);
}

function goals(resultOf: (key: string) => ScenarioResult | undefined): string {
  const rows = goalRows(resultOf).map(({ text, goal, measured, met, beside }) => [
    ...[text, goal, measured ?? "not measured"],
    met === undefined ? "–" : met ? "met" : "**not met**",
    beside.join(", "),
  ]);
  const head = ["what", "goal", "measured", "", "beside it, × BIRD"];
  return `## Goals\n\n${markdownTable([head, ...rows])}\n`;
}

function section(folder: string, scenario: Scenario, result: ScenarioResult): string {
  const chart = chartOf(scenario, result);
  const image = `${scenario.key}.svg`;
  if (chart !== undefined) writeFileSync(join(folder, image), chart);
  const problems = Object.values(result.daemons).flatMap(({ label, problem }) =>
    problem === undefined ? [] : [`- ${label}: ${problem}`],
  );
  return [
    `## ${scenario.title}\n`,
    `${scenario.text}\n`,
    ...(chart === undefined ? [] : [`![${scenario.title}](${basename(folder)}/${image})\n`]),
    `${markdownTable(tableOf(scenario, result))}\n`,
    ...(problems.length === 0 ? [] : [`Not measured, or not in full:\n\n${problems.join("\n")}\n`]),
    `    npm run bench -- ${scenario.key}\n`,
  ].join("\n");
}
