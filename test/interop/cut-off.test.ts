/** What becomes of labs when the tests are cut off in the middle. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { sweepDeadLabs } from "../support/peers/lab.ts";
import { requireReal } from "../support/real.ts";
import { must, run, until } from "../support/shell.ts";
import { labUnavailable } from "./available.ts";

const LAB = join(import.meta.dirname, "..", "support", "peers", "lab.ts");
/** Two labs with captures, and results that are written as they come, as by tests in a runner. */
const PROGRAM = `
const { Lab } = await import(${JSON.stringify(LAB)});
for (const lab of await Promise.all([Lab.build(), Lab.build()])) await lab.capture();
setInterval(() => process.stdout.write("up\\n"), 20);
`;

/** With one that has something that does not stop, and something that would have to be stopped. */
const STUCK = `
const { Lab } = await import(${JSON.stringify(LAB)});
const lab = await Lab.build();
await lab.capture();
lab.add({ stop: () => Promise.reject(new Error("it does not stop")) });
setInterval(() => process.stdout.write("up\\n"), 20);
`;

/** Ended so long after it has begun to build one. */
const building = (ms: number) => `
const { Lab } = await import(${JSON.stringify(LAB)});
setInterval(() => undefined, 1000);
setTimeout(() => process.kill(process.pid, "SIGTERM"), ${ms});
await Lab.build().catch(() => undefined);
`;

async function labs(program = PROGRAM): Promise<ChildProcess> {
  const args = ["--input-type=module", "-e", program];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "ignore"] });
  await once(child.stdout, "data");
  return child;
}

/** Namespaces and folders of a process. */
async function left({ pid }: ChildProcess): Promise<readonly string[]> {
  const namespaces = (await must("ip", ["netns", "list"])).split("\n");
  return [
    ...namespaces
      .filter((each) => each.startsWith(`pr-${pid}-`))
      .map((each) => each.split(" ")[0]!),
    ...(await readdir(tmpdir())).filter((each) => each.startsWith(`podrouter-interop-${pid}-`)),
  ];
}

const noLab = await labUnavailable();

for (const { how, signal, runnerToo } of [
  { how: "by a signal", signal: "SIGTERM", runnerToo: false },
  { how: "by a signal that ends their runner too", signal: "SIGINT", runnerToo: true },
  { how: "by the end of their runner", signal: undefined, runnerToo: true },
] as const) {
  test(`labs that are ended ${how} leave nothing`, async (t) => {
    if (!requireReal(t, noLab === undefined, noLab ?? "")) return;
    const child = await labs();
    t.after(() => child.kill("SIGKILL"));
    assert.equal((await left(child)).length, 6, "two namespaces and a folder each");
    if (signal !== undefined) child.kill(signal);
    if (runnerToo) child.stdout?.destroy();
    const [, endedBy] = await once(child, "exit");
    assert.deepEqual(await left(child), []);
    assert.equal(endedBy, signal ?? "SIGTERM");
  });
}

test("a lab of which something does not stop is removed too", { timeout: 60_000 }, async (t) => {
  if (!requireReal(t, noLab === undefined, noLab ?? "")) return;
  const child = await labs(STUCK);
  t.after(async () => {
    if (child.kill("SIGKILL")) await sweepDeadLabs();
  });
  child.kill("SIGTERM");
  const [, endedBy] = await once(child, "exit");
  assert.deepEqual([await left(child), endedBy], [[], "SIGTERM"]);
});

test("a lab that is ended while it is built leaves nothing", async (t) => {
  if (!requireReal(t, noLab === undefined, noLab ?? "")) return;
  for (const ms of [0, 5, 10, 15, 20, 30]) {
    const args = ["--input-type=module", "-e", building(ms)];
    const child = spawn(process.execPath, args, { stdio: "ignore" });
    const [, endedBy] = await once(child, "exit");
    assert.deepEqual([await left(child), endedBy], [[], "SIGTERM"], `after ${ms} ms`);
  }
});

test("labs that are killed leave no process, and the next run removes the rest", async (t) => {
  if (!requireReal(t, noLab === undefined, noLab ?? "")) return;
  const child = await labs();
  child.kill("SIGKILL");
  await once(child, "exit");
  const namespaces = (await left(child)).filter((each) => each.startsWith("pr-"));
  assert.equal(namespaces.length, 4);
  await until("no process is left", async () => {
    const asked = namespaces.map((each) => run("ip", ["netns", "pids", each]));
    return (await Promise.all(asked)).every(({ stdout }) => stdout === "");
  });
  // A daemon that is another user would be one.
  const [namespace = ""] = namespaces;
  const stray = spawn("ip", ["netns", "exec", namespace, "sleep", "60"], { detached: true });
  const gone = once(stray, "exit");
  await until("it runs", async () => (await must("ip", ["netns", "pids", namespace])) !== "");
  await sweepDeadLabs();
  assert.deepEqual(await left(child), []);
  const [, endedBy] = await gone;
  assert.equal(endedBy, "SIGKILL");
});
