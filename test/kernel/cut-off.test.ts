/** What becomes of labs when the tests are cut off in the middle: nothing stays. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { keptFolder, sweepDead } from "../../packages/netlink-ts/test/support/keeper.ts";
import type { LabFacts } from "../support/hanging-lab.ts";
import { namespacesUnavailable } from "../support/namespaces.ts";
import { requireReal } from "../support/real.ts";
import { Daemon, must, run, until } from "../support/shell.ts";

const SUPPORT = join(import.meta.dirname, "..", "support");
const HANGING = join(SUPPORT, "hanging-lab.ts");

/** Longer than what is waited for. */
const LAB_MS = 600_000;

/** Ended so long after it has begun to make something. */
const building = (ms: number) => `
const { Namespaces } = await import(${JSON.stringify(join(SUPPORT, "namespaces.ts"))});
const namespaces = new Namespaces();
setTimeout(() => process.kill(process.pid, "SIGTERM"), ${ms});
for (let i = 0; ; i++) await namespaces.add(String(i));
`;

/** How a runner of tests may end, and the process of the test file that it has started. */
interface CutOff {
  readonly how: string;
  /** For the test that is cut off. */
  readonly limitMs?: number;
  readonly cut: (runner: number, file: number) => unknown;
}

const CUT_OFFS: readonly CutOff[] = [
  { how: "SIGTERM to the runner", cut: (runner) => process.kill(runner, "SIGTERM") },
  { how: "SIGINT to the runner", cut: (runner) => process.kill(runner, "SIGINT") },
  { how: "SIGKILL to the runner", cut: (runner) => process.kill(runner, "SIGKILL") },
  { how: "SIGTERM to the test", cut: (_, file) => process.kill(file, "SIGTERM") },
  { how: "SIGKILL to the test", cut: (_, file) => process.kill(file, "SIGKILL") },
  { how: "Ctrl-C, twice", cut: (runner) => interruptTwice(runner) },
  { how: "the end of the terminal", cut: (runner) => process.kill(-runner, "SIGHUP") },
  { how: "the runner's time limit", limitMs: 3000, cut: () => undefined },
];

/** To the process group, as a terminal does it. */
async function interruptTwice(runner: number): Promise<void> {
  process.kill(-runner, "SIGINT");
  await new Promise((resolve) => setTimeout(resolve, 100));
  await run("kill", ["-INT", "--", `-${runner}`]);
}

async function ready(t: TestContext): Promise<boolean> {
  const reason = await namespacesUnavailable();
  return requireReal(t, reason === undefined, reason ?? "");
}

/** What is there of a process: namespaces, folders, programs with these in their words. */
function left(pid: number): readonly string[] {
  const mine = (prefix: string) => (name: string) => name.startsWith(`${prefix}${pid}-`);
  const commands = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => `${name} ${commandOf(name)}`);
  return [
    ...readdirSync("/run/netns").filter(mine("pr-")),
    ...readdirSync(tmpdir()).filter(mine("podrouter-lab-")),
    ...commands.filter((words) => words.includes(`/pr-${pid}-`)),
  ];
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    // It ended in the meantime.
    return "";
  }
}

function runs(pid: number): boolean {
  return commandOf(String(pid)) !== "";
}

for (const { how, limitMs, cut } of CUT_OFFS) {
  test(`a test that is cut off leaves nothing: ${how}`, async (t) => {
    if (!(await ready(t))) return;
    const factsFile = join(keptFolder(), "facts");
    t.after(() => rm(join(factsFile, ".."), { recursive: true }));
    // A runner that knows itself below another one runs nothing.
    const command = ["-u", "NODE_TEST_CONTEXT", process.execPath, "--test"];
    if (limitMs !== undefined) command.push(`--test-timeout=${limitMs}`);
    // What has failed by its limit goes on for some time.
    const ms = limitMs === undefined ? LAB_MS : limitMs + 500;
    const env = { LAB_FACTS: factsFile, LAB_MS: String(ms) };
    const runner = new Daemon("runner", "env", [...command, HANGING], { env });
    t.after(() => runner.stop("SIGKILL"));
    const facts = await until(
      () => `the lab is up: ${runner.output}`,
      () => JSON.parse(readFileSync(factsFile, "utf8")) as LabFacts,
    );
    const inside = await pidsInside(left(facts.pid));
    assert.equal(inside.length, 4, "two shells, two sleeps");
    await cut(runner.child.pid!, facts.pid);
    await until(
      () => `nothing is left: ${left(facts.pid).join(", ")}`,
      () => left(facts.pid).length === 0,
    );
    assert.deepEqual([facts.pid, facts.outside, ...inside].filter(runs), []);
  });
}

async function pidsInside(names: readonly string[]): Promise<readonly number[]> {
  const namespaces = names.filter((name) => name.startsWith("pr-"));
  const asked = namespaces.map((name) => must("ip", ["netns", "pids", name]));
  return (await Promise.all(asked)).flatMap((pids) => pids.split("\n").filter(Boolean).map(Number));
}

test("what is just being made leaves nothing", async (t) => {
  if (!(await ready(t))) return;
  for (const ms of [0, 2, 5, 10, 15, 20, 30]) {
    const args = ["--input-type=module", "-e", building(ms)];
    const child = spawn(process.execPath, args, { stdio: "ignore" });
    assert.deepEqual(await once(child, "exit"), [null, "SIGTERM"]);
    const gone = () => left(child.pid!).length === 0;
    await until(() => `nothing is left after ${ms} ms: ${left(child.pid!).join(", ")}`, gone);
  }
});

test("what dead processes left is swept, and nothing of those that are alive", async (t) => {
  if (!(await ready(t))) return;
  const alive = new Daemon("alive", "sleep", ["1000"]);
  t.after(() => alive.stop());
  const dead = new Daemon("dead", "true", []);
  await dead.exited;
  const strays: ChildProcess[] = [];
  for (const { child } of [alive, dead]) {
    const [name, folder] = [`pr-${child.pid}-0-node`, folderOf(child)];
    t.after(() => run("ip", ["netns", "delete", name]));
    t.after(() => rm(folder, { recursive: true, force: true }));
    await must("ip", ["netns", "add", name]);
    mkdirSync(folder);
    const stray = spawn("ip", ["netns", "exec", name, "sleep", "1000"]);
    t.after(() => stray.kill("SIGKILL"));
    strays.push(stray);
    await until("it runs", async () => (await must("ip", ["netns", "pids", name])) !== "");
  }
  const swept = await sweepDead();
  const { pid } = dead.child;
  assert.deepEqual(
    swept.filter((name) => name.includes(`-${pid}-`)),
    [`pr-${pid}-0-node`, `podrouter-lab-${pid}-x`],
  );
  assert.ok(!swept.some((name) => name.includes(`-${alive.child.pid}-`)));
  assert.deepEqual(left(pid!), []);
  assert.equal(left(alive.child.pid!).length, 2);
  await until("its program has ended", () => strays[1]!.signalCode === "SIGKILL");
  assert.ok(runs(strays[0]!.pid!));
  assert.ok(existsSync(folderOf(alive.child)));
});

function folderOf({ pid }: ChildProcess): string {
  return join(tmpdir(), `podrouter-lab-${pid}-x`);
}
