/** What scripts/setup.sh says and does on machines that lack something: stubs stand for these. */
import assert from "node:assert/strict";
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { keptFolder } from "../../packages/netlink-ts/test/support/keeper.ts";
import { requireReal } from "../support/real.ts";
import { Daemon, must, until } from "../support/shell.ts";

const SETUP = join(import.meta.dirname, "..", "..", "scripts", "setup.sh");
/** Programs of the system that the script calls, and a stub may. */
const NEEDED = ["sh", "dirname", "grep", "sed", "tail", "rm", "mktemp", "touch", "sleep", "cat"];
/** For the file that keeps daemons from starting, which belongs to the machine. */
const HIDDEN = 'mount -t tmpfs none /usr/sbin && exec "$@"';

/** A checkout that has its npm packages, and the only programs that there are. */
interface Machine {
  readonly root: string;
  readonly setup: string;
  readonly env: Record<string, string>;
}

async function machine(t: TestContext, stubs: Readonly<Record<string, string>>): Promise<Machine> {
  const root = keptFolder();
  t.after(() => rm(root, { recursive: true }));
  const bin = join(root, "bin");
  const local = join(root, "node_modules", "node", "bin");
  for (const folder of [bin, join(root, "scripts"), local]) mkdirSync(folder, { recursive: true });
  const setup = join(root, "scripts", "setup.sh");
  cpSync(SETUP, setup);
  const install = (path: string, text: string) => {
    writeFileSync(path, `#!/bin/sh\n${text}\n`);
    chmodSync(path, 0o755);
  };
  for (const name of [...NEEDED, "chmod", "mount"]) {
    const path = (await must("sh", ["-c", `command -v ${name}`])).trim();
    install(join(bin, name), `exec ${path} "$@"`);
  }
  const node = "echo v24.0.0";
  const all = { node, npm: 'echo "npm $*" >> said', "dpkg-query": "exit 1", ...stubs };
  for (const [name, text] of Object.entries(all)) {
    if (text !== "") install(join(bin, name), text);
  }
  install(join(local, "node"), node);
  writeFileSync(join(root, "node_modules", ".podrouter-setup"), "");
  return { root, setup, env: { PATH: bin, TMPDIR: root } };
}

async function setUp({ setup, env }: Machine, ...packages: string[]) {
  const daemon = new Daemon("set-up", "/usr/bin/env", ["-i", ...words(env), setup, ...packages]);
  return { status: await daemon.exited, said: daemon.output };
}

function words(env: Record<string, string>): string[] {
  return Object.entries(env).map(([name, value]) => `${name}=${value}`);
}

test("without root, or without apt, it names the packages and goes on", async (t) => {
  const line = "[set-up] not root or no apt: these Debian packages are missing, and what needs";
  for (const id of ["echo 1000", "echo 0"]) {
    const { status, said } = await setUp(await machine(t, { id }), "bird2", "frr");
    const expected = `${line} them says so: bird2 frr\n[set-up] ready: Node v24.0.0\n`;
    assert.deepEqual([status, said], [0, expected]);
  }
});

test("an old Node.js, none, or one without npm: one sentence, exit code 1", async (t) => {
  const needed = "[set-up] Node.js 20 or newer with npm is needed to install the packages";
  const old = await setUp(await machine(t, { node: "echo v18.20.4" }));
  assert.deepEqual(old, { status: 1, said: `${needed} (found: 18)\n` });
  const none = await setUp(await machine(t, { node: "" }));
  assert.deepEqual(none, { status: 1, said: `${needed} (found: none)\n` });
  const alone = await setUp(await machine(t, { npm: "" }));
  const said =
    "[set-up] npm is needed to install the packages: there is Node.js 24 without it" +
    " (Debian package: npm)\n";
  assert.deepEqual(alone, { status: 1, said });
});

function hidden({ setup, env }: Machine, ...packages: string[]): Daemon {
  const inside = ["-i", ...words(env), "sh", "-c", HIDDEN, "sh", setup, ...packages];
  return new Daemon("set-up", "unshare", ["--mount", "/usr/bin/env", ...inside]);
}

function needsRoot(t: TestContext): boolean {
  return requireReal(t, process.getuid?.() === 0, "it needs root, for a mount namespace");
}

test("one package that there is not does not take the others along", async (t) => {
  if (!needsRoot(t)) return;
  const apt = `
case "$*" in
  *openbgpd*) echo "E: Unable to locate package openbgpd"; exit 100;;
  install*) echo "$*" >> ${"$TMPDIR"}/apt;;
esac`;
  const here = await machine(t, { id: "echo 0", "apt-get": apt });
  const daemon = hidden(here, "bird2", "openbgpd", "frr");
  assert.equal(await daemon.exited, 0);
  const said = daemon.output;
  assert.match(said, /^E: Unable to locate package openbgpd$/m);
  assert.match(
    said,
    /could not be installed \(log: \S+\), and what needs them says so: openbgpd$/m,
  );
  const install = "install -y --no-install-recommends";
  assert.equal(readFileSync(join(here.root, "apt"), "utf8"), `${install} bird2\n${install} frr\n`);
});

test("told to end while apt installs, it waits for apt, and then ends", async (t) => {
  if (!needsRoot(t)) return;
  const apt = `
case "$1" in
  install)
    touch $TMPDIR/begun
    until [ -e $TMPDIR/go-on ]; do sleep 0.05; done
    [ -e /usr/sbin/policy-rc.d ] && touch $TMPDIR/no-daemon-starts
    touch $TMPDIR/installed;;
esac`;
  const here = await machine(t, { id: "echo 0", "apt-get": apt });
  const is = (name: string) => existsSync(join(here.root, name));
  const daemon = hidden(here, "bird2");
  await until("apt installs", () => is("begun"));
  daemon.child.kill("SIGTERM");
  writeFileSync(join(here.root, "go-on"), "");
  assert.equal(await daemon.exited, 143);
  assert.deepEqual([is("no-daemon-starts"), is("installed"), is("said")], [true, true, false]);
  assert.doesNotMatch(daemon.output, /ready/);
});
