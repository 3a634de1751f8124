/** The bench's command line: help, and one sentence for what is wrong with it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { readOptions, usage } from "../../bench/options.ts";
import { SCENARIOS } from "../../bench/scenarios/scenarios.ts";
import { UsageError } from "../../scripts/command-line.ts";
import { run } from "../support/shell.ts";

const ROOT = join(import.meta.dirname, "..", "..");

async function bench(...args: string[]) {
  return await run(process.execPath, [join(ROOT, "bench", "run.ts"), ...args]);
}

test("the program: help is help, a wrong option one sentence and exit code 2", async () => {
  const help = await bench("--help");
  assert.deepEqual([help.status, help.stdout, help.stderr], [0, usage(), ""]);
  for (const args of [
    ["--runz", "3"],
    ["s1", "--daemons", "nobody"],
  ]) {
    const { status, stdout, stderr } = await bench(...args);
    assert.equal(status, 2, stderr);
    assert.equal(stdout, "");
    assert.match(stderr, /^bench: [^\n]+\n$/);
    assert.match(stderr, /--runz|nobody/);
  }
});

test("options are read with their defaults", () => {
  const defaults = {
    names: [],
    runs: 3,
    daemons: undefined,
    out: join(ROOT, "docs", "performance"),
    scale: 1,
    idleSeconds: 60,
    timeoutSeconds: 300,
    profile: undefined,
    bundle: undefined,
  };
  assert.deepEqual(readOptions([]), defaults);
  const given = ["s1", "s3-idle", "--runs=1", "--daemons", "bird,podrouter", "--idle", "0.2"];
  assert.deepEqual(readOptions(given), {
    ...defaults,
    names: ["s1", "s3-idle"],
    runs: 1,
    daemons: ["bird", "podrouter"],
    idleSeconds: 0.2,
  });
  for (const word of ["all", "report", "newer-debian"]) {
    assert.deepEqual(readOptions([word]), { ...defaults, names: [word] });
  }
});

test("what is wrong is named in one sentence", () => {
  const cases: readonly (readonly [readonly string[], string])[] = [
    [["--runz"], "Unknown option '--runz'; --help shows what there is"],
    [["--runs"], "Option '--runs <value>' argument missing; --help shows what there is"],
    [["s1", "s99"], "no scenario s99; without arguments all are listed"],
    [["s1", "--runs=0"], "--runs=0: expected a whole number from 1"],
    [["s1", "--runs=1.5"], "--runs=1.5: expected a whole number from 1"],
    [["s1", "--runs=x"], "--runs=x: expected a whole number from 1"],
    [["s1", "--runs="], "--runs=: expected a whole number from 1"],
    [["s1", "--scale=0"], "--scale=0: expected a number from 1"],
    [["s1", "--idle=-1"], "--idle=-1: expected a number from 0"],
    [["s1", "--timeout=Infinity"], "--timeout=Infinity: expected a number from 1"],
  ];
  for (const [args, message] of cases) {
    assert.throws(() => readOptions(args), new UsageError(message), args.join(" "));
  }
});

test("the usage names every scenario and option, and what is rewritten", () => {
  const text = usage();
  for (const { key, title } of SCENARIOS)
    assert.ok(text.includes(`  ${key} `) && text.includes(title));
  for (const name of ["runs", "daemons", "out", "scale", "idle", "timeout", "profile", "bundle"]) {
    assert.ok(text.includes(`--${name} `), name);
  }
  assert.match(text, /docs\/performance\.md of this checkout are rewritten/);
});
