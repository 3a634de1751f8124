/** Medians, ratios, goals and charts of made-up results. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { chartOf } from "../../bench/report/chart.ts";
import { goalRows } from "../../bench/report/goals.ts";
import { number, ratioOf, tableOf } from "../../bench/report/table.ts";
import { type DaemonResult, type ScenarioResult, statisticOf } from "../../bench/results.ts";
import type { Figures } from "../../bench/scenarios/scenario.ts";
import { SCENARIOS } from "../../bench/scenarios/scenarios.ts";

function daemon(label: string, ...runs: Figures[]): DaemonResult {
  return { label, version: "1.0", measuredAt: "", machine: "", runs };
}

const RESULT: ScenarioResult = {
  scenario: "s1",
  daemons: {
    podrouter: daemon("podrouter", { load: 2, rss: 240 }, { load: 1 }, { load: 4 }),
    bird: daemon("BIRD <2>", { load: 1, rss: 100 }, { load: 3 }),
  },
};
const S1 = SCENARIOS.find(({ key }) => key === "s1")!;

test("medians, spreads and ratios", () => {
  const runs = RESULT.daemons["podrouter"]!.runs;
  assert.deepEqual(statisticOf(runs, "load"), { median: 2, least: 1, most: 4 });
  assert.deepEqual(statisticOf(RESULT.daemons["bird"]!.runs, "load")?.median, 2);
  assert.equal(statisticOf(runs, "withdraw"), undefined);
  assert.equal(ratioOf(RESULT.daemons["podrouter"], RESULT.daemons["bird"], "load"), 1);
  const [head, own] = tableOf(S1, RESULT);
  assert.deepEqual(head, ["daemon", "version", "runs", "load, s", "peak RSS, MB", "× BIRD: load"]);
  assert.deepEqual(own, ["podrouter", "1.0", "3", "2.00 (1.00–4.00)", "240", "1.00"]);
  assert.deepEqual([0, 0.0123, 0.5, 12.34, 123.4, 12_345].map(number), [
    ...["0", "0.012", "0.50", "12.3", "123", "12,345"],
  ]);
});

test("where no measure is compared there is no column for ratios", () => {
  const scenario = { ...S1, measures: S1.measures.map((each) => ({ ...each, ratio: false })) };
  const [head, own] = tableOf(scenario, RESULT);
  assert.deepEqual(head, ["daemon", "version", "runs", "load, s", "peak RSS, MB"]);
  assert.equal(own?.length, head?.length);
});

test("a goal is met, not met, or not measured", () => {
  const rows = goalRows((scenario) => (scenario === "s1" ? RESULT : undefined));
  const of = (text: string) => rows.filter((row) => row.text === text);
  assert.deepEqual(of("S1 load")[0], {
    ...{ text: "S1 load", goal: "≤ 1 × BIRD", measured: "1.00 × BIRD", met: true, beside: [] },
  });
  assert.equal(of("S1 load")[1]?.met, undefined, "no GoBGP");
  assert.equal(of("S1 peak RSS")[0]?.met, true);
  assert.equal(of("S2 load")[0]?.measured, undefined);
});

test("beside a ratio to BIRD stands what it is made of", () => {
  const daemons = {
    podrouter: daemon("podrouter", { load: 4, again: 1 }),
    bird: daemon("BIRD", { load: 2, again: 2 }),
    null: daemon("null relay", { load: 3, again: 1 }),
  };
  const rows = goalRows((scenario) => (scenario === "s2o" ? { scenario, daemons } : undefined));
  const row = rows.find(({ text }) => text === "S2o load");
  assert.equal(row?.met, false);
  assert.deepEqual(row?.beside, ["second load 0.50", "null relay 1.50"]);
});

test("charts are whole XML, with every bar's value", () => {
  const chart = chartOf(S1, RESULT) ?? "";
  assert.match(chart, /BIRD &lt;2&gt; 1\.0/);
  const [opened, closed] = [/<text/g, /<\/text>/g].map((each) => chart.match(each)?.length);
  assert.ok((opened ?? 0) > 5);
  assert.equal(opened, closed);
  const sweep = SCENARIOS.find(({ key }) => key === "change-peers")!;
  const runs = { "cpu@10": 0.1, "cpu@1000": 0.2 };
  const lines = chartOf(sweep, { scenario: "", daemons: { bird: daemon("BIRD", runs) } }) ?? "";
  assert.match(lines, /<polyline points="[\d. ,]+"/);
  assert.equal(chartOf(S1, { scenario: "s1", daemons: {} }), undefined);
});

test("every scenario's measures have names of their own, and charts show measures", () => {
  assert.equal(new Set(SCENARIOS.map(({ key }) => key)).size, SCENARIOS.length);
  for (const { key, measures, chart } of SCENARIOS) {
    const keys = new Set(measures.map((measure) => measure.key));
    assert.equal(keys.size, measures.length, key);
    const shown =
      chart.kind === "bars"
        ? chart.measures
        : chart.sizes.map((size) => `${chart.measure}@${size}`);
    for (const measure of shown) assert.ok(keys.has(measure), `${key}: ${measure}`);
  }
});
