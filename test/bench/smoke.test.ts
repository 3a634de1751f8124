/** The whole bench with small numbers, so that it cannot rot: real daemons, seconds. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { relay } from "../../bench/daemons/relay.ts";
import type { ScenarioResult } from "../../bench/results.ts";
import { namespacesUnavailable } from "../support/namespaces.ts";
import { requireReal } from "../support/real.ts";
import { Daemon, hasProgram, run, until } from "../support/shell.ts";

const BENCH = join(import.meta.dirname, "..", "..", "bench", "run.ts");
const RUN_MS_MAX = 120_000;

async function lab(t: TestContext) {
  const reason =
    (await namespacesUnavailable()) ??
    ((await hasProgram("bird")) ? undefined : "BIRD is not installed") ??
    ((await hasProgram("ipset")) ? undefined : "ipset is not installed");
  if (!requireReal(t, reason === undefined, reason ?? "")) return undefined;
  const out = await mkdtemp(join(tmpdir(), "podrouter-bench-test-"));
  t.after(() =>
    Promise.all([out, `${out}.md`].map((each) => rm(each, { recursive: true, force: true }))),
  );
  return out;
}

async function namespacesOf(pid: number): Promise<readonly string[]> {
  const { stdout } = await run("ip", ["netns", "list"]);
  return stdout.split("\n").filter((line) => line.startsWith(`pr-${pid}-`));
}

test("every kind of scenario runs, and leaves nothing behind", {
  timeout: RUN_MS_MAX,
}, async (t) => {
  const out = await lab(t);
  if (out === undefined) return;
  const scenarios = ["s1", "s3", "s5", "s6", "s7", "s8", "change-peers"];
  const words = ["--scale", "100", "--runs", "1", "--idle", "0.2", "--timeout", "20", "--out", out];
  const daemons = ["--daemons", `${relay.key},podrouter,bird`];
  const bench = new Daemon("bench", process.execPath, [BENCH, ...scenarios, ...words, ...daemons]);
  t.after(() => bench.stop("SIGTERM", 10_000));
  assert.equal(await bench.exited, 0, bench.output);
  assert.deepEqual(await namespacesOf(bench.child.pid!), []);
  for (const scenario of scenarios) {
    const text = await readFile(join(out, `${scenario}.json`), "utf8");
    const { daemons } = JSON.parse(text) as ScenarioResult;
    const own = scenario === "s7" ? "ipset-js" : "podrouter";
    assert.ok(Object.keys(daemons).includes(own), scenario);
    for (const [name, { runs, problem }] of Object.entries(daemons)) {
      assert.equal(problem, undefined, `${scenario} ${name}`);
      assert.equal(runs.length, 1);
      for (const [key, value] of Object.entries(runs[0]!)) {
        assert.ok(Number.isFinite(value) && value >= 0, `${scenario} ${name} ${key} ${value}`);
      }
    }
    assert.match(await readFile(join(out, `${scenario}.svg`), "utf8"), /^<svg /);
  }
  const page = await readFile(`${out}.md`, "utf8");
  assert.match(page, /\| S1 load \| ≤ 1 × BIRD \| [\d.,]+ × BIRD \|/);
});

test("a signal ends it, with all that it started", { timeout: RUN_MS_MAX }, async (t) => {
  const out = await lab(t);
  if (out === undefined) return;
  const words = ["s3-idle", "--scale", "100", "--daemons", "bird", "--out", out];
  const bench = new Daemon("bench", process.execPath, [BENCH, ...words]);
  t.after(() => bench.stop("SIGTERM", 10_000));
  const pid = bench.child.pid!;
  const [namespace] = await until("it has namespaces", async () => {
    const found = await namespacesOf(pid);
    return found.length === 2 && found;
  });
  const inside = async () => (await run("ip", ["netns", "pids", namespace!.split(" ")[0]!])).stdout;
  await until("it has processes in them", async () => (await inside()) !== "");
  assert.notEqual(await bench.stop("SIGINT"), 0, bench.output);
  await until("nothing is left", async () => (await namespacesOf(pid)).length === 0);
});

test("a wrong word is told, and nothing is done", async () => {
  const told = await run(process.execPath, [BENCH, "s99"]);
  assert.equal(told.status, 2);
  assert.match(told.stderr, /no scenario s99/);
  assert.match((await run(process.execPath, [BENCH])).stdout, /s1 +S1: a full table/);
});
