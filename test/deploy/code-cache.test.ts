/** What the engine compiled of the bundle is made without privileges, and the bundle starts with it. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { processes } from "../../scripts/test/processes.ts";
import { imageRuntime } from "../support/image-recipe.ts";
import { Daemon, must, run, until } from "../support/shell.ts";

const SCRIPTS = join(import.meta.dirname, "..", "..", "scripts");
const folder = mkdtempSync(join(tmpdir(), "podrouter-code-cache-"));
const dist = join(folder, "dist");
const { nodeFlags } = imageRuntime();

before(async () => {
  await must(process.execPath, [join(SCRIPTS, "bundle.ts"), "--out", dist]);
});
after(() => rmSync(folder, { recursive: true }));

/** What the agent says of its compiled code when it starts; it ends at once. */
async function startsWith(flags: readonly string[]): Promise<string> {
  const nowhere = join(folder, "bgp.yaml", "admin.sock");
  const started = await run(process.execPath, [
    ...[...flags, join(dist, "podrouter.cjs"), "run", "--dry-run=true", "--enable-cni=false"],
    ...["--health-port=0", `--admin-socket=${nowhere}`, `--config=${join(folder, "bgp.yaml")}`],
  ]);
  const first = started.stderr.split("\n", 1)[0] ?? "";
  assert.match(first, /"msg":"agent starts"/, started.stderr);
  return String((JSON.parse(first) as { readonly codeCache?: unknown }).codeCache);
}

function codeFiles(): string[] {
  return readdirSync(dist).filter((name) => name.endsWith(".codecache"));
}

test("the agent says whether it starts with compiled code, and starts without it, too", async () => {
  writeFileSync(join(folder, "bgp.yaml"), "global: {as: 64512, routerId: 192.0.2.1, listen: []}\n");
  assert.equal(await startsWith(nodeFlags), "missing");
  // No privilege at all, as in the build of an image.
  const drop = ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", process.execPath];
  const dropped = process.getuid?.() === 0 ? ["setpriv", ...drop] : [process.execPath];
  const [program, ...words] = [...dropped, join(SCRIPTS, "code-cache.ts"), dist, ...nodeFlags];
  const made = await run(program!, words, { timeoutMs: 60_000 });
  assert.equal(made.status, 0, made.stderr);
  assert.equal(codeFiles().length, 1);
  assert.match(made.stdout, /-[0-9a-f]{16}\.codecache: [0-9]{4} kB\n$/);
  assert.equal(await startsWith(nodeFlags), "used");
  assert.equal(await startsWith(["--no-sparkplug"]), "refused");
});

test("code that a disk has lost a page of is refused, not run", async () => {
  const file = join(dist, codeFiles()[0]!);
  const code = readFileSync(file);
  const page = 4096;
  const last = Math.floor((code.length - 1) / page) * page;
  for (const lost of [0, page * Math.floor(code.length / page / 2), last]) {
    writeFileSync(file, Buffer.from(code).fill(0, lost, Math.min(lost + page, code.length)));
    assert.equal(await startsWith(nodeFlags), "refused", `without the page at ${lost}`);
  }
  for (const length of [0, 3, code.length / 2, code.length - 1]) {
    writeFileSync(file, code.subarray(0, length));
    assert.equal(await startsWith(nodeFlags), "refused", `${length} octets of it`);
  }
  writeFileSync(file, code);
  assert.equal(await startsWith(nodeFlags), "used");
});

test("code of another program is not even looked at", async () => {
  const [name] = codeFiles();
  const digest = /-([0-9a-f]{16})\./.exec(name ?? "")?.[1];
  assert.ok(
    digest !== undefined && readFileSync(join(dist, "podrouter.cjs"), "utf8").includes(digest),
  );
  await must(process.execPath, [join(SCRIPTS, "bundle.ts"), "--out", dist]);
  assert.deepEqual(codeFiles(), [], "a new bundle takes the old code away");
});

test("an agent that ends at its start is not waited for, and its words are shown", async () => {
  const script = join(SCRIPTS, "code-cache.ts");
  const tried = await run(process.execPath, [script, dist, "--no-such-option"], {
    timeoutMs: 60_000,
  });
  assert.equal(tried.status, 1, tried.stderr);
  assert.match(tried.stderr, /bad option: --no-such-option/);
});

/** Runs its words as makeBundle of ../support/program.ts does. */
const PARENT = `
const [, ...words] = process.argv;
const whileWeLive = ["--pdeathsig", "TERM", process.execPath, ...words];
require("node:child_process").spawn("setpriv", whileWeLive, { stdio: "ignore" });
`;

test("when its parent is killed, it leaves neither agents nor files", async () => {
  const temporary = join(folder, "temporary");
  mkdirSync(temporary);
  const here = () => readdirSync(temporary, { recursive: true }).map(String);
  const isAtWork = () => here().some((name) => name.endsWith("nodes.json"));
  const words = ["-e", PARENT, join(SCRIPTS, "code-cache.ts"), dist, ...nodeFlags];
  const env = { TMPDIR: temporary };
  for (let round = 0; round < 3; round++) {
    const parent = new Daemon("parent", process.execPath, words, { env });
    await until("the agents are at work", isAtWork);
    // The kernel tells of this end several times: as often as another thread becomes the parent.
    await parent.stop("SIGKILL");
    await until(
      () => `no agent runs: ${agents()}`,
      () => agents().length === 0,
    );
    await until(
      () => `no file is left: ${here()}`,
      () => here().length === 0,
    );
  }
});

function agents(): readonly string[] {
  const temporary = join(folder, "temporary");
  return processes()
    .map(({ words }) => words.join(" "))
    .filter((words) => words.includes(`--config=${temporary}`));
}
